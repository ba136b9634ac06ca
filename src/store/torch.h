/* What the two forms of torch.save's files share: the pickle's tensors and storages, and the walk that names them. */
#ifndef HISS_STORE_TORCH_H
#define HISS_STORE_TORCH_H

#include "store/entries.h"
#include "store/pickle.h"

/* A run of elements kept outside the pickle. The reader of the form fills data and size (bytes) before torch_collect.
 */
typedef struct torch_storage torch_storage;
struct torch_storage {
    const char *key;
    dtype type;           /* DTYPES where hiss has none */
    bool untyped;         /* bytes: the type comes with the tensor */
    const char *name;     /* of its class, for messages */
    int64_t first, count; /* elements of the kept data: all of it, but for the views of the older form */
    const uint8_t *data;
    size_t size;
    torch_storage *next;
};

typedef struct {
    store *store;
    bytes file;
    size_t pickle_size;
    torch_storage *storages; /* all that the pickle named, newest first */
    size_t storage_count;
    const char *unknown; /* the first class that stayed inert */
} torch_reader;

pickle_hooks torch_hooks(torch_reader *r);
/* Adds the tensors of the pickled value to the store, and the plain values to its metadata. */
void torch_collect(torch_reader *r, const pickle_value *root, bool swap);

#endif
