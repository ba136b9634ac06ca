/* Training the judge: cross entropy of its classes. Batches are drawn balanced by the recipe; the noise of a clip serves noise and
 * dropout. */
#include "models/judge.h"

#include <math.h>

#include "tensor/ops.h"
#include "train/trainable.h"

static void *make(config network, binder *b) {
    judge_config c = judge_config_read(network);
    int64_t samples = config_int(network, "audio_len", 0, 0, INT64_C(1) << 31);
    if (c.classes >= 2 && samples < judge_draws(&c))
        fail(HISS_ERROR_ARGUMENT, "clips of %lld samples give too little noise for %lld features; make them longer",
             (long long) samples, (long long) judge_features(&c));
    return judge_bind(&c, b);
}

/* Mean and deviation of the features over clips as they will be drawn. */
static void fit(void *model, batch_source s, random_key key) {
    enum { BATCHES = 32, SIZE = 64 };
    const judge_config *c = judge_sizes(model);
    const int64_t D = judge_features(c);
    double *sum = NEW_ARRAY(double, D), *square = NEW_ARRAY(double, D), n = BATCHES * SIZE;
    for (int i = 0; i < BATCHES; i++) {
        scope_begin();
        const float *x = f32(judge_pool(c, s.draw(s.context, key, i, SIZE, 0)->mel));
        for (int64_t k = 0; k < SIZE * D; k++) {
            sum[k % D] += x[k];
            square[k % D] += (double) x[k] * x[k];
        }
        scope_end();
    }
    for (int64_t k = 0; k < D; k++) {
        judge_mean(model)[k] = (float) (sum[k] / n);
        judge_deviation(model)[k] = (float) sqrt(fmax(0, square[k] / n - sum[k] * sum[k] / (n * n)));
    }
}

static tensor *loss(const void *model, const batch *b, loss_trace *trace) {
    (void) trace;
    const tensor *pooled = judge_pool(judge_sizes(model), b->mel);
    const float *random = recording() ? f32(b->noise) : NULL;
    return cross_entropy(judge_forward(model, pooled, random, b->noise->shape[1], NULL), b->labels);
}

static int64_t hop(config network) { return judge_config_read(network).hop; }
static int64_t mels(config network) { return judge_config_read(network).mels; }

static const char *const KEYS[] = {"hop_samples", "n_fft",      "n_mels",  "bands", "hidden",
                                   "range",       "dropout_in", "dropout", "noise", NULL};

const trainable TRAIN_JUDGE = {.name = "judge",
                               .keys = KEYS,
                               .front = "hiss",
                               .hop = hop,
                               .mels = mels,
                               .adapt_front = judge_front,
                               .classes = true,
                               .make = make,
                               .fit = fit,
                               .loss = loss};
