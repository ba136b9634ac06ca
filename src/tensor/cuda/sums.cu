/* Sums of rows: of whole groups (gradients of biases), of repeated rows, weighted over time. */
#include "tensor/cuda/column_sums.h"

namespace {

/* x [groups, count, width]. */
struct row_source {
    enum { sums = 1 };
    const float *x;
    int64_t count, width;
    __device__ void add(int64_t group, int64_t row, int64_t column, float *sum) const {
        *sum += x[(group * count + row) * width + column];
    }
};

/* w [groups, count] times x [groups, count, width]. */
struct weighted_source {
    enum { sums = 1 };
    const void *x;
    bool bf16;
    const float *w;
    int64_t count, width;
    __device__ void add(int64_t group, int64_t row, int64_t column, float *sum) const {
        const int64_t r = group * count + row;
        float v;
        load<1>(x, bf16, r * width + column, &v);
        *sum += w[r] * v;
    }
};

/* to [groups, width]. */
struct row_sink {
    float *to;
    int64_t width;
    bool more;
    __device__ void put(int64_t group, int64_t, const float *sum, int64_t column) const {
        float *at = to + group * width + column;
        *at = more ? *at + *sum : *sum;
    }
};

template <class SOURCE> void run_sum(const char *name, int64_t groups, const SOURCE &source, float *to, bool add) {
    if (!groups || !source.width) return;
    const column_plan p = plan_columns(groups, source.count, source.width);
    float *partial = p.chunks > 1 ? (float *) cuda_scratch((size_t) p.partials(1) * sizeof(float)) : NULL;
    run_columns(name, p, source, row_sink{to, source.width, add}, partial);
}

/* d [B, T, C] (+)= w [B, T] g [B, C]. */
template <int V> struct spread_work {
    float *d;
    const float *g, *w;
    int64_t T, C;
    bool more;
    __device__ void operator()(int64_t item) const {
        const int64_t across = C / V, r = quotient(item, across), c = (item - r * across) * V;
        float v[V];
        load<V>(g, false, quotient(r, T) * C + c, v);
#pragma unroll
        for (int k = 0; k < V; k++) v[k] *= w[r];
        put<V>(d, item * V, more, v);
    }
};

} // namespace

void cuda_sum_rows(float *to, const float *x, int64_t groups, int64_t count, int64_t width) {
    if (count) run_sum("sum_rows", groups, row_source{x, count, width}, to, true);
}

void cuda_sum_repeated(float *d, const float *g, int64_t rows, int factor, int64_t C, bool add) {
    run_sum("sum_repeated", rows, row_source{g, factor, C}, d, add);
}

void cuda_weighted_mean(float *y, const void *x, dtype x_type, const float *w, int64_t B, int64_t T, int64_t C) {
    run_sum("weighted_mean", B, weighted_source{x, x_type == BF16, w, T, C}, y, false);
}

void cuda_weighted_spread(float *d, const float *g, const float *w, int64_t B, int64_t T, int64_t C, bool add) {
    const bool vectors = aligned(d) && aligned(g) && C % 4 == 0;
    if (vectors) for_each("weighted_spread", B * T * C / 4, spread_work<4>{d, g, w, T, C, add});
    else for_each("weighted_spread", B * T * C, spread_work<1>{d, g, w, T, C, add});
}
