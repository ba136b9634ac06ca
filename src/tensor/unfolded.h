/* 1-D convolutions on a device: products of the weights with unfolded columns, [time, in_c, kernel]. The columns cost kernel times
 * the bytes of x, which are few beside those of a wide f32 result; one product each way is what a GPU is fastest at. Meaning and
 * arguments as in cpu/conv1d.h. */
#ifndef HISS_TENSOR_UNFOLDED_H
#define HISS_TENSOR_UNFOLDED_H

#include "tensor/cpu/conv1d.h"

void unfolded_forward(const conv1d_problem *c, const void *x, const tensor *w, const float *bias, void *y);
void unfolded_backward_data(const conv1d_problem *c, const void *dy, const tensor *w, float *dx, bool add);
/* dbias must be NULL: it is the sum of dy's rows, in f32. */
void unfolded_backward_weights(const conv1d_problem *c, const void *x, const void *dy, float *dw, float *dbias);

#endif
