/* See judge.h. */
#include "models/judge.h"

#include <math.h>

#include "nn/layers.h"
#include "tensor/ops.h"

struct judge {
    judge_config sizes;
    tensor *mean, *deviation; /* [D] */
    affine first, second;
};

/* --- configuration --- */

judge_config judge_config_read(config c) {
    judge_config r = {.hop = config_int(c, "hop_samples", 512, 1, 1 << 14)};
    r.n_fft = config_int(c, "n_fft", 2048, 16, 1 << 15);
    r.mels = config_int(c, "n_mels", 128, 1, 1024);
    r.bands = config_int(c, "bands", r.mels % 4 ? r.mels : r.mels / 4, 1, r.mels);
    r.hidden = config_int(c, "hidden", 128, 1, 1 << 14);
    r.range = config_number(c, "range", 10, 0.1, 100);
    r.dropout_in = config_number(c, "dropout_in", 0.3, 0, 0.95);
    r.dropout = config_number(c, "dropout", 0.4, 0, 0.95);
    r.noise = config_number(c, "noise", 0.3, 0, 10);
    r.frames = config_int(c, "audio_len", 44100, 1, INT64_C(1) << 31) / r.hop;
    r.classes = config_has(c, "classes") ? (int64_t) config_count(config_get(c, "classes")) : 0;
    if (r.mels % r.bands || r.hop > r.n_fft)
        fail(HISS_ERROR_ARGUMENT, "%s: n_mels must be a multiple of bands, and hop_samples at most n_fft", c.where);
    return r;
}

void judge_front(config c, mel_front *f) {
    judge_config s = judge_config_read(c);
    f->stft = (stft_shape){(int) s.n_fft, (int) s.n_fft, (int) s.hop, STFT_HOP_CENTRED, false};
    f->bands = (int) s.mels;
}

const judge_config *judge_sizes(const judge *j) { return &j->sizes; }

/* --- pooling --- */

/* The end of the span of frames that begins at `first`: single frames at the onset, then each a fifth longer. */
static int64_t span_end(int64_t first, int64_t frames) {
    enum { SINGLE = 12, SLOWNESS = 6 };
    int64_t length = first < SINGLE ? 1 : (first - SINGLE) / SLOWNESS + 2;
    return first + length < frames ? first + length : frames;
}

static int64_t span_count(int64_t frames) {
    int64_t n = 0;
    for (int64_t t = 0; t < frames; t = span_end(t, frames)) n++;
    return n;
}

int64_t judge_statistics(const judge_config *c) { return 2 * c->bands; }
int64_t judge_features(const judge_config *c) { return judge_statistics(c) + c->bands * span_count(c->frames); }

/* [F, M] -> [F, bands] below the loudest. */
static void lower(const judge_config *c, const float *mel, float *out) {
    const int64_t wide = c->mels / c->bands;
    float loudest = -INFINITY, floor;
    for (int64_t i = 0; i < c->frames * c->mels; i++) loudest = fmaxf(loudest, mel[i]);
    floor = -(float) c->range;
    for (int64_t i = 0; i < c->frames * c->bands; i++) {
        out[i] = 0;
        for (int64_t k = i * wide; k < (i + 1) * wide; k++) out[i] += fmaxf(mel[k] - loudest, floor) / (float) wide;
    }
}

/* [F, bands] -> mean and deviation of each band, then the spans. */
static void pool(const judge_config *c, const float *x, float *out) {
    const int64_t N = c->bands, F = c->frames;
    for (int64_t n = 0; n < N; n++) {
        double sum = 0, square = 0;
        for (int64_t t = 0; t < F; t++) {
            sum += x[t * N + n];
            square += (double) x[t * N + n] * x[t * N + n];
        }
        out[n] = (float) (sum / (double) F);
        out[N + n] = (float) sqrt(fmax(0, square / (double) F - sum * sum / (double) (F * F)));
    }
    out += 2 * N;
    for (int64_t first = 0; first < F; first = span_end(first, F), out += N) {
        int64_t end = span_end(first, F);
        for (int64_t n = 0; n < N; n++) {
            out[n] = 0;
            for (int64_t t = first; t < end; t++) out[n] += x[t * N + n] / (float) (end - first);
        }
    }
}

tensor *judge_pool(const judge_config *c, const tensor *mel) {
    require(mel->rank == 3 && mel->shape[1] >= c->frames && mel->shape[2] == c->mels);
    const int64_t B = mel->shape[0], D = judge_features(c), stride = mel->shape[1] * c->mels;
    tensor *pooled = tensor_new(F32, SHAPE(B, D));
    scope_begin();
    float *low = NEW_ARRAY(float, c->frames * c->bands);
    for (int64_t b = 0; b < B; b++) {
        lower(c, f32(mel) + b * stride, low);
        pool(c, low, f32(pooled) + b * D);
    }
    scope_end();
    return pooled;
}

/* --- the network --- */

judge *judge_bind(const judge_config *c, binder *b) {
    if (c->classes < 2 || c->frames < 1)
        fail(HISS_ERROR_ARGUMENT,
             "a judge needs two or more classes and clips of a frame or more (data.class, seconds)");
    judge *j = NEW(judge);
    const int64_t D = judge_features(c);
    j->sizes = *c;
    j->mean = bind(b, "mean", SHAPE(D), (init){INIT_ZERO, 0, 0});
    j->deviation = bind(b, "deviation", SHAPE(D), (init){INIT_ONE, 0, 0});
    j->mean->param->trainable = j->deviation->param->trainable = false; /* measured, not learned */
    j->first = bind_linear(b, "first", c->hidden, D);
    j->second = bind_linear(b, "second", c->classes, c->hidden);
    return j;
}

float *judge_mean(judge *j) { return f32(j->mean); }
float *judge_deviation(judge *j) { return f32(j->deviation); }

int64_t judge_draws(const judge_config *c) { return 2 * judge_features(c) + c->hidden; }

/* x / (1 - part), or nothing, as the normals fall. */
static tensor *drop(const tensor *x, double part, const float *random, int64_t stride) {
    const int64_t B = x->shape[0], C = x->shape[1];
    tensor *mask = tensor_new(F32, SHAPE(B, C));
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < C; i++)
            f32(mask)[b * C + i] = 0.5 * erfc(-random[b * stride + i] / M_SQRT2) < part ? 0 : (float) (1 / (1 - part));
    return multiply(x, mask, F32);
}

tensor *judge_forward(const judge *j, const tensor *pooled, const float *random, int64_t stride, tensor **hidden) {
    static const float LEAST = 0.1f; /* nats: bands that hardly change are not blown up */
    const judge_config *c = &j->sizes;
    const int64_t B = pooled->shape[0], D = pooled->shape[1];
    tensor *x = tensor_new(F32, shape_of(pooled));
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < D; i++) {
            float z = (f32(pooled)[b * D + i] - f32(j->mean)[i]) / (f32(j->deviation)[i] + LEAST);
            f32(x)[b * D + i] = random ? z + (float) c->noise * random[b * stride + i] : z;
        }
    if (random) x = drop(x, c->dropout_in, random + D, stride);
    tensor *h = relu(apply_linear(j->first, x), F32);
    if (hidden) *hidden = h;
    if (random) h = drop(h, c->dropout, random + 2 * D, stride);
    return apply_linear(j->second, h);
}
