/* Cases of text networks and their tokenizers. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "models/bert.h"
#include "parity.h"
#include "systems/text_embed.h"
#include "text/tokenizer.h"

/* Rows of a list whose ids differ from those computed, as a figure that must be 0. */
static void compare_ids(parity_case *c, const char *name, const tokenizer *t, config rows, const char *key,
                        size_t most) {
    size_t wrong = 0;
    for (size_t i = 0; i < config_count(rows); i++) {
        scope_begin();
        config row = config_at(rows, i), ids = config_get(row, key);
        token_list got = tokenize(t, config_string(row, "text", ""), most);
        bool same = got.count == config_count(ids);
        for (size_t k = 0; same && k < got.count; k++)
            same = json_integer_value(json_array_get(ids.value, k)) == got.ids[k];
        wrong += !same;
        scope_end();
    }
    parity_figure(c, name, (double) wrong, 0);
}

/* The published weights are not part of the case: HISS_MINILM names their folder, else model/ beside the case. */
static void minilm(parity_case *c) {
    const char *given = getenv("HISS_MINILM"), *folder = given ? given : parity_path(c, "model");
    config rows = config_load(parity_path(c, "tokens.json"));
    static const char *const FILES[] = {"vocab.txt", "tokenizer.json"};
    for (int i = 0; i < 2; i++)
        if (file_exists(path_join(folder, FILES[i])))
            compare_ids(c, format("ids by %s", FILES[i]), tokenizer_open(path_join(folder, FILES[i])), rows, "ids",
                        256);
    text_encoder *e = text_encoder_open(folder);
    const char **texts = NEW_ARRAY(const char *, config_count(rows));
    for (size_t i = 0; i < config_count(rows); i++) texts[i] = config_string(config_at(rows, i), "text", "");
    parity_out(c, "embedding", text_embed(e, texts, (int64_t) config_count(rows)));
    for (int i = 0; i < 3; i++) parity_out(c, format("tokens%d", i), text_states(e, texts[i]));
}

const parity_row PARITY_TEXT[] = {
    {"minilm", NULL, minilm},
    {0},
};
