/* With k = 1 / sqrt(sigma^2 + 1) and z = k (w + sigma n), the network's F tells both (Karras et al. 2022, sigma_data = 1):
 * w = k z + sigma k F, n = sigma k z - k F. */
#include "models/wave_unet.h"

#include <math.h>

#include "nn/layers.h"

enum { LEVELS = WAVE_UNET_LEVELS, FREQUENCIES = 64, MOST_DEPTH = 64 };

typedef struct {
    affine modulate, first, second;
    int dilation;
} block;

struct wave_unet {
    wave_unet_config sizes;
    affine noise[2], in, out, down[LEVELS - 1], up[LEVELS - 1];
    const tensor *classes; /* [K + 1, E], the last row is "none" */
    tensor *envelope;      /* [K, frames] */
    block *encode[LEVELS], *decode[LEVELS - 1];
};

/* --- configuration --- */

static void read_levels(config c, const char *key, int64_t to[LEVELS], int64_t high) {
    size_t n;
    double *values = config_numbers(c, key, LEVELS, &n);
    if (!n) return;
    for (int i = 0; i < LEVELS; i++) {
        if (n != LEVELS || !(values[i] >= 1 && values[i] <= (double) high))
            fail(HISS_ERROR_FORMAT, "%s: %s must hold %d integers of 1 to %lld", c.where, key, LEVELS,
                 (long long) high);
        to[i] = (int64_t) values[i];
    }
}

static int64_t class_count(config c) {
    if (!config_has(c, "classes")) return 1;
    config list = config_get(c, "classes");
    return json_is_array(list.value) ? (int64_t) config_count(list) : config_int(c, "classes", 1, 1, 10000);
}

wave_unet_config wave_unet_config_read(config c) {
    wave_unet_config r = {.widths = {96, 160, 256}, .depths = {2, 2, 3}};
    r.patch = config_int(c, "patch", 16, 1, 1024);
    r.down = config_int(c, "down", 4, 2, 16);
    r.embedding = config_int(c, "embedding_hidden", 128, 1, 4096);
    read_levels(c, "widths", r.widths, 4096);
    read_levels(c, "depths", r.depths, MOST_DEPTH);
    r.classes = class_count(c);
    r.frames = config_int(c, "audio_len", 22528, ENVELOPE_FRAME, 1 << 24) / ENVELOPE_FRAME;
    r.sigma_low = config_number(c, "sigma_low", 0.01, 1e-6, 1);
    r.sigma_high = config_number(c, "sigma_high", 40, 1, 1e6);
    return r;
}

int64_t wave_unet_multiple(const wave_unet_config *c) { return c->patch * c->down * c->down; }

/* --- binding --- */

static affine bind_plain(binder *b, const char *name, int64_t out, int64_t in) {
    return bind_conv(b, name, out, in, 3, INIT_TORCH_UNIFORM, false);
}

static affine bind_zero(binder *b, const char *name, shape weight) {
    return bind_affine(b, name, weight, (init){INIT_ZERO, 0, 0}, true);
}

static block *bind_blocks(binder *b, const char *side, int level, const wave_unet_config *c) {
    int64_t C = c->widths[level], n = c->depths[level];
    block *blocks = NEW_ARRAY(block, n);
    for (int64_t i = 0; i < n; i++) {
        bind_push(b, "%s.%d.%d", side, level, (int) i);
        blocks[i].dilation = n > 1 && i % 2 ? 3 : 1;
        blocks[i].modulate = bind_zero(b, "emb", SHAPE(2 * C, c->embedding));
        blocks[i].first = bind_plain(b, "c1", C, C);
        blocks[i].second = bind_zero(b, "c2", SHAPE(C, C, 3));
        bind_pop(b);
    }
    return blocks;
}

wave_unet *wave_unet_bind(const wave_unet_config *c, binder *b) {
    wave_unet *net = NEW(wave_unet);
    net->sizes = *c;
    net->noise[0] = bind_linear(b, "t1", c->embedding, 2 * FREQUENCIES);
    net->noise[1] = bind_linear(b, "t2", c->embedding, c->embedding);
    net->classes = bind(b, "cls.weight", SHAPE(c->classes + 1, c->embedding), (init){INIT_NORMAL, 0, 0.5f});
    net->in = bind_plain(b, "inp", c->widths[0], c->patch);
    for (int i = 0; i < LEVELS; i++) net->encode[i] = bind_blocks(b, "enc", i, c);
    for (int i = 0; i + 1 < LEVELS; i++) {
        net->down[i] = bind_linear(b, format("dn.%d", i), c->widths[i + 1], c->widths[i] * c->down);
        net->up[i] = bind_linear(b, format("up.%d", i), c->widths[i] * c->down, c->widths[i + 1]);
        net->decode[i] = bind_blocks(b, "dec", i, c);
    }
    net->out = bind_zero(b, "out", SHAPE(c->patch, c->widths[0], 3));
    net->envelope = bind(b, "envelope", SHAPE(c->classes, c->frames), (init){INIT_ONE, 0, 0.1f});
    net->envelope->param->trainable = false; /* measured, not learned */
    return net;
}

const wave_unet_config *wave_unet_sizes(const wave_unet *net) { return &net->sizes; }

/* --- forward --- */

/* The noise level c = ln(sigma) / 4 as cosines, then sines of 1000 * 10000^(-k / 64) c; and the class: [B, E]. */
static tensor *embed(const wave_unet *net, const float *sigma, const int32_t *classes, int64_t B) {
    tensor *waves = tensor_new(F32, SHAPE(B, 2 * FREQUENCIES));
    int32_t *rows = NEW_ARRAY(int32_t, B);
    for (int64_t b = 0; b < B; b++) {
        for (int k = 0; k < FREQUENCIES; k++) {
            float frequency = 1000.0f * expf(-logf(1e4f) * (float) k / FREQUENCIES),
                  angle = logf(sigma[b]) / 4 * frequency;
            f32(waves)[b * 2 * FREQUENCIES + k] = cosf(angle);
            f32(waves)[b * 2 * FREQUENCIES + FREQUENCIES + k] = sinf(angle);
        }
        rows[b] = classes && classes[b] >= 0 ? classes[b] : (int32_t) net->sizes.classes;
        if (rows[b] > net->sizes.classes)
            fail(HISS_ERROR_ARGUMENT, "class %d: the model has %lld classes", rows[b], (long long) net->sizes.classes);
    }
    tensor *e = apply_linear(net->noise[1], silu(apply_linear(net->noise[0], waves), F32));
    return silu(add(e, embedding(net->classes, rows, B), F32), F32);
}

/* x [B, T, C] F32 -> the same shape. */
static tensor *block_forward(const block *k, tensor *x, const tensor *e) {
    dtype op = operands();
    scope_begin();
    tensor *h = rms_silu(x, apply_linear(k->modulate, e), op);
    h = apply_conv(k->first, h, k->dilation, F32);
    h = apply_conv(k->second, silu(h, op), 1, F32);
    return scope_end_keep(add(x, h, F32));
}

static tensor *blocks_forward(const block *blocks, int64_t n, tensor *x, const tensor *e) {
    for (int64_t i = 0; i < n; i++) x = block_forward(&blocks[i], x, e);
    return x;
}

tensor *wave_unet_forward(const wave_unet *net, const tensor *z, const float *sigma, const int32_t *classes) {
    const wave_unet_config *c = &net->sizes;
    int64_t B = z->shape[0], N = z->shape[1], T = N / c->patch;
    require(N % wave_unet_multiple(c) == 0);
    scope_begin();
    tensor *e = embed(net, sigma, classes, B), *skip[LEVELS];
    tensor *h = apply_conv(net->in, reshape(z, SHAPE(B, T, c->patch)), 1, F32);
    for (int i = 0; i < LEVELS; i++) {
        h = skip[i] = blocks_forward(net->encode[i], c->depths[i], h, e);
        if (i + 1 == LEVELS) break;
        T /= c->down; /* neighbours in time become channels */
        h = apply_conv(net->down[i], reshape(h, SHAPE(B, T, c->widths[i] * c->down)), 1, F32);
    }
    for (int i = LEVELS - 2; i >= 0; i--) {
        T *= c->down;
        h = reshape(apply_conv(net->up[i], h, 1, F32), SHAPE(B, T, c->widths[i]));
        h = blocks_forward(net->decode[i], c->depths[i], add(h, skip[i], F32), e);
    }
    tensor *y = apply_conv(net->out, rms_silu(h, NULL, operands()), 1, F32); /* [B, T, patch] */
    y->rank = 2;
    y->shape[1] = N;
    return scope_end_keep(y);
}

/* --- the level of a class over time --- */

/* Linear between the centres of the table's frames, constant beyond them. */
static float level_at(const float *row, int64_t frames, int64_t t) {
    float at = ((float) t + 0.5f) / ENVELOPE_FRAME - 0.5f;
    at = at < 0 ? 0 : at > (float) (frames - 1) ? (float) (frames - 1) : at;
    int64_t low = (int64_t) at, high = low + 1 < frames ? low + 1 : low;
    return row[low] + (row[high] - row[low]) * (at - (float) low);
}

static const float *mean_row(const wave_unet *net) {
    int64_t K = net->sizes.classes, F = net->sizes.frames;
    float *row = NEW_ARRAY(float, F);
    for (int64_t k = 0; k < K; k++)
        for (int64_t i = 0; i < F; i++) row[i] += f32(net->envelope)[k * F + i] / (float) K;
    return row;
}

static void apply_levels(const wave_unet *net, tensor *x, const int32_t *classes, bool divide) {
    int64_t T = x->shape[1], F = net->sizes.frames;
    scope_begin();
    for (int64_t b = 0; b < x->shape[0]; b++) {
        bool known = classes && classes[b] >= 0;
        require(!known || classes[b] < net->sizes.classes);
        const float *row = known ? f32(net->envelope) + classes[b] * F : mean_row(net);
        for (int64_t t = 0; t < T; t++) {
            float level = level_at(row, F, t);
            f32(x)[b * T + t] *= divide ? 1 / level : level;
        }
    }
    scope_end();
}

void wave_unet_colour(const wave_unet *net, tensor *x, const int32_t *classes) { apply_levels(net, x, classes, false); }
void wave_unet_whiten(const wave_unet *net, tensor *x, const int32_t *classes) { apply_levels(net, x, classes, true); }
float *wave_unet_envelope(wave_unet *net) { return f32(net->envelope); }
