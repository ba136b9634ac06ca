/* See overlap.h. */
#include "signal/overlap.h"

#include <string.h>

#include "base/error.h"

static int pad_of(const stft_shape *s) { return (s->n_fft - s->hop) / 2; }

static void check(const stft_shape *s) {
    stft_check(s);
    require(s->padding == STFT_HOP_CENTRED && s->n_fft % s->hop == 0);
}

struct overlap {
    stft_shape shape;
    stft_plan *plan;
    const float *window;
    float *sum, *weight; /* [n_fft]: of the windowed samples, of the squared windows */
    float *frame, *block;
};

overlap *overlap_new(const stft_shape *s) {
    check(s);
    overlap *o = NEW(overlap);
    *o = (overlap){.shape = *s, .plan = stft_plan_new_inverse(s, 1), .window = stft_window(s)};
    o->sum = NEW_ARRAY(float, s->n_fft);
    o->weight = NEW_ARRAY(float, s->n_fft);
    o->frame = NEW_ARRAY(float, s->n_fft);
    o->block = NEW_ARRAY(float, s->hop);
    return o;
}

const float *overlap_drain(overlap *o) {
    static const float LEAST = 1e-8f; /* the first sample of all lies under no window */
    const int hop = o->shape.hop, rest = o->shape.n_fft - hop;
    for (int i = 0; i < hop; i++) o->block[i] = o->sum[i] / (o->weight[i] > LEAST ? o->weight[i] : LEAST);
    memmove(o->sum, o->sum + hop, (size_t) rest * sizeof(float));
    memmove(o->weight, o->weight + hop, (size_t) rest * sizeof(float));
    memset(o->sum + rest, 0, (size_t) hop * sizeof(float));
    memset(o->weight + rest, 0, (size_t) hop * sizeof(float));
    return o->block;
}

const float *overlap_push(overlap *o, const float *spectrum) {
    stft_frame_inverse(o->plan, 0, spectrum, o->frame);
    const float *restrict w = o->window, *restrict x = o->frame;
    float *restrict sum = o->sum, *restrict weight = o->weight;
    for (int i = 0; i < o->shape.n_fft; i++) {
        sum[i] += x[i] * w[i];
        weight[i] += w[i] * w[i];
    }
    return overlap_drain(o);
}

struct framer {
    stft_shape shape;
    stft_plan *plan;
    float *samples; /* [n_fft]: the last blocks */
    int64_t blocks;
};

framer *framer_new(const stft_shape *s) {
    check(s);
    framer *f = NEW(framer);
    *f = (framer){.shape = *s, .plan = stft_plan_new(s, 1)};
    f->samples = NEW_ARRAY(float, s->n_fft);
    return f;
}

/* Sample i of the buffer becomes its image beyond the edge that lies on sample `edge`, if that is in the buffer. */
static void reflect(framer *f, int64_t i, int64_t edge) {
    const int64_t image = 2 * edge - i;
    if (image >= 0 && image < f->shape.n_fft) f->samples[i] = f->samples[image];
}

const float *framer_push(framer *f, const float *block, int64_t frames) {
    const int n_fft = f->shape.n_fft, hop = f->shape.hop, pad = pad_of(&f->shape);
    memmove(f->samples, f->samples + hop, (size_t) (n_fft - hop) * sizeof(float));
    memcpy(f->samples + n_fft - hop, block, (size_t) hop * sizeof(float));
    f->blocks++;
    const int64_t frame = f->blocks - n_fft / hop;
    if (frame < 0) return NULL;
    if (frame == 0)
        for (int i = 0; i < pad; i++) reflect(f, i, pad);
    if (frames >= 0) { /* the last sample that is not padding */
        const int64_t last = pad + (frames - frame) * hop - 1;
        for (int64_t i = last + 1; i < n_fft; i++) reflect(f, i, last);
    }
    return stft_frame(f->plan, 0, f->samples);
}
