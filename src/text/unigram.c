/* Unigram tokenizers (Kudo 2018): of all ways to cut a word into pieces the one whose probabilities' product is highest.
 * Read from tokenizer.json as Hugging Face's tokenizers treat it (T5: words at white space, each with U+2581 before it) or
 * from spiece.model as SentencePiece does. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "text/charsmap.h"
#include "text/parts.h"
#include "text/sentencepiece.h"

#define MARK "\xE2\x96\x81" /* U+2581 stands for a space */
enum { MARK_SIZE = 3, LONGEST_PIECE = 512, SENTINELS = 100, MOST_SENTINELS = 10000 };

typedef struct {
    vocabulary *pieces;
    double *scores; /* by id */
    int32_t count, unknown;
    double unknown_score; /* of a character: ten below the lowest */
    const charsmap *map;
    bool byte_fallback;
    int32_t bytes[256]; /* ids of <0x00> ... */
    /* tokenizer.json: what is done with white space. */
    bool split_white, strip_end, merge_spaces, prefix;
    /* spiece.model. */
    bool whole_text, dummy_prefix, remove_extra_spaces;
} unigram;

/* --- the best cut --- */

typedef struct {
    double score;
    size_t from; /* where the piece that ends here begins */
    int32_t id;
    bool reached;
} cut;

static size_t character_size(span text, size_t at) {
    size_t next = at;
    read_character(text, &next);
    return next - at;
}

static void relax(cut *at, const cut *from, size_t start, int32_t id, double score) {
    if (at->reached && !(from->score + score > at->score)) return;
    *at = (cut){from->score + score, start, id, true};
}

/* All pieces that begin at `start`, and the unknown character. */
static void extend(const unigram *u, span text, cut *cuts, size_t start) {
    size_t one = character_size(text, start), longest = vocabulary_longest(u->pieces);
    size_t most = longest < LONGEST_PIECE ? longest : LONGEST_PIECE, rest = text.size - start;
    bool known = false;
    if (most > rest) most = rest;
    for (size_t size = one; size <= most; size += size < rest ? character_size(text, start + size) : 1) {
        int32_t id = vocabulary_find(u->pieces, (span){text.data + start, size});
        if (id < 0) continue;
        relax(&cuts[start + size], &cuts[start], start, id, u->scores[id]);
        known |= size == one;
    }
    if (!known) relax(&cuts[start + one], &cuts[start], start, u->unknown, u->unknown_score);
}

static void put_unknown(const unigram *u, span text, bool after_unknown, token_list *to) {
    if (!u->byte_fallback) {
        if (!after_unknown) put_id(to, u->unknown);
        return;
    }
    for (size_t i = 0; i < text.size; i++) put_id(to, u->bytes[(uint8_t) text.data[i]]);
}

static void encode_word(const unigram *u, span text, token_list *to) {
    if (!text.size) return;
    cut *cuts = NEW_ARRAY(cut, text.size + 1);
    size_t *ends = NEW_ARRAY(size_t, text.size + 1), count = 0;
    cuts[0].reached = true;
    for (size_t start = 0; start < text.size; start++)
        if (cuts[start].reached) extend(u, text, cuts, start);
    for (size_t end = text.size; end > 0; end = cuts[end].from) ends[count++] = end;
    bool after_unknown = false;
    while (count-- > 0) {
        const cut *c = &cuts[ends[count]];
        bool unknown = c->id == u->unknown;
        if (unknown) put_unknown(u, (span){text.data + c->from, ends[count] - c->from}, after_unknown, to);
        else put_id(to, c->id);
        after_unknown = unknown;
    }
}

/* --- tokenizer.json --- */

static bool is_mark_at(span text, size_t at) {
    return text.size - at >= MARK_SIZE && !memcmp(text.data + at, MARK, MARK_SIZE);
}

/* Spaces become marks, one stands before the text, and each word is encoded with its mark. */
static void encode_marked(const unigram *u, span text, token_list *to) {
    builder b = {0};
    if (!text.size) return;
    if (u->prefix && text.data[0] != ' ' && !is_mark_at(text, 0)) put_bytes(&b, MARK, MARK_SIZE);
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == ' ') put_bytes(&b, MARK, MARK_SIZE);
        else put_bytes(&b, text.data + i, 1);
    span all = built(&b);
    size_t word = 0;
    for (size_t at = 1; at <= all.size; at++) {
        if (at < all.size && !is_mark_at(all, at)) continue;
        encode_word(u, (span){all.data + word, at - word}, to);
        word = at;
    }
}

static span without_end_space(span text) {
    size_t end = 0;
    for (size_t at = 0; at < text.size;)
        if (!is_white(read_character(text, &at))) end = at;
    return (span){text.data, end};
}

/* Two and more spaces become one mark. */
static span merge_spaces(span text) {
    builder b = {0};
    for (size_t at = 0; at < text.size;) {
        size_t run = 0;
        while (at + run < text.size && text.data[at + run] == ' ') run++;
        if (run > 1) put_bytes(&b, MARK, MARK_SIZE);
        else put_bytes(&b, text.data + at, 1);
        at += run > 1 ? run : 1;
    }
    return built(&b);
}

static void encode_words(const unigram *u, span text, token_list *to) {
    size_t word = 0, at = 0;
    while (at < text.size) {
        size_t here = at;
        if (!is_white(read_character(text, &at))) continue;
        encode_marked(u, (span){text.data + word, here - word}, to);
        word = at;
    }
    encode_marked(u, (span){text.data + word, text.size - word}, to);
}

static void encode_json(const tokenizer *t, span text, token_list *to) {
    const unigram *u = t->model;
    if (u->map) text = charsmap_by_graphemes(u->map, text);
    if (u->strip_end) text = without_end_space(text);
    if (u->merge_spaces) text = merge_spaces(text);
    if (u->split_white) encode_words(u, text, to);
    else encode_marked(u, text, to);
}

/* --- spiece.model --- */

/* The normalised piece of text at *at, which moves past it. */
static span next_normal(const unigram *u, span text, size_t *at) {
    span rest = {text.data + *at, text.size - *at}, replacement;
    size_t size = charsmap_longest(u->map, rest, &replacement);
    if (!size) {
        size_t start = *at;
        if (read_character(text, at) != 0xFFFD) return (span){text.data + start, *at - start};
        return (span){"\xEF\xBF\xBD", 3};
    }
    *at += size;
    return replacement;
}

static void encode_sentencepiece(const tokenizer *t, span text, token_list *to) {
    const unigram *u = t->model;
    builder b = {0};
    bool after_space = u->remove_extra_spaces;
    if (u->dummy_prefix) put_bytes(&b, MARK, MARK_SIZE);
    for (size_t at = 0; at < text.size;) {
        span piece = next_normal(u, text, &at);
        while (after_space && piece.size && *piece.data == ' ') piece.data++, piece.size--;
        for (size_t i = 0; i < piece.size; i++)
            if (piece.data[i] == ' ') put_bytes(&b, MARK, MARK_SIZE);
            else put_bytes(&b, piece.data + i, 1);
        if (piece.size) after_space = u->remove_extra_spaces && piece.data[piece.size - 1] == ' ';
    }
    span all = built(&b);
    while (u->remove_extra_spaces && all.size >= MARK_SIZE && is_mark_at(all, all.size - MARK_SIZE))
        all.size -= MARK_SIZE;
    encode_word(u, all, to);
}

/* --- reading --- */

static void put_piece(unigram *u, span text, int32_t id, double score) {
    u->scores[id] = score;
    if (text.size) vocabulary_put(u->pieces, text, id);
}

/* The value of a capital hexadecimal digit, or -1. */
static int digit_value(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/* Notes the id of <0x00> .. <0xFF>; false for other pieces. */
static bool put_byte(unigram *u, span piece, int32_t id) {
    if (piece.size != 6 || memcmp(piece.data, "<0x", 3) != 0 || piece.data[5] != '>') return false;
    int high = digit_value(piece.data[3]), low = digit_value(piece.data[4]);
    if (high < 0 || low < 0) return false;
    u->bytes[16 * high + low] = id;
    return true;
}

static void finish(tokenizer *t, unigram *u, double lowest) {
    t->kind = "unigram";
    t->model = u;
    u->unknown_score = lowest - 10;
    if (u->count > t->size) t->size = u->count;
}

static bool is_added(const tokenizer *t, span text) {
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].text.size == text.size && !memcmp(t->added[i].text.data, text.data, text.size)) return true;
    return false;
}

/* The vocabulary: a list of [piece, score]. */
static void read_pieces(tokenizer *t, unigram *u, config list, bool byte_fallback) {
    int bytes = 0;
    size_t n = config_count(list);
    double lowest = INFINITY;
    if (!json_is_array(list.value) || n == 0 || n > MOST_PIECES)
        fail(HISS_ERROR_FORMAT, "%s is not a list of pieces and scores", list.where);
    u->count = (int32_t) n;
    u->scores = NEW_ARRAY(double, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(list.value, i), *score = json_array_get(pair, 1);
        const char *piece = json_string_value(json_array_get(pair, 0));
        if (!piece || !json_is_number(score))
            fail(HISS_ERROR_FORMAT, "%s: entry %zu is not a piece and its score", list.where, i);
        span text = {piece, strlen(piece)};
        if (byte_fallback && put_byte(u, text, (int32_t) i)) bytes++;
        /* Files of the newer form leave it to the program to know the unknown and T5's sentinels in a text. */
        if (((int32_t) i == u->unknown || starts_with(piece, "<extra_id_")) && !is_added(t, text))
            add_token(t, (added_token){.text = text, .id = (int32_t) i});
        if (is_added(t, text)) text.size = 0; /* cut out before */
        put_piece(u, text, (int32_t) i, json_number_value(score));
        if (json_number_value(score) < lowest) lowest = json_number_value(score);
    }
    u->byte_fallback = bytes == 256;
    finish(t, u, lowest);
}

static void read_normalizer(tokenizer *t, unigram *u, config n, int depth) {
    const char *type = config_string(n, "type", "");
    if (!strcmp(type, "Precompiled")) u->map = charsmap_decode(config_need_string(n, "precompiled_charsmap"), t->path);
    else if (!strcmp(type, "Strip") && config_bool(n, "strip_right", false) && !config_bool(n, "strip_left", false))
        u->strip_end = true;
    else if (!strcmp(type, "Replace") && !strcmp(config_string(n, "content", ""), MARK) &&
             !strcmp(config_string(config_get(n, "pattern"), "Regex", ""), " {2,}"))
        u->merge_spaces = true;
    else if (!strcmp(type, "Sequence") && depth < 4) {
        config list = config_get(n, "normalizers");
        for (size_t i = 0; i < config_count(list); i++) read_normalizer(t, u, config_at(list, i), depth + 1);
    } else fail(HISS_ERROR_FORMAT, "%s: a unigram tokenizer with this normalizer '%s' is not known", t->path, type);
}

static void read_splitter(tokenizer *t, unigram *u, config p, int depth) {
    const char *type = config_string(p, "type", "");
    if (!strcmp(type, "WhitespaceSplit")) u->split_white = true;
    else if (!strcmp(type, "Metaspace")) {
        const char *scheme =
            config_string(p, "prepend_scheme", config_bool(p, "add_prefix_space", true) ? "always" : "never");
        u->prefix = !strcmp(scheme, "always");
        if ((!u->prefix && strcmp(scheme, "never") != 0) || strcmp(config_string(p, "replacement", MARK), MARK) != 0)
            fail(HISS_ERROR_FORMAT, "%s: Metaspace with prepend_scheme '%s' is not known", t->path, scheme);
    } else if (!strcmp(type, "Sequence") && depth < 4) {
        config list = config_get(p, "pretokenizers");
        for (size_t i = 0; i < config_count(list); i++) read_splitter(t, u, config_at(list, i), depth + 1);
    } else fail(HISS_ERROR_FORMAT, "%s: a unigram tokenizer with the pre-tokenizer '%s' is not known", t->path, type);
}

void unigram_from_json(tokenizer *t, config document, config model) {
    unigram *u = NEW(unigram);
    u->pieces = vocabulary_make();
    u->unknown = (int32_t) config_need_int(model, "unk_id", 0, MOST_PIECES - 1);
    if (config_has(document, "normalizer")) read_normalizer(t, u, config_get(document, "normalizer"), 0);
    if (config_has(document, "pre_tokenizer")) read_splitter(t, u, config_get(document, "pre_tokenizer"), 0);
    read_pieces(t, u, config_get(model, "vocab"), config_bool(model, "byte_fallback", false));
    if (u->unknown >= u->count) fail(HISS_ERROR_FORMAT, "%s: unk_id is not among the pieces", t->path);
    t->encode = encode_json;
}

/* T5's sentinels come after the pieces, the last one first. */
static void add_sentinels(tokenizer *t, int64_t n) {
    int64_t first = t->size;
    for (int64_t i = 0; i < n; i++) {
        const char *name = format("<extra_id_%lld>", (long long) i);
        add_token(t, (added_token){.text = {name, strlen(name)}, .id = (int32_t) (first + n - 1 - i)});
    }
}

void unigram_from_sentencepiece(tokenizer *t, span file, config settings) {
    sentencepiece_model m = sentencepiece_read(file, t->path);
    unigram *u = NEW(unigram);
    double lowest = INFINITY;
    int byte_pieces = 0;
    if (m.model_type != 1) fail(HISS_ERROR_FORMAT, "%s: a SentencePiece model that is not unigram", t->path);
    *u = (unigram){.pieces = vocabulary_make(), .count = (int32_t) m.count, .unknown = -1};
    u->scores = NEW_ARRAY(double, m.count);
    u->map = charsmap_open(m.charsmap, t->path);
    u->dummy_prefix = m.dummy_prefix;
    u->remove_extra_spaces = m.remove_extra_spaces;
    for (size_t i = 0; i < m.count; i++) {
        const sentencepiece *p = &m.pieces[i];
        bool matches = p->type == PIECE_NORMAL || p->type == PIECE_USER;
        if (p->type == PIECE_UNKNOWN) u->unknown = (int32_t) i;
        put_piece(u, matches ? p->text : (span){0}, (int32_t) i, isfinite(p->score) ? p->score : 0);
        if (p->type == PIECE_NORMAL && p->score < lowest) lowest = p->score;
        byte_pieces += p->type == PIECE_BYTE && put_byte(u, p->text, (int32_t) i);
        if ((p->type == PIECE_CONTROL || p->type == PIECE_UNKNOWN) && p->text.size)
            add_token(t, (added_token){.text = p->text, .id = (int32_t) i});
    }
    if (u->unknown < 0) fail(HISS_ERROR_FORMAT, "%s: no piece stands for the unknown", t->path);
    u->byte_fallback = byte_pieces == 256;
    finish(t, u, isfinite(lowest) ? lowest : 0);
    t->encode = encode_sentencepiece;
    int32_t end = -1;
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].text.size == 4 && !memcmp(t->added[i].text.data, "</s>", 4)) end = t->added[i].id;
    if (end >= 0) t->after[t->after_count++] = end;
    t->end_once = true; /* as transformers' tokenizer over spiece.model has it */
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].text.size == 5 && !memcmp(t->added[i].text.data, "<pad>", 5)) t->pad = t->added[i].id;
    add_sentinels(t, config_int(settings, "extra_ids", SENTINELS, 0, MOST_SENTINELS));
}
