/* See t5_text.h. */
#include "systems/t5_text.h"

#include "base/file.h"
#include "base/json.h"
#include "models/t5.h"
#include "store/store.h"
#include "text/tokenizer.h"

struct t5_text {
    tokenizer *words;
    t5 *net;
};

t5_text *t5_text_open(const char *folder, const char *tokenizer_path) {
    t5_text *e = NEW(t5_text);
    t5_config sizes = t5_config_read(config_load(path_join(folder, "config.json")));
    e->words = tokenizer_open(tokenizer_path ? tokenizer_path : folder);
    if (tokenizer_size(e->words) > sizes.vocabulary)
        fail(HISS_ERROR_FORMAT, "%s: the tokenizer has %d pieces, the network only %lld: they are of different models",
             folder, tokenizer_size(e->words), (long long) sizes.vocabulary);
    const store *s = store_open(folder);
    t5_config_fit(&sizes, s);
    binder *b = binder_load(s);
    binder_once(b); /* hiss asks for a text at most once */
    e->net = t5_bind(&sizes, b);
    binder_finish(b, false); /* the decoder may be there too */
    return e;
}

int64_t t5_text_width(const t5_text *e) { return t5_sizes(e->net)->width; }

t5_states t5_text_encode(const t5_text *e, const char *const *texts, int64_t count, int64_t tokens) {
    const token_batch t = tokenize_all(e->words, texts, count, (size_t) tokens, tokens);
    return (t5_states){count, t.width, t.ids, t.mask, t5_encode(e->net, t.ids, t.mask, count, t.width)};
}
