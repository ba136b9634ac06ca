/* What is computed once and kept on disk, a file for each: latents of recordings, states of captions. A file belongs to a key that
 * changes with all it depends on; what is there under the key is not computed again, whoever was stopped between. */
#ifndef HISS_TRAIN_KEPT_H
#define HISS_TRAIN_KEPT_H

#include "tensor/tensor.h"

/* FOLDER/HASH.safetensors, in the current scope. */
char *kept_path(const char *folder, const char *key);
/* The tensor under the key, a view of the mapped file, and its note; NULL: none is there. */
tensor *kept_read(const char *path, const char *key, const char **note);
void kept_write(const char *path, const char *key, const tensor *value, const char *note);

#endif
