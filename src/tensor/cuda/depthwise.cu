/* Depthwise convolution over time (depthwise.c): x [B, T, C], w [C, 1, K]. Row t of y reads rows t - pad + k dilation. */
#include "tensor/cuda/column_sums.h"

namespace {

/* to [K, C] = w [C, K]: channels lie together, as in x. */
struct turn_work {
    float *to;
    const float *w;
    int64_t K, C;
    __device__ void operator()(int64_t i) const {
        const int64_t k = quotient(i, C), c = i - k * C;
        to[i] = w[c * K + k];
    }
};

/* V channels of one row of y; direction -1: the transposed filter. */
template <int V> struct filter_work {
    depthwise_filter f;
    float *y;
    const void *x;
    bool bf16, add;
    const float *w, *b; /* w [K, C]; b [C] or NULL */
    int direction;

    __device__ void operator()(int64_t item) const {
        const int64_t across = f.C / V, r = quotient(item, across), c = (item - r * across) * V;
        const int64_t start = quotient(r, f.T) * f.T;
        float sum[V] = {};
        if (b) load<V>(b, false, c, sum);
        for (int64_t k = 0; k < f.K; k++) {
            const int64_t t = r - start + direction * (k * f.dilation - f.pad);
            if (t < 0 || t >= f.T) continue;
            float v[V], factor[V];
            load<V>(x, bf16, (start + t) * f.C + c, v);
            load<V>(w, false, k * f.C + c, factor);
#pragma unroll
            for (int j = 0; j < V; j++) sum[j] += v[j] * factor[j];
        }
        put<V>(y, item * V, add, sum);
    }
};

/* Groups: the kernel's positions k < K, then the bias. Rows: all B T. */
struct weight_source {
    enum { sums = 1 };
    depthwise_filter f;
    const void *x;
    bool bf16;
    const float *dy;
    int64_t first; /* group */

    __device__ void add(int64_t group, int64_t r, int64_t c, float *sum) const {
        const int64_t k = first + group;
        if (k == f.K) {
            *sum += dy[r * f.C + c];
            return;
        }
        const int64_t start = quotient(r, f.T) * f.T, t = r - start + k * f.dilation - f.pad;
        if (t < 0 || t >= f.T) return;
        float v;
        load<1>(x, bf16, (start + t) * f.C + c, &v);
        *sum += dy[r * f.C + c] * v;
    }
};

/* dw [C, K] and db [C] += */
struct weight_sink {
    float *dw, *db;
    int64_t K, first;
    __device__ void put(int64_t group, int64_t, const float *sum, int64_t c) const {
        const int64_t k = first + group;
        float *to = k == K ? db + c : dw + c * K + k;
        *to += *sum;
    }
};

} // namespace

void cuda_depthwise(const depthwise_filter *f, float *y, const void *x, dtype x_type, const float *w, const float *b,
                    bool transposed, bool add) {
    const int64_t n = f->B * f->T * f->C;
    if (!n) return;
    float *by_position = (float *) cuda_scratch((size_t) (f->K * f->C) * sizeof(float));
    for_each("depthwise", f->K * f->C, turn_work{by_position, w, f->K, f->C});
    const bool bf16 = x_type == BF16, vectors = f->C % 4 == 0 && aligned(x) && aligned(y) && aligned(b);
    const int direction = transposed ? -1 : 1;
    if (vectors) for_each("depthwise", n / 4, filter_work<4>{*f, y, x, bf16, add, by_position, b, direction});
    else for_each("depthwise", n, filter_work<1>{*f, y, x, bf16, add, by_position, b, direction});
}

void cuda_depthwise_weights(const depthwise_filter *f, float *dw, float *db, const void *x, dtype x_type,
                            const float *dy) {
    const int64_t first = dw ? 0 : f->K, last = db ? f->K + 1 : f->K;
    if (first >= last || f->B <= 0 || f->T <= 0 || f->C <= 0) return;
    const column_plan p = plan_columns(last - first, f->B * f->T, f->C);
    float *partial = p.chunks > 1 ? (float *) cuda_scratch((size_t) p.partials(1) * sizeof(float)) : NULL;
    run_columns("depthwise_weights", p, weight_source{*f, x, x_type == BF16, dy, first},
                weight_sink{dw, db, f->K, first}, partial);
}
