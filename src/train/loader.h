/* Batches made ready by threads of their own, beside computing. A batch lives in a scope apart that is handed over. */
#ifndef HISS_TRAIN_LOADER_H
#define HISS_TRAIN_LOADER_H

#include "train/dataset.h"

typedef struct loader loader;

/* Starts making batches `first`, `first` + 1, ... of `size` clips; the source is the threads' until the loader ends
 * with the current scope. At most LOADER_AHEAD wait. One thread makes them, or several where the source allows it. */
enum { LOADER_MAKERS = 8, LOADER_AHEAD = LOADER_MAKERS + 2 };
loader *loader_start(batch_source source, random_key key, int64_t first, int64_t size, double class_dropout);
/* The next batch, valid until the next call. Fails with what made a thread fail. */
const batch *loader_next(loader *l);

#endif
