/* See spectral_loss.h. K bins, F frames. */
#include "models/spectral_loss.h"

#include <math.h>
#include <string.h>

#include "signal/a_weighting.h"
#include "tensor/node.h"
#include "tensor/ops.h"

/* --- one resolution --- */

typedef struct {
    stft_shape shape;
    float eps;
    int64_t B, T, F, K;
} setting;

static setting setting_of(const tensor *y, const stft_shape *s, float eps) {
    stft_check(s);
    setting k = {*s, eps, y->shape[0], y->shape[1], stft_frames(s, y->shape[1]), s->n_fft / 2 + 1};
    require(y->rank == 2 && s->padding == STFT_CENTRED && k.T > s->n_fft / 2);
    return k;
}

static float magnitude(const float *bin, float eps) { return sqrtf(fmaxf(bin[0] * bin[0] + bin[1] * bin[1], eps)); }

/* Of one sound: spectra of both, |Y - X|, |Y| and the sum of |ln X - ln Y|. */
typedef struct {
    const float *x, *y; /* [F, K, 2] */
    double apart, size, logs;
} spectra;

static spectra spectra_of(const setting *k, const float *x, const float *y) {
    spectra r = {f32(stft(&k->shape, x, k->T)), f32(stft(&k->shape, y, k->T)), 0, 0, 0};
    for (int64_t i = 0; i < k->F * k->K; i++) {
        const double X = magnitude(r.x + 2 * i, k->eps), Y = magnitude(r.y + 2 * i, k->eps);
        r.apart += (Y - X) * (Y - X);
        r.size += Y * Y;
        r.logs += fabs(log(X) - log(Y));
    }
    r.apart = sqrt(r.apart);
    r.size = sqrt(r.size);
    return r;
}

void spectral_terms(const tensor *x, const tensor *y, const stft_shape *s, float eps, double terms[2]) {
    const setting k = setting_of(y, s, eps);
    terms[0] = terms[1] = 0;
    for (int64_t b = 0; b < k.B; b++) {
        scope_begin();
        const spectra r = spectra_of(&k, f32(x) + b * k.T, f32(y) + b * k.T);
        terms[0] += r.apart / r.size / (double) k.B;
        terms[1] += r.logs / (double) (k.B * k.F * k.K);
        scope_end();
    }
}

/* d loss / d bins of one sound, of y or of x. */
static void bin_gradients(const setting *k, const spectra *r, bool of_x, double unit, float *bins) {
    const double per_bin = unit / (double) (k->B * k->F * k->K), whole = unit / (double) k->B;
    for (int64_t i = 0; i < k->F * k->K; i++) {
        const float *bin = (of_x ? r->x : r->y) + 2 * i, power = bin[0] * bin[0] + bin[1] * bin[1];
        const double X = magnitude(r->x + 2 * i, k->eps), Y = magnitude(r->y + 2 * i, k->eps), own = of_x ? X : Y;
        double slope = r->apart > 0 ? whole * (own - (of_x ? Y : X)) / (r->apart * r->size) : 0;
        if (!of_x) slope -= whole * r->apart * Y / pow(r->size, 3);
        slope += per_bin * (of_x ? (X > Y) - (X < Y) : (Y > X) - (Y < X)) / own;
        const float factor = power >= k->eps ? (float) (slope / own) : 0;
        bins[2 * i] = factor * bin[0];
        bins[2 * i + 1] = factor * bin[1];
    }
}

/* Adds to the gradient of y or of x. */
static void add_gradients(const node *n, bool of_x, float *d) {
    const setting *k = n->options;
    const tensor *y = n->in[0], *x = n->in[1];
    float *bins = NEW_ARRAY(float, 2 * k->F * k->K);
    for (int64_t b = 0; b < k->B; b++) {
        scope_begin();
        const spectra r = spectra_of(k, f32(x) + b * k->T, f32(y) + b * k->T);
        bin_gradients(k, &r, of_x, n->grad[0], bins);
        stft_backward(&k->shape, bins, k->T, d + b * k->T);
        scope_end();
    }
}

static void spectral_backward(node *n) {
    for (int i = 0; i < 2; i++) {
        bool more;
        float *d = gradient_sink(n->in[i], &more);
        if (d && !more) memset(d, 0, (size_t) count(n->in[i]) * sizeof *d);
        if (d) add_gradients(n, i == 1, d);
    }
}

tensor *spectral_loss(const tensor *x, const tensor *y, const stft_shape *s, float eps) {
    const setting k = setting_of(y, s, eps);
    double terms[2];
    spectral_terms(x, y, s, eps, terms);
    const float loss = (float) (terms[0] + terms[1]);
    tensor *r = tensor_from(&loss, SHAPE(1));
    record(r, spectral_backward, INPUTS(y, x), &k, sizeof k);
    return r;
}

/* --- several, of stereo --- */

/* x [B, T] as ears weigh it. */
static tensor *weighted(const tensor *x, double rate) {
    if (rate == 0) return (tensor *) x;
    const int64_t B = x->shape[0], T = x->shape[1];
    const tensor *taps = tensor_from(a_weighting_taps(rate), SHAPE(1, 1, A_WEIGHTING_TAPS));
    const conv1d_options o = {
        .pad_left = A_WEIGHTING_TAPS / 2, .pad_right = A_WEIGHTING_TAPS / 2, .out = F32, .exact = true};
    return reshape(conv1d(reshape(x, SHAPE(B, T, 1)), taps, NULL, o), SHAPE(B, T));
}

/* The mean over resolutions; x and y [B, T]. */
static tensor *mean_loss(const tensor *x, const tensor *y, const spectral_losses *l) {
    const tensor *heard_x = weighted(x, l->rate), *heard_y = weighted(y, l->rate);
    tensor *sum = NULL;
    for (int i = 0; i < l->count; i++) {
        tensor *one = scale(spectral_loss(heard_x, heard_y, &l->shapes[i], l->eps), 1 / (float) l->count, F32);
        sum = sum ? add(sum, one, F32) : one;
    }
    return sum;
}

/* left + factor right: [B, T, 2] -> [B, T]. */
static tensor *mixed(const tensor *x, float factor) {
    const int64_t B = x->shape[0], T = x->shape[1];
    require(x->rank == 3 && x->shape[2] == 2);
    const tensor *left = slice_channels(x, 0, 1), *right = slice_channels(x, 1, 1);
    return reshape(add(left, scale(right, factor, F32), F32), SHAPE(B, T));
}

tensor *sum_and_difference_loss(const tensor *x, const tensor *y, const spectral_losses *l) {
    const tensor *sum = mean_loss(mixed(x, 1), mixed(y, 1), l), *apart = mean_loss(mixed(x, -1), mixed(y, -1), l);
    return scale(add(sum, apart, F32), 0.5f, F32);
}

void sum_and_difference_terms(const tensor *x, const tensor *y, bool difference, const stft_shape *s,
                              const spectral_losses *l, double terms[2]) {
    const float factor = difference ? -1 : 1;
    spectral_terms(weighted(mixed(x, factor), l->rate), weighted(mixed(y, factor), l->rate), s, l->eps, terms);
}

tensor *channel_loss(const tensor *x, const tensor *y, int channel, const spectral_losses *l) {
    const shape s = SHAPE(x->shape[0], x->shape[1]);
    return mean_loss(reshape(slice_channels(x, channel, 1), s), reshape(slice_channels(y, channel, 1), s), l);
}

/* --- the bottleneck --- */

static const float LEAST_DEVIATION = 1e-4f;

static float softplus(float s) { return s > 20 ? s : log1pf(expf(s)); }
static float softplus_slope(float s) { return 1 / (1 + expf(-s)); }

static void draw_backward(node *n) {
    const tensor *encoded = n->in[0], *noise = n->saved;
    const int64_t L = encoded->shape[2] / 2;
    bool more;
    float *d = gradient_sink(encoded, &more);
    if (!d) return;
    for (int64_t i = 0, all = count(noise); i < all; i++) {
        const int64_t mean = i / L * 2 * L + i % L, at = mean + L;
        d[mean] = (more ? d[mean] : 0) + n->grad[i];
        d[at] = (more ? d[at] : 0) + n->grad[i] * f32(noise)[i] * softplus_slope(f32(encoded)[at]);
    }
}

tensor *draw_latents(const tensor *encoded, const tensor *noise) {
    const int64_t L = encoded->shape[2] / 2;
    require(count(encoded) == 2 * count(noise) && noise->shape[2] == L);
    tensor *z = tensor_new(F32, shape_of(noise));
    for (int64_t i = 0, all = count(z); i < all; i++) {
        const float *from = f32(encoded) + i / L * 2 * L + i % L;
        f32(z)[i] = from[0] + (softplus(from[L]) + LEAST_DEVIATION) * f32(noise)[i];
    }
    node *recorded = record(z, draw_backward, INPUTS(encoded), NULL, 0);
    if (recorded) recorded->saved = noise;
    return z;
}

static void divergence_backward(node *n) {
    const tensor *encoded = n->in[0];
    const int64_t L = encoded->shape[2] / 2, all = count(encoded) / 2;
    bool more;
    float *d = gradient_sink(encoded, &more);
    if (!d) return;
    const float unit = n->grad[0] * (float) L / (float) all;
    for (int64_t i = 0; i < all; i++) {
        const int64_t mean = i / L * 2 * L + i % L, at = mean + L;
        const float s = softplus(f32(encoded)[at]) + LEAST_DEVIATION;
        d[mean] = (more ? d[mean] : 0) + unit * 2 * f32(encoded)[mean];
        d[at] = (more ? d[at] : 0) + unit * 2 * (s - 1 / s) * softplus_slope(f32(encoded)[at]);
    }
}

tensor *divergence(const tensor *encoded) {
    const int64_t L = encoded->shape[2] / 2, all = count(encoded) / 2;
    double sum = 0;
    for (int64_t i = 0; i < all; i++) {
        const float *from = f32(encoded) + i / L * 2 * L + i % L;
        const double m = from[0], s = softplus(from[L]) + LEAST_DEVIATION, v = s * s;
        sum += m * m + v - log(v) - 1;
    }
    const float mean = (float) (sum * (double) L / (double) all);
    tensor *r = tensor_from(&mean, SHAPE(1));
    record(r, divergence_backward, INPUTS(encoded), NULL, 0);
    return r;
}
