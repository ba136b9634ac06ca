/* Convolutions in f32 by tiles of our own: see tile.h. Of any kernel, dilation and padding; measured against oneDNN 2.6's
 * with AVX-512 as shares of what the vector units could do: 0.85 to 0.97 against 0.4 to 0.8. */
#ifndef HISS_TENSOR_CPU_CONV_F32_H
#define HISS_TENSOR_CPU_CONV_F32_H

#include "tensor/cpu/conv1d.h"

/* y, or (add) +=. All of a problem's tensors are F32. */
void conv_f32_forward(const conv1d_problem *c, const float *x, const tensor *w, const float *bias, float *y, bool add);
/* Stride 1 only. */
void conv_f32_backward_data(const conv1d_problem *c, const float *dy, const tensor *w, float *dx, bool add);
/* dw [out_c, in_c, kernel] += . */
void conv_f32_backward_weights(const conv1d_problem *c, const float *x, const float *dy, float *dw);

/* Rows first .. end - 1 of a convolution (that keeps the length) of x [in_time, in_c] with each row `factor` times, which are
 * not there: taps that fall on one row are added up first. */
typedef struct {
    int64_t in_time, in_c, out_c, first, end;
    int kernel, dilation, factor;
} repeated_problem;
void conv_f32_repeated(const repeated_problem *c, const float *x, const tensor *w, const float *bias, float *y);

/* Of a kernel that computes more than the product of its rows, on its own threads: weights laid out once, then products of
 * some rows, y [rows, columns] = or (add) += the sum over taps of x[r row + k tap] times the weights, + bias. */
typedef struct {
    const float *panels, *bias;
    int64_t taps, steps, columns;
} f32_weights;
f32_weights f32_weights_of(const tensor *w, const tensor *bias);
/* For the gradient of the input of a kernel of 1. */
f32_weights f32_weights_turned(const tensor *w);
void f32_rows(const f32_weights *w, const float *x, int64_t row, int64_t tap, int64_t rows, float *y, bool add);

#endif
