/* GPT-2: see gpt2.h. Linear layers lie [in, out]; norms come before what they serve, and one at the end. */
#include "models/gpt2.h"

#include <string.h>

#include "nn/layers.h"

enum { MOST_LAYERS = 256 };

typedef struct {
    affine first_norm, qkv, attended, second_norm, inner, outer;
} block;

struct gpt2 {
    gpt2_config sizes;
    const tensor *positions;
    affine norm;
    block *blocks;
};

gpt2_config gpt2_config_read(config c) {
    gpt2_config r = {.prefix = ""};
    r.width = config_int(c, "n_embd", 768, 1, 65536);
    r.layers = config_int(c, "n_layer", 12, 1, MOST_LAYERS);
    r.heads = config_int(c, "n_head", 12, 1, 1024);
    r.inner = config_int(c, "n_inner", 4 * r.width, 1, 1 << 20);
    r.positions = config_int(c, "n_positions", 1024, 1, 1 << 20);
    r.eps = (float) config_number(c, "layer_norm_epsilon", 1e-5, 0, 1);
    const char *act = config_string(c, "activation_function", "gelu_new");
    if (strcmp(act, "gelu_new") != 0)
        fail(HISS_ERROR_FORMAT, "%s: activation_function '%s' is not known: hiss has gelu_new", c.where, act);
    if (r.width % r.heads != 0)
        fail(HISS_ERROR_FORMAT, "%s: n_embd %lld does not divide among %lld heads", c.where, (long long) r.width,
             (long long) r.heads);
    if (config_bool(c, "scale_attn_by_inverse_layer_idx", false) || !config_bool(c, "scale_attn_weights", true))
        fail(HISS_ERROR_FORMAT, "%s: scores that are not scaled by the root of the head's width are not known",
             c.where);
    return r;
}

void gpt2_config_fit(gpt2_config *c, const store *s) {
    static const char *const PREFIXES[] = {"", "transformer.", "cond_stage_models.0.model."};
    for (int i = 2; i >= 0; i--)
        if (store_find(s, format("%sln_f.weight", PREFIXES[i]))) c->prefix = PREFIXES[i];
}

/* --- binding --- */

static affine bind_pair(binder *b, const char *name, shape weight, init how) {
    affine a;
    bind_push(b, "%s", name);
    a.weight = bind(b, "weight", weight, how);
    a.bias = bind(b, "bias", SHAPE(weight.dims[weight.rank - 1]), (init){INIT_ZERO, 0, 0});
    bind_pop(b);
    return a;
}

static affine bind_norm(binder *b, const char *name, int64_t width) {
    return bind_pair(b, name, SHAPE(width), (init){INIT_ONE, 0, 0});
}

static affine bind_columns(binder *b, const char *name, int64_t in, int64_t out) {
    return bind_pair(b, name, SHAPE(in, out), (init){INIT_NORMAL, 0, 0.02f});
}

static block bind_block(const gpt2_config *c, binder *b, int64_t index) {
    block k;
    bind_push(b, "h.%lld", (long long) index);
    k.first_norm = bind_norm(b, "ln_1", c->width);
    k.qkv = bind_columns(b, "attn.c_attn", c->width, 3 * c->width);
    k.attended = bind_columns(b, "attn.c_proj", c->width, c->width);
    k.second_norm = bind_norm(b, "ln_2", c->width);
    k.inner = bind_columns(b, "mlp.c_fc", c->width, c->inner);
    k.outer = bind_columns(b, "mlp.c_proj", c->inner, c->width);
    bind_ignore(b, "attn.bias");
    bind_ignore(b, "attn.masked_bias");
    bind_pop(b);
    return k;
}

gpt2 *gpt2_bind(const gpt2_config *c, binder *b) {
    gpt2 *net = NEW(gpt2);
    size_t length = strlen(c->prefix);
    net->sizes = *c;
    if (length) bind_push(b, "%.*s", (int) length - 1, c->prefix);
    bind_push(b, "wpe");
    net->positions = bind(b, "weight", SHAPE(c->positions, c->width), (init){INIT_NORMAL, 0, 0.02f});
    bind_pop(b);
    bind_ignore(b, "wte.weight");
    net->blocks = NEW_ARRAY(block, c->layers);
    for (int64_t i = 0; i < c->layers; i++) net->blocks[i] = bind_block(c, b, i);
    net->norm = bind_norm(b, "ln_f", c->width);
    if (length) bind_pop(b);
    return net;
}

/* --- forward --- */

/* Keys and values of the positions so far, [B, S, C]; NULL before the first. */
typedef struct {
    tensor *keys, *values;
} memory;

static tensor *normalise(const gpt2 *net, affine norm, const tensor *x) {
    return layer_norm(x, norm.weight, norm.bias, net->sizes.eps, F32);
}

static tensor *apply_columns(affine a, const tensor *x) { return linear_columns(x, a.weight, a.bias); }

static tensor *apply_block(const gpt2 *net, const block *k, const tensor *x, const tensor *mask, memory *m) {
    int64_t C = net->sizes.width;
    tensor *qkv = apply_columns(k->qkv, normalise(net, k->first_norm, x));
    tensor *key = slice_channels(qkv, C, C), *value = slice_channels(qkv, 2 * C, C);
    m->keys = m->keys ? concat_time(m->keys, key) : key;
    m->values = m->values ? concat_time(m->values, value) : value;
    attention_options o = {.heads = (int) net->sizes.heads, .mask = mask, .causal = true};
    tensor *h = attention(slice_channels(qkv, 0, C), m->keys, m->values, o);
    h = add(x, apply_columns(k->attended, h), F32);
    tensor *inner = gelu_tanh(apply_columns(k->inner, normalise(net, k->second_norm, h)), F32);
    return add(h, apply_columns(k->outer, inner), F32);
}

/* x continues `first` positions; mask covers those and x. */
static tensor *advance(const gpt2 *net, const tensor *x, const tensor *mask, memory *memories, int64_t first) {
    int64_t B = x->shape[0], T = x->shape[1], C = net->sizes.width;
    int32_t *index = NEW_ARRAY(int32_t, B * T);
    require(x->rank == 3 && x->shape[2] == C);
    if (first + T > net->sizes.positions)
        fail(HISS_ERROR_ARGUMENT, "a sequence of %lld vectors is longer than the %lld that the language model knows",
             (long long) (first + T), (long long) net->sizes.positions);
    for (int64_t i = 0; i < B * T; i++) index[i] = (int32_t) (first + i % T);
    tensor *h = add(x, reshape(embedding(net->positions, index, B * T), SHAPE(B, T, C)), F32);
    for (int64_t i = 0; i < net->sizes.layers; i++) h = apply_block(net, &net->blocks[i], h, mask, &memories[i]);
    return normalise(net, net->norm, h);
}

tensor *gpt2_forward(const gpt2 *net, const tensor *x, const tensor *mask) {
    scope_begin();
    return scope_end_keep(advance(net, x, mask, NEW_ARRAY(memory, net->sizes.layers), 0));
}

tensor *gpt2_generate(const gpt2 *net, const tensor *x, const tensor *mask, int64_t n) {
    int64_t B = x->shape[0], T = x->shape[1];
    require(n > 0);
    scope_begin();
    memory *memories = NEW_ARRAY(memory, net->sizes.layers);
    tensor *made = NULL, *next = (tensor *) x;
    for (int64_t i = 0; i < n; i++) {
        int64_t S = T + i;
        tensor *kept = tensor_new(U8, SHAPE(B, S)); /* what was made is always seen */
        memset(kept->data, 1, (size_t) (B * S));
        for (int64_t b = 0; mask && b < B; b++)
            memcpy((uint8_t *) kept->data + b * S, (const uint8_t *) mask->data + b * T, (size_t) T);
        tensor *y = advance(net, next, kept, memories, i ? S - 1 : 0);
        next = slice_time(y, y->shape[1] - 1, 1);
        made = made ? concat_time(made, next) : next;
    }
    return scope_end_keep(made);
}
