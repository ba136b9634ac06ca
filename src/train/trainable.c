/* The systems that can be trained: see trainable.h. B batch, T samples, F frames, M mels. */
#include "train/trainable.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "models/diffwave.h"
#include "models/wavegrad.h"
#include "tensor/ops.h"

/* x = signal[b] audio + noise[b] noise. */
static tensor *mix(const batch *b, const float *signal, const float *noise) {
    int64_t T = b->audio->shape[1];
    tensor *x = tensor_new(F32, shape_of(b->audio));
    for (int64_t i = 0; i < b->size; i++)
        for (int64_t t = i * T; t < (i + 1) * T; t++)
            f32(x)[t] = signal[i] * f32(b->audio)[t] + noise[i] * f32(b->noise)[t];
    return x;
}

/* --- DiffWave: a whole step of training per clip, L1 between the noise and its prediction --- */

typedef struct {
    diffwave *net;
    float *alpha_bar; /* [steps] */
    int64_t steps;
} diffwave_training;

static void *make_diffwave(config network, binder *b) {
    diffwave_training *m = NEW(diffwave_training);
    diffwave_config c = diffwave_config_read(network);
    m->net = diffwave_bind(&c, b);
    size_t n;
    double *betas = diffwave_betas(network, &n), product = 1;
    m->steps = (int64_t) n;
    m->alpha_bar = NEW_ARRAY(float, n);
    for (size_t i = 0; i < n; i++) m->alpha_bar[i] = (float) (product *= 1 - betas[i]);
    return m;
}

static tensor *diffwave_loss(const void *model, const batch *b, loss_trace *trace) {
    const diffwave_training *m = model;
    float *signal = NEW_ARRAY(float, b->size), *noise = NEW_ARRAY(float, b->size), *step = NEW_ARRAY(float, b->size);
    for (int64_t i = 0; i < b->size; i++) {
        int64_t t = (int64_t) (b->level[i] * (double) m->steps);
        step[i] = (float) t;
        signal[i] = sqrtf(m->alpha_bar[t]);
        noise[i] = sqrtf(1 - m->alpha_bar[t]);
    }
    tensor *x = mix(b, signal, noise);
    bool classes = diffwave_sizes(m->net)->classes > 0;
    tensor *y = diffwave_forward(m->net, x, step, b->mel, classes ? b->classes : NULL);
    if (trace) *trace = (loss_trace){x, y, step};
    return l1_loss(y, b->noise);
}

static int64_t diffwave_hop(config network) {
    (void) network;
    return DIFFWAVE_HOP;
}

static int64_t diffwave_mels(config network) { return diffwave_config_read(network).mels; }

static const char *const DIFFWAVE_KEYS[] = {"residual_layers",
                                            "residual_channels",
                                            "dilation_cycle_length",
                                            "embedding_hidden",
                                            "n_mels",
                                            "unconditional",
                                            "noise_schedule",
                                            "inference_noise_schedule",
                                            NULL};

static const trainable DIFFWAVE = {"diffwave",    DIFFWAVE_KEYS, "diffwave",    diffwave_hop,
                                   diffwave_mels, true,          make_diffwave, diffwave_loss};

/* --- WaveGrad: a continuous noise level per clip, L1 --- */

typedef struct {
    wavegrad *net;
    float *level; /* [segments + 1]: 1, then sqrt of the cumulative alpha */
    int64_t segments;
} wavegrad_training;

float *wavegrad_levels(config network, size_t *n) {
    size_t segments;
    double *betas = wavegrad_betas(network, &segments), product = 1;
    float *level = NEW_ARRAY(float, segments + 1);
    level[0] = 1;
    for (size_t i = 0; i < segments; i++) level[i + 1] = (float) sqrt(product *= 1 - betas[i]);
    *n = segments + 1;
    return level;
}

static void *make_wavegrad(config network, binder *b) {
    wavegrad_training *m = NEW(wavegrad_training);
    wavegrad_config c = wavegrad_config_read(network);
    m->net = wavegrad_bind(&c, b);
    size_t n;
    m->level = wavegrad_levels(network, &n);
    m->segments = (int64_t) n - 1;
    return m;
}

static tensor *wavegrad_loss(const void *model, const batch *b, loss_trace *trace) {
    const wavegrad_training *m = model;
    float *level = NEW_ARRAY(float, b->size), *noise = NEW_ARRAY(float, b->size);
    for (int64_t i = 0; i < b->size; i++) {
        int64_t s = 1 + (int64_t) (b->level[i] * (double) m->segments);
        level[i] = m->level[s - 1] + (float) b->place[i] * (m->level[s] - m->level[s - 1]);
        noise[i] = sqrtf(1 - level[i] * level[i]);
    }
    tensor *x = mix(b, level, noise);
    tensor *y = wavegrad_forward(m->net, x, b->mel, level, NULL);
    if (trace) *trace = (loss_trace){x, y, level};
    return l1_loss(y, b->noise);
}

static int64_t wavegrad_hop_of(config network) {
    wavegrad_config c = wavegrad_config_read(network);
    return wavegrad_hop(&c);
}

static int64_t wavegrad_mels(config network) { return wavegrad_config_read(network).mels; }

static const char *const WAVEGRAD_KEYS[] = {"mel_channels",
                                            "first_channels",
                                            "down_channels",
                                            "up_channels",
                                            "down_factors",
                                            "up_factors",
                                            "up_dilations",
                                            "noise_schedule",
                                            "noise_schedule_linspace",
                                            "inference_noise_schedule",
                                            NULL};

static const trainable WAVEGRAD = {"wavegrad",    WAVEGRAD_KEYS, "wavegrad",    wavegrad_hop_of,
                                   wavegrad_mels, false,         make_wavegrad, wavegrad_loss};

/* --- the table --- */

const trainable *const TRAINABLES[] = {&DIFFWAVE, &WAVEGRAD, NULL};

const trainable *trainable_named(const char *name) {
    enum { MOST = 32 };
    const char *names[MOST];
    size_t n = 0;
    for (; TRAINABLES[n] && n < MOST; n++) {
        names[n] = TRAINABLES[n]->name;
        if (!strcmp(names[n], name)) return TRAINABLES[n];
    }
    fail(HISS_ERROR_ARGUMENT, "system '%s' cannot be trained; %s", name, suggest(name, names, n));
}
