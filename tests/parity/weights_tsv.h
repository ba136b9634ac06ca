/* The checkpoint that a parity case's weights.tsv describes: rows of name, shape, center, scale; element i of a tensor
 * is round_f32(center + scale * u(i)), u(i) in [-1, 1) from the name's hash and i (the case's "salt" goes before the
 * name). */
#ifndef HISS_TESTS_PARITY_WEIGHTS_TSV_H
#define HISS_TESTS_PARITY_WEIGHTS_TSV_H

#include "store/store.h"

/* Its tensors (F32), made in memory in the current scope. */
store *weights_tsv_open(const char *folder);
/* The same as a safetensors file. */
void weights_tsv_write(const char *folder, const char *path);

#endif
