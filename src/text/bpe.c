/* Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019): text cut into words by GPT-2's pattern, each byte written as a
 * printable character, and in each word the pair of neighbours with the lowest rank joined until no pair has one. */
#include <string.h>

#include "text/parts.h"

typedef struct {
    vocabulary *pieces;
    vocabulary *ranks;  /* "left right" -> rank */
    char bytes[256][2]; /* how a byte is written, in UTF-8 */
    uint8_t sizes[256];
    int32_t unknown; /* -1: what has no piece is left out */
    bool space_before;
} bpe;

/* --- words: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ --- */

typedef enum { WHITE, LETTER, NUMBER, OTHER, NOTHING } class;

static class class_at(span text, size_t at, size_t *next) {
    *next = at;
    if (at >= text.size) return NOTHING;
    uint32_t c = read_character(text, next);
    return is_white(c) ? WHITE : is_letter(c) ? LETTER : is_number(c) ? NUMBER : OTHER;
}

static size_t contraction(span text, size_t at) {
    static const char *const ENDS[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        size_t size = strlen(ENDS[i]);
        if (size <= text.size - at && !memcmp(text.data + at, ENDS[i], size)) return at + size;
    }
    return at;
}

/* Where the word that begins at `at` ends. */
static size_t word_end(span text, size_t at) {
    size_t next, end = contraction(text, at);
    if (end > at) return end;
    class kind = class_at(text, at, &next);
    if (text.data[at] == ' ' && class_at(text, at + 1, &end) != WHITE && at + 1 < text.size)
        kind = class_at(text, at + 1, &next);
    if (kind != WHITE) {
        while (class_at(text, next, &end) == kind) next = end;
        return next;
    }
    size_t last = at; /* the last white character goes with what follows it, where it is not the only one */
    while (class_at(text, next, &end) == WHITE) last = next, next = end;
    return next == text.size || last == at ? next : last;
}

/* --- joining --- */

typedef struct {
    size_t at, size; /* of the symbol in the word; size 0: joined to the one before */
    size_t previous, next;
} symbol;

typedef struct {
    int32_t rank;
    size_t left, left_size, right_size; /* as they were: an entry of symbols that have changed is void */
} candidate;

typedef struct {
    candidate *items; /* a binary heap, the lowest rank first, then the leftmost */
    size_t count;
} heap;

static bool before(const candidate *a, const candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static void push(heap *h, candidate c) {
    size_t at = h->count++;
    for (; at > 0 && before(&c, &h->items[(at - 1) / 2]); at = (at - 1) / 2) h->items[at] = h->items[(at - 1) / 2];
    h->items[at] = c;
}

static candidate pop(heap *h) {
    candidate top = h->items[0], last = h->items[--h->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < h->count && before(&h->items[child + 1], &h->items[child])) child++;
        if (child >= h->count || !before(&h->items[child], &last)) break;
        h->items[at] = h->items[child];
        at = child;
    }
    h->items[at] = last;
    return top;
}

static void consider(const bpe *m, heap *h, const symbol *s, size_t left, span word) {
    char key[512];
    size_t right = s[left].next, size = s[left].size + s[right].size;
    if (right == SIZE_MAX || size + 1 > sizeof key) return;
    memcpy(key, word.data + s[left].at, s[left].size);
    key[s[left].size] = ' ';
    memcpy(key + s[left].size + 1, word.data + s[right].at, s[right].size);
    int32_t rank = vocabulary_find(m->ranks, (span){key, size + 1});
    if (rank >= 0) push(h, (candidate){rank, left, s[left].size, s[right].size});
}

static void join_pairs(const bpe *m, symbol *s, size_t count, span word) {
    heap h = {NEW_ARRAY(candidate, 3 * count), 0}; /* each join adds two at most */
    for (size_t i = 0; i + 1 < count; i++) consider(m, &h, s, i, word);
    while (h.count) {
        candidate c = pop(&h);
        symbol *left = &s[c.left];
        if (left->size != c.left_size || left->next == SIZE_MAX || s[left->next].size != c.right_size) continue;
        symbol *right = &s[left->next];
        left->size += right->size;
        left->next = right->next;
        right->size = 0;
        if (left->next != SIZE_MAX) s[left->next].previous = c.left;
        if (left->next != SIZE_MAX) consider(m, &h, s, c.left, word);
        if (left->previous != SIZE_MAX) consider(m, &h, s, left->previous, word);
    }
}

static void encode_word(const bpe *m, span raw, token_list *to) {
    builder b = {0};
    symbol *s = NEW_ARRAY(symbol, raw.size);
    for (size_t i = 0; i < raw.size; i++) {
        uint8_t byte = (uint8_t) raw.data[i];
        s[i] = (symbol){b.size, m->sizes[byte], i ? i - 1 : SIZE_MAX, i + 1 < raw.size ? i + 1 : SIZE_MAX};
        put_bytes(&b, m->bytes[byte], m->sizes[byte]);
    }
    span word = built(&b);
    join_pairs(m, s, raw.size, word);
    for (size_t i = 0; i != SIZE_MAX; i = s[i].next) {
        int32_t id = vocabulary_find(m->pieces, (span){word.data + s[i].at, s[i].size});
        if (id < 0) id = m->unknown;
        if (id >= 0) put_id(to, id);
    }
}

static void encode(const tokenizer *t, span text, token_list *to) {
    const bpe *m = t->model;
    if (m->space_before && text.size && text.data[0] != ' ') {
        builder b = {0};
        put_bytes(&b, " ", 1);
        put_bytes(&b, text.data, text.size);
        text = built(&b);
    }
    for (size_t at = 0; at < text.size;) {
        size_t end = word_end(text, at);
        encode_word(m, (span){text.data + at, end - at}, to);
        at = end;
    }
}

/* --- reading --- */

/* Printable Latin-1 stands for itself, the other bytes for U+0100 and up. */
static void write_bytes(bpe *m) {
    uint32_t next = 256;
    for (uint32_t c = 0; c < 256; c++) {
        bool printable = (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174;
        uint32_t as = printable ? c : next++;
        m->sizes[c] = as < 128 ? 1 : 2;
        m->bytes[c][0] = (char) (as < 128 ? as : 0xC0 | as >> 6);
        m->bytes[c][1] = (char) (0x80 | (as & 63));
    }
}

static bpe *start(tokenizer *t, config pieces) {
    bpe *m = NEW(bpe);
    m->pieces = vocabulary_from_json(pieces);
    m->ranks = vocabulary_make();
    m->unknown = -1;
    write_bytes(m);
    t->kind = "byte-level BPE";
    t->model = m;
    t->encode = encode;
    if (vocabulary_size(m->pieces) > t->size) t->size = vocabulary_size(m->pieces);
    return m;
}

static void read_merges(const tokenizer *t, bpe *m, config list) {
    size_t n = config_count(list);
    if (!json_is_array(list.value) || n > MOST_PIECES)
        fail(HISS_ERROR_FORMAT, "%s: model.merges is not a list of pairs", t->path);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list.value, i);
        const char *line = json_string_value(item), *left = json_string_value(json_array_get(item, 0)),
                   *right = json_string_value(json_array_get(item, 1));
        if (!line && (!left || !right)) fail(HISS_ERROR_FORMAT, "%s: merge %zu is not a pair", t->path, i);
        if (!line) line = format("%s %s", left, right);
        vocabulary_put(m->ranks, (span){line, strlen(line)}, (int32_t) i);
    }
}

void bpe_from_json(tokenizer *t, config document, config model) {
    bpe *m = start(t, config_get(model, "vocab"));
    config split = config_get(document, "pre_tokenizer");
    const char *unknown = config_string(model, "unk_token", NULL);
    if (strcmp(config_string(split, "type", ""), "ByteLevel") != 0 || !config_bool(split, "use_regex", true) ||
        config_bool(model, "ignore_merges", false) || config_bool(model, "byte_fallback", false) ||
        config_has(document, "normalizer"))
        fail(HISS_ERROR_FORMAT, "%s: a BPE tokenizer that is not GPT-2's byte-level one is not known", t->path);
    m->space_before = config_bool(split, "add_prefix_space", false);
    if (unknown) m->unknown = need_piece(t, m->pieces, unknown);
    read_merges(t, m, config_get(model, "merges"));
}

void bpe_from_files(tokenizer *t, config pieces, span merges, config settings) {
    static const char *const SPECIAL[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
    bpe *m = start(t, pieces);
    int32_t rank = 0;
    for (size_t at = 0; at < merges.size && rank < MOST_PIECES;) {
        const char *end = memchr(merges.data + at, '\n', merges.size - at);
        size_t size = end ? (size_t) (end - merges.data) - at : merges.size - at, next = at + size + 1;
        while (size > 0 && merges.data[at + size - 1] == '\r') size--;
        bool comment = rank == 0 && size >= 8 && !memcmp(merges.data + at, "#version", 8);
        if (size && !comment) vocabulary_put(m->ranks, (span){merges.data + at, size}, rank++);
        at = next;
    }
    m->space_before = config_bool(settings, "add_prefix_space", false);
    for (int i = 0; i < 5; i++) {
        span text = {SPECIAL[i], strlen(SPECIAL[i])};
        int32_t id = vocabulary_find(m->pieces, text);
        if (id >= 0) add_token(t, (added_token){.text = text, .id = id, .eats_left = i == 4});
    }
    t->before[t->before_count++] = need_piece(t, m->pieces, "<s>");
    t->after[t->after_count++] = need_piece(t, m->pieces, "</s>");
    t->pad = need_piece(t, m->pieces, "<pad>");
}
