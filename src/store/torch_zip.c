/* torch.save's files since 1.6: a zip archive of stored (not compressed) entries under one folder: FOLDER/data.pkl, the
 * pickle, and FOLDER/data/KEY, the storages. The zip is read here, over the mapped file, so that tensors are views of
 * it. Layout: PKWARE's APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14 to 4.3.16 (its end).
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/torch.h"

enum { END_SIZE = 22, LOCATOR_SIZE = 20, END64_SIZE = 56, ENTRY_SIZE = 46, LOCAL_SIZE = 30 };

typedef struct {
    const char *name; /* not 0-terminated */
    size_t length;
    uint64_t local, size; /* of the local header in the file; of the data */
    bool stored;
} zip_entry;

typedef struct {
    const char *path;
    bytes file;
    zip_entry *entries; /* by name */
    size_t count;
} zip;

bool torch_zip_is(bytes file) { return file.size >= 4 && memcmp(file.data, "PK\3\4", 4) == 0; }

_Noreturn static void fail_zip(const zip *z) {
    fail(HISS_ERROR_FORMAT, "%s: the zip directory is damaged or cut short", z->path);
}

/* A record of `size` bytes at an offset, with its signature; NULL if it is not there. */
static const uint8_t *record(const zip *z, uint64_t at, size_t size, const char *signature) {
    if (at > z->file.size || size > z->file.size - at) return NULL;
    const uint8_t *r = z->file.data + at;
    return memcmp(r, signature, 4) == 0 ? r : NULL;
}

/* The end record is the last one, before a comment of at most 65535 bytes. */
static uint64_t find_end(const zip *z) {
    if (z->file.size >= END_SIZE)
        for (uint64_t back = END_SIZE; back <= END_SIZE + 65535 && back <= z->file.size; back++)
            if (record(z, z->file.size - back, END_SIZE, "PK\5\6")) return z->file.size - back;
    fail_zip(z);
}

/* Sizes that do not fit 32 bits stand in the extra field 1, in this order, those only that are all ones above. */
static void read_zip64(const uint8_t *extra, size_t size, uint64_t *whole, uint64_t *packed, uint64_t *local) {
    while (size >= 4) {
        size_t id = read_little(extra, 2), length = read_little(extra + 2, 2);
        if (length > size - 4) return;
        if (id == 1) {
            const uint8_t *at = extra + 4, *end = at + length;
            uint64_t *fields[] = {whole, packed, local};
            for (int i = 0; i < 3; i++)
                if (*fields[i] == UINT32_MAX && end - at >= 8) *fields[i] = read_little(at, 8), at += 8;
            return;
        }
        extra += 4 + length;
        size -= 4 + length;
    }
}

static int compare_entries(const void *a, const void *b) {
    const zip_entry *x = a, *y = b;
    int order = memcmp(x->name, y->name, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static void read_directory(zip *z, uint64_t at, uint64_t count) {
    if (at > z->file.size || count > (z->file.size - at) / ENTRY_SIZE) fail_zip(z);
    z->entries = NEW_ARRAY(zip_entry, count + 1);
    for (; z->count < count; z->count++) {
        const uint8_t *e = record(z, at, ENTRY_SIZE, "PK\1\2");
        if (!e) fail_zip(z);
        size_t name = read_little(e + 28, 2), extra = read_little(e + 30, 2), comment = read_little(e + 32, 2);
        if (name + extra + comment > z->file.size - at - ENTRY_SIZE) fail_zip(z);
        uint64_t packed = read_little(e + 20, 4), whole = read_little(e + 24, 4), local = read_little(e + 42, 4);
        read_zip64(e + ENTRY_SIZE + name, extra, &whole, &packed, &local);
        bool encrypted = e[8] & 1, plain = read_little(e + 10, 2) == 0;
        z->entries[z->count] =
            (zip_entry){(const char *) e + ENTRY_SIZE, name, local, whole, plain && !encrypted && whole == packed};
        at += ENTRY_SIZE + name + extra + comment;
    }
    qsort(z->entries, z->count, sizeof *z->entries, compare_entries);
    for (size_t i = 1; i < z->count; i++)
        if (compare_entries(&z->entries[i - 1], &z->entries[i]) == 0)
            fail(HISS_ERROR_FORMAT, "%s: the archive holds two files named '%.*s'", z->path, (int) z->entries[i].length,
                 z->entries[i].name);
}

static void read_zip(zip *z) {
    uint64_t at = find_end(z);
    const uint8_t *end = z->file.data + at, *locator = NULL, *end64;
    uint64_t count = read_little(end + 10, 2), start = read_little(end + 16, 4);
    if (at >= LOCATOR_SIZE) locator = record(z, at - LOCATOR_SIZE, LOCATOR_SIZE, "PK\6\7");
    if (locator && (count == UINT16_MAX || start == UINT32_MAX)) {
        end64 = record(z, read_little(locator + 8, 8), END64_SIZE, "PK\6\6");
        if (!end64) fail_zip(z);
        count = read_little(end64 + 32, 8);
        start = read_little(end64 + 48, 8);
    }
    read_directory(z, start, count);
}

static const zip_entry *find_entry(const zip *z, const char *name) {
    zip_entry key = {.name = name, .length = strlen(name)};
    return bsearch(&key, z->entries, z->count, sizeof *z->entries, compare_entries);
}

/* The data of an entry; its local header has a name and an extra field of its own length. */
static bytes entry_data(const zip *z, const zip_entry *e) {
    const char *name = format("%.*s", (int) e->length, e->name);
    if (!e->stored)
        fail(HISS_ERROR_FORMAT,
             "%s: '%s' is compressed, as torch.save never does: unpack the archive and pack it with zip -0", z->path,
             name);
    const uint8_t *header = record(z, e->local, LOCAL_SIZE, "PK\3\4");
    if (!header) fail_zip(z);
    uint64_t skip = LOCAL_SIZE + read_little(header + 26, 2) + read_little(header + 28, 2);
    uint64_t left = z->file.size - e->local;
    if (skip > left || e->size > left - skip)
        fail(HISS_ERROR_FORMAT, "%s: '%s' reaches past the end: the file is cut short", z->path, name);
    return (bytes){header + skip, (size_t) e->size};
}

/* FOLDER of the one FOLDER/data.pkl. */
static const char *find_folder(const zip *z) {
    const char suffix[] = "/data.pkl";
    size_t tail = sizeof suffix - 1;
    for (size_t i = 0; i < z->count; i++) {
        const zip_entry *e = &z->entries[i];
        if (e->length <= tail || memcmp(e->name + e->length - tail, suffix, tail) != 0) continue;
        /* A 0 byte would make it another name. */
        if (!memchr(e->name, '/', e->length - tail) && !memchr(e->name, 0, e->length))
            return format("%.*s", (int) (e->length - tail), e->name);
    }
    fail(HISS_ERROR_FORMAT, "%s is a zip archive without FOLDER/data.pkl: not a file that torch.save wrote", z->path);
}

static bool is_big_endian(const zip *z, const char *folder) {
    const zip_entry *e = find_entry(z, format("%s/byteorder", folder));
    if (!e) return false;
    bytes text = entry_data(z, e);
    return text.size >= 3 && memcmp(text.data, "big", 3) == 0;
}

void torch_zip_read(store *s, bytes file) {
    zip z = {.path = s->path, .file = file};
    read_zip(&z);
    const char *folder = find_folder(&z);
    bytes pickle = entry_data(&z, find_entry(&z, format("%s/data.pkl", folder)));
    torch_reader r = {.store = s, .file = file, .pickle_size = pickle.size};
    pickle_hooks hooks = torch_hooks(&r);
    size_t at = 0;
    const pickle_value *root = pickle_read(pickle, &at, s->path, &hooks);
    for (torch_storage *storage = r.storages; storage; storage = storage->next) {
        const zip_entry *e = find_entry(&z, format("%s/data/%s", folder, storage->key));
        if (!e) fail(HISS_ERROR_FORMAT, "%s: storage '%s' is missing: the file is damaged", s->path, storage->key);
        bytes data = entry_data(&z, e);
        storage->data = data.data;
        storage->size = data.size;
    }
    torch_collect(&r, root, is_big_endian(&z, folder));
}
