/* Sums down columns, in a fixed order: `groups` of `count` rows, `width` columns. A source says what each row adds, a sink where
 * a column's sum goes; many rows are cut into chunks whose sums are then added by the same kernel.
 *
 *     struct source { enum { sums = S };  void add(int64_t group, int64_t row, int64_t column, float sum[S]) const; };
 *     struct sink { void put(int64_t group, int64_t chunk, const float sum[S], int64_t column) const; };
 *
 * The cut depends on the problem alone: the same numbers give the same sums at each call. */
#ifndef HISS_TENSOR_CUDA_COLUMN_SUMS_H
#define HISS_TENSOR_CUDA_COLUMN_SUMS_H

#include "tensor/cuda/kernel.h"

struct column_plan {
    int64_t groups, count, width;
    int64_t chunks, chunk_rows, tiles; /* a tile: `across` columns */
    int across;                        /* a power of two up to a warp */
    bool serial;                       /* a thread a column */

    /* Numbers of scratch memory for S sums. */
    int64_t partials(int sums) const { return chunks > 1 ? groups * chunks * sums * width : 0; }
};

enum { SUM_THREADS = 256, FINAL_THREADS = 1024 };

inline column_plan plan_columns(int64_t groups, int64_t count, int64_t width) {
    enum { ENOUGH_BLOCKS = 1024, FEW_ROWS = 16, MANY_COLUMNS = 1 << 17, LEAST_ROWS = 8 /* of a thread */ };
    column_plan p = {groups, count, width, 1, count, 1, 1, false};
    while (p.across < WARP && p.across < width) p.across *= 2;
    p.tiles = pieces(width, p.across);
    p.serial = count <= FEW_ROWS || (width >= WARP && groups * width >= MANY_COLUMNS);
    if (p.serial || !groups || !width) return p;
    const int64_t most = pieces(count, SUM_THREADS / p.across * LEAST_ROWS);
    p.chunks = larger(1, smaller(most, ENOUGH_BLOCKS / (groups * p.tiles)));
    p.chunk_rows = pieces(count, p.chunks);
    p.chunks = pieces(count, p.chunk_rows);
    return p;
}

/* Sums of chunks [groups, chunks, S, width]. */
template <int S> struct partial_sink {
    float *partial;
    int64_t chunks, width;
    __device__ void put(int64_t group, int64_t chunk, const float *sum, int64_t column) const {
        for (int s = 0; s < S; s++) partial[((group * chunks + chunk) * S + s) * width + column] = sum[s];
    }
};

template <int S> struct partial_source {
    enum { sums = S };
    const float *partial;
    int64_t chunks, width;
    __device__ void add(int64_t group, int64_t chunk, int64_t column, float *sum) const {
        for (int s = 0; s < S; s++) sum[s] += partial[((group * chunks + chunk) * S + s) * width + column];
    }
};

/* Threads [down, across]: each sums every down-th row of its column, then the block adds those up as a tree. */
template <class SOURCE, class SINK, int THREADS>
__global__ void __launch_bounds__(THREADS) sum_columns(const SOURCE source, const SINK sink, const column_plan p) {
    enum { S = SOURCE::sums };
    __shared__ float part[S][THREADS];
    const int tx = (int) threadIdx.x % p.across, ty = (int) threadIdx.x / p.across, down = THREADS / p.across;
    for (int64_t block = blockIdx.x; block < p.groups * p.chunks * p.tiles; block += gridDim.x) {
        const int64_t tile = block % p.tiles, chunk = block / p.tiles % p.chunks, group = block / p.tiles / p.chunks;
        const int64_t column = tile * p.across + tx, first = chunk * p.chunk_rows;
        const int64_t last = smaller(first + p.chunk_rows, p.count);
        float sum[S] = {};
        if (column < p.width) {
#pragma unroll 4
            for (int64_t r = first + ty; r < last; r += down) source.add(group, r, column, sum);
        }
        __syncthreads(); /* the last block's sums are still being read */
        for (int s = 0; s < S; s++) part[s][threadIdx.x] = sum[s];
        __syncthreads();
        for (int half = down / 2; half; half /= 2) {
            if (ty < half)
                for (int s = 0; s < S; s++) part[s][threadIdx.x] += part[s][threadIdx.x + half * p.across];
            __syncthreads();
        }
        if (ty || column >= p.width) continue;
        for (int s = 0; s < S; s++) sum[s] = part[s][tx];
        sink.put(group, chunk, sum, column);
    }
}

/* A column of few rows, or one of very many columns. */
template <class SOURCE, class SINK> struct serial_sum {
    SOURCE source;
    SINK sink;
    int64_t count, width;
    __device__ void operator()(int64_t i) const {
        const int64_t group = quotient(i, width), column = i - group * width;
        float sum[SOURCE::sums] = {};
#pragma unroll 4
        for (int64_t r = 0; r < count; r++) source.add(group, r, column, sum);
        sink.put(group, 0, sum, column);
    }
};

/* partial: scratch of p.partials(S) numbers. */
template <class SOURCE, class SINK>
void run_columns(const char *name, const column_plan &p, const SOURCE &source, const SINK &sink, float *partial) {
    enum { S = SOURCE::sums };
    if (p.serial) {
        for_each(name, p.groups * p.width, serial_sum<SOURCE, SINK>{source, sink, p.count, p.width});
        return;
    }
    const int64_t blocks = p.groups * p.chunks * p.tiles;
    if (p.chunks == 1) {
        launch(name, sum_columns<SOURCE, SINK, SUM_THREADS>, blocks, dim3(SUM_THREADS), source, sink, p);
        return;
    }
    const partial_sink<S> to = {partial, p.chunks, p.width};
    const partial_source<S> from = {partial, p.chunks, p.width};
    launch(name, sum_columns<SOURCE, partial_sink<S>, SUM_THREADS>, blocks, dim3(SUM_THREADS), source, to, p);
    column_plan last = p;
    last.count = last.chunk_rows = p.chunks;
    last.chunks = 1;
    launch(name, sum_columns<partial_source<S>, SINK, FINAL_THREADS>, p.groups * p.tiles, dim3(FINAL_THREADS), from,
           sink, last);
}

#endif
