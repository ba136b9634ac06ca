/* Training the vocoder's network: how likely it makes the magnitudes of a clip, given the clip's mel spectrogram. Clips have
 * whole frames: T = n_fft + (F - 1) hop samples, no padding. B clips, F frames, K bins, M mels. */
#include "models/vocoder.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "models/rician.h"
#include "signal/envelope.h"
#include "tensor/rows.h"
#include "train/trainable.h"

typedef struct {
    vocoder *net;
    mel_front front; /* not padded */
    mel_envelope *envelope;
    float *hearing; /* [K]: how much an error in a bin is heard */
} vocoder_training;

static const float LEAST_RATIO = 1e-3f, MOST_RATIO = 20;

static void *make(config network, binder *b) {
    vocoder_training *m = NEW(vocoder_training);
    const vocoder_config c = vocoder_config_read(network);
    m->net = vocoder_bind(&c, b);
    m->front = vocoder_front();
    m->front.stft.padding = STFT_UNPADDED;
    m->envelope = mel_envelope_new(&m->front);
    const int K = m->front.stft.n_fft / 2 + 1;
    m->hearing = NEW_ARRAY(float, K);
    for (int k = 0; k < K; k++) {
        const double hz = (double) k * m->front.rate / m->front.stft.n_fft;
        m->hearing[k] = (float) fmin(fmax(sqrt(1000 / (hz + 500)), 0.25), 1.4);
    }
    return m;
}

/* --- mels as a generator would make them: blurred and noisy for a part of the clips; the targets stay sharp --- */

static const double BLURRED = 0.4, MOST_BLUR = 0.9, MOST_NOISE = 0.2; /* of the clips; frames or bands; of ln */

/* Gaussian of deviation sigma along one axis: n places `step` apart, edges repeated. */
static void blur(float *x, int64_t n, int64_t step, double sigma) {
    enum { REACH = 3 };
    double tap[2 * REACH + 1], sum = 0;
    if (sigma < 0.05) return;
    for (int i = -REACH; i <= REACH; i++) sum += tap[i + REACH] = exp(-i * i / (2 * sigma * sigma));
    scope_begin();
    float *y = alloc((size_t) n * sizeof(float));
    for (int64_t t = 0; t < n; t++) {
        double value = 0;
        for (int i = -REACH; i <= REACH; i++) {
            const int64_t at = t + i < 0 ? 0 : t + i >= n ? n - 1 : t + i;
            value += tap[i + REACH] / sum * x[at * step];
        }
        y[t] = (float) value;
    }
    for (int64_t t = 0; t < n; t++) x[t * step] = y[t];
    scope_end();
}

static double uniform_of(float normal) { return 0.5 * erfc(-normal / M_SQRT2); }

/* mel [F, M] of clip i: its level says whether, its noise how. */
static void spoil(const batch *b, int64_t i, float *mel, int64_t F, int64_t M) {
    if (b->level[i] >= BLURRED) return;
    const int64_t T = b->noise->shape[1];
    const float *noise = f32(b->noise) + i * T;
    require(F * M + 3 <= T);
    const double over_time = MOST_BLUR * uniform_of(noise[T - 1]), over_bands = MOST_BLUR * uniform_of(noise[T - 2]);
    const float deviation = (float) (MOST_NOISE * uniform_of(noise[T - 3]));
    for (int64_t m = 0; m < M; m++) blur(mel + m, F, M, over_time);
    for (int64_t f = 0; f < F; f++) blur(mel + f * M, M, 1, over_bands);
    for (int64_t j = 0; j < F * M; j++) mel[j] += deviation * noise[j];
}

/* --- targets --- */

static inline float within(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

CLONES static void set_row(int64_t K, const float *restrict spectrum, const float *restrict envelope, float top,
                           const float *restrict hearing, float *restrict ratio, float *restrict weight) {
    static const float DB = 8.685889638f, RANGE = 90, SLOPE = 40, LEAST = 0.02f; /* of a factor e; dB */
    static const float SILENCE = 1e-3f; /* under 16 bits' rounding: nothing to learn, and very likely */
#pragma omp simd
    for (int64_t k = 0; k < K; k++) {
        const float re = spectrum[2 * k], im = spectrum[2 * k + 1];
        ratio[k] = within(sqrtf(re * re + im * im) / envelope[k], LEAST_RATIO, MOST_RATIO);
        const float heard = within((DB * fast_log(envelope[k] / top) + RANGE) / SLOPE, LEAST, 1) * hearing[k];
        weight[k] = envelope[k] > SILENCE ? heard : 0;
    }
}

/* The ratio of the true magnitude to the envelope of mel [F, M], and each bin's weight: by the dB under the clip's loudest
 * bin and by hearing. */
static void set_targets(const vocoder_training *m, const float *sound, int64_t samples, const float *mel, float *ratio,
                        float *weight) {
    scope_begin();
    const tensor *spectrum = stft(&m->front.stft, sound, samples);
    const int64_t F = spectrum->shape[0], K = spectrum->shape[1], M = m->front.bands;
    float *envelope = alloc((size_t) (F * K) * sizeof(float)), top = 0;
    for (int64_t f = 0; f < F; f++) mel_envelope_of(m->envelope, mel + f * M, envelope + f * K);
    for (int64_t i = 0; i < F * K; i++) top = envelope[i] > top ? envelope[i] : top;
    for (int64_t f = 0; f < F; f++)
        set_row(K, f32(spectrum) + 2 * f * K, envelope + f * K, top, m->hearing, ratio + f * K, weight + f * K);
    scope_end();
}

static tensor *loss(const void *model, const batch *b, loss_trace *trace) {
    const vocoder_training *m = model;
    const int64_t B = b->size, T = b->audio->shape[1], F = mel_frames(&m->front, T), M = m->front.bands,
                  K = m->front.stft.n_fft / 2 + 1;
    tensor *mel = tensor_new(F32, SHAPE(B, F, M));
    tensor *ratio = tensor_new(F32, SHAPE(B, F, K)), *weight = tensor_new(F32, SHAPE(B, F, K));
    for (int64_t i = 0; i < B; i++) {
        const float *sound = f32(b->audio) + i * T;
        float *own = f32(mel) + i * F * M;
        scope_begin();
        memcpy(own, f32(mel_compute(&m->front, sound, T)), (size_t) (F * M) * sizeof(float));
        scope_end();
        spoil(b, i, own, F, M);
        set_targets(m, sound, T, own, f32(ratio) + i * F * K, f32(weight) + i * F * K);
    }
    tensor *o = vocoder_forward(m->net, mel);
    if (trace) *trace = (loss_trace){mel, o, NULL};
    return rician_loss(o, ratio, weight);
}

static int64_t hop(config network) {
    (void) network;
    return vocoder_front().stft.hop;
}

static int64_t no_mels(config network) { /* of the recordings: they are made of each clip as it is varied */
    (void) network;
    return 0;
}

static const char *const KEYS[] = {"channels", "blocks", "widen", "kernel", "dilations", NULL};

const trainable TRAIN_VOCODER = {
    .name = "vocoder", .keys = KEYS, .front = "hiss", .hop = hop, .mels = no_mels, .make = make, .loss = loss};
