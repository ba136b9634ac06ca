/* What the ways of attention.cu, attention_short.cu and attention_tensor.cu share: which way is taken, and what happens to a row
 * of scores, one warp to a row. */
#ifndef HISS_TENSOR_CUDA_ATTENTION_ROWS_H
#define HISS_TENSOR_CUDA_ATTENTION_ROWS_H

#include "tensor/cuda/products.h"

/* What the way back is given; dq, dk, dv and dbias may be NULL. y and grad [B, T, H D], sums [B, H, T]. */
typedef struct {
    const float *y, *grad, *sums;
    float *dq, *dk, *dv, *dbias;
} attention_slopes;

/* Attention of short sequences, each (batch item, key head) in one block's shared memory: with f32 products, and with bf16 ones on
 * tensor cores. False where it does not fit; nothing is done then. The ways back have no part for dbias. */
bool attend_short(const attention_problem *a, void *y, dtype y_type, float *sums);
bool attend_short_back(const attention_problem *a, const attention_slopes *d);
bool attend_tensor(const attention_problem *a, void *y, dtype y_type, float *sums);
bool attend_tensor_back(const attention_problem *a, const attention_slopes *d);

/* Beyond these a launch or an index could overflow; the shared memory says no long before for most. */
static inline bool is_short(const attention_problem *a) {
    return a->T <= 1024 && a->S <= 1024 && a->D <= 512 && a->S > 0 && a->B * a->G <= INT32_MAX;
}

/* Whether x (or NULL) can be read by four elements of a type. */
static inline bool by_fours(const void *x, int type) { return (uintptr_t) x % (type == BF16 ? 8 : 16) == 0; }

static __device__ __forceinline__ float4 four_elements(const void *x, int type, int64_t at) {
    if (type != BF16) return *(const float4 *) ((const float *) x + at);
    uint2 pair = *(const uint2 *) ((const uint16_t *) x + at);
    return make_float4(__uint_as_float(pair.x << 16), __uint_as_float(pair.x & 0xffff0000u),
                       __uint_as_float(pair.y << 16), __uint_as_float(pair.y & 0xffff0000u));
}

/* Four elements of a row from d on, of D; zero past the end. */
static __device__ __forceinline__ float4 four_of_row(const void *x, int type, int64_t at, int d, int D, bool vector) {
    if (vector) return four_elements(x, type, at);
    float4 four = make_float4(element(x, type, at), 0, 0, 0);
    if (d + 1 < D) four.y = element(x, type, at + 1);
    if (d + 2 < D) four.z = element(x, type, at + 2);
    if (d + 3 < D) four.w = element(x, type, at + 3);
    return four;
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

static __device__ __forceinline__ score_row score_row_of(const attention_problem &a, int64_t batch, int64_t head,
                                                         int64_t t) {
    score_row r;
    int64_t shared = a.bias ? batch % a.bias_batch * a.bias_heads + head % a.bias_heads : 0;
    r.bias = a.bias ? a.bias + (shared * a.T + t) * a.S : NULL;
    r.mask = a.mask ? a.mask + batch * a.S : NULL;
    r.seen = a.causal ? t + a.S - a.T + 1 : a.S;
    r.scale = a.scale;
    return r;
}

static __device__ __forceinline__ float score(const score_row &r, float product, int64_t s) {
    if (s >= r.seen || (r.mask && !r.mask[s])) return -INFINITY;
    float x = product * r.scale;
    return r.bias ? x + r.bias[s] : x;
}

/* A query's products x [S] become weights; sums [B, H, T] or NULL gets the log of the row's sum. */
static __device__ __forceinline__ void soften(const attention_problem &a, float *x, int64_t batch, int64_t head,
                                              int64_t t, float *sums) {
    score_row r = score_row_of(a, batch, head, t);
    int lane = threadIdx.x % 32;
    float most = -INFINITY, sum = 0;
    for (int64_t s = lane; s < a.S; s += 32) {
        x[s] = score(r, x[s], s);
        most = fmaxf(most, x[s]);
    }
    most = warp_max(most);
    float base = most == -INFINITY ? 0.0f : most; /* nothing is seen: exp(-inf) = 0 each */
    for (int64_t s = lane; s < a.S; s += 32) {
        x[s] = expf(x[s] - base);
        sum += x[s];
    }
    sum = warp_sum(sum);
    float inverse = sum > 0 ? 1.0f / sum : 0.0f;
    for (int64_t s = lane; s < a.S; s += 32) x[s] *= inverse;
    if (sums && lane == 0) sums[(batch * a.H + head) * a.T + t] = sum > 0 ? base + logf(sum) : INFINITY;
}

/* A query's products p [S] -> its weights P, and dp [S] -> dS = P (dP - the sum over d of dO O). */
static __device__ __forceinline__ void slope_scores(const attention_problem &a, float *p, float *dp,
                                                    const attention_slopes &slopes, int64_t batch, int64_t head,
                                                    int64_t t) {
    score_row r = score_row_of(a, batch, head, t);
    int lane = threadIdx.x % 32;
    int64_t at = ((batch * a.T + t) * a.H + head) * a.D;
    float delta = 0, sum = slopes.sums[(batch * a.H + head) * a.T + t];
    for (int64_t d = lane; d < a.D; d += 32) delta += slopes.grad[at + d] * slopes.y[at + d];
    delta = warp_sum(delta);
    for (int64_t s = lane; s < a.S; s += 32) {
        float x = score(r, p[s], s), w = x == -INFINITY || sum == INFINITY ? 0.0f : expf(x - sum);
        p[s] = w;
        dp[s] = w * (dp[s] - delta);
    }
}

#endif
