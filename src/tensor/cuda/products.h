/* What the products' files share beside cuda.h. */
#ifndef HISS_TENSOR_CUDA_PRODUCTS_H
#define HISS_TENSOR_CUDA_PRODUCTS_H

#include "tensor/cuda/cuda.h"

#include <cuda_bf16.h>

extern int hiss_device;          /* its number */
extern int hiss_multiprocessors; /* of the open device */
extern int hiss_shared_bytes;    /* of shared memory that a block may ask for */

/* Element i of x, F32 or BF16, as a number. */
static __device__ __forceinline__ float element(const void *x, int type, int64_t i) {
    if (type == BF16) return __uint_as_float((uint32_t) ((const uint16_t *) x)[i] << 16);
    return ((const float *) x)[i];
}

static __device__ __forceinline__ void set_element(void *x, int type, int64_t i, float value) {
    if (type == BF16) ((__nv_bfloat16 *) x)[i] = __float2bfloat16_rn(value);
    else ((float *) x)[i] = value;
}

/* Over the 32 lanes of a warp; all get the result. */
static __device__ __forceinline__ float warp_sum(float x) {
    for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(0xffffffffu, x, lane);
    return x;
}

static __device__ __forceinline__ float warp_max(float x) {
    for (int lane = 16; lane > 0; lane /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, lane));
    return x;
}

/* Scaled, biased and masked scores of one query, whose raw products come in; keys that it does not see give -inf. */
typedef struct {
    const float *bias;   /* [S] or NULL */
    const uint8_t *mask; /* [S] or NULL */
    int64_t seen;        /* keys from here on lie in the future */
    float scale;
} score_row;

static __device__ __forceinline__ score_row score_row_of(const attention_problem *a, int64_t batch, int64_t head,
                                                         int64_t t) {
    score_row r;
    int64_t shared = batch % a->bias_batch * a->bias_heads + head % a->bias_heads;
    r.bias = a->bias ? a->bias + (shared * a->T + t) * a->S : NULL;
    r.mask = a->mask ? a->mask + batch * a->S : NULL;
    r.seen = a->causal ? t + a->S - a->T + 1 : a->S;
    r.scale = a->scale;
    return r;
}

static __device__ __forceinline__ float score(const score_row *r, float product, int64_t s) {
    if (s >= r->seen || (r->mask && !r->mask[s])) return -INFINITY;
    float x = product * r->scale;
    return r->bias ? x + r->bias[s] : x;
}

/* Attention of short sequences, each (batch item, key head) in one block's shared memory: attention_short.cu. False where it
 * does not fit; nothing is done then. */
bool attend_short(const attention_problem *a, void *y, dtype y_type, float *sums);
bool attend_short_back(const attention_problem *a, const float *y, const float *grad, const float *sums, float *dq,
                       float *dk, float *dv);

#endif
