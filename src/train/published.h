/* Published files with what was learned in them. */
#ifndef HISS_TRAIN_PUBLISHED_H
#define HISS_TRAIN_PUBLISHED_H

#include "store/store.h"
#include "tensor/tape.h"

/* Writes the tensors of the file `source` to path, each as it was but for those that p learns, as F32. called: its name there, NULL
 * where it is left out. */
void published_write(const char *path, const char *source, const params *p,
                     const char *(*called)(const store *s, const char *name));

#endif
