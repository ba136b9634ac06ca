#include "models/mel_dit.h"

#include <math.h>
#include <string.h>

#include "models/beat_clock.h"
#include "models/tonal_course.h"
#include "nn/layers.h"

enum { WAVES = 256, MODULATIONS = 6, MOST_BLOCKS = 64 };
static const float EPS = 1e-6f, ROTARY_BASE = 1000;

typedef struct {
    const tensor *table;             /* [6, D]: added to the shared modulation */
    const tensor *qkv, *q, *k, *out; /* [3 D, D], gains [D / heads], [D, D] */
    const tensor *up, *down;         /* [2 H, D], [D, H] */
} block;

struct mel_dit {
    mel_dit_config sizes;
    mel_patches patches;
    affine in, time[2], duration[2], style[2], modulation, final, out;
    affine jump[2], guidance[2];           /* of a few-step network */
    const tensor *coarse, *text, *classes; /* [D, M / 8 + 1], [D, E + 1], [K + 1, D] */
    const tensor *clock, *melody;          /* [D, clock + 1], [D, 12 + 1]; of one that knows music */
    const tensor *reading;                 /* [K + 1, E + 1], of one that reads */
    block *blocks;
};

/* --- configuration --- */

static int64_t class_count(config c) {
    if (!config_has(c, "classes")) return 1;
    config list = config_get(c, "classes");
    return json_is_array(list.value) ? (int64_t) config_count(list) : config_int(c, "classes", 1, 1, 10000);
}

static void read_few_steps(config c, mel_dit_config *to) {
    static const char *const keys[] = {"guidance", NULL};
    if (!config_has(c, "few_steps")) return;
    c = config_get(c, "few_steps");
    config_only(c, keys);
    size_t n;
    double *range = config_numbers(c, "guidance", 2, &n);
    if (n != 2 || !(range[0] >= 0 && range[0] <= range[1] && range[1] <= 100))
        fail(HISS_ERROR_FORMAT, "%s: guidance must be two rising numbers from 0 to 100", c.where);
    to->few_steps = true;
    to->guidance_low = range[0];
    to->guidance_high = range[1];
}

mel_dit_config mel_dit_config_read(config c) {
    mel_dit_config r = {.width = config_int(c, "width", 256, 8, 4096),
                        .blocks = config_int(c, "blocks", 6, 1, MOST_BLOCKS),
                        .heads = config_int(c, "heads", 4, 1, 64),
                        .text = config_int(c, "text_width", 384, 1, 8192),
                        .classes = class_count(c),
                        .bands = config_int(c, "bands", 128, COARSE_BANDS, 1024),
                        .frames = config_int(c, "patch", 8, 1, 256),
                        .components = config_int(c, "components", 256, 1, 4096)};
    r.music = config_bool(c, "music", false);
    r.reads = config_bool(c, "reads", false);
    read_few_steps(c, &r);
    if (r.width % (2 * r.heads))
        fail(HISS_ERROR_FORMAT, "%s: width %lld is no multiple of twice the heads", c.where, (long long) r.width);
    if (r.bands % COARSE_BANDS) fail(HISS_ERROR_FORMAT, "%s: bands must be a multiple of %d", c.where, COARSE_BANDS);
    if (r.components > r.bands * r.frames)
        fail(HISS_ERROR_FORMAT, "%s: %lld components of a patch of %lld numbers", c.where, (long long) r.components,
             (long long) (r.bands * r.frames));
    return r;
}

/* --- binding --- */

static tensor *bind_matrix(binder *b, const char *name, int64_t out, int64_t in, init_kind how) {
    return bind(b, name, SHAPE(out, in), (init){how, 0, 0});
}

static affine bind_layer(binder *b, const char *name, int64_t out, int64_t in, init_kind how) {
    return bind_affine(b, name, SHAPE(out, in), (init){how, 0, 0}, true);
}

/* Two linear layers NAME.0 and NAME.1 to and at the width of the network. */
static void bind_mlp(binder *b, const char *name, affine to[2], int64_t width, int64_t in) {
    to[0] = bind_layer(b, format("%s.0", name), width, in, INIT_XAVIER_UNIFORM);
    to[1] = bind_layer(b, format("%s.1", name), width, width, INIT_XAVIER_UNIFORM);
}

/* The same, adding nothing at first. */
static void bind_silent_mlp(binder *b, const char *name, affine to[2], int64_t width) {
    to[0] = bind_layer(b, format("%s.0", name), width, WAVES, INIT_XAVIER_UNIFORM);
    to[1] = bind_layer(b, format("%s.1", name), width, width, INIT_ZERO);
}

static void bind_block(binder *b, block *to, const mel_dit_config *c) {
    int64_t D = c->width, H = (int64_t) lround(2.667 * (double) D / 64) * 64;
    if (H < 64) H = 64;
    to->table = bind(b, "table", SHAPE(MODULATIONS, D), (init){INIT_ZERO, 0, 0});
    to->qkv = bind_matrix(b, "qkv.weight", 3 * D, D, INIT_XAVIER_UNIFORM);
    to->q = bind(b, "q_norm.weight", SHAPE(D / c->heads), (init){INIT_ONE, 0, 0});
    to->k = bind(b, "k_norm.weight", SHAPE(D / c->heads), (init){INIT_ONE, 0, 0});
    to->out = bind_matrix(b, "out.weight", D, D, INIT_XAVIER_UNIFORM);
    to->up = bind_matrix(b, "up.weight", 2 * H, D, INIT_XAVIER_UNIFORM);
    to->down = bind_matrix(b, "down.weight", D, H, INIT_XAVIER_UNIFORM);
}

mel_dit *mel_dit_bind(const mel_dit_config *c, binder *b) {
    mel_dit *net = NEW(mel_dit);
    int64_t D = c->width;
    net->sizes = *c;
    net->patches = mel_patches_bind(c->bands, c->frames, c->components, b);
    net->in = bind_layer(b, "in", D, c->components, INIT_XAVIER_UNIFORM);
    net->coarse = bind_matrix(b, "coarse.weight", D, c->bands / COARSE_BANDS + 1, INIT_XAVIER_UNIFORM);
    bind_mlp(b, "time", net->time, D, WAVES);
    bind_mlp(b, "duration", net->duration, D, WAVES);
    bind_mlp(b, "style", net->style, D, 2 * c->bands + 1);
    if (c->few_steps) bind_silent_mlp(b, "jump", net->jump, D);
    if (c->few_steps) bind_silent_mlp(b, "guidance", net->guidance, D);
    net->classes = bind_matrix(b, "classes.weight", c->classes + 1, D, INIT_XAVIER_UNIFORM);
    net->text = bind_matrix(b, "text.weight", D, c->text + 1, INIT_XAVIER_UNIFORM);
    net->modulation = bind_layer(b, "modulation", MODULATIONS * D, D, INIT_ZERO);
    net->blocks = NEW_ARRAY(block, c->blocks);
    for (int64_t i = 0; i < c->blocks; i++) {
        bind_push(b, "blocks.%d", (int) i);
        bind_block(b, &net->blocks[i], c);
        bind_pop(b);
    }
    net->final = bind_layer(b, "final", 2 * D, D, INIT_ZERO);
    net->out = bind_layer(b, "out", c->components, D, INIT_ZERO);
    if (c->music) net->clock = bind_matrix(b, "clock.weight", D, beat_clock_width(c->frames) + 1, INIT_ZERO);
    if (c->music) net->melody = bind_matrix(b, "melody.weight", D, PITCH_CLASSES + 1, INIT_ZERO);
    if (c->reads) net->reading = bind_matrix(b, "reading.weight", c->classes + 1, c->text + 1, INIT_ZERO);
    return net;
}

const mel_dit_config *mel_dit_sizes(const mel_dit *net) { return &net->sizes; }
const mel_patches *mel_dit_patches(const mel_dit *net) { return &net->patches; }

/* --- what is asked for --- */

tensor *handle_rows(const tensor *values, float factor, const bool *given) {
    shape s = shape_of(values);
    int64_t B = s.dims[0], C = s.dims[s.rank - 1], each = count(values) / (B * C);
    s.dims[s.rank - 1] = 1;
    tensor *gate = tensor_new(F32, SHAPE(B, C)), *off = tensor_new(F32, s);
    for (int64_t b = 0; b < B; b++) {
        bool has = !given || given[b];
        for (int64_t i = 0; i < C; i++) f32(gate)[b * C + i] = has ? factor : 0;
        for (int64_t i = 0; i < each; i++) f32(off)[b * each + i] = has ? 0 : 1;
    }
    return concat_channels(gate_channels(values, gate, F32), off);
}

/* Rows of a handle that is off for all. */
static const tensor *off_rows(shape s) {
    tensor *y = tensor_zero(F32, s);
    int64_t C = s.dims[s.rank - 1];
    for (int64_t i = C - 1, n = count(y); i < n; i += C) f32(y)[i] = 1;
    return y;
}

/* A number as cosines, then sines of 10000^(-i / 128) times it: [B, 256]. */
static tensor *waves_of(const float *values, float factor, int64_t B) {
    tensor *y = tensor_new(F32, SHAPE(B, WAVES));
    for (int64_t b = 0; b < B; b++)
        for (int i = 0; i < WAVES / 2; i++) {
            float angle = values[b] * factor * expf(-logf(1e4f) * (float) i * 2 / WAVES);
            f32(y)[b * WAVES + i] = cosf(angle);
            f32(y)[b * WAVES + WAVES / 2 + i] = sinf(angle);
        }
    return y;
}

static tensor *apply_mlp(const affine layers[2], const tensor *x) {
    return apply_linear(layers[1], silu(apply_linear(layers[0], x), F32));
}

static tensor *class_rows(const mel_dit *net, const int32_t *classes, int64_t B) {
    int32_t *rows = NEW_ARRAY(int32_t, B);
    for (int64_t b = 0; b < B; b++) {
        rows[b] = classes && classes[b] >= 0 ? classes[b] : (int32_t) net->sizes.classes;
        if (rows[b] > net->sizes.classes)
            fail(HISS_ERROR_ARGUMENT, "class %d: the model has %lld classes", rows[b], (long long) net->sizes.classes);
    }
    return embedding(net->classes, rows, B);
}

/* What a few-step network is told of its step. Slow waves: neighbouring steps are to differ little. */
static tensor *embed_step(const mel_dit *net, const mel_dit_condition *c, int64_t B) {
    float *jump = NEW_ARRAY(float, B), *guidance = NEW_ARRAY(float, B);
    for (int64_t b = 0; b < B; b++) {
        jump[b] = c->jump ? c->jump[b] : 0;
        guidance[b] = c->guidance ? c->guidance[b] : 1;
    }
    return add(apply_mlp(net->jump, waves_of(jump, 100, B)), apply_mlp(net->guidance, waves_of(guidance, 10, B)), F32);
}

/* silu(y) [B, D]: noise level, duration and the handles that hold for the whole sound. */
static tensor *embed(const mel_dit *net, const float *t, const mel_dit_condition *c, int64_t B) {
    const tensor *text = c->text ? c->text : off_rows(SHAPE(B, net->sizes.text + 1));
    const tensor *style = c->style ? c->style : off_rows(SHAPE(B, 2 * net->sizes.bands + 1));
    tensor *y =
        add(apply_mlp(net->time, waves_of(t, 1000, B)), apply_mlp(net->duration, waves_of(c->seconds, 100, B)), F32);
    y = add(y, class_rows(net, c->classes, B), F32);
    y = add(y, linear(text, net->text, NULL), F32);
    y = add(y, apply_mlp(net->style, style), F32);
    if (net->sizes.few_steps) y = add(y, embed_step(net, c, B), F32);
    return silu(y, F32);
}

tensor *mel_dit_read(const mel_dit *net, const tensor *text) {
    require(net->reading);
    return linear(text, net->reading, NULL);
}

/* --- forward --- */

/* Part i of a modulation [B, parts D]. */
static tensor *part(const tensor *m, int i, int64_t D) { return slice_channels(m, i * D, D); }

/* x [B, N, D] -> [B, N, D], heads side by side, each normed and turned by its place. */
static tensor *norm_and_turn(const mel_dit *net, const tensor *x, const tensor *gain) {
    int64_t B = x->shape[0], N = x->shape[1], D = x->shape[2], h = net->sizes.heads;
    tensor *y = rms_norm(reshape(x, SHAPE(B, N * h, D / h)), gain, EPS, F32);
    return rotary(reshape(y, SHAPE(B, N, D)), (rotary_options){.heads = (int) h, .base = ROTARY_BASE});
}

static tensor *attend(const mel_dit *net, const block *k, const tensor *x) {
    int64_t D = net->sizes.width;
    tensor *qkv = linear(x, k->qkv, NULL);
    tensor *q = norm_and_turn(net, slice_channels(qkv, 0, D), k->q),
           *key = norm_and_turn(net, slice_channels(qkv, D, D), k->k);
    tensor *y = attention(q, key, slice_channels(qkv, 2 * D, D),
                          (attention_options){.heads = (int) net->sizes.heads, .out = operands()});
    return linear(y, k->out, NULL);
}

static tensor *block_forward(const mel_dit *net, const block *k, const tensor *x, const tensor *shared) {
    int64_t D = net->sizes.width, B = x->shape[0];
    dtype op = operands();
    scope_begin();
    tensor *m =
        add_rows(reshape(shared, SHAPE(1, B, MODULATIONS * D)), reshape(k->table, SHAPE(1, MODULATIONS * D)), F32);
    m = reshape(m, SHAPE(B, MODULATIONS * D));
    tensor *h = modulated_norm(NORM_RMS, x, NULL, NULL, part(m, 1, D), part(m, 0, D), EPS, op);
    tensor *y = gated_add(x, attend(net, k, h), part(m, 2, D));
    h = modulated_norm(NORM_RMS, y, NULL, NULL, part(m, 4, D), part(m, 3, D), EPS, op);
    h = glu(linear(h, k->up, NULL), GLU_SILU, 0, op);
    return scope_end_keep(gated_add(y, linear(h, k->down, NULL), part(m, 5, D)));
}

/* The patches with what is said of each of them. */
static tensor *embed_patches(const mel_dit *net, const tensor *z, const mel_dit_condition *c) {
    const int64_t B = z->shape[0], N = z->shape[1], clock_width = beat_clock_width(net->sizes.frames) + 1;
    const tensor *coarse = c->coarse ? c->coarse : off_rows(SHAPE(B, N, net->sizes.bands / COARSE_BANDS + 1));
    tensor *x = add(apply_linear(net->in, z), linear(coarse, net->coarse, NULL), F32);
    if (!net->sizes.music) return x;
    const tensor *clock = c->clock ? c->clock : off_rows(SHAPE(B, N, clock_width));
    const tensor *melody = c->melody ? c->melody : off_rows(SHAPE(B, N, PITCH_CLASSES + 1));
    return add(add(x, linear(clock, net->clock, NULL), F32), linear(melody, net->melody, NULL), F32);
}

tensor *mel_dit_forward(const mel_dit *net, const tensor *z, const float *t, const mel_dit_condition *c) {
    int64_t B = z->shape[0], D = net->sizes.width;
    require(z->rank == 3 && z->shape[2] == net->sizes.components);
    scope_begin();
    tensor *y = embed(net, t, c, B), *shared = apply_linear(net->modulation, y);
    tensor *x = embed_patches(net, z, c);
    for (int64_t i = 0; i < net->sizes.blocks; i++) x = block_forward(net, &net->blocks[i], x, shared);
    tensor *m = apply_linear(net->final, y);
    x = modulated_norm(NORM_RMS, x, NULL, NULL, part(m, 1, D), part(m, 0, D), EPS, operands());
    return scope_end_keep(apply_linear(net->out, x));
}
