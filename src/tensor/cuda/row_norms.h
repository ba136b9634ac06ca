/* Teams of threads on rows: who takes which elements of a row, its moments, and launches over all rows. */
#ifndef HISS_TENSOR_CUDA_ROW_NORMS_H
#define HISS_TENSOR_CUDA_ROW_NORMS_H

#include "tensor/cuda/kernel.h"

/* N threads: a warp or a block. */
template <int N> struct team {
    enum { size = N };
    static DEVICE int lane() { return (int) threadIdx.x % N; }
    static DEVICE float sum(float x) {
        if constexpr (N == WARP) return warp_sum(x);
        else return block_sum<N>(x);
    }
    static DEVICE float most(float x) {
        if constexpr (N == WARP) return warp_most(x);
        else return block_most<N>(x);
    }
};

/* Calls visit(c) for every V-th column c of C that falls to this thread. */
template <class T, int V, class F> DEVICE void each(int64_t C, const F &visit) {
    for (int c = T::lane() * V; c < (int) C; c += T::size * V) visit(c);
}

struct operand {
    void *data;
    bool bf16;
};

inline operand operand_of(const rows &r) { return {r.data, r.type == BF16}; }

template <int V> DEVICE void load_or(const float *data, int64_t i, float otherwise, float *v) {
    if (data) load<V>(data, false, i, v);
    else
        for (int k = 0; k < V; k++) v[k] = otherwise;
}

/* to = v, or += for F32. */
template <int V> DEVICE void write(const operand &to, bool add, int64_t i, float *v) {
    if (to.bf16) store<V>(to.data, true, i, v);
    else put<V>((float *) to.data, i, add, v);
}

struct moments {
    float mean, inverse; /* 1 / deviation */
};

/* Of row `row` of x [rows, C]. */
template <class T, int V> DEVICE moments moments_of(const normal &m, const operand &x, int64_t row) {
    const int64_t start = row * m.C;
    float sum = 0, square = 0;
    if (m.centred) {
        each<T, V>(m.C, [&](int c) {
            float v[V];
            load<V>(x.data, x.bf16, start + c, v);
            for (int k = 0; k < V; k++) sum += v[k];
        });
        sum = T::sum(sum);
    }
    const float mean = sum / (float) m.C;
    each<T, V>(m.C, [&](int c) {
        float v[V];
        load<V>(x.data, x.bf16, start + c, v);
        for (int k = 0; k < V; k++) square += (v[k] - mean) * (v[k] - mean);
    });
    square = T::sum(square);
    return {mean, 1.0f / sqrtf(square / (float) m.C + m.eps)};
}

/* kernel.run<team, V>(row) for each row. */
template <class K, int N, int V> __global__ void each_row(const K kernel, int64_t count) {
    const int64_t teams = blockDim.x / N;
    for (int64_t row = blockIdx.x * teams + threadIdx.x / N; row < count; row += gridDim.x * teams)
        kernel.template run<team<N>, V>(row);
}

template <int N, int V, class K> void launch_rows(int64_t count, const K &kernel) {
    enum { THREADS = N == WARP ? 4 * WARP : N, TEAMS = THREADS / N };
    launch("rows", each_row<K, N, V>, pieces(count, TEAMS), dim3(THREADS), kernel, count);
}

/* Four elements at once where all operands are `aligned` and rows of C elements stay so. */
template <class K> void for_rows(int64_t count, int64_t C, bool aligned, const K &kernel) {
    enum { BLOCK = 256, MOST_OF_WARP = 1024 };
    const bool vectors = aligned && C % 4 == 0, narrow = C <= MOST_OF_WARP;
    if (narrow && vectors) launch_rows<WARP, 4>(count, kernel);
    else if (narrow) launch_rows<WARP, 1>(count, kernel);
    else if (vectors) launch_rows<BLOCK, 4>(count, kernel);
    else launch_rows<BLOCK, 1>(count, kernel);
}

#endif
