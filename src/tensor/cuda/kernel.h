/* What the kernels share: elements of either type one or several at a time, quotients, sums over a warp or a block, launches. */
#ifndef HISS_TENSOR_CUDA_KERNEL_H
#define HISS_TENSOR_CUDA_KERNEL_H

#include <string.h>

#include "tensor/cuda/cuda.h"

#define BOTH __host__ __device__ inline
#define DEVICE __device__ inline

enum { WARP = 32, MOST_BLOCKS = 1 << 20 };

/* --- elements --- */

/* V elements that move at once. */
template <class T, int V> struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) pack { T at[V]; };

DEVICE float widen(uint16_t x) {
    uint32_t bits = (uint32_t) x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

/* To the nearest bf16, ties to even; NaN stays NaN. */
DEVICE uint16_t narrow(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return (uint16_t) ((u & 0x7FFFFFFF) > 0x7F800000 ? (u >> 16) | 0x40 : (u + 0x7FFF + ((u >> 16) & 1)) >> 16);
}

/* Elements i .. i + V - 1 as f32; i is a multiple of V and data aligned to min(16, V elements). */
template <int V> DEVICE void load(const void *data, bool bf16, int64_t i, float *v) {
    if (bf16) {
        const pack<uint16_t, V> p = *(const pack<uint16_t, V> *) ((const uint16_t *) data + i);
#pragma unroll
        for (int k = 0; k < V; k++) v[k] = widen(p.at[k]);
    } else {
        const pack<float, V> p = *(const pack<float, V> *) ((const float *) data + i);
#pragma unroll
        for (int k = 0; k < V; k++) v[k] = p.at[k];
    }
}

template <int V> DEVICE void store(void *data, bool bf16, int64_t i, const float *v) {
    if (bf16) {
        pack<uint16_t, V> p;
#pragma unroll
        for (int k = 0; k < V; k++) p.at[k] = narrow(v[k]);
        *(pack<uint16_t, V> *) ((uint16_t *) data + i) = p;
    } else {
        pack<float, V> p;
#pragma unroll
        for (int k = 0; k < V; k++) p.at[k] = v[k];
        *(pack<float, V> *) ((float *) data + i) = p;
    }
}

/* data (+)= v, f32. */
template <int V> DEVICE void put(float *data, int64_t i, bool add, float *v) {
    if (add) {
        float old[V];
        load<V>(data, false, i, old);
#pragma unroll
        for (int k = 0; k < V; k++) v[k] += old[k];
    }
    store<V>(data, false, i, v);
}

inline bool aligned(const void *p) { return (uintptr_t) p % 16 == 0; }

/* --- numbers --- */

/* a / b of numbers >= 0: devices divide 32 bits several times faster than 64. */
BOTH int64_t quotient(int64_t a, int64_t b) { return (a | b) >> 32 ? a / b : (int64_t) ((uint32_t) a / (uint32_t) b); }

BOTH int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
BOTH int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
BOTH int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

/* --- sums: the same value in each lane, in an order that depends on the number of lanes only --- */

template <class T> DEVICE T warp_sum(T x) {
#pragma unroll
    for (int step = WARP / 2; step; step /= 2) x += __shfl_xor_sync(~0u, x, step);
    return x;
}

DEVICE float warp_most(float x) {
#pragma unroll
    for (int step = WARP / 2; step; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
    return x;
}

/* Of a whole block of N threads, N a multiple of a warp. */
template <int N, class T> DEVICE T block_sum(T x) {
    __shared__ T part[N / WARP];
    x = warp_sum(x);
    __syncthreads(); /* the last sum may still be read */
    if (threadIdx.x % WARP == 0) part[threadIdx.x / WARP] = x;
    __syncthreads();
    T sum = 0;
    for (int i = 0; i < N / WARP; i++) sum += part[i];
    return sum;
}

template <int N> DEVICE float block_most(float x) {
    __shared__ float part[N / WARP];
    x = warp_most(x);
    __syncthreads();
    if (threadIdx.x % WARP == 0) part[threadIdx.x / WARP] = x;
    __syncthreads();
    float most = part[0];
    for (int i = 1; i < N / WARP; i++) most = fmaxf(most, part[i]);
    return most;
}

/* --- launches --- */

template <class... P, class... A>
void launch(const char *name, void (*kernel)(P...), int64_t blocks, dim3 threads, const A &...arguments) {
    if (blocks <= 0) return;
    kernel<<<(unsigned) smaller(blocks, MOST_BLOCKS), threads, 0, cuda_stream>>>(arguments...);
    CHECK_LAUNCH(name);
}

/* Calls work(i) for each i < n, on as many threads. */
template <class W> __global__ void each_item(const W work, int64_t n) {
    const int64_t step = (int64_t) gridDim.x * blockDim.x;
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) work(i);
}

template <class W> void for_each(const char *name, int64_t n, const W &work) {
    enum { THREADS = 256 };
    launch(name, each_item<W>, pieces(n, THREADS), dim3(THREADS), work, n);
}

#endif
