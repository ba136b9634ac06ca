/* See generator.h. */
#include "models/generator.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "models/smooth_snake.h"
#include "nn/layers.h"

typedef struct {
    const float *alpha, *inverse_beta; /* [C]; NULL for leaky ReLUs */
} activation;

typedef struct {
    affine learned, dense; /* [Cin, Cout, K]; made of it once: [u Cout, Cin, taps] */
    int stride, kernel;
} upsampler;

typedef struct {
    affine first[GENERATOR_MOST], second[GENERATOR_MOST];
    activation before_first[GENERATOR_MOST], before_second[GENERATOR_MOST];
    const int64_t *dilations;
} block;

struct generator {
    generator_config sizes;
    affine pre, post;
    upsampler up[GENERATOR_MOST];
    block blocks[GENERATOR_MOST][GENERATOR_MOST];
    activation last;
    const tensor *mean, *deviation; /* [M], or NULL */
};

/* --- configuration --- */

static void set_list(int64_t *to, const int64_t *from, int n) { memcpy(to, from, (size_t) n * sizeof *to); }

static void read_stages(generator_config *r, config c) {
    static const int64_t RATES[] = {4, 4, 4, 4}, WIDTHS[] = {8, 8, 8, 8};
    r->stages = config_integers(c, "upsample_rates", r->rates, GENERATOR_MOST, 64);
    const int widths = config_integers(c, "upsample_kernel_sizes", r->widths, GENERATOR_MOST, 256);
    if (!r->stages && !widths) {
        r->stages = 4;
        set_list(r->rates, RATES, 4);
        set_list(r->widths, WIDTHS, 4);
    } else if (r->stages != widths) {
        fail(HISS_ERROR_FORMAT, "%s: %d upsample_rates but %d upsample_kernel_sizes", c.where, r->stages, widths);
    }
    for (int i = 0; i < r->stages; i++) {
        if (r->widths[i] < r->rates[i])
            fail(HISS_ERROR_FORMAT, "%s: upsample_kernel_sizes: %lld is less than its rate %lld", c.where,
                 (long long) r->widths[i], (long long) r->rates[i]);
        if ((r->channels >> (i + 1)) < 1)
            fail(HISS_ERROR_FORMAT, "%s: %lld channels cannot be halved %d times", c.where, (long long) r->channels,
                 r->stages);
    }
}

static void read_blocks(generator_config *r, config c) {
    static const int64_t KERNELS[] = {3, 7, 11}, DILATIONS[] = {1, 3, 5};
    r->kernels = config_integers(c, "resblock_kernel_sizes", r->block_kernels, GENERATOR_MOST, 63);
    if (!r->kernels) set_list(r->block_kernels, KERNELS, r->kernels = 3);
    for (int i = 0; i < r->kernels; i++)
        if (r->block_kernels[i] % 2 == 0) fail(HISS_ERROR_FORMAT, "%s: resblock_kernel_sizes must be odd", c.where);
    r->dilations = 3;
    for (int i = 0; i < r->kernels; i++) set_list(r->block_dilations[i], DILATIONS, 3);
    if (!config_has(c, "resblock_dilation_sizes")) return;
    const config all = config_get(c, "resblock_dilation_sizes");
    if ((int) config_count(all) != r->kernels)
        fail(HISS_ERROR_FORMAT, "%s: resblock_dilation_sizes: one list for each of %d kernels is needed", c.where,
             r->kernels);
    for (int i = 0; i < r->kernels; i++) {
        json_t *wrapped = json_make_object(); /* lists in a list: each under a key of its own */
        json_object_set(wrapped, "resblock_dilation_sizes", config_at(all, (size_t) i).value);
        const int n = config_integers((config){wrapped, c.where, c.text}, "resblock_dilation_sizes",
                                      r->block_dilations[i], GENERATOR_MOST, 64);
        if (!n || (i && n != r->dilations))
            fail(HISS_ERROR_FORMAT, "%s: resblock_dilation_sizes: lists of one length are needed", c.where);
        r->dilations = n;
    }
}

static bool holds(const store *s, const char *prefix, const char *layer) {
    static const char *const TAILS[] = {"weight", "weight_v", "parametrizations.weight.original1"};
    for (size_t i = 0; i < sizeof TAILS / sizeof *TAILS; i++)
        if (store_find(s, format("%s%s.%s", prefix, layer, TAILS[i]))) return true;
    return false;
}

static void read_names(generator_config *r, const store *s) {
    static const char *const PREFIXES[] = {"", "generator.", "vocoder.", "first_stage_model.vocoder."};
    static const char *const UPS[] = {"ups.%d", "upsampler.%d", "ups.%d.0"};
    r->prefix = PREFIXES[0];
    for (size_t i = 0; i < sizeof PREFIXES / sizeof *PREFIXES; i++)
        if (holds(s, PREFIXES[i], "conv_pre")) r->prefix = PREFIXES[i];
    r->up = UPS[0];
    static const char *const FIRST[] = {"ups.0", "upsampler.0", "ups.0.0"};
    for (size_t i = 0; i < sizeof UPS / sizeof *UPS; i++)
        if (holds(s, r->prefix, FIRST[i])) r->up = UPS[i];
    r->has_moments = store_find(s, format("%smean", r->prefix)) != NULL;
}

generator_config generator_config_read(config c, const store *s) {
    static const char *const ACTIVATIONS[] = {"leaky", "snake", "snakebeta"};
    generator_config r = {0};
    r.mels = config_int(c, "num_mels", config_int(c, "model_in_dim", 80, 1, 4096), 1, 4096);
    r.channels = config_int(c, "upsample_initial_channel", 512, 1, 16384);
    read_stages(&r, c);
    read_blocks(&r, c);
    if (config_has(c, "resblock")) r.short_blocks = !strcmp(config_string(c, "resblock", "1"), "2");
    const char *kind = config_string(c, "activation", "leaky");
    for (int i = 0; i < 3; i++)
        if (!strcmp(kind, ACTIVATIONS[i])) r.activation = (generator_activation) i;
    if (strcmp(kind, ACTIVATIONS[r.activation]) != 0)
        fail(HISS_ERROR_FORMAT, "%s: activation '%s': %s", c.where, kind, suggest(kind, ACTIVATIONS, 3));
    r.snake_logs = config_bool(c, "snake_logscale", false);
    r.tanh_end = config_bool(c, "use_tanh_at_final", true);
    r.bias_end = config_bool(c, "use_bias_at_final", true);
    r.slope = (float) config_number(c, "leaky_relu_slope", 0.1, 0, 1);
    read_names(&r, s);
    r.normalise = config_bool(c, "normalize_before", r.has_moments);
    if (r.normalise && !r.has_moments)
        fail(HISS_ERROR_FORMAT, "%s: normalize_before, but %s holds no mean and scale", c.where, store_path(s));
    return r;
}

/* --- sizes --- */

static int taps_of(const generator_config *c, int stage) {
    return (int) ((c->widths[stage] + c->rates[stage] - 1) / c->rates[stage]);
}

int64_t generator_hop(const generator_config *c) {
    int64_t hop = 1;
    for (int i = 0; i < c->stages; i++) hop *= c->rates[i];
    return hop;
}

static int64_t stage_samples(const generator_config *c, int stage, int64_t n) {
    const int64_t u = c->rates[stage], k = c->widths[stage];
    return (n - 1) * u - 2 * ((k - u) / 2) + k;
}

int64_t generator_samples(const generator_config *c, int64_t frames) {
    for (int i = 0; i < c->stages; i++) frames = stage_samples(c, i, frames);
    return frames;
}

int64_t generator_halo(const generator_config *c) {
    enum { SNAKE_REACH = 6, END_REACH = 3 };
    const int64_t smooth = c->activation == GENERATOR_LEAKY ? 0 : SNAKE_REACH;
    double halo = END_REACH, rate = 1; /* frames; samples a frame */
    for (int i = 0; i < c->stages; i++) {
        halo += taps_of(c, i) / rate;
        rate *= (double) c->rates[i];
        int64_t most = 0;
        for (int b = 0; b < c->kernels; b++) {
            int64_t reach = 0;
            for (int d = 0; d < c->dilations; d++)
                reach += c->block_kernels[b] / 2 * (c->block_dilations[b][d] + !c->short_blocks) + 2 * smooth;
            most = reach > most ? reach : most;
        }
        halo += (double) most / rate;
    }
    return (int64_t) ceil(halo + (double) (END_REACH + smooth) / rate);
}

const generator_config *generator_sizes(const generator *net) { return &net->sizes; }

/* --- binding --- */

static upsampler bind_upsampler(binder *b, const generator_config *c, int stage, int64_t in, int64_t out) {
    const int64_t u = c->rates[stage], k = c->widths[stage];
    upsampler r = {.stride = (int) u, .kernel = (int) k};
    bind_push(b, c->up, stage);
    r.learned.weight = bind(b, "weight", SHAPE(in, out, k), (init){INIT_KAIMING_NORMAL, 0, 0});
    r.learned.bias = bind(b, "bias", SHAPE(out), (init){INIT_ZERO, 0, 0});
    bind_pop(b);
    r.dense.weight = keep_transposed(r.learned.weight, r.stride);
    r.dense.bias = keep_packed(transposed_bias(r.learned.bias, r.stride), "transposed bias");
    return r;
}

static activation bind_activation(binder *b, const generator_config *c, int64_t width) {
    if (c->activation == GENERATOR_LEAKY) return (activation){0};
    const init one = {c->snake_logs ? INIT_ZERO : INIT_ONE, 0, 0};
    const float *a = f32(bind(b, "act.alpha", SHAPE(width), one)), *d = a;
    if (c->activation == GENERATOR_SNAKEBETA) d = f32(bind(b, "act.beta", SHAPE(width), one));
    bind_ignore(b, "upsample.filter"); /* constants */
    bind_ignore(b, "downsample.lowpass.filter");
    float *alpha = NEW_ARRAY(float, width), *inverse = NEW_ARRAY(float, width);
    for (int64_t i = 0; i < width; i++) {
        alpha[i] = c->snake_logs ? expf(a[i]) : a[i];
        inverse[i] = 1 / ((c->snake_logs ? expf(d[i]) : d[i]) + 1e-9f);
    }
    return (activation){alpha, inverse};
}

static activation bind_numbered(binder *b, const generator_config *c, int number, int64_t width) {
    bind_push(b, "activations.%d", number);
    const activation a = bind_activation(b, c, width);
    bind_pop(b);
    return a;
}

static void bind_block(binder *b, block *k, const generator_config *c, int64_t width, int kernel) {
    const int64_t taps = c->block_kernels[kernel];
    k->dilations = c->block_dilations[kernel];
    for (int d = 0; d < c->dilations; d++) {
        const char *first = format(c->short_blocks ? "convs.%d" : "convs1.%d", d);
        k->first[d] = bind_conv(b, first, width, width, taps, INIT_KAIMING_NORMAL, true);
        k->before_first[d] = bind_numbered(b, c, c->short_blocks ? d : 2 * d, width);
        if (c->short_blocks) continue;
        k->second[d] = bind_conv(b, format("convs2.%d", d), width, width, taps, INIT_KAIMING_NORMAL, true);
        k->before_second[d] = bind_numbered(b, c, 2 * d + 1, width);
    }
}

static void bind_all(binder *b, generator *net) {
    const generator_config *c = &net->sizes;
    int64_t width = c->channels;
    net->pre = bind_conv(b, "conv_pre", width, c->mels, 7, INIT_KAIMING_NORMAL, true);
    for (int i = 0; i < c->stages; i++, width /= 2) {
        net->up[i] = bind_upsampler(b, c, i, width, width / 2);
        for (int k = 0; k < c->kernels; k++) {
            bind_push(b, "resblocks.%d", i * c->kernels + k);
            bind_block(b, &net->blocks[i][k], c, width / 2, k);
            bind_pop(b);
        }
    }
    if (c->activation != GENERATOR_LEAKY) {
        bind_push(b, "activation_post");
        net->last = bind_activation(b, c, width);
        bind_pop(b);
    }
    bind_push(b, "conv_post");
    net->post.weight = bind(b, "weight", SHAPE(1, width, 7), (init){INIT_KAIMING_NORMAL, 0, 0});
    if (c->bias_end) net->post.bias = bind(b, "bias", SHAPE(1), (init){INIT_ZERO, 0, 0});
    bind_pop(b);
    if (!c->has_moments) return;
    net->mean = bind(b, "mean", SHAPE(c->mels), (init){INIT_ZERO, 0, 0});
    net->deviation = bind(b, "scale", SHAPE(c->mels), (init){INIT_ONE, 0, 0});
}

generator *generator_bind(const generator_config *c, binder *b) {
    generator *net = NEW(generator);
    net->sizes = *c;
    const size_t length = strlen(c->prefix);
    if (length) bind_push(b, "%.*s", (int) length - 1, c->prefix); /* less its dot */
    bind_all(b, net);
    if (length) bind_pop(b);
    return net;
}

/* --- forward --- */

/* Where snakes follow one another what is rounded at first grows: those generators round nothing to bf16 before this stage, nor what
 * changes the rate or is next to the sound (measured with the published 44 kHz sizes: 1.95e-2 from f32, 3.9e-2 with all rounded). */
enum { EXACT_STAGES = 2 };

static bool is_exact(const generator_config *c, int stage) {
    return c->activation != GENERATOR_LEAKY && stage < EXACT_STAGES;
}

static tensor *activate(const generator_config *c, activation a, const tensor *x, bool exact) {
    const dtype type = exact ? F32 : operands();
    return a.alpha ? smooth_snake(x, a.alpha, a.inverse_beta, type) : leaky_relu(x, c->slope, type);
}

/* x [B, T, C] F32 -> the same shape. */
static tensor *block_forward(const generator_config *c, const block *k, const tensor *x, bool exact) {
    const tensor *now = x;
    for (int d = 0; d < c->dilations; d++) {
        scope_begin();
        tensor *h =
            apply_conv_exactly(k->first[d], activate(c, k->before_first[d], now, exact), (int) k->dilations[d], exact);
        if (!c->short_blocks)
            h = apply_conv_exactly(k->second[d], activate(c, k->before_second[d], h, exact), 1, exact);
        tensor *next = scope_end_keep(add(now, h, F32));
        if (now != x && !recording()) tensor_release((tensor *) now);
        now = next;
    }
    return (tensor *) now;
}

/* x [B, T, Cin] -> [B, (T - 1) u - 2 pad + k, Cout]. */
static tensor *upsample(const upsampler *u, const tensor *x, bool exact) {
    const transposed_options o = {
        .stride = u->stride, .width = u->kernel, .pad = (u->kernel - u->stride) / 2, .out = F32, .exact = exact};
    const affine *l = &u->learned;
    scope_begin();
    return scope_end_keep(recording() ? transposed_conv1d(x, transposed_kernel(l->weight, u->stride),
                                                          transposed_bias(l->bias, u->stride), o)
                                      : transposed_conv1d(x, u->dense.weight, u->dense.bias, o));
}

static tensor *stage_forward(const generator *net, int stage, const tensor *x) {
    const generator_config *c = &net->sizes;
    scope_begin();
    if (c->activation == GENERATOR_LEAKY) x = leaky_relu(x, c->slope, operands());
    const tensor *h = upsample(&net->up[stage], x, is_exact(c, 0));
    tensor *sum = NULL;
    for (int k = 0; k < c->kernels; k++) {
        scope_begin();
        tensor *y = block_forward(c, &net->blocks[stage][k], h, is_exact(c, stage));
        sum = scope_end_keep(sum ? add(sum, y, F32) : scale(y, 1, F32));
    }
    return scope_end_keep(scale(sum, 1 / (float) c->kernels, F32));
}

static tensor *normalise(const generator *net, const tensor *mel) {
    const int64_t M = net->sizes.mels;
    tensor *x = tensor_new(F32, shape_of(mel));
    for (int64_t i = 0, n = count(mel); i < n; i++)
        f32(x)[i] = (f32(mel)[i] - f32(net->mean)[i % M]) / f32(net->deviation)[i % M];
    return x;
}

/* [B, T, 1] -> [B, T] within +-1. */
static tensor *bounded(const generator_config *c, tensor *y) {
    const shape s = SHAPE(y->shape[0], y->shape[1]);
    if (recording()) return tanh_of(reshape(y, s), F32);
    y->rank = 2;
    for (int64_t i = 0, n = count(y); i < n; i++) {
        const float v = f32(y)[i];
        f32(y)[i] = c->tanh_end ? tanhf(v) : v < -1 ? -1 : v > 1 ? 1 : v;
    }
    return y;
}

tensor *generator_forward(const generator *net, const tensor *mel) {
    static const float LAST_SLOPE = 0.01f; /* PyTorch's default, not that of the others */
    const generator_config *c = &net->sizes;
    require(mel->rank == 3 && mel->shape[2] == c->mels);
    require(!recording() || (c->activation == GENERATOR_LEAKY && c->tanh_end));
    scope_begin();
    tensor *h = apply_conv_exactly(net->pre, c->normalise ? normalise(net, mel) : mel, 1, is_exact(c, 0));
    for (int i = 0; i < c->stages; i++) h = stage_forward(net, i, h);
    h = net->last.alpha ? activate(c, net->last, h, is_exact(c, 0)) : leaky_relu(h, LAST_SLOPE, operands());
    return scope_end_keep(bounded(c, apply_conv_exactly(net->post, h, 1, is_exact(c, 0))));
}
