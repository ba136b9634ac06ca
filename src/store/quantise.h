/* Tensors stored in 2 to 8 bits an element: a row's elements in groups, each with one scale; value = q scale.
 *
 * A file says what it holds so in its metadata: "quantised" is JSON text, {"group": 32, "tensors": {NAME: {"bits": 5,
 * "shape": [..]}}}. R is the shape's first dimension, L the product of the others. The tensor NAME then is U8 [R, ceil(L
 * bits / 8)]: element i of a row, as q + 2^(bits - 1), in the bits from i bits on, the lowest of a byte first. NAME.scale is
 * [R, ceil(L / group)], BF16. A store shows NAME as an F32 tensor of its shape and hides NAME.scale. */
#ifndef HISS_STORE_QUANTISE_H
#define HISS_STORE_QUANTISE_H

#include "store/store.h"

/* Whether a tensor gains by it: a matrix or higher of at least QUANTISE_LEAST elements. */
enum { QUANTISE_GROUP = 32, QUANTISE_LEAST = 4096 };
bool quantise_worth(const tensor *t);
/* items as safetensors_write takes them, with those for which bits[i] is 2 to 8 in two tensors each (0: as it is);
 * *count is changed, metadata gets "quantised". */
named_tensor *quantise_all(const named_tensor *items, size_t *count, const int *bits, json_t *metadata);

#endif
