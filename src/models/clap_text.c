/* CLAP's text side: see clap_text.h. */
#include "models/clap_text.h"

#include <math.h>

#include "nn/layers.h"

struct clap_text {
    clap_text_config sizes;
    bert *text;
    affine pooler, first, second;
};

clap_text_config clap_text_config_read(config c) {
    config text = config_has(c, "text_config") ? config_get(c, "text_config") : c;
    clap_text_config r = {
        .prefix = "text_model", .first = "text_projection.linear1", .second = "text_projection.linear2"};
    r.text = bert_config_read(text);
    r.text.vocabulary = config_int(text, "vocab_size", 50265, 1, 1 << 22);
    r.text.positions = config_int(text, "max_position_embeddings", 514, 1, 1 << 20);
    r.text.types = config_int(text, "type_vocab_size", 1, 1, 1024);
    r.text.first_position = config_int(text, "pad_token_id", 1, 0, 1 << 20) + 1;
    r.projection = config_int(c, "projection_dim", 512, 1, 65536);
    return r;
}

void clap_text_config_fit(clap_text_config *c, const store *s) {
    static const char *const ORIGINAL[] = {"cond_stage_model.model.", "clap.model.", ""};
    for (int i = 0; i < 3; i++) {
        if (!store_find(s, format("%stext_branch.embeddings.word_embeddings.weight", ORIGINAL[i]))) continue;
        c->prefix = format("%stext_branch", ORIGINAL[i]);
        c->first = format("%stext_projection.0", ORIGINAL[i]);
        c->second = format("%stext_projection.2", ORIGINAL[i]);
        return;
    }
}

clap_text *clap_text_bind(const clap_text_config *c, binder *b) {
    clap_text *net = NEW(clap_text);
    int64_t C = c->text.width, P = c->projection;
    net->sizes = *c;
    bind_push(b, "%s", c->prefix);
    net->text = bert_bind(&c->text, b);
    net->pooler = bind_linear(b, "pooler.dense", C, C);
    bind_pop(b);
    net->first = bind_linear(b, c->first, P, C);
    net->second = bind_linear(b, c->second, P, P);
    return net;
}

tensor *clap_text_embed(const clap_text *net, const int32_t *ids, const tensor *mask, int64_t B, int64_t T,
                        clap_text_trace *trace) {
    int64_t C = net->sizes.text.width, P = net->sizes.projection;
    tensor *states = bert_forward(net->text, ids, mask, B, T);
    tensor *first = reshape(slice_time(states, 0, 1), SHAPE(B, C));
    tensor *pooled = tanh_of(apply_linear(net->pooler, first), F32);
    tensor *embeds = apply_linear(net->second, relu(apply_linear(net->first, pooled), F32));
    if (trace) *trace = (clap_text_trace){states, pooled, embeds};
    /* x / |x|, and zeros of zeros: the original divides by max(|x|, 1e-12). */
    return scale(rms_norm(embeds, NULL, 1e-24f / (float) P, F32), 1 / sqrtf((float) P), F32);
}
