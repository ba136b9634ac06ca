/* T5: see t5.h. Norms take no mean and have no bias, scores are not divided by the root of the head's width, and one table
 * of biases by relative position, kept in the first block, serves all blocks. */
#include "models/t5.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/layers.h"

enum { MOST_LAYERS = 256 };

typedef struct {
    const tensor *attention_norm, *q, *k, *v, *o;
    const tensor *inner_norm, *wi, *gate, *wo; /* gate: NULL in version 1.0 */
} block;

struct t5 {
    t5_config sizes;
    const tensor *words, *positions, *norm; /* [V, C], [buckets, heads], [C] */
    block *blocks;
};

t5_config t5_config_read(config c) {
    t5_config r = {.table = "shared"};
    r.vocabulary = config_int(c, "vocab_size", 32128, 1, 1 << 22);
    r.width = config_int(c, "d_model", 512, 1, 65536);
    r.layers = config_int(c, "num_layers", 6, 1, MOST_LAYERS);
    r.heads = config_int(c, "num_heads", 8, 1, 1024);
    r.head = config_int(c, "d_kv", 64, 1, 512);
    r.inner = config_int(c, "d_ff", 2048, 1, 1 << 20);
    r.buckets = config_int(c, "relative_attention_num_buckets", 32, 4, 65536);
    r.distance = config_int(c, "relative_attention_max_distance", 128, 2, 1 << 20);
    r.eps = (float) config_number(c, "layer_norm_epsilon", 1e-6, 0, 1);
    const char *kind = config_string(c, "feed_forward_proj", "relu");
    r.gated = !strcmp(kind, "gated-gelu");
    if (!r.gated && strcmp(kind, "relu") != 0)
        fail(HISS_ERROR_FORMAT, "%s: feed_forward_proj '%s' is not known: hiss has relu and gated-gelu", c.where, kind);
    if (r.distance <= r.buckets / 4)
        fail(HISS_ERROR_FORMAT, "%s: relative_attention_max_distance must exceed a quarter of the buckets", c.where);
    return r;
}

void t5_config_fit(t5_config *c, const store *s) {
    c->table = store_find(s, "shared.weight") ? "shared" : "encoder.embed_tokens";
}

/* --- binding --- */

static const tensor *bind_weight(binder *b, const char *name, shape s, init how) {
    bind_push(b, "%s", name);
    const tensor *w = bind(b, "weight", s, how);
    bind_pop(b);
    return w;
}

static const tensor *bind_matrix(binder *b, const char *name, int64_t out, int64_t in) {
    return bind_weight(b, name, SHAPE(out, in), (init){INIT_NORMAL, 0, 1 / sqrtf((float) in)});
}

static const tensor *bind_norm(binder *b, const char *name, int64_t width) {
    return bind_weight(b, name, SHAPE(width), (init){INIT_ONE, 0, 0});
}

static void bind_block(t5 *net, binder *b, int64_t index) {
    const t5_config *c = &net->sizes;
    block *k = &net->blocks[index];
    int64_t wide = c->heads * c->head;
    bind_push(b, "block.%lld", (long long) index);
    k->q = bind_matrix(b, "layer.0.SelfAttention.q", wide, c->width);
    k->k = bind_matrix(b, "layer.0.SelfAttention.k", wide, c->width);
    k->v = bind_matrix(b, "layer.0.SelfAttention.v", wide, c->width);
    k->o = bind_matrix(b, "layer.0.SelfAttention.o", c->width, wide);
    if (index == 0)
        net->positions = bind_weight(b, "layer.0.SelfAttention.relative_attention_bias", SHAPE(c->buckets, c->heads),
                                     (init){INIT_NORMAL, 0, 0});
    k->attention_norm = bind_norm(b, "layer.0.layer_norm", c->width);
    k->wi = bind_matrix(b, c->gated ? "layer.1.DenseReluDense.wi_0" : "layer.1.DenseReluDense.wi", c->inner, c->width);
    k->gate = c->gated ? bind_matrix(b, "layer.1.DenseReluDense.wi_1", c->inner, c->width) : NULL;
    k->wo = bind_matrix(b, "layer.1.DenseReluDense.wo", c->width, c->inner);
    k->inner_norm = bind_norm(b, "layer.1.layer_norm", c->width);
    bind_pop(b);
}

t5 *t5_bind(const t5_config *c, binder *b) {
    t5 *net = NEW(t5);
    net->sizes = *c;
    net->words = bind_weight(b, c->table, SHAPE(c->vocabulary, c->width), (init){INIT_NORMAL, 0, 0});
    bind_ignore(b, "encoder.embed_tokens.weight");
    net->blocks = NEW_ARRAY(block, c->layers);
    bind_push(b, "encoder");
    for (int64_t i = 0; i < c->layers; i++) bind_block(net, b, i);
    net->norm = bind_norm(b, "final_layer_norm", c->width);
    bind_pop(b);
    return net;
}

const t5_config *t5_sizes(const t5 *net) { return &net->sizes; }

/* --- positions --- */

int64_t t5_bucket(const t5_config *c, int64_t offset) {
    int64_t half = c->buckets / 2, exact = half / 2, n = offset < 0 ? -offset : offset, bucket = n;
    if (n >= exact) { /* logarithmic, in f32 as the original */
        float ratio = logf((float) n / (float) exact) / (float) log((double) c->distance / (double) exact);
        bucket = exact + (int64_t) (ratio * (float) (half - exact));
        if (bucket > half - 1) bucket = half - 1;
    }
    return bucket + (offset > 0 ? half : 0);
}

/* [heads, T, T] */
static tensor *position_bias(const t5 *net, int64_t T) {
    const t5_config *c = &net->sizes;
    tensor *bias = tensor_new(F32, SHAPE(c->heads, T, T));
    int64_t *bucket = NEW_ARRAY(int64_t, 2 * T);
    for (int64_t r = -T + 1; r < T; r++) bucket[r + T - 1] = t5_bucket(c, r);
    for (int64_t h = 0; h < c->heads; h++)
        for (int64_t query = 0; query < T; query++)
            for (int64_t key = 0; key < T; key++)
                f32(bias)[(h * T + query) * T + key] = f32(net->positions)[bucket[key - query + T - 1] * c->heads + h];
    return bias;
}

/* --- forward --- */

static tensor *attend(const t5 *net, const block *k, const tensor *x, const tensor *bias, const tensor *mask) {
    tensor *h = rms_norm(x, k->attention_norm, net->sizes.eps, F32);
    attention_options o = {.heads = (int) net->sizes.heads, .scale = 1.0f, .bias = bias, .mask = mask};
    h = attention(linear(h, k->q, NULL), linear(h, k->k, NULL), linear(h, k->v, NULL), o);
    return add(x, linear(h, k->o, NULL), F32);
}

static tensor *feed_forward(const t5 *net, const block *k, const tensor *x) {
    tensor *h = rms_norm(x, k->inner_norm, net->sizes.eps, F32), *inner = linear(h, k->wi, NULL);
    if (k->gate) inner = multiply(gelu_tanh(inner, F32), linear(h, k->gate, NULL), F32);
    else inner = relu(inner, F32);
    return add(x, linear(inner, k->wo, NULL), F32);
}

static tensor *embed(const t5 *net, const int32_t *ids, int64_t B, int64_t T) {
    for (int64_t i = 0; i < B * T; i++)
        if (ids[i] < 0 || ids[i] >= net->sizes.vocabulary)
            fail(HISS_ERROR_FORMAT,
                 "the token id %d is not in the text network's vocabulary of %lld: the tokenizer belongs to another "
                 "model",
                 ids[i], (long long) net->sizes.vocabulary);
    return reshape(embedding(net->words, ids, B * T), SHAPE(B, T, net->sizes.width));
}

tensor *t5_encode(const t5 *net, const int32_t *ids, const tensor *mask, int64_t B, int64_t T) {
    scope_begin();
    tensor *x = embed(net, ids, B, T), *bias = position_bias(net, T);
    for (int64_t i = 0; i < net->sizes.layers; i++) {
        scope_begin();
        tensor *y = feed_forward(net, &net->blocks[i], attend(net, &net->blocks[i], x, bias, mask));
        y = scope_end_keep(y);
        tensor_release(x);
        x = y;
    }
    return scope_end_keep(rms_norm(x, net->norm, net->sizes.eps, F32));
}
