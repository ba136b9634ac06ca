/* See vocoder.h. */
#include "models/vocoder.h"

#include <math.h>

#include "nn/layers.h"

typedef struct {
    affine mix, norm, widen, narrow;
    int dilation;
} block;

struct vocoder {
    vocoder_config sizes;
    mel_front front;
    affine in, in_norm, out_norm, out;
    block *blocks;
};

/* --- configuration --- */

static const double DILATIONS[] = {1, 2, 1, 4, 1, 2};

vocoder_config vocoder_config_read(config c) {
    vocoder_config r = {.channels = config_int(c, "channels", 320, 1, 8192),
                        .blocks = config_int(c, "blocks", 6, 1, VOCODER_MOST_BLOCKS),
                        .widen = config_int(c, "widen", 3, 1, 16),
                        .kernel = config_int(c, "kernel", 7, 1, 31)};
    if (r.kernel % 2 == 0) fail(HISS_ERROR_FORMAT, "%s: kernel %lld must be odd", c.where, (long long) r.kernel);
    size_t n;
    const double *dilations = config_numbers(c, "dilations", VOCODER_MOST_BLOCKS, &n);
    if (!n) {
        dilations = DILATIONS;
        n = sizeof DILATIONS / sizeof *DILATIONS;
    }
    for (int64_t i = 0; i < r.blocks; i++) {
        const double d = dilations[(size_t) i % n];
        if (!(d >= 1 && d <= 64)) fail(HISS_ERROR_FORMAT, "%s: dilation %g: give 1 to 64", c.where, d);
        r.dilations[i] = (int64_t) d;
    }
    return r;
}

mel_front vocoder_front(void) { return mel_front_named("hiss"); }

/* --- binding --- */

static affine bind_norm(binder *b, const char *name, int64_t width) {
    return bind_affine(b, name, SHAPE(width), (init){INIT_ONE, 0, 0}, true);
}

static affine bind_small(binder *b, const char *name, int64_t out, int64_t in, float deviation) {
    return bind_affine(b, name, SHAPE(out, in), (init){INIT_NORMAL, 0, deviation}, true);
}

static void bind_block(binder *b, block *k, int64_t C, const vocoder_config *c, int dilation) {
    const int64_t wide = c->widen * C;
    k->dilation = dilation;
    k->mix = bind_affine(b, "mix", SHAPE(C, 1, c->kernel), (init){INIT_TORCH_UNIFORM, 0, 0}, true);
    k->norm = bind_norm(b, "norm", C);
    k->widen = bind_linear(b, "widen", wide, C);
    k->narrow = bind_small(b, "narrow", C, wide, 0.3f / sqrtf((float) wide));
}

vocoder *vocoder_bind(const vocoder_config *c, binder *b) {
    vocoder *net = NEW(vocoder);
    net->sizes = *c;
    net->front = vocoder_front();
    const int64_t C = c->channels, K = net->front.stft.n_fft / 2 + 1;
    net->in = bind_linear(b, "in", C, net->front.bands);
    net->in_norm = bind_norm(b, "in_norm", C);
    net->blocks = NEW_ARRAY(block, c->blocks);
    for (int64_t i = 0; i < c->blocks; i++) {
        bind_push(b, "blocks.%d", (int) i);
        bind_block(b, &net->blocks[i], C, c, (int) c->dilations[i]);
        bind_pop(b);
    }
    net->out_norm = bind_norm(b, "out_norm", C);
    net->out = bind_small(b, "out", 2 * K, C, 0.02f);
    return net;
}

int64_t vocoder_halo(const vocoder *net) {
    int64_t halo = 0;
    for (int64_t i = 0; i < net->sizes.blocks; i++) halo += (net->sizes.kernel - 1) / 2 * net->sizes.dilations[i];
    return halo;
}

/* --- forward --- */

static tensor *apply_norm(affine a, const tensor *x, dtype out) { return layer_norm(x, a.weight, a.bias, 1e-6f, out); }

/* x [B, F, C] -> the same shape. */
static tensor *block_forward(const block *k, tensor *x) {
    const dtype op = operands();
    scope_begin();
    tensor *h = apply_norm(k->norm, depthwise_conv1d(x, k->mix.weight, k->mix.bias, k->dilation), op);
    h = gelu(apply_conv(k->widen, h, 1, op), op); /* [B, F, widen C] */
    return scope_end_keep(add(x, apply_conv(k->narrow, h, 1, F32), F32));
}

tensor *vocoder_forward(const vocoder *net, const tensor *mel) {
    static const float SHIFT = 5, SPREAD = 3; /* about mean and deviation of log-mels, with the sign turned */
    scope_begin();
    tensor *x = tensor_new(F32, shape_of(mel));
    for (int64_t i = 0, n = count(mel); i < n; i++) f32(x)[i] = (f32(mel)[i] + SHIFT) / SPREAD;
    x = apply_norm(net->in_norm, apply_conv(net->in, x, 1, F32), F32);
    for (int64_t i = 0; i < net->sizes.blocks; i++) x = block_forward(&net->blocks[i], x);
    return scope_end_keep(apply_conv(net->out, apply_norm(net->out_norm, x, operands()), 1, F32));
}
