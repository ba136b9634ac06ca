/* Sentence embeddings (Reimers and Gurevych 2019, arXiv 1908.10084). */
#include "systems/text_embed.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "models/bert.h"
#include "tensor/ops.h"
#include "text/tokenizer.h"

enum { BATCH = 16, MOST_TOKENS = 256 };

struct text_encoder {
    tokenizer *words;
    bert *net;
    int64_t most;
};

text_encoder *text_encoder_open(const char *folder) {
    text_encoder *e = NEW(text_encoder);
    bert_config c = bert_config_read(config_load(path_join(folder, "config.json")));
    e->words = tokenizer_open(folder);
    if (tokenizer_size(e->words) > c.vocabulary)
        fail(HISS_ERROR_FORMAT, "%s: the tokenizer has %d pieces, the network only %lld: they are of different models",
             folder, tokenizer_size(e->words), (long long) c.vocabulary);
    store *s = store_open(folder);
    binder *b = binder_load(s);
    bool prefixed = store_find(s, "bert.embeddings.word_embeddings.weight") != NULL;
    if (prefixed) bind_push(b, "bert");
    e->net = bert_bind(&c, b);
    bind_ignore(b, "pooler.dense.weight");
    bind_ignore(b, "pooler.dense.bias");
    if (prefixed) bind_pop(b);
    binder_finish(b, false);
    e->most = c.positions < MOST_TOKENS ? c.positions : MOST_TOKENS;
    return e;
}

int64_t text_encoder_width(const text_encoder *e) { return bert_sizes(e->net)->width; }

/* x / ||x|| for each row. */
static void make_unit(float *x, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows; r++, x += width) {
        double square = 0;
        for (int64_t i = 0; i < width; i++) square += (double) x[i] * x[i];
        double length = square > 0 ? sqrt(square) : 1;
        for (int64_t i = 0; i < width; i++) x[i] = (float) (x[i] / length);
    }
}

tensor *text_embed(const text_encoder *e, const char *const *texts, int64_t n) {
    int64_t width = text_encoder_width(e);
    tensor *all = tensor_new(F32, SHAPE(n, width));
    for (int64_t first = 0; first < n; first += BATCH) {
        scope_begin();
        int64_t count = n - first < BATCH ? n - first : BATCH;
        token_batch t = tokenize_all(e->words, texts + first, count, (size_t) e->most, 0);
        tensor *mean = mean_time(bert_forward(e->net, t.ids, t.mask, count, t.width), t.mask);
        memcpy(f32(all) + first * width, f32(mean), tensor_bytes(mean));
        scope_end();
    }
    make_unit(f32(all), n, width);
    return all;
}

int64_t text_pieces(const text_encoder *e, const char *text) {
    scope_begin();
    const int64_t n = (int64_t) tokenize(e->words, text, 0).count - (int64_t) tokenize(e->words, "", 0).count;
    scope_end();
    return n;
}

tensor *text_states(const text_encoder *e, const char *text) {
    scope_begin();
    token_list t = tokenize(e->words, text, (size_t) e->most);
    tensor *x = bert_forward(e->net, t.ids, NULL, 1, (int64_t) t.count);
    return scope_end_keep(reshape(x, SHAPE((int64_t) t.count, text_encoder_width(e))));
}
