/* torch.save's files before 1.6: pickles one after another (a magic number; 1001; a dict with "little_endian"; the
 * object; the list of the storages' keys), then for each key an int64 count and the data. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/torch.h"

/* LONG1 of ten bytes, 0x1950a86a20f9469cfc6c, after PROTO n (and FRAME from protocol 4 on). */
static const uint8_t magic[] = {0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
enum { FRAMED = 2 + 9 };

bool torch_legacy_is(bytes file) {
    if (file.size < FRAMED + sizeof magic || file.data[0] != 0x80) return false;
    return memcmp(file.data + 2, magic, sizeof magic) == 0 || memcmp(file.data + FRAMED, magic, sizeof magic) == 0;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp((*(torch_storage *const *) a)->key, (*(torch_storage *const *) b)->key);
}

/* All mentions of a storage, sorted by key: one key may be mentioned many times, with different views. */
static torch_storage **sort_storages(const torch_reader *r) {
    torch_storage **sorted = (torch_storage **) alloc_zero(r->storage_count + 1, sizeof *sorted);
    size_t n = 0;
    for (torch_storage *s = r->storages; s; s = s->next) sorted[n++] = s;
    qsort(sorted, n, sizeof *sorted, compare_keys);
    return sorted;
}

/* The first mention of a key. */
static size_t first_mention(torch_storage **sorted, size_t count, const char *key) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(sorted[middle]->key, key) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Gives each mention of the key its part of the data, which begins at *at with its count. */
static void place_storage(const torch_reader *r, torch_storage **sorted, const char *key, bool big_endian, size_t *at) {
    size_t first = first_mention(sorted, r->storage_count, key), left = r->file.size - *at;
    if (left < 8) fail(HISS_ERROR_FORMAT, "%s: storage '%s' is missing: the file is cut short", r->store->path, key);
    uint64_t count = 0, size;
    for (int i = 0; i < 8; i++) count |= (uint64_t) r->file.data[*at + (size_t) i] << 8 * (big_endian ? 7 - i : i);
    *at += 8;
    if (first == r->storage_count || strcmp(sorted[first]->key, key) != 0 || sorted[first]->type == DTYPES)
        fail(HISS_ERROR_FORMAT, "%s: storage '%s' is of an unknown type: the file cannot be read", r->store->path, key);
    size_t element = dtype_size(sorted[first]->type);
    if (__builtin_mul_overflow(count, element, &size) || size > left - 8)
        fail(HISS_ERROR_FORMAT, "%s: storage '%s' reaches past the end: the file is cut short", r->store->path, key);
    for (size_t i = first; i < r->storage_count && strcmp(sorted[i]->key, key) == 0; i++) {
        torch_storage *s = sorted[i];
        if (s->type != sorted[first]->type || (uint64_t) s->first > count ||
            (uint64_t) s->count > count - (uint64_t) s->first)
            fail(HISS_ERROR_FORMAT, "%s: storage '%s' is smaller than said: the file is damaged", r->store->path, key);
        s->data = r->file.data + *at + (size_t) s->first * element;
        s->size = (size_t) s->count * element;
    }
    *at += (size_t) size;
}

void torch_legacy_read(store *s, bytes file) {
    torch_reader r = {.store = s, .file = file};
    pickle_hooks hooks = torch_hooks(&r);
    size_t at = 0;
    for (int i = 0; i < 2; i++) pickle_read(file, &at, s->path, NULL);
    const pickle_value *little = pickle_get(pickle_read(file, &at, s->path, NULL), "little_endian");
    bool big_endian = little && little->kind == PICKLE_BOOL && !little->integer;
    size_t start = at;
    const pickle_value *root = pickle_read(file, &at, s->path, &hooks);
    r.pickle_size = at - start;
    const pickle_value *keys = pickle_read(file, &at, s->path, NULL);
    torch_storage **sorted = sort_storages(&r);
    for (size_t i = 0; keys->kind == PICKLE_LIST && i < keys->count; i++) {
        if (keys->items[i]->kind != PICKLE_TEXT)
            fail(HISS_ERROR_FORMAT, "%s: a storage has no name: the file is damaged", s->path);
        place_storage(&r, sorted, keys->items[i]->text, big_endian, &at);
    }
    for (torch_storage *storage = r.storages; storage; storage = storage->next)
        if (!storage->data)
            fail(HISS_ERROR_FORMAT, "%s: storage '%s' is missing: the file is cut short", s->path, storage->key);
    torch_collect(&r, root, big_endian);
}
