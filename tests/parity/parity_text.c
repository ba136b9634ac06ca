/* Cases of text networks and their tokenizers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "models/clap_text.h"
#include "models/gpt2.h"
#include "models/t5.h"
#include "parity.h"
#include "systems/text_embed.h"
#include "text/tokenizer.h"

static void print_row(config row, const token_list *got) {
    printf("    %s\n   ", json_text(row.value));
    for (size_t i = 0; i < got->count; i++) printf(" %d", got->ids[i]);
    printf("\n");
}

/* Rows of a list whose ids differ from those computed, as a figure that must be 0. Rows without the key have "ids". */
static void compare_ids(parity_case *c, const char *name, const tokenizer *t, config rows, const char *key,
                        size_t most) {
    size_t wrong = 0;
    for (size_t i = 0; i < config_count(rows); i++) {
        scope_begin();
        config row = config_at(rows, i), ids = config_get(row, config_has(row, key) ? key : "ids");
        token_list got = tokenize(t, config_string(row, "text", ""), most);
        bool same = got.count == config_count(ids);
        for (size_t k = 0; same && k < got.count; k++)
            same = json_integer_value(json_array_get(ids.value, k)) == got.ids[k];
        wrong += !same;
        if (!same && getenv("PARITY_VERBOSE")) print_row(row, &got);
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

/* SentencePiece's own ids of rows without special tokens in the text: the same without </s>. */
static void compare_sentencepiece(parity_case *c, const tokenizer *t, config rows) {
    size_t wrong = 0;
    for (size_t i = 0; i < config_count(rows); i++) {
        config row = config_at(rows, i), ids = config_get(row, "sentencepiece");
        if (strchr(config_string(row, "text", ""), '<')) continue;
        token_list got = tokenize(t, config_string(row, "text", ""), 0);
        bool same = got.count == config_count(ids) + 1;
        for (size_t k = 0; same && k + 1 < got.count; k++)
            same = json_integer_value(json_array_get(ids.value, k)) == got.ids[k];
        wrong += !same;
    }
    parity_figure(c, "rows by SentencePiece", (double) wrong, 0);
}

static void compare_padded(parity_case *c, const tokenizer *t, config rows, int64_t width) {
    size_t wrong = 0;
    for (size_t i = 0; i < config_count(rows); i++) {
        config row = config_at(rows, i);
        if (!config_has(row, "padded")) continue;
        const char *text = config_string(row, "text", "");
        token_batch b = tokenize_all(t, &text, 1, (size_t) width, width);
        config ids = config_get(row, "padded"), mask = config_get(row, "mask");
        bool same = config_count(ids) == (size_t) width;
        for (size_t k = 0; same && k < (size_t) width; k++)
            same = json_integer_value(json_array_get(ids.value, k)) == b.ids[k] &&
                   json_integer_value(json_array_get(mask.value, k)) == ((const uint8_t *) b.mask->data)[k];
        wrong += !same;
    }
    parity_figure(c, "padded rows", (double) wrong, 0);
}

static void t5_tokenizer(parity_case *c) {
    config rows = config_load(parity_path(c, "strings.json"));
    tokenizer *fast = tokenizer_open(parity_path(c, "tokenizer.json"));
    tokenizer *slow = tokenizer_open(parity_path(c, "spiece.model"));
    char *converted = parity_path(c, "tokenizer_converted.json");
    compare_ids(c, "rows by tokenizer.json", fast, rows, "ids", 0);
    compare_padded(c, fast, rows, 16);
    if (file_exists(converted))
        compare_ids(c, "rows by its later form", tokenizer_open(converted), rows, "ids_converted_json", 0);
    compare_ids(c, "rows by spiece.model", slow, rows, "ids_slow", 0);
    compare_sentencepiece(c, slow, rows);
}

/* --- T5 --- */

static int32_t *ids_in(parity_case *c, const char *name, int64_t *B, int64_t *T) {
    tensor *given = tensor_convert(parity_in(c, name), I32);
    *B = given->shape[0];
    *T = given->shape[1];
    return given->data;
}

static void t5_length(parity_case *c, const t5 *net, const char *length) {
    int64_t B, T;
    const char *suffix = *length ? format("_%s", length) : "";
    if (!parity_has_in(c, format("ids%s", suffix))) return;
    int32_t *ids = ids_in(c, format("ids%s", suffix), &B, &T);
    const char *mask = format("mask%s", suffix), *bare = format("hidden_no_mask%s", suffix);
    tensor *kept = parity_has_in(c, mask) ? tensor_convert(parity_in(c, mask), U8) : NULL;
    parity_out(c, format("hidden%s", suffix), t5_encode(net, ids, kept, B, T));
    if (parity_has_out(c, bare)) parity_out(c, bare, t5_encode(net, ids, NULL, B, T));
}

static void t5_encoder(parity_case *c) {
    t5_config sizes = t5_config_read(parity_config(c));
    store *s = parity_checkpoint(c);
    t5_config_fit(&sizes, s);
    binder *b = binder_load(s);
    t5 *net = t5_bind(&sizes, b);
    binder_finish(b, false);
    static const char *const LENGTHS[] = {"", "short", "long"};
    for (int i = 0; i < 3; i++) t5_length(c, net, LENGTHS[i]);
    if (!parity_has_out(c, "buckets")) return;
    tensor *buckets = tensor_new(I64, SHAPE(401));
    for (int i = 0; i < 401; i++) ((int64_t *) buckets->data)[i] = t5_bucket(&sizes, i - 200);
    parity_out(c, "buckets", buckets);
}

/* --- CLAP's text side --- */

static void clap_encoder(parity_case *c) {
    clap_text_config sizes = clap_text_config_read(parity_config(c));
    store *s = parity_checkpoint(c);
    clap_text_config_fit(&sizes, s);
    binder *b = binder_load(s);
    clap_text *net = clap_text_bind(&sizes, b);
    binder_finish(b, false);
    int64_t B, T;
    int32_t *ids = ids_in(c, "input_ids", &B, &T);
    tensor *mask = tensor_convert(parity_in(c, "attention_mask"), U8);
    clap_text_trace trace;
    parity_out(c, "normalized", clap_text_embed(net, ids, mask, B, T, &trace));
    parity_out(c, "pooled", trace.pooled);
    parity_out(c, "text_embeds", trace.embeds);
    const tensor *expected = parity_expected(c, "last_hidden_state");
    int64_t C = trace.states->shape[2], kept = expected->shape[2], step = kept < C ? 13 : 1;
    tensor *states = tensor_zero(F32, SHAPE(B, T, kept));
    for (int64_t r = 0; r < B * T; r++)
        for (int64_t k = 0; k < kept && ((const uint8_t *) mask->data)[r]; k++)
            f32(states)[r * kept + k] = f32(trace.states)[r * C + k * step];
    parity_out(c, "last_hidden_state", states);
}

/* One of the texts holds a zero, as no C string does. */
static token_list tokenize_json(const tokenizer *t, const json_t *text) {
    return tokenize_bytes(t, json_string_value(text), json_string_length(text), 512);
}

/* Texts padded to `width`, or to the longest. */
static void out_padded(parity_case *c, const tokenizer *t, config texts, int64_t width, const char *ids,
                       const char *mask) {
    int64_t n = (int64_t) config_count(texts);
    token_list *lists = NEW_ARRAY(token_list, n);
    for (int64_t i = 0; i < n; i++) {
        lists[i] = tokenize_json(t, json_array_get(texts.value, (size_t) i));
        if ((int64_t) lists[i].count > width) width = (int64_t) lists[i].count;
    }
    tensor *padded = tensor_new(I32, SHAPE(n, width)), *kept = tensor_zero(U8, SHAPE(n, width));
    for (int64_t i = 0; i < n * width; i++) {
        const token_list *list = &lists[i / width];
        bool is_token = i % width < (int64_t) list->count;
        ((int32_t *) padded->data)[i] = is_token ? list->ids[i % width] : tokenizer_pad(t);
        ((uint8_t *) kept->data)[i] = is_token;
    }
    parity_out(c, ids, padded);
    parity_out(c, mask, kept);
}

static void clap_tokenizer(parity_case *c) {
    static const char *const FILES[] = {"tokenizer/tokenizer.json", "tokenizer/vocab.json"};
    config strings = config_get(parity_info(c), "strings"), ids = config_get(parity_info(c), "ids");
    for (int i = 0; i < 2; i++) {
        tokenizer *t = tokenizer_open(parity_path(c, FILES[i]));
        size_t wrong = 0;
        for (size_t k = 0; k < config_count(strings); k++) {
            token_list got = tokenize_json(t, json_array_get(strings.value, k));
            const json_t *expected = json_array_get(ids.value, k);
            bool same = got.count == json_array_size(expected);
            for (size_t m = 0; same && m < got.count; m++)
                same = json_integer_value(json_array_get(expected, m)) == got.ids[m];
            wrong += !same;
        }
        parity_figure(c, FILES[i], (double) wrong, 0);
        out_padded(c, t, strings, 512, "padded", "mask");
        out_padded(c, t, config_get(parity_info(c), "batch"), 0, "longest", "longest_mask");
    }
}

/* --- GPT-2 --- */

static void gpt2_case(parity_case *c) {
    gpt2_config sizes = gpt2_config_read(parity_config(c));
    store *s = parity_checkpoint(c);
    gpt2_config_fit(&sizes, s);
    binder *b = binder_load(s);
    gpt2 *net = gpt2_bind(&sizes, b);
    binder_finish(b, false);
    tensor *x = parity_in_f32(c, "inputs_embeds"), *mask = tensor_convert(parity_in(c, "attention_mask"), U8);
    if (parity_has_out(c, "last_hidden_state")) parity_out(c, "last_hidden_state", gpt2_forward(net, x, mask));
    if (parity_has_out(c, "generated")) parity_out(c, "generated", gpt2_generate(net, x, mask, 8));
}

const parity_row PARITY_TEXT[] = {
    {"minilm", NULL, minilm},
    {"t5", "tokenizer", t5_tokenizer},
    {"t5", NULL, t5_encoder},
    {"clap_text", "tokenizer", clap_tokenizer},
    {"clap_text", NULL, clap_encoder},
    {"gpt2", NULL, gpt2_case},
    {0},
};
