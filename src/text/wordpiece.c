/* WordPiece, as BERT has it (Devlin et al. 2019): clean and lower-cased text, split at white space and around every
 * punctuation mark, each word the longest pieces of the vocabulary from the left. */
#include <string.h>

#include "text/parts.h"

typedef struct {
    vocabulary *pieces;
    const char *prefix; /* of pieces inside a word: "##" */
    int32_t unknown;
    int64_t longest_word; /* characters; a longer one is unknown */
    bool clean, ideographs, strip_marks, lower;
} wordpiece;

/* --- normalisation --- */

static void put_normal(const wordpiece *w, builder *to, uint32_t c) {
    uint32_t parts[8] = {c};
    int n = w->strip_marks ? decompose(c, parts) : 1;
    for (int i = 0; i < n; i++)
        if (!w->strip_marks || !is_mark(parts[i])) put_character(to, w->lower ? to_lower(parts[i]) : parts[i]);
}

static span normalise(const wordpiece *w, span text) {
    builder b = {0};
    for (size_t at = 0; at < text.size;) {
        uint32_t c = read_character(text, &at);
        bool breaks = c == '\t' || c == '\n' || c == '\r';
        if (w->clean && (c == 0 || c == 0xFFFD || (is_control(c) && !breaks))) continue;
        if (w->clean && is_white(c)) c = ' ';
        bool apart = w->ideographs && is_ideograph(c);
        if (apart) put_character(&b, ' ');
        put_normal(w, &b, c);
        if (apart) put_character(&b, ' ');
    }
    return built(&b);
}

/* --- words --- */

static size_t characters(span text) {
    size_t n = 0;
    for (size_t at = 0; at < text.size; n++) read_character(text, &at);
    return n;
}

/* The longest piece that begins the text (`inside` a word: after the prefix); its size, 0 for none. */
static size_t longest_piece(const wordpiece *w, span text, bool inside, int32_t *id) {
    char key[512];
    size_t prefix = inside ? strlen(w->prefix) : 0;
    size_t most = vocabulary_longest(w->pieces) < sizeof key ? vocabulary_longest(w->pieces) : sizeof key;
    size_t size = most > prefix ? most - prefix : 0;
    if (size > text.size) size = text.size;
    memcpy(key, w->prefix, prefix);
    memcpy(key + prefix, text.data, size);
    for (; size > 0; size--) {
        if (size < text.size && ((uint8_t) text.data[size] & 0xC0) == 0x80) continue; /* inside a character */
        *id = vocabulary_find(w->pieces, (span){key, prefix + size});
        if (*id >= 0) return size;
    }
    return 0;
}

static void encode_word(const wordpiece *w, span word, token_list *to) {
    size_t start = to->count;
    bool fits = (int64_t) characters(word) <= w->longest_word;
    for (size_t at = 0; fits && at < word.size;) {
        int32_t id = 0;
        size_t size = longest_piece(w, (span){word.data + at, word.size - at}, at > 0, &id);
        fits = size > 0;
        if (fits) put_id(to, id);
        at += size;
    }
    if (fits) return;
    to->count = start;
    put_id(to, w->unknown);
}

static void encode(const tokenizer *t, span text, token_list *to) {
    const wordpiece *w = t->model;
    span clean = normalise(w, text);
    size_t word = 0;
    for (size_t at = 0; at < clean.size;) {
        size_t here = at;
        uint32_t c = read_character(clean, &at);
        bool white = is_white(c);
        if (!white && !is_punctuation(c)) continue;
        if (here > word) encode_word(w, (span){clean.data + word, here - word}, to);
        if (!white) encode_word(w, (span){clean.data + here, at - here}, to);
        word = at;
    }
    if (clean.size > word) encode_word(w, (span){clean.data + word, clean.size - word}, to);
}

/* --- reading --- */

static void finish(tokenizer *t, wordpiece *w) {
    t->kind = "WordPiece";
    t->encode = encode;
    t->model = w;
    if (vocabulary_size(w->pieces) > t->size) t->size = vocabulary_size(w->pieces);
}

void wordpiece_from_json(tokenizer *t, config document, config model) {
    wordpiece *w = NEW(wordpiece);
    w->pieces = vocabulary_from_json(config_get(model, "vocab"));
    w->prefix = config_string(model, "continuing_subword_prefix", "##");
    w->longest_word = config_int(model, "max_input_chars_per_word", 100, 1, 1 << 20);
    w->unknown = need_piece(t, w->pieces, config_string(model, "unk_token", "[UNK]"));
    if (strlen(w->prefix) > 16) fail(HISS_ERROR_FORMAT, "%s: a prefix of more than 16 bytes", t->path);
    if (config_has(document, "normalizer")) {
        config n = config_get(document, "normalizer");
        if (strcmp(config_string(n, "type", ""), "BertNormalizer") != 0)
            fail(HISS_ERROR_FORMAT, "%s: WordPiece with the normalizer '%s' is not known", t->path,
                 config_string(n, "type", "?"));
        w->clean = config_bool(n, "clean_text", true);
        w->ideographs = config_bool(n, "handle_chinese_chars", true);
        w->lower = config_bool(n, "lowercase", true);
        w->strip_marks = config_bool(n, "strip_accents", w->lower);
    }
    finish(t, w);
}

static void read_lines(wordpiece *w, span lines) {
    int32_t id = 0;
    for (size_t at = 0; at < lines.size && id < MOST_PIECES; id++) {
        const char *end = memchr(lines.data + at, '\n', lines.size - at);
        size_t size = end ? (size_t) (end - lines.data) - at : lines.size - at, next = at + size + 1;
        while (size > 0 && lines.data[at + size - 1] == '\r') size--;
        vocabulary_put(w->pieces, (span){lines.data + at, size}, id);
        at = next;
    }
}

void wordpiece_from_list(tokenizer *t, span lines, config settings) {
    static const char *const SPECIAL[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    wordpiece *w = NEW(wordpiece);
    *w = (wordpiece){.pieces = vocabulary_make(), .prefix = "##", .longest_word = 100, .clean = true};
    read_lines(w, lines);
    w->lower = config_bool(settings, "do_lower_case", true);
    w->strip_marks = config_bool(settings, "strip_accents", w->lower);
    w->ideographs = config_bool(settings, "tokenize_chinese_chars", true);
    w->unknown = need_piece(t, w->pieces, "[UNK]");
    for (int i = 0; i < 5; i++) {
        span text = {SPECIAL[i], strlen(SPECIAL[i])};
        if (vocabulary_find(w->pieces, text) >= 0)
            add_token(t, (added_token){.text = text, .id = vocabulary_find(w->pieces, text)});
    }
    t->before[t->before_count++] = need_piece(t, w->pieces, "[CLS]");
    t->after[t->after_count++] = need_piece(t, w->pieces, "[SEP]");
    t->pad = need_piece(t, w->pieces, "[PAD]");
    finish(t, w);
}
