/* Rows by index, and rotary positions: embedding.c, rotary.c. */
#include "tensor/cuda/kernel.h"

namespace {

enum { THREADS = 128 };

/* --- embedding: table [rows, C], index [n] --- */

/* y [n, C] = table [index]. */
__global__ void gather(float *y, const float *table, const int32_t *index, int64_t n, int64_t C) {
    for (int64_t r = blockIdx.x; r < n; r += gridDim.x) {
        const float *from = table + index[r] * C;
        for (int64_t c = threadIdx.x; c < C; c += THREADS) y[r * C + c] = from[c];
    }
}

/* Does an earlier row have row r's index? Asked by the whole block. */
__device__ bool seen_before(const int32_t *index, int64_t r) {
    bool seen = false;
    for (int64_t k = threadIdx.x; k < r; k += THREADS) seen = seen || index[k] == index[r];
    return __syncthreads_or(seen);
}

/* table [index] += g [n, C]: the first row of an index adds all that have it, in their order. */
__global__ void scatter(float *table, const float *g, const int32_t *index, int64_t n, int64_t C) {
    for (int64_t r = blockIdx.x; r < n; r += gridDim.x) {
        if (seen_before(index, r)) continue;
        float *to = table + index[r] * C;
        for (int64_t c = threadIdx.x; c < C; c += THREADS) {
            float sum = to[c];
            for (int64_t k = r; k < n; k++)
                if (index[k] == index[r]) sum += g[k * C + c];
            to[c] = sum;
        }
    }
}

int32_t *upload_index(const int32_t *host_index, int64_t n) {
    int32_t *index = (int32_t *) cuda_scratch((size_t) n * sizeof *index);
    cuda_upload(index, host_index, (size_t) n * sizeof *index);
    return index;
}

/* --- rotary --- */

/* Channel i of a head turned with its partner by the angle whose cos and sin lie in table [2, half]. */
__device__ float turned(const rotary_turn &r, const float *x, const float *table, int i) {
    const int half = r.dims / 2, pair = r.interleaved ? i / 2 : i % half;
    const bool second = r.interleaved ? i % 2 : i >= half;
    const int apart = r.interleaved ? 1 : half;
    const float c = table[pair], s = r.direction * table[half + pair];
    return second ? x[i] * c + x[i - apart] * s : x[i] * c - x[i + apart] * s;
}

/* A block a row of x [batch T, C], C = heads D. */
__global__ void turn(const rotary_turn r, float *y, const float *x, bool add) {
    const int C = (int) r.C, D = C / r.heads;
    for (int64_t row = blockIdx.x; row < r.batch * r.T; row += gridDim.x) {
        const float *table = r.table + (row - quotient(row, r.T) * r.T) * r.dims;
        for (int c = (int) threadIdx.x; c < C; c += THREADS) {
            const int head = c / D, i = c - head * D;
            const float *from = x + row * C + head * D;
            const float v = i < r.dims ? turned(r, from, table, i) : from[i];
            float *to = y + row * C + c;
            *to = add ? *to + v : v;
        }
    }
}

} // namespace

void cuda_gather_rows(float *y, const float *table, const int32_t *host_index, int64_t n, int64_t C) {
    if (n) launch("gather_rows", gather, n, dim3(THREADS), y, table, upload_index(host_index, n), n, C);
}

void cuda_scatter_rows(float *table, const float *g, const int32_t *host_index, int64_t n, int64_t C) {
    if (n) launch("scatter_rows", scatter, n, dim3(THREADS), table, g, upload_index(host_index, n), n, C);
}

void cuda_turn(const rotary_turn *r, float *y, const float *x, bool add) {
    if (r->C) launch("turn", turn, r->batch * r->T, dim3(THREADS), *r, y, x, add);
}
