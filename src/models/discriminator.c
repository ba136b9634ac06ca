/* See discriminator.h. */
#include "models/discriminator.h"

#include <math.h>
#include <string.h>

#include "tensor/node.h"
#include "tensor/ops.h"

/* --- complex spectra --- */

typedef struct {
    stft_shape shape;
    float gain;
} spectrum_setting;

/* Bins [F, K, 2] of channel a of one sound <-> the planes [F, K, 2 A]. */
static void lay_in(float *planes, const float *bins, int64_t n, int64_t A, int64_t a, float gain) {
    for (int64_t i = 0; i < n; i++) {
        planes[i * 2 * A + a] = gain * bins[2 * i];
        planes[i * 2 * A + A + a] = gain * bins[2 * i + 1];
    }
}

static void take_out(float *bins, const float *planes, int64_t n, int64_t A, int64_t a, float gain) {
    for (int64_t i = 0; i < n; i++) {
        bins[2 * i] = gain * planes[i * 2 * A + a];
        bins[2 * i + 1] = gain * planes[i * 2 * A + A + a];
    }
}

static void spectrum_backward(node *n) {
    const spectrum_setting *k = n->options;
    const tensor *x = n->in[0];
    const int64_t B = x->shape[0], T = x->shape[1], A = x->shape[2], N = n->out->shape[1] * n->out->shape[2];
    float *d = gradient_sum(x);
    if (!d) return;
    scope_begin();
    float *bins = NEW_ARRAY(float, 2 * N), *samples = NEW_ARRAY(float, T);
    for (int64_t b = 0; b < B; b++)
        for (int64_t a = 0; a < A; a++) {
            memset(samples, 0, (size_t) T * sizeof *samples);
            take_out(bins, n->grad + b * N * 2 * A, N, A, a, k->gain);
            stft_backward(&k->shape, bins, T, samples);
            for (int64_t t = 0; t < T; t++) d[(b * T + t) * A + a] += samples[t];
        }
    scope_end();
}

tensor *complex_spectrum(const tensor *x, const stft_shape *s, float gain) {
    require(x->rank == 3 && x->type == F32);
    x = brought(x);
    const bool was = device_switch(false);
    const int64_t B = x->shape[0], T = x->shape[1], A = x->shape[2], F = stft_frames(s, T), K = s->n_fft / 2 + 1;
    tensor *y = tensor_new(F32, SHAPE(B, F, K, 2 * A));
    for (int64_t b = 0; b < B; b++)
        for (int64_t a = 0; a < A; a++) {
            scope_begin();
            float *samples = NEW_ARRAY(float, T);
            for (int64_t t = 0; t < T; t++) samples[t] = f32(x)[(b * T + t) * A + a];
            lay_in(f32(y) + b * F * K * 2 * A, f32(stft(s, samples, T)), F * K, A, a, gain);
            scope_end();
        }
    const spectrum_setting k = {*s, gain};
    record(y, spectrum_backward, INPUTS(x), &k, sizeof k);
    device_switch(was);
    return y;
}

/* --- configuration --- */

static void read_pair(config c, const char *key, int to[2], int64_t high) {
    int64_t pair[2];
    const int n = config_integers(c, key, pair, 2, high);
    if (n && n != 2) fail(HISS_ERROR_FORMAT, "%s: %s: two numbers are needed", c.where, key);
    for (int i = 0; i < n; i++) to[i] = (int) pair[i];
}

static void read_scales(discriminator_config *r, config c) {
    int64_t sizes[DISCRIMINATOR_SCALES] = {1024, 2048, 512}, hops[DISCRIMINATOR_SCALES] = {256, 512, 128},
            windows[DISCRIMINATOR_SCALES] = {1024, 2048, 512};
    const int n = config_integers(c, "n_ffts", sizes, DISCRIMINATOR_SCALES, STFT_MAX_SIZE),
              h = config_integers(c, "hop_lengths", hops, DISCRIMINATOR_SCALES, STFT_MAX_SIZE),
              w = config_integers(c, "win_lengths", windows, DISCRIMINATOR_SCALES, STFT_MAX_SIZE);
    if (n != h || n != w)
        fail(HISS_ERROR_FORMAT, "%s: n_ffts, hop_lengths and win_lengths must be of one length", c.where);
    r->scale_count = n ? n : 3;
    for (int i = 0; i < r->scale_count; i++) {
        r->scales[i] = (stft_shape){(int) sizes[i], (int) windows[i], (int) hops[i], STFT_UNPADDED, false};
        stft_check(&r->scales[i]);
    }
}

discriminator_config discriminator_config_read(config c, int64_t channels) {
    static const char *const keys[] = {
        "filters",    "n_ffts",    "hop_lengths",  "win_lengths",   "dilations",        "kernel_size", "stride",
        "normalized", "loss_type", "out_channels", "filters_scale", "normalize_losses", NULL};
    discriminator_config r = {.channels = channels, .dilations = {1, 2, 4}, .kernel = {3, 9}, .stride = {1, 2}};
    config_only(c, keys);
    r.filters = config_int(c, "filters", 32, 1, 4096);
    read_scales(&r, c);
    const int dilations = config_integers(c, "dilations", r.dilations, DISCRIMINATOR_DILATIONS, 1024);
    r.dilation_count = dilations ? dilations : 3;
    read_pair(c, "kernel_size", r.kernel, 63);
    read_pair(c, "stride", r.stride, 16);
    if (r.kernel[0] % 2 == 0 || r.kernel[1] % 2 == 0)
        fail(HISS_ERROR_FORMAT, "%s: kernel_size: odd numbers are needed", c.where);
    r.normalized = config_bool(c, "normalized", true);
    r.relative = config_bool(c, "normalize_losses", false);
    config_int(c, "out_channels", 1, 1, 1);
    config_int(c, "filters_scale", 1, 1, 1);
    const char *loss = config_string(c, "loss_type", "hinge");
    if (strcmp(loss, "hinge") != 0) fail(HISS_ERROR_FORMAT, "%s: loss_type '%s': hiss has 'hinge'", c.where, loss);
    return r;
}

/* --- the network --- */

enum { MOST_LAYERS = DISCRIMINATOR_DILATIONS + 3 };

typedef struct {
    tensor *gain, *direction;
    const tensor *bias;
    conv2d_options how;
} layer;

struct discriminator {
    discriminator_config sizes;
    int layers; /* of each scale; the last one gives the scores */
    layer *layer[DISCRIMINATOR_SCALES];
    float gain[DISCRIMINATOR_SCALES];
};

static layer bind_layer(binder *b, int64_t out, int64_t in, const int kernel[2], conv2d_options how) {
    how.pad[0] = (kernel[0] - 1) * (how.dilation[0] ? how.dilation[0] : 1) / 2;
    how.pad[1] = (kernel[1] - 1) / 2;
    const int64_t inputs = in * kernel[0] * kernel[1];
    layer l = {.how = how};
    l.gain = bind(b, "conv.weight_g", SHAPE(out, 1, 1, 1), (init){INIT_ONE, 0, 0});
    l.direction = bind(b, "conv.weight_v", SHAPE(out, in, kernel[0], kernel[1]), (init){INIT_TORCH_UNIFORM, 0, 0});
    l.bias = bind(b, "conv.bias", SHAPE(out), (init){INIT_TORCH_UNIFORM, inputs, 0});
    return l;
}

static layer *bind_scale(const discriminator_config *c, binder *b) {
    const int last = c->dilation_count + 1, small[2] = {c->kernel[0], c->kernel[0]};
    layer *layers = NEW_ARRAY(layer, last + 2);
    for (int i = 0; i <= last; i++) {
        conv2d_options how = {{0}, {0}, {0}};
        if (i && i < last) how = (conv2d_options){{c->stride[0], c->stride[1]}, {(int) c->dilations[i - 1], 1}, {0}};
        bind_push(b, "convs.%d", i);
        layers[i] = bind_layer(b, c->filters, i ? c->filters : 2 * c->channels, i < last ? c->kernel : small, how);
        bind_pop(b);
    }
    bind_push(b, "conv_post");
    layers[last + 1] = bind_layer(b, 1, c->filters, small, (conv2d_options){{0}, {0}, {0}});
    bind_pop(b);
    return layers;
}

discriminator *discriminator_bind(const discriminator_config *c, binder *b) {
    discriminator *d = NEW(discriminator);
    d->sizes = *c;
    d->layers = c->dilation_count + 3;
    for (int i = 0; i < c->scale_count; i++) {
        const stft_shape *s = &c->scales[i];
        double square = 0;
        scope_begin();
        const float *window = stft_window(s);
        for (int t = 0; t < s->n_fft; t++) square += (double) window[t] * window[t];
        scope_end();
        d->gain[i] = c->normalized && square > 0 ? (float) (1 / sqrt(square)) : 1;
        bind_push(b, "discriminator.discriminators.discriminators.%d", i);
        d->layer[i] = bind_scale(c, b);
        bind_pop(b);
    }
    return d;
}

void discriminator_begin(const discriminator *d) {
    for (int i = 0; i < d->sizes.scale_count; i++)
        for (int k = 0; k < d->layers; k++) {
            const layer *l = &d->layer[i][k];
            const int64_t each = count(l->direction) / count(l->gain);
            for (int64_t o = 0; o < count(l->gain); o++) {
                double square = 0;
                for (int64_t j = o * each; j < (o + 1) * each; j++) square += pow(f32(l->direction)[j], 2);
                f32(l->gain)[o] = (float) sqrt(square);
            }
            param_changed(l->gain->param);
        }
}

/* Scores [B, F', K', 1] of one scale; features: of all layers but the last, after their activation. */
static const tensor *examine(const discriminator *d, int scale, const tensor *x, const tensor *features[MOST_LAYERS]) {
    static const float SLOPE = 0.2f;
    const tensor *h = complex_spectrum(x, &d->sizes.scales[scale], d->gain[scale]);
    for (int i = 0; i < d->layers; i++) {
        const layer *l = &d->layer[scale][i];
        h = conv2d(h, weight_norm(l->direction, l->gain), l->bias, l->how);
        if (i < d->layers - 1) features[i] = h = leaky_relu(h, SLOPE, F32);
    }
    return h;
}

/* --- losses --- */

static tensor *sum_of(tensor *sum, tensor *one) { return sum ? add(sum, one, F32) : one; }

static tensor *filled(const tensor *like, float value) {
    tensor *t = tensor_new(F32, shape_of(like));
    for (int64_t i = 0; i < count(t); i++) f32(t)[i] = value;
    return t;
}

/* The mean of max(0, 1 - sign score). */
static tensor *hinge(const tensor *score, float sign) {
    const tensor *left = relu(add(filled(score, 1), scale(score, -sign, F32), F32), F32);
    return l1_loss(left, filled(left, 0));
}

static tensor *mean_of(const tensor *t) {
    return reshape(mean_time(reshape(t, SHAPE(1, count(t), 1)), NULL), SHAPE(1));
}

tensor *discriminator_loss(const discriminator *d, const tensor *reals, const tensor *made) {
    const tensor *features[MOST_LAYERS];
    const int S = d->sizes.scale_count;
    tensor *sum = NULL;
    for (int i = 0; i < S; i++) {
        sum = sum_of(sum, hinge(examine(d, i, reals, features), 1));
        sum = sum_of(sum, hinge(examine(d, i, made, features), -1));
    }
    return scale(sum, 1 / (float) S, F32);
}

static float size_of(const tensor *t) {
    double sum = 0;
    for (int64_t i = 0; i < count(t); i++) sum += fabs(f32(t)[i]);
    return (float) (sum / (double) count(t));
}

judgement discriminator_judge(const discriminator *d, const tensor *reals, const tensor *made) {
    const tensor *wanted[MOST_LAYERS] = {0}, *got[MOST_LAYERS] = {0};
    const int S = d->sizes.scale_count, layers = d->layers - 1;
    judgement r = {NULL, NULL};
    for (int i = 0; i < S; i++) {
        const bool was = tape_pause();
        examine(d, i, reals, wanted);
        tape_resume(was);
        r.adversarial = sum_of(r.adversarial, mean_of(examine(d, i, made, got)));
        for (int k = 0; k < layers; k++) {
            const float size = d->sizes.relative ? size_of(wanted[k]) + 1e-3f : 1;
            r.features = sum_of(r.features, scale(l1_loss(got[k], wanted[k]), 1 / (size * (float) (S * layers)), F32));
        }
    }
    r.adversarial = scale(r.adversarial, -1 / (float) S, F32);
    return r;
}
