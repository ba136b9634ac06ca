/* Products of rows with a parameter's matrix in int8: each row of x and each row of w has a scale of its own, its largest size over
 * 127; sums are exact. */
#ifndef HISS_TENSOR_CPU_INT8_H
#define HISS_TENSOR_CPU_INT8_H

#include "tensor/tape.h"

/* y [M, N] = x [M, K] (F32 or BF16) w^T + bias; w [N, K(, 1)] is a parameter, bias [N] or NULL. False, and nothing done, where oneDNN
 * has no such product. */
bool int8_product(const tensor *x, const tensor *w, const float *bias, float *y);

#endif
