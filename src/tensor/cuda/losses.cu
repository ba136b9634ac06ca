/* Losses, norms of gradients and Adam's updates. Sums run in double over fixed runs that are added in a fixed order. */
#include "tensor/cuda/kernel.h"

namespace {

enum { THREADS = 256, FINAL = 1024, RUN = 1 << 13 };

/* --- sums of runs --- */

/* What is to be summed, of one item's elements first .. last - 1, by the threads of a block. */
template <class SOURCE> __device__ double sum_run(const SOURCE &source, int64_t first, int64_t last) {
    double sum = 0;
#pragma unroll 4
    for (int64_t i = first + threadIdx.x; i < last; i += THREADS) sum += source(i);
    return block_sum<THREADS>(sum);
}

/* partial [runs]. */
template <class SOURCE> __global__ void sum_runs(const SOURCE source, int64_t n, int64_t runs, double *partial) {
    for (int64_t run = blockIdx.x; run < runs; run += gridDim.x) {
        const double sum = sum_run(source, run * RUN, smaller(n, (run + 1) * RUN));
        if (threadIdx.x == 0) partial[run] = sum;
    }
}

__global__ void sum_partials(const double *partial, int64_t n, double *to) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += FINAL) sum += partial[i];
    sum = block_sum<FINAL>(sum);
    if (threadIdx.x == 0) *to = sum;
}

/* partial [n + 1]: the last is the result's place. */
double finish(double *partial, int64_t n) {
    launch("sum_partials", sum_partials, 1, dim3(FINAL), partial, n, partial + n);
    double sum = 0;
    cuda_download(&sum, partial + n, sizeof sum);
    return sum;
}

double *partials(int64_t n) { return (double *) cuda_scratch((size_t) (n + 1) * sizeof(double)); }

/* --- losses --- */

struct loss_terms {
    const float *p, *t, *weight; /* weight: one an item, or NULL */
    int64_t item;
    bool square;

    __device__ double operator()(int64_t i) const {
        const double d = (double) p[i] - t[i], w = weight ? weight[quotient(i, item)] : 1;
        return square ? w * d * d : w * fabs(d);
    }
};

struct slope_work {
    loss_terms c;
    float *d, unit;
    bool more;

    __device__ void operator()(int64_t i) const {
        const float e = c.p[i] - c.t[i], w = c.weight ? c.weight[quotient(i, c.item)] : 1.0f;
        const float slope = c.square ? 2.0f * e : (float) ((e > 0) - (e < 0));
        d[i] = (more ? d[i] : 0.0f) + unit * w * slope;
    }
};

/* --- the norm of all gradients --- */

enum { BATCH = 128 }; /* tensors of one launch: their table travels with the launch, in less than 4 KiB */

struct square_batch {
    const float *data[BATCH];
    int64_t length[BATCH], first_run[BATCH + 1]; /* first_run[n]: the runs of all n */
    int n;
};

struct square_source {
    const float *data;
    __device__ double operator()(int64_t i) const { return (double) data[i] * data[i]; }
};

/* partial [runs of the batch]. */
__global__ void sum_square_runs(const square_batch b, double *partial) {
    for (int64_t run = blockIdx.x; run < b.first_run[b.n]; run += gridDim.x) {
        int low = 0, high = b.n; /* the item whose runs hold this one: first_run[low] <= run < first_run[high] */
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            if (b.first_run[middle] <= run) low = middle;
            else high = middle;
        }
        const int64_t first = (run - b.first_run[low]) * RUN;
        const double sum = sum_run(square_source{b.data[low]}, first, smaller(b.length[low], first + RUN));
        if (threadIdx.x == 0) partial[run] = sum;
    }
}

/* --- Adam: train/optimizer.c --- */

template <int V> struct adam_work {
    float *w;
    const float *gradient;
    float *first, *second, *average; /* average: NULL without one */
    adam_factors f;

    __device__ void operator()(int64_t item) const {
        const int64_t i = item * V;
        float weight[V], g[V], m[V], v[V], mean[V];
        load<V>(w, false, i, weight);
        load<V>(gradient, false, i, g);
        load<V>(first, false, i, m);
        load<V>(second, false, i, v);
        if (average) load<V>(average, false, i, mean);
#pragma unroll
        for (int k = 0; k < V; k++) {
            const float slope = g[k] * f.clip + f.couple * weight[k];
            m[k] += f.one_minus_beta1 * (slope - m[k]);
            v[k] = v[k] * f.beta2 + f.one_minus_beta2 * slope * slope;
            weight[k] = weight[k] * f.shrink - f.step * (m[k] / (sqrtf(v[k]) / f.correction + f.epsilon));
            if (average) mean[k] += f.average * (weight[k] - mean[k]);
        }
        store<V>(w, false, i, weight);
        store<V>(first, false, i, m);
        store<V>(second, false, i, v);
        if (average) store<V>(average, false, i, mean);
    }
};

struct swap_work {
    float *a, *b;
    __device__ void operator()(int64_t i) const {
        const float x = a[i];
        a[i] = b[i];
        b[i] = x;
    }
};

} // namespace

double cuda_loss_sum(const float *p, const float *t, const float *weight, int64_t item, int64_t n, bool square) {
    if (!n) return 0;
    const int64_t runs = pieces(n, RUN);
    double *partial = partials(runs);
    launch("loss_sum", sum_runs<loss_terms>, runs, dim3(THREADS), loss_terms{p, t, weight, item, square}, n, runs,
           partial);
    return finish(partial, runs);
}

void cuda_loss_slope(float *d, const float *p, const float *t, const float *weight, int64_t item, int64_t n,
                     bool square, float unit, bool add) {
    for_each("loss_slope", n, slope_work{{p, t, weight, item, square}, d, unit, add});
}

double cuda_sum_squares(const float *const *items, const int64_t *length, int64_t n) {
    int64_t runs = 0, done = 0;
    for (int64_t i = 0; i < n; i++) runs += pieces(length[i], RUN);
    if (!runs) return 0;
    double *partial = partials(runs);
    for (int64_t i = 0; i < n;) {
        square_batch b = {};
        for (; b.n < BATCH && i < n; i++, b.n++) {
            b.data[b.n] = items[i];
            b.length[b.n] = length[i];
            b.first_run[b.n + 1] = b.first_run[b.n] + pieces(length[i], RUN);
        }
        launch("sum_squares", sum_square_runs, b.first_run[b.n], dim3(THREADS), b, partial + done);
        done += b.first_run[b.n];
    }
    return finish(partial, runs);
}

void cuda_adam(float *w, const float *gradient, float *first, float *second, float *average, int64_t n,
               const adam_factors *f) {
    const bool vectors = aligned(w) && aligned(gradient) && aligned(first) && aligned(second) && aligned(average);
    if (vectors && n % 4 == 0) for_each("adam", n / 4, adam_work<4>{w, gradient, first, second, average, *f});
    else for_each("adam", n, adam_work<1>{w, gradient, first, second, average, *f});
}

void cuda_swap(float *a, float *b, int64_t n) { for_each("swap", n, swap_work{a, b}); }
