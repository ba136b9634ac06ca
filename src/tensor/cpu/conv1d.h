/* 1-D convolutions on the CPU: chooses for each problem between dense views, matrix products and own loops (see dnn.h for
 * what each is good at). Same rules for types and packed weights as there. */
#ifndef HISS_TENSOR_CPU_CONV1D_H
#define HISS_TENSOR_CPU_CONV1D_H

#include "tensor/cpu/dnn.h"

/* x [batch, in_time, in_c] * w [out_c, in_c, kernel] -> y [batch, out_time, out_c]; row t of y reads rows
 * t * stride - pad_left + k * dilation of x, zero outside. */
typedef struct {
    int64_t batch, in_time, in_c, out_time, out_c;
    int kernel, stride, dilation, pad_left;
    dtype in, out; /* operands; y */
    bool bias;
} conv1d_problem;

void conv1d_forward(const conv1d_problem *c, const void *x, const tensor *w, const float *bias, void *y);
/* dx (F32) = or (add) += ; dy is of type c->in. */
void conv1d_backward_data(const conv1d_problem *c, const void *dy, const tensor *w, float *dx, bool add);
/* dw, dbias (F32, checkpoint layout) +=; dbias may be NULL. x and dy are of type c->in. */
void conv1d_backward_weights(const conv1d_problem *c, const void *x, const void *dy, float *dw, float *dbias);

#endif
