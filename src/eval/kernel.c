/* See kernel.h. */
#include "eval/kernel.h"

#include <math.h>
#include <stdlib.h>

#include "base/parallel.h"
#include "eval/frechet.h"

enum { MOST_ROWS = 20000 }; /* whose pairs are listed for a median */

static void check_pair(const tensor *x, const tensor *y) {
    if (x->rank != 2 || y->rank != 2 || x->shape[1] != y->shape[1] || x->shape[0] < 2 || y->shape[0] < 2)
        fail(HISS_ERROR_ARGUMENT,
             "sets of %s and %s: two or more vectors of as many features each can be compared by a kernel",
             shape_text(shape_of(x)), shape_text(shape_of(y)));
}

static const double *doubles(const tensor *x) { return tensor_convert(x, F64)->data; }

static double squared(const double *a, const double *b, int64_t D) {
    double sum = 0;
    for (int64_t i = 0; i < D; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

static double dot(const double *a, const double *b, int64_t D) {
    double sum = 0;
    for (int64_t i = 0; i < D; i++) sum += a[i] * b[i];
    return sum;
}

/* What is asked of a pair of rows. */
typedef struct {
    kernel_kind kind;
    bool cubic;
    double g;
    int64_t D;
} kernel;

static double value_of(const kernel *k, const double *a, const double *b) {
    if (k->cubic) return pow(dot(a, b, k->D) / (double) k->D + 1, 3);
    double d = k->g * squared(a, b, k->D);
    return k->kind == KERNEL_GAUSSIAN ? exp(-d) : k->kind == KERNEL_IQ ? 1 / (1 + d) : 1 / sqrt(1 + d);
}

/* Mean over all pairs, or those of two different rows of one set; summed in a fixed order. */
static double mean_of_pairs(const kernel *k, const double *x, int64_t N, const double *y, int64_t M, bool same) {
    double *rows = NEW_ARRAY(double, N), sum = 0;
#pragma omp parallel for num_threads(threads_get()) schedule(static)
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < M; j++)
            if (!same || i != j) rows[i] += value_of(k, x + i * k->D, y + j * k->D);
    for (int64_t i = 0; i < N; i++) sum += rows[i];
    return sum / ((double) N * (double) (same ? M - 1 : M));
}

static double discrepancy(const kernel *k, const tensor *x, const tensor *y) {
    scope_begin();
    const int64_t N = x->shape[0], M = y->shape[0];
    const double *a = doubles(x), *b = doubles(y);
    double d = mean_of_pairs(k, a, N, a, N, true) + mean_of_pairs(k, b, M, b, M, true) -
               2 * mean_of_pairs(k, a, N, b, M, false);
    scope_end();
    return d;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

double median_distance(const tensor *y) {
    const int64_t M = y->shape[0] < MOST_ROWS ? y->shape[0] : MOST_ROWS, D = y->shape[1], pairs = M * (M - 1) / 2;
    require(M > 1);
    scope_begin();
    const double *b = doubles(y);
    double *distance = NEW_ARRAY(double, pairs);
    int64_t n = 0;
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = i + 1; j < M; j++) distance[n++] = sqrt(squared(b + i * D, b + j * D, D));
    qsort(distance, (size_t) pairs, sizeof *distance, by_value);
    double median = distance[(pairs - 1) / 2];
    scope_end();
    return median;
}

double kernel_audio_distance(const tensor *x, const tensor *y, kernel_kind kind, double bandwidth) {
    check_pair(x, y);
    if (bandwidth <= 0) bandwidth = median_distance(y);
    kernel k = {.kind = kind, .g = 1 / (2 * bandwidth * bandwidth + 1e-8), .D = x->shape[1]};
    return 100 * discrepancy(&k, x, y);
}

double cubic_distance(const tensor *x, const tensor *y) {
    check_pair(x, y);
    kernel k = {.cubic = true, .D = x->shape[1]};
    return discrepancy(&k, x, y);
}

spread spread_of(const double *values, int64_t n) {
    spread s = {0, 0};
    for (int64_t i = 0; i < n; i++) s.mean += values[i] / (double) n;
    for (int64_t i = 0; i < n; i++) s.deviation += pow(values[i] - s.mean, 2) / (double) n;
    s.deviation = sqrt(s.deviation);
    return s;
}

/* The first `size` of a shuffle of 0 .. n - 1. */
static int64_t *draw(int64_t n, int64_t size, random_key key) {
    int64_t *order = NEW_ARRAY(int64_t, n);
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = 0; i < size; i++) {
        int64_t j = i + (int64_t) random_below(key, (uint64_t) i, (uint64_t) (n - i)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    return order;
}

spread kernel_distance(const tensor *x, const tensor *y, int64_t size, int64_t subsets, random_key key) {
    check_pair(x, y);
    if (size < 2 || size > x->shape[0] || size > y->shape[0] || subsets < 1)
        fail(HISS_ERROR_ARGUMENT, "subsets of %lld rows cannot be drawn from %lld and %lld", (long long) size,
             (long long) x->shape[0], (long long) y->shape[0]);
    scope_begin();
    double *values = NEW_ARRAY(double, subsets);
    for (int64_t i = 0; i < subsets; i++) {
        scope_begin();
        random_key k = random_child(key, (uint64_t) i);
        const tensor *a = pick_rows(x, draw(x->shape[0], size, random_child(k, 0)), size);
        const tensor *b = pick_rows(y, draw(y->shape[0], size, random_child(k, 1)), size);
        values[i] = cubic_distance(a, b);
        scope_end();
    }
    spread s = spread_of(values, subsets);
    scope_end();
    return s;
}
