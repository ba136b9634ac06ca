/* safetensors (github.com/huggingface/safetensors): u64 size of the header, the header as JSON, the data. The header
 * maps each name to {"dtype", "shape", "data_offsets": [begin, end) in the data}, and "__metadata__" to strings. */
#include <stdlib.h>
#include <string.h>

#include "store/entries.h"

enum { HEADER_MAX = 100 << 20 }; /* the format's own bound */

static void release_json(void *value) { json_decref(value); }

bool safetensors_is(bytes file) {
    return file.size >= 10 && file.data[8] == '{' && read_little(file.data, 8) <= HEADER_MAX;
}

static json_t *parse_header(const store *s, bytes file, uint64_t size) {
    json_error_t error;
    json_t *header = json_loadb((const char *) file.data + 8, size, JSON_REJECT_DUPLICATES, &error);
    if (!header) fail(HISS_ERROR_FORMAT, "%s: the safetensors header is damaged: %s", s->path, error.text);
    defer(release_json, header);
    if (!json_is_object(header)) fail(HISS_ERROR_FORMAT, "%s: the safetensors header is not an object", s->path);
    return header;
}

static dtype parse_type(const store *s, const char *name, const json_t *value) {
    const char *text = json_string_value(value);
    for (int t = 0; text && t < DTYPES; t++)
        if (strcmp(text, dtype_name((dtype) t)) == 0) return (dtype) t;
    fail(HISS_ERROR_FORMAT, "%s: tensor '%s' is of type %s, which hiss does not read", s->path, name,
         text ? text : "(none)");
}

static shape parse_shape(const store *s, const char *name, const json_t *value) {
    size_t rank = json_array_size(value);
    if (!json_is_array(value) || rank > MAX_RANK)
        fail(HISS_ERROR_FORMAT, "%s: tensor '%s' has %s", s->path, name,
             json_is_array(value) ? "more than 8 dimensions" : "no shape: the file is damaged");
    shape result = {.rank = (int) rank};
    for (size_t i = 0; i < rank; i++) {
        const json_t *d = json_array_get(value, i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            fail(HISS_ERROR_FORMAT, "%s: tensor '%s' has an impossible shape: the file is damaged", s->path, name);
        result.dims[i] = json_integer_value(d);
    }
    return result;
}

typedef struct {
    uint64_t begin, end;
    const char *name;
} range;

static int compare_ranges(const void *a, const void *b) {
    const range *x = a, *y = b;
    return x->begin != y->begin ? (x->begin > y->begin) - (x->begin < y->begin) : (x->end > y->end) - (x->end < y->end);
}

static range read_entry(store *s, const char *name, const json_t *value, bytes data) {
    store_entry e = {.name = copy_string(name)};
    e.type = parse_type(s, name, json_object_get(value, "dtype"));
    e.shape = parse_shape(s, name, json_object_get(value, "shape"));
    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);
    int64_t begin = json_integer_value(first), end = json_integer_value(second);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second) || begin < 0 ||
        end < begin)
        fail(HISS_ERROR_FORMAT, "%s: tensor '%s' has no valid data_offsets: the file is damaged", s->path, name);
    if ((uint64_t) end > data.size)
        fail(HISS_ERROR_FORMAT, "%s: tensor '%s' ends at byte %lld of %zu: the file is cut short", s->path, name,
             (long long) end, data.size);
    uint64_t size;
    if (!shape_size(e.shape, dtype_size(e.type), &size) || size != (uint64_t) (end - begin))
        fail(HISS_ERROR_FORMAT, "%s: tensor '%s' %s %s does not fit its %lld bytes: the file is damaged", s->path, name,
             dtype_name(e.type), shape_text(e.shape), (long long) (end - begin));
    int64_t stride[MAX_RANK] = {0};
    packed_strides(e.shape, stride);
    store_add(s, &e, data.data + begin, (size_t) size, stride, false, data.size);
    return (range){(uint64_t) begin, (uint64_t) end, e.name};
}

/* No byte may serve two tensors: such a file is not safetensors. */
static void check_overlaps(const store *s, range *ranges, size_t count) {
    qsort(ranges, count, sizeof *ranges, compare_ranges);
    for (size_t i = 1; i < count; i++)
        if (ranges[i].begin < ranges[i - 1].end)
            fail(HISS_ERROR_FORMAT, "%s: tensors '%s' and '%s' overlap: the file is damaged", s->path,
                 ranges[i - 1].name, ranges[i].name);
}

void safetensors_read(store *s, bytes file) {
    uint64_t header_size = read_little(file.data, 8);
    if (header_size > file.size - 8)
        fail(HISS_ERROR_FORMAT, "%s: the header is longer than the file: it is cut short", s->path);
    bytes data = {file.data + 8 + header_size, file.size - 8 - header_size};
    json_t *header = parse_header(s, file, header_size);
    range *ranges = NEW_ARRAY(range, json_object_size(header) + 1);
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value) {
        if (strcmp(name, "__metadata__") != 0) ranges[count++] = read_entry(s, name, value, data);
        else if (json_is_object(value)) json_object_update(s->metadata, value);
    }
    check_overlaps(s, ranges, count);
}

static uint64_t bytes_of(const store_entry *e) {
    uint64_t n = dtype_size(e->type);
    for (int d = 0; d < e->shape.rank; d++) n *= (uint64_t) e->shape.dims[d];
    return n;
}

static json_t *make_header(const char *path, const store_entry *entries, size_t count, json_t *metadata) {
    json_t *header = json_make_object();
    if (metadata && json_object_set(header, "__metadata__", metadata) != 0)
        fail(HISS_ERROR_MEMORY, "%s: the metadata cannot be stored", path);
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const store_entry *e = &entries[i];
        json_t *entry = json_object(), *dims = json_array(), *offsets = json_array();
        json_object_set_new(entry, "dtype", json_string(dtype_name(e->type)));
        for (int d = 0; d < e->shape.rank; d++) json_array_append_new(dims, json_integer(e->shape.dims[d]));
        json_object_set_new(entry, "shape", dims);
        json_array_append_new(offsets, json_integer((json_int_t) at));
        at += bytes_of(e);
        json_array_append_new(offsets, json_integer((json_int_t) at));
        json_object_set_new(entry, "data_offsets", offsets);
        bool twice = json_object_get(header, e->name) != NULL;
        if (json_object_set_new(header, e->name, entry) != 0 || twice)
            fail(HISS_ERROR_ARGUMENT, "%s: a tensor cannot be stored under the name '%s'%s", path, e->name,
                 twice ? ": there are two" : "");
    }
    return header;
}

static void check_metadata(const char *path, const json_t *metadata) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *) metadata, key, value) {
        if (!json_is_string(value)) fail(HISS_ERROR_ARGUMENT, "%s: the metadata '%s' must be a string", path, key);
    }
}

void safetensors_write_each(const char *path, const store_entry *entries, size_t count,
                            const tensor *(*read)(void *context, size_t i), void *context, json_t *metadata) {
    static const char blanks[64] = "                                                                ";
    check_metadata(path, metadata);
    char *header = json_dumps(make_header(path, entries, count, metadata), JSON_COMPACT);
    if (!header) fail(HISS_ERROR_MEMORY, "%s: no memory for the header", path);
    defer(free, header);
    /* The data begin at a multiple of 64 bytes, for readers that map the file. */
    size_t length = strlen(header), padding = (64 - (8 + length) % 64) % 64;
    uint8_t size[8];
    for (int i = 0; i < 8; i++) size[i] = (uint8_t) ((uint64_t) (length + padding) >> (8 * i));
    writer *w = writer_open(path);
    writer_put(w, size, sizeof size);
    writer_put(w, header, length);
    writer_put(w, blanks, padding);
    for (size_t i = 0; i < count; i++) {
        scope_begin();
        const tensor *t = read(context, i);
        require(t->type == entries[i].type && tensor_bytes(t) == bytes_of(&entries[i]));
        writer_put(w, t->data, tensor_bytes(t));
        file_unneeded(t->data, tensor_bytes(t));
        scope_end();
    }
    writer_commit(w);
}

static const tensor *at_hand(void *items, size_t i) { return ((const named_tensor *) items)[i].value; }

void safetensors_write(const char *path, const named_tensor *items, size_t count, json_t *metadata) {
    store_entry *entries = NEW_ARRAY(store_entry, count + 1);
    for (size_t i = 0; i < count; i++)
        entries[i] = (store_entry){items[i].name, items[i].value->type, shape_of(items[i].value)};
    safetensors_write_each(path, entries, count, at_hand, (void *) items, metadata);
}
