/* The frame that all tokenizers share. */
#include "text/tokenizer.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "text/parts.h"

enum { TEXT_MOST = 1 << 20, FILE_MOST = 64 << 20, MOST_ADDED = 1 << 16 };

void put_id(token_list *list, int32_t id) {
    if (list->count == list->room) {
        size_t room = 2 * list->room + 64;
        int32_t *grown = alloc(room * sizeof *grown);
        if (list->count) memcpy(grown, list->ids, list->count * sizeof *grown);
        list->ids = grown;
        list->room = room;
    }
    list->ids[list->count++] = id;
}

void add_token(tokenizer *t, added_token a) {
    require(t->added_count < MOST_ADDED);
    if ((t->added_count & (t->added_count - 1)) == 0) { /* a power of two: full */
        added_token *grown = NEW_ARRAY(added_token, t->added_count ? 2 * t->added_count : 1);
        if (t->added_count) memcpy(grown, t->added, t->added_count * sizeof *grown);
        t->added = grown;
    }
    t->added[t->added_count++] = a;
    if (a.id >= t->size) t->size = a.id + 1;
}

vocabulary *vocabulary_from_json(config pieces) {
    vocabulary *v = vocabulary_make();
    const char *piece;
    json_t *id;
    if (!json_is_object(pieces.value) || json_object_size(pieces.value) > MOST_PIECES)
        fail(HISS_ERROR_FORMAT, "%s is not a vocabulary: an object of pieces and ids", pieces.where);
    json_object_foreach(pieces.value, piece, id) {
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= MOST_PIECES)
            fail(HISS_ERROR_FORMAT, "%s: the piece '%s' has no possible id", pieces.where, piece);
        vocabulary_put(v, (span){piece, strlen(piece)}, (int32_t) json_integer_value(id));
    }
    return v;
}

int32_t need_piece(const tokenizer *t, const vocabulary *v, const char *piece) {
    int32_t id = vocabulary_find(v, (span){piece, strlen(piece)});
    if (id < 0) fail(HISS_ERROR_FORMAT, "%s: the vocabulary has no '%s'", t->path, piece);
    return id;
}

/* --- encoding --- */

/* The first added token in text at or after `from`, the longest where several begin there; SIZE_MAX: none. */
static size_t find_added(const tokenizer *t, span text, size_t from, const added_token **found) {
    bool starts[256] = {false};
    for (size_t i = 0; i < t->added_count; i++) starts[(uint8_t) t->added[i].text.data[0]] = true;
    for (size_t at = from; at < text.size; at++) {
        if (!starts[(uint8_t) text.data[at]]) continue;
        *found = NULL;
        for (size_t i = 0; i < t->added_count; i++) {
            const added_token *a = &t->added[i];
            if (a->text.size <= text.size - at && !memcmp(a->text.data, text.data + at, a->text.size) &&
                (!*found || a->text.size > (*found)->text.size))
                *found = a;
        }
        if (*found) return at;
    }
    return SIZE_MAX;
}

static span without_white_end(span text) {
    size_t end = 0;
    for (size_t at = 0; at < text.size;)
        if (!is_white(read_character(text, &at))) end = at;
    return (span){text.data, end};
}

static size_t past_white(span text, size_t at) {
    for (size_t next = at; next < text.size; at = next)
        if (!is_white(read_character(text, &next))) break;
    return at;
}

static void encode(const tokenizer *t, span text, token_list *to) {
    size_t from = 0;
    while (from < text.size) {
        const added_token *a = NULL;
        size_t at = find_added(t, text, from, &a), end = at == SIZE_MAX ? text.size : at;
        span plain = {text.data + from, end - from};
        if (a && a->eats_left) plain = without_white_end(plain);
        if (plain.size) t->encode(t, plain, to);
        if (!a) return;
        put_id(to, a->id);
        from = at + a->text.size;
        if (a->eats_right) from = past_white(text, from);
    }
}

token_list tokenize_bytes(const tokenizer *t, const char *text, size_t size, size_t most) {
    size_t around = (size_t) (t->before_count + t->after_count);
    if (size > TEXT_MOST) fail(HISS_ERROR_ARGUMENT, "a text of more than %d bytes is no prompt", TEXT_MOST);
    token_list list = {0}, all = {0};
    scope *outer = scope_current();
    scope_begin();
    encode(t, (span){text, size}, &list);
    if (most && list.count + around > most) list.count = most > around ? most - around : 0;
    if (t->end_once && t->after_count && list.count && list.ids[list.count - 1] == t->after[0]) list.count--;
    scope *inner = scope_switch(outer);
    for (int i = 0; i < t->before_count; i++) put_id(&all, t->before[i]);
    for (size_t i = 0; i < list.count; i++) put_id(&all, list.ids[i]);
    for (int i = 0; i < t->after_count; i++) put_id(&all, t->after[i]);
    scope_switch(inner);
    scope_end();
    return all;
}

token_list tokenize(const tokenizer *t, const char *text, size_t most) {
    return tokenize_bytes(t, text, strnlen(text, TEXT_MOST + 1), most);
}

token_batch tokenize_all(const tokenizer *t, const char *const *texts, int64_t count, size_t most, int64_t width) {
    token_batch batch = {.count = count, .width = width};
    token_list *lists = NEW_ARRAY(token_list, count);
    for (int64_t i = 0; i < count; i++) {
        lists[i] = tokenize(t, texts[i], most);
        if (!width && (int64_t) lists[i].count > batch.width) batch.width = (int64_t) lists[i].count;
    }
    batch.mask = tensor_zero(U8, SHAPE(count, batch.width));
    batch.ids = alloc((size_t) (count * batch.width) * sizeof *batch.ids);
    for (int64_t k = 0; k < count * batch.width; k++) {
        const token_list *list = &lists[k / batch.width];
        int64_t at = k % batch.width;
        bool is_token = at < (int64_t) list->count;
        batch.ids[k] = is_token ? list->ids[at] : t->pad;
        ((uint8_t *) batch.mask->data)[k] = is_token;
    }
    return batch;
}

const char *tokenizer_kind(const tokenizer *t) { return t->kind; }
int32_t tokenizer_size(const tokenizer *t) { return t->size; }
int32_t tokenizer_pad(const tokenizer *t) { return t->pad; }

/* --- opening --- */

static void read_added(tokenizer *t, config document) {
    if (!config_has(document, "added_tokens")) return;
    config list = config_get(document, "added_tokens");
    size_t n = config_count(list);
    if (n > MOST_ADDED) fail(HISS_ERROR_FORMAT, "%s: more than %d added tokens", t->path, MOST_ADDED);
    for (size_t i = 0; i < n; i++) {
        config c = config_at(list, i);
        const char *content = config_need_string(c, "content");
        if (!*content) continue;
        add_token(t, (added_token){.text = {content, strlen(content)},
                                   .id = (int32_t) config_need_int(c, "id", 0, MOST_PIECES - 1),
                                   .eats_left = config_bool(c, "lstrip", false),
                                   .eats_right = config_bool(c, "rstrip", false)});
    }
}

static int32_t added_id(const tokenizer *t, const char *content) {
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].text.size == strlen(content) && !memcmp(t->added[i].text.data, content, strlen(content)))
            return t->added[i].id;
    fail(HISS_ERROR_FORMAT, "%s: the special token '%s' is not among the added tokens", t->path, content);
}

static void put_around(tokenizer *t, bool after, int32_t id) {
    int *n = after ? &t->after_count : &t->before_count;
    if (*n == MOST_AROUND) fail(HISS_ERROR_FORMAT, "%s: more than %d special tokens beside the text", t->path, *n);
    (after ? t->after : t->before)[(*n)++] = id;
}

/* A template's "single": special tokens before and after the sequence. */
static void read_template(tokenizer *t, config processor) {
    config items = config_get(processor, "single");
    bool after = false;
    for (size_t i = 0; i < config_count(items); i++) {
        config item = config_at(items, i);
        if (config_has(item, "Sequence")) after = true;
        else put_around(t, after, added_id(t, config_need_string(config_get(item, "SpecialToken"), "id")));
    }
}

static void read_processor(tokenizer *t, config processor, int depth) {
    const char *type = config_string(processor, "type", "");
    if (!strcmp(type, "TemplateProcessing")) read_template(t, processor);
    else if (!strcmp(type, "BertProcessing") || !strcmp(type, "RobertaProcessing")) {
        static const char *const KEYS[] = {"cls", "sep"};
        for (int i = 0; i < 2; i++) {
            config pair = config_get(processor, KEYS[i]);
            const json_t *id = json_array_get(pair.value, 1);
            if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= MOST_PIECES)
                fail(HISS_ERROR_FORMAT, "%s: post_processor.%s is not a token and its id", t->path, KEYS[i]);
            put_around(t, i == 1, (int32_t) json_integer_value(id));
        }
    } else if (!strcmp(type, "Sequence") && depth < 4) {
        config list = config_get(processor, "processors");
        for (size_t i = 0; i < config_count(list); i++) read_processor(t, config_at(list, i), depth + 1);
    } else if (strcmp(type, "ByteLevel") != 0)
        fail(HISS_ERROR_FORMAT, "%s: the post-processor '%s' is not known", t->path, type);
}

static const struct {
    const char *type, *telling; /* old files have no type: a key that tells */
    void (*read)(tokenizer *t, config document, config model);
} KINDS[] = {
    {"WordPiece", "continuing_subword_prefix", wordpiece_from_json},
    {"Unigram", "unk_id", unigram_from_json},
    {"BPE", "merges", bpe_from_json},
};

static void from_json(tokenizer *t, config document) {
    static const char *const PADS[] = {"[PAD]", "<pad>"};
    config model = config_get(document, "model");
    const char *type = config_string(model, "type", NULL);
    int kind = -1;
    for (int i = 0; i < (int) (sizeof KINDS / sizeof *KINDS); i++)
        if (type ? !strcmp(type, KINDS[i].type) : config_has(model, KINDS[i].telling)) kind = i;
    if (kind < 0) fail(HISS_ERROR_FORMAT, "%s: a tokenizer of kind '%s' is not known", t->path, type ? type : "?");
    read_added(t, document);
    KINDS[kind].read(t, document, model);
    if (config_has(document, "post_processor")) read_processor(t, config_get(document, "post_processor"), 0);
    for (size_t i = 0; i < t->added_count; i++)
        for (int p = 0; p < 2; p++)
            if (t->added[i].text.size == 5 && !memcmp(t->added[i].text.data, PADS[p], 5)) t->pad = t->added[i].id;
}

/* --- the files --- */

static void read_json(tokenizer *t, span file, config settings) {
    config document = config_parse(file.data, file.size, t->path);
    if (config_has(document, "model")) {
        from_json(t, document);
        return;
    }
    char *merges = path_join(path_folder(t->path), "merges.txt");
    if (!file_exists(merges))
        fail(HISS_ERROR_FORMAT, "%s is neither a tokenizer.json nor a vocabulary with a merges.txt beside it", t->path);
    bytes lines = file_read(merges, FILE_MOST);
    bpe_from_files(t, document, (span){(const char *) lines.data, lines.size}, settings);
}

static const struct {
    const char *file; /* in a folder, in this order */
    const char *suffix;
    void (*read)(tokenizer *t, span file, config settings);
} FILES[] = {
    {"tokenizer.json", ".json", read_json},
    {"vocab.txt", ".txt", wordpiece_from_list},
    {"spiece.model", ".model", unigram_from_sentencepiece},
    {"vocab.json", ".json", read_json},
};
enum { FILE_KINDS = sizeof FILES / sizeof *FILES };

static tokenizer *read_file(const char *path, span file, config settings) {
    tokenizer *t = NEW(tokenizer);
    t->path = copy_string(path);
    for (int i = 0; i < FILE_KINDS; i++)
        if (ends_with(path, FILES[i].suffix)) {
            FILES[i].read(t, file, settings);
            return t;
        }
    fail(HISS_ERROR_ARGUMENT, "%s: a tokenizer's file ends in .json, .txt or .model", path);
}

tokenizer *tokenizer_parse(const void *data, size_t size, const char *name) {
    return read_file(name, (span){data, size}, config_parse("{}", 2, name));
}

static const char *find_in_folder(const char *folder) {
    for (int i = 0; i < FILE_KINDS; i++)
        if (file_exists(path_join(folder, FILES[i].file))) return path_join(folder, FILES[i].file);
    fail(HISS_ERROR_FILE, "%s holds no tokenizer (tokenizer.json, vocab.txt, spiece.model or vocab.json)", folder);
}

tokenizer *tokenizer_open(const char *path) {
    if (folder_exists(path)) path = find_in_folder(path);
    bytes file = file_read(path, FILE_MOST);
    char *beside = path_join(path_folder(path), "tokenizer_config.json");
    config settings = file_exists(beside) ? config_load(beside) : config_parse("{}", 2, path);
    return read_file(path, (span){(const char *) file.data, file.size}, settings);
}
