/* See oobleck.h. Rows of a stage: x [B, T, C]. */
#include "models/oobleck.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "nn/layers.h"

enum { UNITS = 3, WIDE = 7 };
static const int DILATIONS[UNITS] = {1, 3, 9};

/* A convolution whose weight may be kept as gain and direction. */
typedef struct {
    const tensor *weight, *gain, *bias; /* gain, bias may be NULL */
} layer;

typedef struct {
    const tensor *alpha, *beta; /* [C]; NULL: ELU */
} activation;

typedef struct {
    activation before_wide, before_narrow;
    layer wide, narrow;
} unit;

typedef struct {
    unit units[UNITS];
    activation before;
    layer resample;                 /* [Cout, Cin, 2 s], or [Cin, Cout, 2 s] of a decoder */
    const tensor *dense, *repeated; /* of a decoder's, united: made once */
    int stride;
} stage;

typedef struct {
    layer first, last;
    activation before_last;
    stage stages[OOBLECK_MOST_STAGES];
} half;

struct oobleck {
    oobleck_config sizes;
    oobleck_parts parts;
    half encoder, decoder;
};

/* --- names: of the parts of a unit, a stage and a half, in stable-audio-tools and in diffusers --- */

typedef struct {
    const char *unit[4];                                     /* snake, wide, snake, narrow */
    const char *encoder_unit, *encoder_snake, *encoder_conv; /* of a stage; units are counted */
    const char *decoder_snake, *decoder_conv, *decoder_unit;
    const char *first, *stage, *snake, *last; /* of a half; all but the first with a number */
    int unit_base[2], stage_base;             /* the numbers of the first unit (encoder, decoder) and stage */
} name_table;

static const name_table NATIVE = {{"layers.0", "layers.1", "layers.2", "layers.3"},
                                  "layers.%d",
                                  "layers.3",
                                  "layers.4",
                                  "layers.0",
                                  "layers.1",
                                  "layers.%d",
                                  "layers.0",
                                  "layers.%d",
                                  "layers.%d",
                                  "layers.%d",
                                  {0, 2},
                                  1},
                        DIFFUSERS = {{"snake1", "conv1", "snake2", "conv2"},
                                     "res_unit%d",
                                     "snake1",
                                     "conv1",
                                     "snake1",
                                     "conv_t1",
                                     "res_unit%d",
                                     "conv1",
                                     "block.%d",
                                     "snake1",
                                     "conv2",
                                     {1, 1},
                                     0};

/* --- binding --- */

typedef struct {
    binder *b;
    const name_table *names;
    bool learns, diffusers, snake;
} binding;

static layer bind_layer(const binding *k, const char *name, shape s, bool biased) {
    const init how = {INIT_TORCH_UNIFORM, 0, 0};
    const int64_t outputs = s.dims[0];
    layer l = {0};
    bind_push(k->b, "%s", name);
    if (k->learns) {
        l.gain = bind(k->b, "weight_g", SHAPE(outputs, 1, 1), (init){INIT_ONE, 0, 0});
        l.weight = bind(k->b, "weight_v", s, how);
    } else {
        l.weight = bind(k->b, "weight", s, how);
    }
    if (biased) l.bias = bind(k->b, "bias", SHAPE(outputs), (init){INIT_ZERO, 0, 0});
    bind_pop(k->b);
    return l;
}

/* [Cin, Cout, 2 s]: its bias has the other dimension. */
static void bind_upsampling(const binding *k, const char *name, stage *s, int64_t in, int64_t out) {
    s->resample = bind_layer(k, name, SHAPE(in, out, 2 * s->stride), false);
    bind_push(k->b, "%s", name);
    s->resample.bias = bind(k->b, "bias", SHAPE(out), (init){INIT_ZERO, 0, 0});
    bind_pop(k->b);
    if (k->learns) return;
    s->dense = keep_transposed(s->resample.weight, s->stride);
    s->repeated = keep_packed(transposed_bias(s->resample.bias, s->stride), "transposed bias");
}

static activation bind_snake(const binding *k, const char *name, int64_t width) {
    if (!k->snake) return (activation){0};
    const shape s = k->diffusers ? SHAPE(1, width, 1) : SHAPE(width);
    activation a;
    bind_push(k->b, "%s", name);
    a.alpha = bind(k->b, "alpha", s, (init){INIT_ZERO, 0, 0});
    a.beta = bind(k->b, "beta", s, (init){INIT_ZERO, 0, 0});
    bind_pop(k->b);
    return a;
}

static void bind_units(const binding *k, stage *s, const char *name, int base, int64_t width) {
    for (int i = 0; i < UNITS; i++) {
        unit *u = &s->units[i];
        bind_push(k->b, name, base + i);
        u->before_wide = bind_snake(k, k->names->unit[0], width);
        u->wide = bind_layer(k, k->names->unit[1], SHAPE(width, width, WIDE), true);
        u->before_narrow = bind_snake(k, k->names->unit[2], width);
        u->narrow = bind_layer(k, k->names->unit[3], SHAPE(width, width, 1), true);
        bind_pop(k->b);
    }
}

/* The width before stage i, counted from the rate of the sound: the list has a 1 in front. */
static int64_t width_at(const oobleck_half *h, int i) { return h->channels * (i ? h->widths[i - 1] : 1); }

static void bind_encoder(const binding *k, half *to, const oobleck_half *h, int64_t audio) {
    const name_table *n = k->names;
    bind_push(k->b, "encoder");
    to->first = bind_layer(k, n->first, SHAPE(h->channels, audio, WIDE), true);
    for (int i = 0; i < h->stages; i++) {
        stage *s = &to->stages[i];
        s->stride = (int) h->strides[i];
        bind_push(k->b, n->stage, n->stage_base + i);
        bind_units(k, s, n->encoder_unit, n->unit_base[0], width_at(h, i));
        s->before = bind_snake(k, n->encoder_snake, width_at(h, i));
        s->resample = bind_layer(k, n->encoder_conv, SHAPE(width_at(h, i + 1), width_at(h, i), 2 * s->stride), true);
        bind_pop(k->b);
    }
    to->before_last = bind_snake(k, format(n->snake, h->stages + 1), width_at(h, h->stages));
    to->last = bind_layer(k, format(n->last, h->stages + 2), SHAPE(h->ends, width_at(h, h->stages), 3), true);
    bind_pop(k->b);
}

/* Its stages run from the latents up. */
static void bind_decoder(const binding *k, half *to, const oobleck_half *h, int64_t audio) {
    const name_table *n = k->names;
    bind_push(k->b, "decoder");
    to->first = bind_layer(k, n->first, SHAPE(width_at(h, h->stages), h->ends, WIDE), true);
    for (int i = 0; i < h->stages; i++) {
        stage *s = &to->stages[i];
        const int level = h->stages - 1 - i;
        s->stride = (int) h->strides[level];
        bind_push(k->b, n->stage, n->stage_base + i);
        s->before = bind_snake(k, n->decoder_snake, width_at(h, level + 1));
        bind_upsampling(k, n->decoder_conv, s, width_at(h, level + 1), width_at(h, level));
        bind_units(k, s, n->decoder_unit, n->unit_base[1], width_at(h, level));
        bind_pop(k->b);
    }
    to->before_last = bind_snake(k, format(n->snake, h->stages + 1), h->channels);
    to->last = bind_layer(k, format(n->last, h->stages + 2), SHAPE(audio, h->channels, WIDE), false);
    bind_pop(k->b);
}

oobleck_parts oobleck_parts_in(const store *s) {
    static const char *const NAMES[] = {"encoder.", "decoder."};
    static const char *const PREFIXES[] = {"", "pretransform.model.", "diffusion.pretransform.model.", "autoencoder."};
    int parts = 0;
    for (size_t i = 0; i < store_count(s); i++)
        for (int p = 0; p < 4; p++)
            for (int k = 0; k < 2; k++)
                if (starts_with(store_at(s, i)->name, format("%s%s", PREFIXES[p], NAMES[k]))) parts |= 1 << k;
    return parts ? (oobleck_parts) parts : OOBLECK_BOTH; /* which lists what is missing */
}

oobleck *oobleck_bind(const oobleck_config *c, binder *b, oobleck_parts parts, bool learns) {
    oobleck *net = NEW(oobleck);
    net->sizes = *c;
    net->parts = parts;
    binding k = {b, c->diffusers ? &DIFFUSERS : &NATIVE, learns, c->diffusers, c->encoder.snake};
    if (parts & OOBLECK_ENCODER) bind_encoder(&k, &net->encoder, &c->encoder, c->audio);
    k.snake = c->decoder.snake;
    if (parts & OOBLECK_DECODER) bind_decoder(&k, &net->decoder, &c->decoder, c->audio);
    return net;
}

bool oobleck_has(const oobleck *net, oobleck_parts parts) { return (net->parts & parts) == parts; }

const oobleck_config *oobleck_sizes(const oobleck *net) { return &net->sizes; }

/* --- lengths --- */

static int pad_of(int64_t stride) { return (int) ((stride + 1) / 2); }

int64_t oobleck_frames(const oobleck *net, int64_t samples) {
    const oobleck_half *h = &net->sizes.encoder;
    for (int i = 0; i < h->stages; i++) {
        const int64_t s = h->strides[i], room = samples + 2 * pad_of(s) - 2 * s;
        samples = room < 0 ? 0 : room / s + 1;
    }
    return samples;
}

int64_t oobleck_samples(const oobleck *net, int64_t frames) {
    const oobleck_half *h = &net->sizes.decoder;
    for (int i = h->stages - 1; i >= 0; i--) frames = (frames + 1) * h->strides[i] - 2 * pad_of(h->strides[i]);
    return frames;
}

float oobleck_deviation(float scale) { return (scale > 20 ? scale : log1pf(expf(scale))) + 1e-4f; }

void oobleck_draw(const oobleck *net, const tensor *encoded, const float *noise, float factor, tensor *z) {
    const int64_t L = net->sizes.latent, E = net->sizes.encoder.ends, rows = count(z) / L;
    require(count(encoded) == rows * E);
    for (int64_t i = 0; i < rows * L; i++) {
        const float *from = f32(encoded) + i / L * E + i % L;
        f32(z)[i] = factor * (net->sizes.variational ? from[0] + oobleck_deviation(from[L]) * noise[i] : from[0]);
    }
}

/* --- forward --- */

/* What is not rounded to bf16, because what follows magnifies its error (measured with the published sizes): the layers next to sound
 * and latents, everything that changes the rate, and the units of the first stages. */
enum { EXACT = 1, ENCODER_EXACT_STAGES = 3, DECODER_EXACT_STAGES = 1 };

static tensor *activate(activation a, const tensor *x, bool exact) {
    const dtype type = exact ? F32 : operands();
    return a.alpha ? snake(x, a.alpha, a.beta, type) : elu(x, type);
}

static const tensor *weight_of(const layer *l) { return l->gain ? weight_norm(l->weight, l->gain) : l->weight; }

static tensor *convolve(const layer *l, const tensor *x, int dilation, bool exact) {
    return apply_conv_exactly((affine){weight_of(l), l->bias}, x, dilation, exact);
}

static tensor *unit_forward(const unit *u, const tensor *x, int dilation, bool exact) {
    scope_begin();
    tensor *h = convolve(&u->wide, activate(u->before_wide, x, exact), dilation, exact);
    h = convolve(&u->narrow, activate(u->before_narrow, h, exact), 1, exact);
    return scope_end_keep(add(x, h, F32));
}

/* May take the memory of x, which must be of this scope. */
static tensor *units_forward(const stage *s, tensor *x, bool exact) {
    for (int i = 0; i < UNITS; i++) {
        tensor *next = unit_forward(&s->units[i], x, DILATIONS[i], exact);
        tensor_release(x);
        x = next;
    }
    return x;
}

tensor *oobleck_encode_first(const oobleck *net, const tensor *x) { return convolve(&net->encoder.first, x, 1, EXACT); }

tensor *oobleck_encode_stage(const oobleck *net, int index, const tensor *x) {
    const stage *s = &net->encoder.stages[index];
    const conv1d_options o = {
        .stride = s->stride, .pad_left = pad_of(s->stride), .pad_right = pad_of(s->stride), .out = F32, .exact = EXACT};
    const bool exact = index < ENCODER_EXACT_STAGES;
    scope_begin();
    tensor *h = unit_forward(&s->units[0], x, DILATIONS[0], exact);
    for (int i = 1; i < UNITS; i++) h = unit_forward(&s->units[i], h, DILATIONS[i], exact);
    return scope_end_keep(conv1d(activate(s->before, h, EXACT), weight_of(&s->resample), s->resample.bias, o));
}

tensor *oobleck_encode_last(const oobleck *net, const tensor *x) {
    scope_begin();
    return scope_end_keep(convolve(&net->encoder.last, activate(net->encoder.before_last, x, false), 1, false));
}

tensor *oobleck_decode_first(const oobleck *net, const tensor *z) { return convolve(&net->decoder.first, z, 1, EXACT); }

tensor *oobleck_decode_stage(const oobleck *net, int index, const tensor *x) {
    const stage *s = &net->decoder.stages[index];
    const transposed_options o = {
        .stride = s->stride, .width = 2 * s->stride, .pad = pad_of(s->stride), .out = F32, .exact = EXACT};
    scope_begin();
    const tensor *dense = s->dense ? s->dense : transposed_kernel(weight_of(&s->resample), s->stride);
    const tensor *bias = s->repeated ? s->repeated : transposed_bias(s->resample.bias, s->stride);
    tensor *h = transposed_conv1d(activate(s->before, x, EXACT), dense, bias, o);
    return scope_end_keep(units_forward(s, h, index < DECODER_EXACT_STAGES));
}

tensor *oobleck_decode_last(const oobleck *net, const tensor *x) {
    scope_begin();
    tensor *y = convolve(&net->decoder.last, activate(net->decoder.before_last, x, false), 1, false);
    return scope_end_keep(net->sizes.tanh_end ? tanh_of(y, F32) : y);
}

/* A stage of a network that learns: computed again on the way back. */
typedef struct {
    const oobleck *net;
    int index;
} stage_place;

static tensor *encode_body(const void *place, const tensor *const *in) {
    const stage_place *p = place;
    return oobleck_encode_stage(p->net, p->index, in[0]);
}

static tensor *decode_body(const void *place, const tensor *const *in) {
    const stage_place *p = place;
    return oobleck_decode_stage(p->net, p->index, in[0]);
}

/* One after another, `first` going with them; going back, each is made again. */
static tensor *all_stages(const oobleck *net, tape_body *body, int stages, tensor *first) {
    tensor *h = first;
    for (int i = 0; i < stages; i++) {
        const stage_place place = {net, i};
        const tensor *in = h;
        h = tape_recompute(body, &place, sizeof place, &in, 1);
        tensor_release((tensor *) in);
    }
    return h;
}

tensor *oobleck_encode(const oobleck *net, const tensor *x) {
    require(x->rank == 3 && x->shape[2] == net->sizes.audio);
    scope_begin();
    tensor *h = all_stages(net, encode_body, net->sizes.encoder.stages, oobleck_encode_first(net, x));
    return scope_end_keep(oobleck_encode_last(net, h));
}

tensor *oobleck_decode(const oobleck *net, const tensor *z) {
    require(z->rank == 3 && z->shape[2] == net->sizes.latent);
    scope_begin();
    tensor *h = all_stages(net, decode_body, net->sizes.decoder.stages, oobleck_decode_first(net, z));
    return scope_end_keep(oobleck_decode_last(net, h));
}
