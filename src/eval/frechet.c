/* See frechet.h. */
#include "eval/frechet.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/eigen.h"

enum { MOST_FEATURES = 8192 };

statistics *statistics_of(const tensor *rows, const char *name) {
    if (rows->rank != 2 || rows->shape[0] < 2 || rows->shape[1] < 1 || rows->shape[1] > MOST_FEATURES)
        fail(HISS_ERROR_ARGUMENT, "%s: %s: statistics need two or more vectors of at most %d features", name,
             shape_text(shape_of(rows)), MOST_FEATURES);
    const int64_t N = rows->shape[0], D = rows->shape[1];
    statistics *s = NEW(statistics);
    *s = (statistics){N, D, NEW_ARRAY(double, D), NEW_ARRAY(double, D *D)};
    scope_begin();
    double *x = tensor_convert(rows, F64)->data, *mean = s->mean, *covariance = s->covariance;
    for (int64_t i = 0; i < N * D; i++) {
        if (!isfinite(x[i]))
            fail(HISS_ERROR_FORMAT, "%s: feature %lld of vector %lld is not a number", name, (long long) (i % D),
                 (long long) (i / D));
        mean[i % D] += x[i];
    }
    for (int64_t j = 0; j < D; j++) mean[j] /= (double) N;
    for (int64_t i = 0; i < N * D; i++) x[i] -= mean[i % D];
#pragma omp parallel for num_threads(threads_get()) schedule(static)
    for (int64_t j = 0; j < D; j++) {
        for (int64_t i = 0; i < N; i++)
            for (int64_t k = 0; k < D; k++) covariance[j * D + k] += x[i * D + j] * x[i * D + k];
        for (int64_t k = 0; k < D; k++) covariance[j * D + k] /= (double) (N - 1);
    }
    scope_end();
    return s;
}

/* c = a b of [n, n]. */
static void product(const double *a, const double *b, double *c, int64_t n) {
#pragma omp parallel for num_threads(threads_get()) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        memset(c + i * n, 0, (size_t) n * sizeof *c);
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0; j < n; j++) c[i * n + j] += a[i * n + k] * b[k * n + j];
    }
}

/* root of [n, n], symmetric and not negative: sum of sqrt(value) v v^T over its eigenvectors. */
static double *square_root(const double *a, int64_t n) {
    double *vectors = NEW_ARRAY(double, n *n), *values = NEW_ARRAY(double, n), *root = NEW_ARRAY(double, n *n);
    memcpy(vectors, a, (size_t) (n * n) * sizeof *a);
    symmetric_eigen(vectors, n, values);
#pragma omp parallel for num_threads(threads_get()) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++) {
            double weight = values[k] > 0 ? sqrt(values[k]) * vectors[k * n + i] : 0;
            for (int64_t j = 0; j < n && weight != 0; j++) root[i * n + j] += weight * vectors[k * n + j];
        }
    return root;
}

/* Tr sqrt(C1 C2). */
static double root_trace(const double *c1, const double *c2, int64_t n) {
    double *root = square_root(c1, n), *half = NEW_ARRAY(double, n *n), *whole = NEW_ARRAY(double, n *n), trace = 0;
    product(root, c2, half, n);
    product(half, root, whole, n);
    symmetric_eigen(whole, n, half);
    for (int64_t i = 0; i < n; i++) trace += half[i] > 0 ? sqrt(half[i]) : 0;
    return trace;
}

double frechet_distance(const statistics *a, const statistics *b) {
    if (a->size != b->size)
        fail(HISS_ERROR_ARGUMENT, "a set of %lld features cannot be compared with one of %lld", (long long) a->size,
             (long long) b->size);
    const int64_t D = a->size;
    double distance = 0;
    for (int64_t i = 0; i < D; i++) {
        double step = a->mean[i] - b->mean[i];
        distance += step * step + a->covariance[i * D + i] + b->covariance[i * D + i];
    }
    scope_begin();
    distance -= 2 * root_trace(a->covariance, b->covariance, D);
    scope_end();
    return distance;
}

tensor *pick_rows(const tensor *rows, const int64_t *which, int64_t n) {
    const int64_t N = rows->shape[0], D = rows->shape[1];
    tensor *picked = tensor_new(F64, SHAPE(n, D));
    scope_begin();
    const double *x = tensor_convert(rows, F64)->data;
    for (int64_t i = 0; i < n; i++) {
        require(which[i] >= 0 && which[i] < N);
        memcpy((double *) picked->data + i * D, x + which[i] * D, (size_t) D * sizeof *x);
    }
    scope_end();
    return picked;
}

/* Least squares of the distances over 1 / size. */
extrapolation frechet_line(const double *sizes, const double *distances, int64_t points) {
    double x = 0, y = 0, xx = 0, xy = 0, yy = 0, n = (double) points;
    for (int64_t i = 0; i < points; i++) {
        x += 1 / sizes[i] / n;
        y += distances[i] / n;
    }
    for (int64_t i = 0; i < points; i++) {
        double u = 1 / sizes[i] - x, v = distances[i] - y;
        xx += u * u;
        xy += u * v;
        yy += v * v;
    }
    double slope = xx > 0 ? xy / xx : 0;
    return (extrapolation){y - slope * x, slope, xx > 0 && yy > 0 ? xy * xy / (xx * yy) : 0};
}

extrapolation frechet_infinity(const statistics *reference, const tensor *rows, int64_t least, int64_t points,
                               random_key key) {
    const int64_t N = rows->shape[0];
    if (least < 2 || least >= N || points < 2)
        fail(HISS_ERROR_ARGUMENT, "the distance for ever more rows needs draws of several sizes: %lld to %lld rows",
             (long long) least, (long long) N);
    scope_begin();
    double *sizes = NEW_ARRAY(double, points), *distances = NEW_ARRAY(double, points);
    int64_t *which = NEW_ARRAY(int64_t, N);
    for (int64_t p = 0; p < points; p++) {
        int64_t n = least + (N - least) * p / (points - 1);
        for (int64_t i = 0; i < n; i++)
            which[i] = (int64_t) random_below(random_child(key, (uint64_t) p), (uint64_t) i, (uint64_t) N);
        scope_begin();
        sizes[p] = (double) n;
        distances[p] = frechet_distance(reference, statistics_of(pick_rows(rows, which, n), "drawn rows"));
        scope_end();
    }
    extrapolation e = frechet_line(sizes, distances, points);
    scope_end();
    return e;
}
