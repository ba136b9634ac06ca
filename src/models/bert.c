/* BERT: see bert.h. */
#include "models/bert.h"

#include <string.h>

#include "nn/layers.h"

enum { MOST_LAYERS = 256 };

typedef struct {
    affine query, key, value, attended, inner, outer;
    affine attention_norm, output_norm;
} layer;

struct bert {
    bert_config sizes;
    const tensor *words, *positions, *types;
    affine norm;
    layer *layers;
};

bert_config bert_config_read(config c) {
    bert_config r;
    r.vocabulary = config_int(c, "vocab_size", 30522, 1, 1 << 22);
    r.width = config_int(c, "hidden_size", 768, 1, 65536);
    r.layers = config_int(c, "num_hidden_layers", 12, 1, MOST_LAYERS);
    r.heads = config_int(c, "num_attention_heads", 12, 1, 1024);
    r.inner = config_int(c, "intermediate_size", 3072, 1, 1 << 20);
    r.positions = config_int(c, "max_position_embeddings", 512, 1, 1 << 20);
    r.types = config_int(c, "type_vocab_size", 2, 1, 1024);
    r.eps = (float) config_number(c, "layer_norm_eps", 1e-12, 0, 1);
    const char *type = config_string(c, "model_type", "bert"), *act = config_string(c, "hidden_act", "gelu");
    r.first_position = strcmp(type, "bert") != 0 ? config_int(c, "pad_token_id", 1, 0, 1 << 20) + 1 : 0;
    if (strcmp(act, "gelu") != 0)
        fail(HISS_ERROR_FORMAT, "%s: hidden_act '%s' is not known: hiss has gelu", c.where, act);
    if (r.width % r.heads != 0)
        fail(HISS_ERROR_FORMAT, "%s: hidden_size %lld does not divide among %lld heads", c.where, (long long) r.width,
             (long long) r.heads);
    return r;
}

/* --- binding --- */

static const tensor *bind_table(binder *b, const char *name, int64_t rows, int64_t width) {
    bind_push(b, "%s", name);
    const tensor *table = bind(b, "weight", SHAPE(rows, width), (init){INIT_NORMAL, 0, 0.02f});
    bind_pop(b);
    return table;
}

static affine bind_norm(binder *b, const char *name, int64_t width) {
    bind_push(b, "%s", name);
    affine a = {bind(b, "weight", SHAPE(width), (init){INIT_ONE, 0, 0}),
                bind(b, "bias", SHAPE(width), (init){INIT_ZERO, 0, 0})};
    bind_pop(b);
    return a;
}

static layer bind_layer(const bert_config *c, binder *b, int64_t index) {
    layer l;
    int64_t C = c->width;
    bind_push(b, "encoder.layer.%lld", (long long) index);
    l.query = bind_linear(b, "attention.self.query", C, C);
    l.key = bind_linear(b, "attention.self.key", C, C);
    l.value = bind_linear(b, "attention.self.value", C, C);
    l.attended = bind_linear(b, "attention.output.dense", C, C);
    l.attention_norm = bind_norm(b, "attention.output.LayerNorm", C);
    l.inner = bind_linear(b, "intermediate.dense", c->inner, C);
    l.outer = bind_linear(b, "output.dense", C, c->inner);
    l.output_norm = bind_norm(b, "output.LayerNorm", C);
    bind_pop(b);
    return l;
}

bert *bert_bind(const bert_config *c, binder *b) {
    bert *net = NEW(bert);
    net->sizes = *c;
    bind_push(b, "embeddings");
    net->words = bind_table(b, "word_embeddings", c->vocabulary, c->width);
    net->positions = bind_table(b, "position_embeddings", c->positions, c->width);
    net->types = bind_table(b, "token_type_embeddings", c->types, c->width);
    net->norm = bind_norm(b, "LayerNorm", c->width);
    bind_ignore(b, "position_ids");
    bind_ignore(b, "token_type_ids");
    bind_pop(b);
    net->layers = NEW_ARRAY(layer, c->layers);
    for (int64_t i = 0; i < c->layers; i++) net->layers[i] = bind_layer(c, b, i);
    return net;
}

const bert_config *bert_sizes(const bert *net) { return &net->sizes; }

/* --- forward --- */

static tensor *normalise(const bert *net, affine norm, const tensor *x) {
    return layer_norm(x, norm.weight, norm.bias, net->sizes.eps, F32);
}

/* [B, T, C] */
static tensor *embed(const bert *net, const int32_t *ids, int64_t B, int64_t T) {
    const bert_config *c = &net->sizes;
    int32_t *positions = NEW_ARRAY(int32_t, B * T), *types = NEW_ARRAY(int32_t, B * T);
    for (int64_t i = 0; i < B * T; i++) {
        if (ids[i] < 0 || ids[i] >= c->vocabulary)
            fail(HISS_ERROR_FORMAT,
                 "the token id %d is not in the text network's vocabulary of %lld: the tokenizer "
                 "belongs to another model",
                 ids[i], (long long) c->vocabulary);
        positions[i] = (int32_t) (c->first_position + i % T);
    }
    tensor *x = add(embedding(net->words, ids, B * T), embedding(net->types, types, B * T), F32);
    x = add(x, embedding(net->positions, positions, B * T), F32);
    return normalise(net, net->norm, reshape(x, SHAPE(B, T, c->width)));
}

static tensor *apply_layer(const bert *net, const layer *l, const tensor *x, const tensor *mask) {
    tensor *q = apply_linear(l->query, x), *k = apply_linear(l->key, x), *v = apply_linear(l->value, x);
    attention_options o = {.heads = (int) net->sizes.heads, .mask = mask};
    tensor *h = apply_linear(l->attended, attention(q, k, v, o));
    h = normalise(net, l->attention_norm, add(x, h, F32));
    tensor *y = apply_linear(l->outer, gelu(apply_linear(l->inner, h), F32));
    return normalise(net, l->output_norm, add(h, y, F32));
}

tensor *bert_forward(const bert *net, const int32_t *ids, const tensor *mask, int64_t B, int64_t T) {
    const bert_config *c = &net->sizes;
    if (T + c->first_position > c->positions)
        fail(HISS_ERROR_ARGUMENT, "a text of %lld tokens is longer than the %lld that the text network knows",
             (long long) T, (long long) (c->positions - c->first_position));
    scope_begin();
    tensor *x = scope_end_keep(embed(net, ids, B, T));
    for (int64_t i = 0; i < c->layers; i++) {
        scope_begin();
        tensor *y = scope_end_keep(apply_layer(net, &net->layers[i], x, mask));
        tensor_release(x);
        x = y;
    }
    return x;
}
