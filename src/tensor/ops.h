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
    bool exact;  /* F32 operands whatever the precision: of small layers that much follows from */
    bool coarse; /* int8 where that is asked for: a kernel of 1 with a parameter, on the host */
} conv1d_options;
tensor *conv1d(const tensor *x, const tensor *w, const tensor *b, conv1d_options options);
/* The padding that keeps the length (odd K, stride 1). */
tensor *conv1d_same(const tensor *x, const tensor *w, const tensor *b, int dilation, dtype out);
/* conv1d_same of x with each row `factor` times (odd K), which is not made for it (conv_repeated.c): rows first .. end - 1 of
 * the result; end 0: all of them, which alone can be recorded. */
typedef struct {
    int factor, dilation;
    int64_t first, end;
    dtype out;
} repeated_options;
tensor *conv1d_repeated(const tensor *x, const tensor *w, const tensor *b, repeated_options options);
/* x [..., N], w [M, N], b [M] or NULL -> [..., M], F32; multiplied in the type of x. */
tensor *linear(const tensor *x, const tensor *w, const tensor *b);
/* The same with w [N, M] (linear_columns.c). */
tensor *linear_columns(const tensor *x, const tensor *w, const tensor *b);

/* x [B, H, W, Cin], w [Cout, Cin, Kh, Kw], b [Cout] or NULL -> [B, H', W', Cout], F32; pairs are of height and width, padding is
 * zeros on both sides, H' = (H + 2 pad - dilation (Kh - 1) - 1) / stride + 1. (conv2d.c) */
typedef struct {
    int stride[2], dilation[2]; /* 0 counts as 1 */
    int pad[2];
} conv2d_options;
tensor *conv2d(const tensor *x, const tensor *w, const tensor *b, conv2d_options options);

/* --- elementwise (elementwise.c) --- */

/* A change of type that gradients pass through; x itself if it has the type already. */
tensor *cast(const tensor *x, dtype out);
tensor *scale(const tensor *x, float factor, dtype out);
tensor *relu(const tensor *x, dtype out);
tensor *leaky_relu(const tensor *x, float slope, dtype out);
tensor *silu(const tensor *x, dtype out);
tensor *tanh_of(const tensor *x, dtype out);
/* The square root of x, of 0 where x is below; its slope is held to that at 1e-12. */
tensor *square_root(const tensor *x, dtype out);
/* x, or exp(x) - 1 below 0. (Clevert et al. 2016, arXiv 1511.07289) */
tensor *elu(const tensor *x, dtype out);
/* x Phi(x), and its form with tanh. (Hendrycks and Gimpel 2016) */
tensor *gelu(const tensor *x, dtype out);
tensor *gelu_tanh(const tensor *x, dtype out);
/* a + b of equal shapes. */
tensor *add(const tensor *a, const tensor *b, dtype out);
/* x [B, ..., C] + d [B, C], the same for every position between. */
tensor *add_rows(const tensor *x, const tensor *d, dtype out);

/* --- products with what is shared (broadcast.c) --- */

/* a * b of equal shapes. */
tensor *multiply(const tensor *a, const tensor *b, dtype out);
/* x * gain [C], the same for every position. */
tensor *scale_channels(const tensor *x, const tensor *gain, dtype out);
/* x * gate [B, C], the same for every position of a batch item: x [B, ..., C]. */
tensor *gate_channels(const tensor *x, const tensor *gate, dtype out);
/* x + y * gate, gate [B, C] or NULL for ones; x and y [B, ..., C] -> F32. */
tensor *gated_add(const tensor *x, const tensor *y, const tensor *gate);

/* (x - mean) / deviation for each channel, mean and deviation [C], cut to +-limit; not recorded, F32. (standardize.c) */
tensor *standardize(const tensor *x, const tensor *mean, const tensor *deviation, float limit);

/* --- norms over the last dimension (normalize.c) --- */

/* (x - mean) / sqrt(variance + eps) * gain + bias; gain and bias [C], each may be NULL. */
tensor *layer_norm(const tensor *x, const tensor *gain, const tensor *bias, float eps, dtype out);
/* x / sqrt(mean of x^2 + eps) * gain; gain [C] or NULL. */
tensor *rms_norm(const tensor *x, const tensor *gain, float eps, dtype out);
/* Either norm, then * (1 + scale) + shift with scale and shift [B, C] for x [B, ..., C] (adaLN); each of gain, bias, scale,
 * shift may be NULL. */
typedef enum { NORM_LAYER, NORM_RMS } norm_kind;
tensor *modulated_norm(norm_kind kind, const tensor *x, const tensor *gain, const tensor *bias, const tensor *scale,
                       const tensor *shift, float eps, dtype out);

/* --- transformers (attention.c, rotary.c, glu.c, softmax.c, depthwise.c) --- */

/* softmax(q k^T scale + bias) v for each head. q [B, T, H D], k and v [B, S, G D], H a multiple of G (grouped heads) ->
 * [B, T, H D]. Scores and sums are f32. A query that sees no key gives zeros. */
typedef struct {
    int heads, key_heads; /* H; G, 0 for H */
    float scale;          /* 0: 1 / sqrt(D) */
    const tensor *bias;   /* [H, T, S], or [1 or B, 1 or H, T, S], F32; gradients flow to it */
    const tensor *mask;   /* bytes (U8, BOOL8) [B, S]: 0 hides the key; kept as it is while recording */
    bool causal;          /* query t sees keys up to t + S - T */
    dtype out;
} attention_options;
tensor *attention(const tensor *q, const tensor *k, const tensor *v, attention_options options);

/* Rotary positions on the first `dims` channels of each head, x [B, T, H D] -> F32. Pairs are (i, i + dims / 2), or
 * (2i, 2i + 1) if interleaved; pair i of position p turns by p base^(-2i / dims). */
typedef struct {
    int heads, dims; /* dims 0: all */
    float base;      /* 0: 10000 */
    int64_t offset;  /* position of the first row */
    bool interleaved;
} rotary_options;
tensor *rotary(const tensor *x, rotary_options options);

/* Gated linear unit: half `gate_half` (0 or 1) of x [..., 2C], activated, times the other half. GLU_SILU with gate_half 0
 * is SwiGLU as Llama has it; torch's chunk order "x, gate" is gate_half 1. */
typedef enum { GLU_SILU, GLU_GELU, GLU_GELU_TANH, GLU_SIGMOID } glu_kind;
tensor *glu(const tensor *x, glu_kind kind, int gate_half, dtype out);
/* Over the last dimension, F32. */
tensor *softmax(const tensor *x);
/* Each channel with its own kernel, the length kept: x [B, T, C], w [C, 1, K], b [C] or NULL -> F32. Row t reads rows
 * t - (K - 1) dilation / 2 + k dilation. dilation 0 counts as 1. */
tensor *depthwise_conv1d(const tensor *x, const tensor *w, const tensor *b, int dilation);

/* --- runs of rows and channels (slice.c); types stay --- */

/* [B, T, C] -> [B, length, C]; [..., C] -> [..., length]. */
tensor *slice_time(const tensor *x, int64_t first, int64_t length);
tensor *slice_channels(const tensor *x, int64_t first, int64_t length);
/* a before b, of one type. */
tensor *concat_time(const tensor *a, const tensor *b);
tensor *concat_channels(const tensor *a, const tensor *b);
/* [B, T, C] -> [B, C], F32, over the positions that mask (bytes [B, T], or NULL for all) keeps; zeros where it keeps none. */
tensor *mean_time(const tensor *x, const tensor *mask);

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

/* --- autoencoders of sound (snake.c, transposed.c, weight_norm.c) --- */

/* x + sin(a x)^2 / (b + 1e-9) with a = exp(alpha), b = exp(beta), [C] each. */
tensor *snake(const tensor *x, const tensor *alpha, const tensor *beta, dtype out);
/* The transposed convolution of w [Cin, Cout, K]: its kernel [stride Cout, Cin, ceil(K / stride)] and bias [stride Cout] as
 * those of a dense one, made once; x [B, T, Cin] with these -> [B, (T - 1) stride - 2 pad + K, Cout]. bias may be NULL. */
tensor *transposed_kernel(const tensor *w, int stride);
tensor *transposed_bias(const tensor *b, int stride);
typedef struct {
    int stride, width, pad; /* width: K */
    dtype out;
    bool exact; /* as conv1d's */
} transposed_options;
tensor *transposed_conv1d(const tensor *x, const tensor *kernel, const tensor *bias, transposed_options options);
/* gain v / |v|, the length over all dimensions but the first; gain as many as those. */
tensor *weight_norm(const tensor *v, const tensor *gain);

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

/* cos(2 pi x w) and sin(2 pi x w), w [H] or [H, 1] -> [N, 2 H]; gradients flow to w alone. (fourier.c) */
tensor *fourier_waves(const float *x, int64_t N, const tensor *w, bool cosines_first);

/* --- losses: one number, F32 (loss.c) --- */
tensor *l1_loss(const tensor *prediction, const tensor *target);
tensor *mse_loss(const tensor *prediction, const tensor *target);
/* Mean over all elements of weight[batch] (prediction - target)^2; weight [B] or NULL for ones. */
tensor *weighted_mse_loss(const tensor *prediction, const tensor *target, const tensor *weight);

/* Mean over rows of -ln softmax(logits [B, K])[label]; labels [B], rows below 0 do not count. (cross_entropy.c) */
tensor *cross_entropy(const tensor *logits, const int32_t *labels);

#endif
