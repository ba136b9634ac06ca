/* Texts to vectors: see captions.h. The cache is a safetensors file: "texts", one a line, and "vectors". */
#include "train/captions.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/progress.h"
#include "base/text.h"
#include "store/store.h"

enum { MOST_TEXTS = 1 << 22, AT_ONCE = 64 };

/* Every text once, found by binary search when all are there. */
typedef struct {
    const char **texts;
    size_t count, capacity;
} collection;

static void collect(collection *c, const char *text) {
    if (c->count >= MOST_TEXTS) fail(HISS_ERROR_MEMORY, "more than %d captions", MOST_TEXTS);
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? 2 * c->capacity : 1024;
        const char **grown = NEW_ARRAY(const char *, c->capacity);
        if (c->count) memcpy(grown, c->texts, c->count * sizeof *grown);
        c->texts = grown;
    }
    c->texts[c->count++] = text;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *) a, *(char *const *) b); }

static void make_unique(collection *c) {
    if (c->count) qsort(c->texts, c->count, sizeof *c->texts, by_text);
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        if (!n || strcmp(c->texts[n - 1], c->texts[i])) c->texts[n++] = c->texts[i];
    c->count = n;
}

static int32_t row_of(const collection *c, const char *text) {
    const char **found = bsearch(&text, c->texts, c->count, sizeof *c->texts, by_text);
    require(found);
    return (int32_t) (found - c->texts);
}

/* --- what is said of a recording and of a class --- */

char **caption_alternatives(const char *caption, size_t *n) {
    char **pieces = split(caption ? caption : "", '|', n), **kept = pieces;
    for (size_t i = 0; i < *n; i++)
        if (*pieces[i]) {
            for (char *c = pieces[i]; *c; c++)
                if (*c == '\n' || *c == '\r') *c = ' ';
            *kept++ = pieces[i];
        }
    *n = (size_t) (kept - pieces);
    return pieces;
}

static char **class_texts(const char *name, const char *const *synonyms, size_t *n) {
    size_t extra = 0;
    while (synonyms && synonyms[extra]) extra++;
    char **texts = NEW_ARRAY(char *, extra + 4);
    texts[0] = copy_string(name);
    texts[1] = format("%s sound", name);
    texts[2] = format("the sound of %s", name);
    for (size_t i = 0; i < extra; i++) texts[3 + i] = copy_string(synonyms[i]);
    *n = extra + 3;
    return texts;
}

typedef void take_texts(void *context, caption_list *to, char *const *texts, size_t n);

static void each_text(captions *c, const recordings *r, const char *const *const *synonyms, take_texts *take,
                      void *context) {
    size_t n;
    for (size_t i = 0; i < r->count; i++) {
        char **texts = caption_alternatives(r->items[i].caption, &n);
        take(context, &c->of_recording[i], texts, n);
    }
    for (size_t i = 0; i < r->class_count; i++) {
        char **texts = class_texts(r->classes[i], synonyms ? synonyms[i] : NULL, &n);
        take(context, &c->of_class[i], texts, n);
    }
}

static void take_all(void *context, caption_list *to, char *const *texts, size_t n) {
    (void) to;
    for (size_t i = 0; i < n; i++) collect(context, texts[i]);
}

static void take_rows(void *context, caption_list *to, char *const *texts, size_t n) {
    *to = (caption_list){NEW_ARRAY(int32_t, n + 1), n};
    for (size_t i = 0; i < n; i++) to->rows[i] = row_of(context, texts[i]);
}

/* --- vectors --- */

/* Copies the vectors the file holds; done[i] says which. */
static void read_cache(const char *path, const collection *c, tensor *vectors, bool *done) {
    if (!file_exists(path)) return;
    const store *s = store_open(path);
    if (!store_find(s, "texts") || !store_find(s, "vectors"))
        fail(HISS_ERROR_FORMAT, "%s: not a file of captions; remove it", path);
    tensor *bytes = store_read(s, "texts"), *old = tensor_to_f32(store_read(s, "vectors"));
    int64_t E = vectors->shape[1], size = count(bytes);
    if (old->rank != 2 || old->shape[1] != E || bytes->type != U8) return; /* of another encoder */
    char *text = alloc((size_t) size + 1), *line = text;
    memcpy(text, bytes->data, (size_t) size);
    text[size] = 0;
    for (int64_t row = 0; row < old->shape[0] && *line; row++) {
        char *end = strchr(line, '\n');
        if (end) *end = 0;
        const char **found = bsearch(&(const char *){line}, c->texts, c->count, sizeof *c->texts, by_text);
        if (found) {
            memcpy(f32(vectors) + (found - c->texts) * E, f32(old) + row * E, (size_t) E * sizeof(float));
            done[found - c->texts] = true;
        }
        if (!end) break;
        line = end + 1;
    }
}

static void write_cache(const char *path, const collection *c, const tensor *vectors) {
    size_t size = 0;
    for (size_t i = 0; i < c->count; i++) size += strlen(c->texts[i]) + 1;
    char *text = alloc(size), *to = text;
    for (size_t i = 0; i < c->count; i++) {
        to = stpcpy(to, c->texts[i]);
        *to++ = '\n';
    }
    named_tensor items[2] = {{"texts", tensor_wrap(U8, SHAPE((int64_t) size), text)}, {"vectors", vectors}};
    safetensors_write(path, items, 2, NULL);
}

static void embed_missing(const collection *c, const bool *done, caption_encoder encoder, tensor *vectors) {
    const char *texts[AT_ONCE];
    size_t rows[AT_ONCE];
    int64_t E = encoder.width;
    for (size_t i = 0; i < c->count;) {
        int n = 0;
        for (; i < c->count && n < AT_ONCE; i++) {
            if (done[i]) continue;
            rows[n] = i;
            texts[n++] = c->texts[i];
        }
        progress("reading captions", (int64_t) i, (int64_t) c->count);
        if (!n) continue;
        scope_begin();
        const tensor *some = encoder.embed(encoder.context, texts, n);
        require(count(some) == n * E);
        for (int k = 0; k < n; k++)
            memcpy(f32(vectors) + (int64_t) rows[k] * E, f32(some) + k * E, (size_t) E * sizeof(float));
        scope_end();
    }
}

captions *captions_of(const recordings *r, const char *const *const *synonyms, caption_encoder encoder,
                      const char *cache) {
    captions *c = NEW(captions);
    collection all = {0};
    c->of_recording = NEW_ARRAY(caption_list, r->count + 1);
    c->of_class = NEW_ARRAY(caption_list, r->class_count + 1);
    each_text(c, r, synonyms, take_all, &all);
    make_unique(&all);
    each_text(c, r, synonyms, take_rows, &all);
    tensor *vectors = tensor_zero(F32, SHAPE((int64_t) all.count, encoder.width));
    c->vectors = vectors;
    scope_begin();
    bool *done = NEW_ARRAY(bool, all.count + 1), missing = false;
    read_cache(cache, &all, vectors, done);
    for (size_t i = 0; i < all.count; i++) missing |= !done[i];
    if (missing) {
        embed_missing(&all, done, encoder, vectors);
        write_cache(cache, &all, vectors);
    }
    scope_end();
    return c;
}
