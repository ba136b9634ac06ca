/* Named tensors on disk: safetensors, PyTorch archives (.pt, .pth, .ckpt, .bin: zip and the older form; nothing in them
 * is executed), .npy, and sharded safetensors folders. Contents are untrusted: every size is checked before use. */
#ifndef HISS_STORE_STORE_H
#define HISS_STORE_STORE_H

#include "base/json.h"
#include "tensor/tensor.h"

typedef struct store store;

typedef struct {
    const char *name; /* e.g. "residual_layers.0.dilated_conv.weight"; for nested dicts of a .pt joined by dots */
    dtype type;
    shape shape;
} store_entry;

/* Opens by content, not by extension; lives in the current scope. A .pt that is a training checkpoint (a dict with
 * "model", "state_dict" or "generator" holding the tensors) shows that dict's tensors without the prefix; all others
 * under their full path are reached with store_open_all. A folder stands for the weights in it (model.safetensors, the
 * index of its shards, weights.pt). */
store *store_open(const char *path);
store *store_open_all(const char *path);
/* The same from memory, which must outlive the store; name: for messages. */
store *store_open_memory(const void *data, size_t size, const char *name, bool all);

const char *store_path(const store *s);
/* "safetensors", "PyTorch zip", "PyTorch legacy", "npy" */
const char *store_kind(const store *s);
size_t store_count(const store *s);
const store_entry *store_at(const store *s, size_t index);
const store_entry *store_find(const store *s, const char *name); /* NULL if there is none */
/* The tensor in its own type, contiguous, in the current scope; a view of the mapped file where the layout allows. */
tensor *store_read(const store *s, const char *name);
/* Plain values beside the tensors: a .pt's dict (numbers, strings, lists, dicts; e.g. "params", "step", "optimizer"
 * without its tensors) or the safetensors "__metadata__", as JSON. Never NULL: an empty object if there is none. */
config store_metadata(const store *s);

/* Writing safetensors: atomically, tensors in the given order, metadata: object of strings or NULL. */
typedef struct {
    const char *name;
    const tensor *value;
} named_tensor;
void safetensors_write(const char *path, const named_tensor *items, size_t count, json_t *metadata);
/* The same of values that are read one after another, each in a scope of its own: tensor i of the type and as many elements as its
 * entry says. What lies in a mapped file is given back to the system. */
void safetensors_write_each(const char *path, const store_entry *entries, size_t count,
                            const tensor *(*read)(void *context, size_t i), void *context, json_t *metadata);

/* .npy: any of the dtypes numpy has (F32, F64, F16, I64, I32, I16, I8, U8, BOOL8), C or Fortran order, little or big
 * endian, versions 1 to 3; writing is C order little endian. */
tensor *npy_read(const char *path);
void npy_write(const char *path, const tensor *t);

#endif
