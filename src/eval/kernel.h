/* Kernel distances between two sets of feature vectors: squared maximum mean discrepancy, unbiased, hence below zero for
 * sets that are close.
 * N and M vectors, D features. */
#ifndef HISS_EVAL_KERNEL_H
#define HISS_EVAL_KERNEL_H

#include "base/random.h"
#include "tensor/tensor.h"

/* exp(-g d^2), 1 / (1 + g d^2), 1 / sqrt(1 + g d^2), g = 1 / (2 bandwidth^2 + 1e-8). */
typedef enum { KERNEL_GAUSSIAN, KERNEL_IQ, KERNEL_IMQ } kernel_kind;

/* Kernel audio distance (Chung et al. 2025): 100 MMD^2 of x [N, D] and y [M, D]. bandwidth 0: median_distance(y), where
 * kadtk's command passes the evaluated set as y. */
double kernel_audio_distance(const tensor *x, const tensor *y, kernel_kind kind, double bandwidth);
/* Of all pairs of the set; of an even number the lower middle one. */
double median_distance(const tensor *y);

/* Kernel distance of Binkowski et al. 2018, kernel (x.y / D + 1)^3, of two sets with the same number of rows. */
double cubic_distance(const tensor *x, const tensor *y);
/* Its mean and population standard deviation over subsets of `size` rows drawn without replacement. */
typedef struct {
    double mean, deviation;
} spread;
spread kernel_distance(const tensor *x, const tensor *y, int64_t size, int64_t subsets, random_key key);
spread spread_of(const double *values, int64_t n);

#endif
