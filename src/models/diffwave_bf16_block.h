/* What the two ways through a layer with bf16 operands share: forward (diffwave_bf16.c) and back (diffwave_bf16_backward.c). */
#ifndef HISS_MODELS_DIFFWAVE_BF16_BLOCK_H
#define HISS_MODELS_DIFFWAVE_BF16_BLOCK_H

#include "models/diffwave_bf16.h"
#include "tensor/cpu/block_product.h"

enum { BLOCK = DIFFWAVE_BF16_BLOCK, TAPS = 3 };

typedef struct {
    const block_weights *inner, *outer;
    const float *inner_bias, *outer_bias;
    int64_t dilation;
} bf16_layer;

/* A thread's memory. */
typedef struct {
    uint16_t *narrow, *gated; /* [BLOCK, K], [BLOCK, C] */
    float *wide;              /* [BLOCK, 2C] */
} bf16_scratch;

/* K: C for each tap, M, and zeros up to whole vectors (with AMX: tiles) of the inner product's steps. */
struct diffwave_bf16 {
    int64_t C, M, K;
    int threads;
    block_product *inner, *outer;
    bf16_layer *layers;
    bf16_scratch *scratches; /* of each thread */
};

typedef struct {
    const diffwave_bf16 *net;
    const bf16_layer *l;
    int64_t T;
    const diffwave_rows *r;
} bf16_kernel;

/* a [n, K]: the taps' operands around rows t .. t + n - 1, zero outside of the sound, and the mel rows; behind them stay
 * zeros. */
void bf16_gather(const bf16_kernel *k, int64_t t, int64_t n, uint16_t *a);

/* y [n, C] = the gate of wide [n, 2C]. */
void bf16_gate(const float *wide, int64_t n, int64_t C, uint16_t *y);
/* Given dy [n, C], the gradient of the gate's result: that result y, the gradient dwide [n, 2C] of wide, and its columns' sums
 * added to sum [2C]. */
void bf16_gate_slope(const float *wide, const float *dy, int64_t n, int64_t C, uint16_t *y, uint16_t *dwide,
                     float *sum);

#endif
