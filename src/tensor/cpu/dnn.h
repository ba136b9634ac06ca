/* Convolutions and matrix products on the CPU, by oneDNN 2.6 or 3.x. Its API is known here (dnn*.c) and in
 * block_product.c alone.
 *
 * Primitives are cached by problem, weights are packed once per version of their parameter. Operand types are F32 or
 * BF16; accumulation is f32 always. All activations are contiguous, channels last. Buffers need 64-byte alignment only
 * for speed. */
#ifndef HISS_TENSOR_CPU_DNN_H
#define HISS_TENSOR_CPU_DNN_H

#include "tensor/tape.h"

/* x [batch, in_h, in_w, in_c] * w [out_c, in_c / groups, kernel_h, kernel_w] -> y [batch, out_h, out_w, out_c].
 * Row o of y reads rows o * stride - pad + k * dilation of x; rows outside x are zero. dilation 1 is a dense kernel. A
 * 1-D convolution has in_h = time and in_w = out_w = kernel_w = 1. */
typedef struct {
    int64_t batch, in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w, groups;
    dtype in, out;   /* x and weights: F32 or BF16; y: F32 or BF16 */
    bool bias;       /* + bias[out_c] (f32) */
    bool accumulate; /* y += instead of y = (y F32) */
} conv_problem;

/* Weights: the parameter (packed copies are kept with it), or a plain tensor without one (packed each call). w is F32 in
 * the checkpoint's layout; it is converted to c->in while packing. bias may be NULL if !c->bias. */
void conv_forward(const conv_problem *c, const void *x, const tensor *w, const float *bias, void *y);
/* dx = the gradient with regard to x (c->out is the type of dy, c->in the operands' and dx_type that of dx). */
void conv_backward_data(const conv_problem *c, const void *dy, const tensor *w, void *dx, dtype dx_type);
/* dw += , dbias += (f32, checkpoint layout; dbias may be NULL). x is of type c->in; dy of type c->in too. */
void conv_backward_weights(const conv_problem *c, const void *x, const void *dy, float *dw, float *dbias);

/* y [m, n] (out) = or += a [m, k] * b. b is a parameter's matrix [n, k] (as Linear keeps it; transposed false) or
 * [k, n] (transposed true), packed and cached like a convolution's. a is of type `in`. */
typedef struct {
    int64_t m, n, k;
    dtype in, out;
    bool b_transposed; /* b is [k, n] */
    bool bias, accumulate;
} matmul_problem;
void matmul_weights(const matmul_problem *p, const void *a, const tensor *b, const float *bias, void *y);

/* y [M, N] = a [M, K] b^T of a kept tensor b [N, K] whose values are I8; false where oneDNN has none. */
bool matmul_int8(int64_t M, int64_t N, int64_t K, const int8_t *a, const tensor *b, int32_t *y);

/* General products of activations: y [batch, m, n] (F32 or BF16) = or += op(a) op(b), a stored [batch, m, k] (or
 * [batch, k, m] if a_transposed), b stored [batch, k, n] (or [batch, n, k] if b_transposed); a, b of type `in`. */
void matmul(int64_t batch, int64_t m, int64_t n, int64_t k, dtype in, const void *a, bool a_transposed, const void *b,
            bool b_transposed, dtype out, void *y, bool accumulate);

/* "oneDNN 2.6.3" and the instruction set it uses. */
const char *dnn_version(void);
const char *dnn_isa(void);
/* Frees all cached primitives (packed weights go with their parameters). */
void dnn_trim(void);

#endif
