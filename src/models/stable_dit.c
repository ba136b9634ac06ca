/* See stable_dit.h. Masks of tokens have no effect in the original, so there are none: padding is zeros. */
#include "models/stable_dit.h"

#include <math.h>

#include "nn/layers.h"

enum { WAVES = STABLE_DIT_WAVES, MODULATIONS = 6 };
static const float EPS = 1e-5f, HEAD_EPS = 1e-6f;

typedef struct {
    const tensor *gain, *bias;
} norm;

/* Matrices of queries, keys and values are one, two or three, as the file has them. */
typedef struct {
    const tensor *q, *k, *v, *qkv, *kv, *out;
    norm q_norm, k_norm; /* of a head, or NULL */
} attender;

typedef struct {
    norm before_self, before_cross, before_inner;
    attender self, cross;
    affine up, down;
    const tensor *table; /* [6 D]: added to the shared modulation, or NULL */
} block;

/* Two linear layers with SiLU between. */
typedef struct {
    affine layers[2];
} embedder;

struct stable_dit {
    stable_dit_config sizes;
    const tensor *waves; /* [128(, 1)] */
    embedder time, global, tokens, prepend, modulation;
    const tensor *before, *after;       /* [C + concat, ..], [C, C]: convolutions of 1 */
    const tensor *in, *out;             /* as the file has them */
    const tensor *patch_in, *patch_out; /* with a patch's numbers in hiss's order: channels last */
    const tensor *memory;               /* [memory, D], or NULL */
    block *blocks;
};

/* --- names in stable-audio-tools and in diffusers --- */

typedef struct {
    const char *waves, *time, *global, *tokens, *in, *out, *block;
    const char *norms[3], *gain, *bias, *self, *cross, *attended, *up, *down;
} name_table;
static const name_table NATIVE = {"timestep_features",
                                  "to_timestep_embed",
                                  "to_global_embed",
                                  "to_cond_embed",
                                  "transformer.project_in",
                                  "transformer.project_out",
                                  "transformer.layers.%d",
                                  {"pre_norm", "cross_attend_norm", "ff_norm"},
                                  "gamma",
                                  "beta",
                                  "self_attn",
                                  "cross_attn",
                                  "to_out",
                                  "ff.ff.0.proj",
                                  "ff.ff.2"},
                        DIFFUSERS = {"time_proj",
                                     "timestep_proj",
                                     "global_proj",
                                     "cross_attention_proj",
                                     "proj_in",
                                     "proj_out",
                                     "transformer_blocks.%d",
                                     {"norm1", "norm2", "norm3"},
                                     "weight",
                                     "bias",
                                     "attn1",
                                     "attn2",
                                     "to_out.0",
                                     "ff.net.0.proj",
                                     "ff.net.2"};

/* --- binding --- */

static const tensor *bind_matrix(binder *b, const char *name, int64_t out, int64_t in) {
    return bind(b, format("%s.weight", name), SHAPE(out, in), (init){INIT_TORCH_UNIFORM, 0, 0});
}

static const tensor *bind_residual(binder *b, const char *name, int64_t channels) {
    return bind(b, format("%s.weight", name), SHAPE(channels, channels, 1), (init){INIT_ZERO, 0, 0});
}

static embedder bind_embedder(binder *b, const char *name, int64_t out, int64_t in, bool biased) {
    embedder e = {0};
    for (int i = 0; i < 2; i++) {
        const char *layer = format("%s.%d", name, 2 * i);
        e.layers[i].weight = bind_matrix(b, layer, out, i ? out : in);
        if (biased) e.layers[i].bias = bind(b, format("%s.bias", layer), SHAPE(out), (init){INIT_ZERO, 0, 0});
    }
    return e;
}

/* The bias of these norms is kept in the files and does not learn. */
static norm bind_norm(binder *b, const name_table *n, const char *name, int64_t width) {
    norm r;
    bind_push(b, "%s", name);
    r.gain = bind(b, n->gain, SHAPE(width), (init){INIT_ONE, 0, 0});
    tensor *bias = bind(b, n->bias, SHAPE(width), (init){INIT_ZERO, 0, 0});
    bias->param->trainable = false;
    r.bias = bias;
    bind_pop(b);
    return r;
}

static void bind_head_norms(binder *b, attender *a, const stable_dit_config *c) {
    if (c->norm != QK_LAYER_NORM) return;
    norm *const norms[] = {&a->q_norm, &a->k_norm};
    static const char *const NAMES[] = {"q_norm", "k_norm"};
    for (int i = 0; i < 2; i++) {
        bind_push(b, "%s", NAMES[i]);
        norms[i]->gain = bind(b, "weight", SHAPE(c->width / c->heads), (init){INIT_ONE, 0, 0});
        norms[i]->bias = bind(b, "bias", SHAPE(c->width / c->heads), (init){INIT_ZERO, 0, 0});
        bind_pop(b);
    }
}

/* E: width of what keys and values are made of, as wide as those are. */
static void bind_attender(binder *b, attender *a, const stable_dit_config *c, const name_table *n, bool self) {
    const int64_t D = c->width, E = self ? D : c->token_width;
    bind_push(b, "%s", self ? n->self : n->cross);
    if (self && !c->diffusers) {
        a->qkv = bind_matrix(b, "to_qkv", 3 * D, D);
    } else {
        a->q = bind_matrix(b, "to_q", D, D);
        if (!c->diffusers) a->kv = bind_matrix(b, "to_kv", 2 * E, E);
        else a->k = bind_matrix(b, "to_k", E, E), a->v = bind_matrix(b, "to_v", E, E);
    }
    a->out = bind_matrix(b, n->attended, D, D);
    bind_head_norms(b, a, c);
    bind_pop(b);
}

static affine bind_biased(binder *b, const char *name, int64_t out, int64_t in) {
    return bind_linear(b, name, out, in);
}

static void bind_block(binder *b, block *k, const stable_dit_config *c, const name_table *n) {
    const int64_t D = c->width;
    k->before_self = bind_norm(b, n, n->norms[0], D);
    bind_attender(b, &k->self, c, n, true);
    if (c->tokens) {
        k->before_cross = bind_norm(b, n, n->norms[1], D);
        bind_attender(b, &k->cross, c, n, false);
    }
    k->before_inner = bind_norm(b, n, n->norms[2], D);
    k->up = bind_biased(b, n->up, 2 * c->inner, D);
    k->down = bind_biased(b, n->down, D, c->inner);
    if (c->modulated)
        k->table = bind(b, "to_scale_shift_gate", SHAPE(MODULATIONS * D), (init){INIT_NORMAL, 0, 1 / sqrtf((float) D)});
}

/* Rows or columns c p + i of a patch's numbers -> i C + c, along dimension `axis` of w. */
static const tensor *in_our_order(const tensor *w, int axis, int64_t patch) {
    if (patch == 1) return w;
    const int64_t rows = w->shape[0], columns = w->shape[1], numbers = w->shape[axis], C = numbers / patch;
    tensor *y = tensor_new(F32, shape_of(w));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < columns; k++) {
            const int64_t at = axis ? k : r, from = at % C * patch + at / C;
            f32(y)[r * columns + k] = f32(w)[axis ? r * columns + from : from * columns + k];
        }
    return keep_packed(y, "patches");
}

static void bind_embedders(binder *b, stable_dit *net, const name_table *n) {
    const stable_dit_config *c = &net->sizes;
    net->waves = bind(b, format("%s.weight", n->waves), c->diffusers ? SHAPE(WAVES) : SHAPE(WAVES, 1),
                      (init){INIT_NORMAL, 0, 0});
    net->time = bind_embedder(b, n->time, c->width, 2 * WAVES, true);
    if (c->global) net->global = bind_embedder(b, n->global, c->width, c->global, false);
    if (c->tokens) net->tokens = bind_embedder(b, n->tokens, c->token_width, c->tokens, false);
    if (c->prepend) net->prepend = bind_embedder(b, "to_prepend_embed", c->width, c->prepend, false);
    if (!c->modulated) return;
    net->modulation.layers[0] = bind_biased(b, "transformer.global_cond_embedder.0", c->width, c->width);
    net->modulation.layers[1] = bind_biased(b, "transformer.global_cond_embedder.2", MODULATIONS * c->width, c->width);
}

stable_dit *stable_dit_bind(const stable_dit_config *c, binder *b) {
    const name_table *n = c->diffusers ? &DIFFUSERS : &NATIVE;
    const int64_t C = c->channels, wide = C + c->concat;
    stable_dit *net = NEW(stable_dit);
    net->sizes = *c;
    bind_embedders(b, net, n);
    net->before = bind_residual(b, "preprocess_conv", wide);
    net->after = bind_residual(b, "postprocess_conv", C);
    net->in = bind_matrix(b, n->in, c->width, wide * c->patch);
    net->out = bind_matrix(b, n->out, C * c->patch, c->width);
    net->patch_in = in_our_order(net->in, 1, c->patch);
    net->patch_out = in_our_order(net->out, 0, c->patch);
    if (c->memory)
        net->memory = bind(b, "transformer.memory_tokens", SHAPE(c->memory, c->width), (init){INIT_NORMAL, 0, 0});
    bind_ignore(b, "transformer.rotary_pos_emb.inv_freq"); /* follows from the sizes */
    net->blocks = NEW_ARRAY(block, c->depth);
    for (int64_t i = 0; i < c->depth; i++) {
        bind_push(b, n->block, (int) i);
        bind_block(b, &net->blocks[i], c, n);
        bind_pop(b);
    }
    return net;
}

const stable_dit_config *stable_dit_sizes(const stable_dit *net) { return &net->sizes; }

/* --- forward --- */

/* x [B, T, N], w [M, N] -> [B, T, M], in the precision of matrix operands. */
static tensor *product(const tensor *x, const tensor *w, const tensor *bias) {
    return conv1d(x, w, bias, (conv1d_options){.out = F32, .coarse = true});
}

/* Between latents and transformer, where little is multiplied: never in int8. */
static tensor *fine_product(const tensor *x, const tensor *w) {
    return conv1d(x, w, NULL, (conv1d_options){.out = F32});
}

/* x [B, n] or [B, S, n]: few rows. */
static tensor *embed(const embedder *e, const tensor *x) {
    return apply_linear(e->layers[1], silu(apply_linear(e->layers[0], x), F32));
}

/* Each head of x [B, T, heads d] for itself. */
static tensor *norm_heads(const stable_dit_config *c, const tensor *x, const norm *n) {
    const int64_t B = x->shape[0], T = x->shape[1], width = x->shape[2], d = c->width / c->heads, h = width / d;
    if (c->norm == QK_PLAIN) return (tensor *) x;
    const tensor *heads = reshape(x, SHAPE(B, T * h, d));
    tensor *y = c->norm == QK_LAYER_NORM ? layer_norm(heads, n->gain, n->bias, HEAD_EPS, F32)
                                         : scale(rms_norm(heads, NULL, 1e-24f, F32), 1 / sqrtf((float) d), F32);
    return reshape(y, SHAPE(B, T, width));
}

static tensor *attend_self(const stable_dit *net, const attender *a, const tensor *x) {
    const stable_dit_config *c = &net->sizes;
    const int64_t D = c->width;
    const tensor *all = a->qkv ? product(x, a->qkv, NULL) : NULL;
    const tensor *q = all ? slice_channels(all, 0, D) : product(x, a->q, NULL),
                 *k = all ? slice_channels(all, D, D) : product(x, a->k, NULL),
                 *v = all ? slice_channels(all, 2 * D, D) : product(x, a->v, NULL);
    const rotary_options turn = {.heads = (int) c->heads, .dims = (int) c->rotary};
    q = rotary(norm_heads(c, q, &a->q_norm), turn);
    k = rotary(norm_heads(c, k, &a->k_norm), turn);
    const attention_options o = {.heads = (int) c->heads, .out = operands()};
    return product(attention(q, k, v, o), a->out, NULL);
}

struct stable_dit_context {
    const tensor **keys, **values; /* of each block, [B, S, E'] */
};

const stable_dit_context *stable_dit_attend_to(const stable_dit *net, const tensor *tokens) {
    const stable_dit_config *c = &net->sizes;
    require(c->tokens && tokens->rank == 3 && tokens->shape[2] == c->tokens);
    stable_dit_context *r = NEW(stable_dit_context);
    r->keys = NEW_ARRAY(const tensor *, c->depth);
    r->values = NEW_ARRAY(const tensor *, c->depth);
    const int64_t E = c->token_width;
    const tensor *x = embed(&net->tokens, tokens);
    for (int64_t i = 0; i < c->depth; i++) {
        const attender *a = &net->blocks[i].cross;
        const tensor *both = a->kv ? product(x, a->kv, NULL) : NULL;
        const tensor *k = both ? slice_channels(both, 0, E) : product(x, a->k, NULL);
        r->keys[i] = norm_heads(c, k, &a->k_norm);
        r->values[i] = both ? slice_channels(both, E, E) : product(x, a->v, NULL);
    }
    return r;
}

static tensor *attend_tokens(const stable_dit *net, const attender *a, const tensor *x, const tensor *keys,
                             const tensor *values) {
    const stable_dit_config *c = &net->sizes;
    const tensor *q = norm_heads(c, product(x, a->q, NULL), &a->q_norm);
    const attention_options o = {.heads = (int) c->heads, .key_heads = (int) c->token_heads, .out = operands()};
    return product(attention(q, keys, values, o), a->out, NULL);
}

/* What a block's modulation [B, 6 D] says: of self-attention, then of the feed-forward part. */
typedef struct {
    const tensor *scale, *shift, *gate; /* [B, D], or NULL */
} modulation;

/* sigmoid(1 - g): how much of a branch is added. */
static const tensor *openness(const tensor *g) {
    tensor *ones = tensor_new(F32, shape_of(g));
    for (int64_t i = 0, n = count(ones); i < n; i++) f32(ones)[i] = 1;
    return glu(concat_channels(add(scale(g, -1, F32), ones, F32), ones), GLU_SIGMOID, 0, F32);
}

static modulation modulation_of(const tensor *all, int part) {
    if (!all) return (modulation){0};
    const int64_t D = all->shape[1] / MODULATIONS;
    const int64_t first = part * 3 * D;
    return (modulation){slice_channels(all, first, D), slice_channels(all, first + D, D),
                        openness(slice_channels(all, first + 2 * D, D))};
}

static tensor *normed(const norm *n, const tensor *x, const modulation *m) {
    return modulated_norm(NORM_LAYER, x, n->gain, n->bias, m->scale, m->shift, EPS, operands());
}

/* shared [B, 6 D] + the block's own, or NULL. */
static const tensor *block_modulation(const block *k, const tensor *shared) {
    if (!shared) return NULL;
    const int64_t B = shared->shape[0], n = shared->shape[1];
    const tensor *sum = add_rows(reshape(shared, SHAPE(1, B, n)), reshape(k->table, SHAPE(1, n)), F32);
    return reshape(sum, SHAPE(B, n));
}

/* Which block, and what it is given: its tensors may be computed again on the way back. */
typedef struct {
    const stable_dit *net;
    int64_t index;
} block_place;
enum { BLOCK_X, BLOCK_MODULATION, BLOCK_KEYS, BLOCK_VALUES, BLOCK_INPUTS };

static tensor *block_body(const void *place, const tensor *const *in) {
    static const modulation NONE = {0};
    const stable_dit *net = ((const block_place *) place)->net;
    const block *k = &net->blocks[((const block_place *) place)->index];
    const tensor *x = in[BLOCK_X];
    scope_begin();
    const tensor *all = block_modulation(k, in[BLOCK_MODULATION]);
    const modulation self = modulation_of(all, 0), inner = modulation_of(all, 1);
    tensor *y = gated_add(x, attend_self(net, &k->self, normed(&k->before_self, x, &self)), self.gate);
    if (in[BLOCK_KEYS]) {
        const tensor *h = normed(&k->before_cross, y, &NONE);
        y = gated_add(y, attend_tokens(net, &k->cross, h, in[BLOCK_KEYS], in[BLOCK_VALUES]), NULL);
    }
    const tensor *h = product(normed(&k->before_inner, y, &inner), k->up.weight, k->up.bias);
    h = glu(h, GLU_SILU, 1, operands());
    return scope_end_keep(gated_add(y, product(h, k->down.weight, k->down.bias), inner.gate));
}

static tensor *block_forward(const stable_dit *net, int64_t index, const tensor *x, const tensor *shared,
                             const stable_dit_context *context) {
    const block_place place = {net, index};
    const tensor *in[BLOCK_INPUTS] = {x, shared, context ? context->keys[index] : NULL,
                                      context ? context->values[index] : NULL};
    return tape_recompute(block_body, &place, sizeof place, in, BLOCK_INPUTS);
}

/* Rows [B, D] as one token; a table [M, D] for each of B. */
static tensor *as_token(const tensor *x) { return reshape(x, SHAPE(x->shape[0], 1, x->shape[1])); }

static tensor *repeated_for(const tensor *table, int64_t B) {
    const int64_t n = count(table);
    tensor *y = repeat_time(reshape(table, SHAPE(1, 1, n)), (int) B, 1, F32);
    return reshape(y, SHAPE(B, table->shape[0], table->shape[1]));
}

/* What stands before the positions: learned tokens, given ones, and the vector of time and condition. NULL: nothing. */
static tensor *tokens_in_front(const stable_dit *net, const stable_dit_condition *c, const tensor *vector) {
    tensor *front = net->sizes.modulated ? NULL : as_token(vector);
    if (c->prepend) {
        tensor *given = embed(&net->prepend, c->prepend);
        front = front ? concat_time(given, front) : given;
    }
    if (!net->memory) return front;
    tensor *learned = repeated_for(net->memory, vector->shape[0]);
    return front ? concat_time(learned, front) : learned;
}

/* x + convolution of x: [B, N, C]. */
static tensor *residual(const tensor *w, const tensor *x) { return add(x, fine_product(x, w), F32); }

tensor *stable_dit_forward(const stable_dit *net, const tensor *x, const float *t, const stable_dit_condition *c) {
    const stable_dit_config *s = &net->sizes;
    const int64_t B = x->shape[0], N = x->shape[1], P = N / s->patch;
    require(x->rank == 3 && x->shape[2] == s->channels && N % s->patch == 0);
    require(!s->tokens == !c->context && !s->global == !c->global && !s->prepend == !c->prepend &&
            !s->concat == !c->concat);
    scope_begin();
    tensor *vector = embed(&net->time, fourier_waves(t, B, net->waves, true));
    if (c->global) vector = add(vector, embed(&net->global, c->global), F32);
    const tensor *shared = s->modulated ? embed(&net->modulation, vector) : NULL;
    const tensor *front = tokens_in_front(net, c, vector);
    const int64_t before = front ? front->shape[1] : 0;
    tensor *h = residual(net->before, c->concat ? concat_channels(x, c->concat) : x);
    h = fine_product(reshape(h, SHAPE(B, P, s->patch * h->shape[2])), net->patch_in);
    if (front) h = concat_time(front, h);
    for (int64_t i = 0; i < s->depth; i++) {
        tensor *next = block_forward(net, i, h, shared, c->context);
        tensor_release(h);
        h = next;
    }
    h = fine_product(slice_time(h, before, P), net->patch_out);
    return scope_end_keep(residual(net->after, reshape(h, SHAPE(B, N, s->channels))));
}
