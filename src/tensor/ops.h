/* Operations: plain functions that return a new tensor in the current scope, recorded while a tape is on. Each stands with
 * its derivative in one file. Inputs are F32 or BF16; `out` names the type of the result where a choice makes sense
 * (operands() for what feeds a matrix product, F32 for sums that grow). Shapes that do not fit are bugs of the caller. */
#ifndef HISS_TENSOR_OPS_H
#define HISS_TENSOR_OPS_H

#include "tensor/tape.h"

/* --- products (conv.c, linear.c) --- */

/* x [B, T, Cin], w [Cout, Cin, K], b [Cout] or NULL -> [B, Tout, Cout], Tout = (T + pad_left + pad_right - dilation (K - 1) -
 * 1) / stride + 1; rows outside x are zero. */
typedef struct {
    int stride, dilation; /* 0 counts as 1 */
    int pad_left, pad_right;
    dtype out;
} conv1d_options;
tensor *conv1d(const tensor *x, const tensor *w, const tensor *b, conv1d_options options);
/* The padding that keeps the length (odd K, stride 1). */
tensor *conv1d_same(const tensor *x, const tensor *w, const tensor *b, int dilation, dtype out);
/* x [..., N], w [M, N], b [M] or NULL -> [..., M], F32. */
tensor *linear(const tensor *x, const tensor *w, const tensor *b);

/* --- elementwise (elementwise.c) --- */

/* A change of type that gradients pass through; x itself if it has the type already. */
tensor *cast(const tensor *x, dtype out);
tensor *scale(const tensor *x, float factor, dtype out);
tensor *relu(const tensor *x, dtype out);
tensor *leaky_relu(const tensor *x, float slope, dtype out);
tensor *silu(const tensor *x, dtype out);
/* a + b of equal shapes. */
tensor *add(const tensor *a, const tensor *b, dtype out);
/* x [B, ..., C] + d [B, C], the same for every position between. */
tensor *add_rows(const tensor *x, const tensor *d, dtype out);

/* --- gates and residuals of waveform networks (gates.c) --- */

/* sigmoid(first half) * tanh(second half) of a (+ b if not NULL), [..., 2C] -> [..., C]. (van den Oord et al. 2016) */
tensor *gated_tanh(const tensor *a, const tensor *b, dtype out);
/* (x [..., C] + first half of r [..., 2C]) * factor. */
tensor *add_first_half(const tensor *x, const tensor *r, float factor);
/* x [..., C] (or NULL for zero) + second half of r [..., 2C]. */
tensor *add_second_half(const tensor *x, const tensor *r);
/* leaky_relu(shift + gain * x), f [..., 2C] = shift, gain. Slope 1 leaves out the activation. (Perez et al. 2018, FiLM) */
tensor *film(const tensor *x, const tensor *f, float slope, dtype out);

/* silu(rms(x) (1 + gain) + shift): rms(x) = x / sqrt(mean of x^2 over C + 1e-6), no learned gain; f [B, 2C] = gain, shift for
 * every position, or NULL for neither. x [B, ..., C]. (norm.c) */
tensor *rms_silu(const tensor *x, const tensor *f, dtype out);

/* --- time (time.c) --- */

/* Every factor-th row, beginning with the first: [B, T, C] -> [B, T / factor, C]. */
tensor *pick_time(const tensor *x, int factor);
/* Each row `factor` times, after leaky_relu with this slope (1: none): [B, T, C] -> [B, T factor, C]. */
tensor *repeat_time(const tensor *x, int factor, float slope, dtype out);
/* The same memory under another shape. */
tensor *reshape(const tensor *x, shape s);

/* --- tables (embedding.c) --- */

/* Rows of w [N, C] by index: [n] -> [n, C]. */
tensor *embedding(const tensor *w, const int32_t *index, int64_t n);

/* --- losses: one number, F32 (loss.c) --- */
tensor *l1_loss(const tensor *prediction, const tensor *target);
tensor *mse_loss(const tensor *prediction, const tensor *target);
/* Mean over all elements of weight[batch] (prediction - target)^2; weight [B] or NULL for ones. */
tensor *weighted_mse_loss(const tensor *prediction, const tensor *target, const tensor *weight);

#endif
