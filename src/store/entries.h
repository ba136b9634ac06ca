/* What the readers of the formats share: a store being filled. Everything a reader hands over has been checked against
 * the file's size; nothing later can read past it. */
#ifndef HISS_STORE_ENTRIES_H
#define HISS_STORE_ENTRIES_H

#include "base/file.h"
#include "store/store.h"

/* A tensor in the file: element (i, j, ..) is at data[(i * stride[0] + j * stride[1] + ..) * element size]. */
typedef struct {
    store_entry entry;
    const uint8_t *data;
    int64_t stride[MAX_RANK];
    bool packed; /* row-major without gaps */
    bool swap;   /* bytes of an element in the other order than this machine's */
    /* Of a quantised tensor (quantise.h), whose entry tells what is read: 2 to 8 bits an element, else 0. */
    int bits;
    int64_t group;         /* elements to a scale */
    const uint8_t *scales; /* BF16, unaligned */
    bool hidden;           /* the scales of another: not shown */
} stored;

struct store {
    const char *path, *kind;
    bool all; /* store_open_all */
    stored *items;
    size_t count, room;
    const stored **by_name;
    size_t expanded; /* bytes claimed by tensors that repeat elements (stride 0), bounded by the file's size */
    json_t *metadata;
};

/* The strides of a row-major tensor. */
void packed_strides(shape s, int64_t stride[MAX_RANK]);
/* Bytes of a shape; false if a dimension is negative or the product overflows 2^62. */
bool shape_size(shape s, size_t element, uint64_t *size);
/* Adds a tensor whose elements lie within `size` bytes at data, or fails. file_size bounds what stride 0 may claim. */
void store_add(store *s, const store_entry *entry, const uint8_t *data, size_t size, const int64_t *stride, bool swap,
               size_t file_size);

/* The entry of a name, NULL if there is none. */
stored *find_stored(const store *s, const char *name);
/* After the names are indexed: tensors that the metadata call quantised and their scales become one (quantise.c). */
void join_quantised(store *s);
/* All elements of a quantised tensor. */
void read_quantised(const stored *item, float *to);

/* The readers, one a format; they fill s. */
void safetensors_read(store *s, bytes file);
void torch_zip_read(store *s, bytes file);
void torch_legacy_read(store *s, bytes file);
void npy_parse(store *s, bytes file);
/* A folder's index naming which file holds which tensor. */
void shards_read(store *s, const char *index_path);

bool safetensors_is(bytes file);
bool torch_zip_is(bytes file);
bool torch_legacy_is(bytes file);
bool npy_is(bytes file);

/* Little-endian integers at any alignment. */
static inline uint64_t read_little(const uint8_t *at, int size) {
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

#endif
