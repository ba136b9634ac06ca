/* Frechet distance between two sets of feature vectors taken as Gaussians (Heusel et al. 2017; Kilgour et al. 2019 for
 * sound), in double.
 * N vectors of a set, D features. */
#ifndef HISS_EVAL_FRECHET_H
#define HISS_EVAL_FRECHET_H

#include "base/random.h"
#include "tensor/tensor.h"

typedef struct {
    int64_t count, size; /* N, D */
    double *mean;        /* [D] */
    double *covariance;  /* [D, D], over N - 1 */
} statistics;

/* Of rows [N, D], N >= 2, in the current scope. Fails on values that are not finite; name: for messages. */
statistics *statistics_of(const tensor *rows, const char *name);

/* |m1 - m2|^2 + Tr C1 + Tr C2 - 2 Tr sqrt(C1 C2). The last term is the sum of the roots of the eigenvalues of the symmetric
 * sqrt(C1) C2 sqrt(C1), so that it is never complex. It is biased upwards for few rows: fewer than D deserve a warning. */
double frechet_distance(const statistics *a, const statistics *b);

/* FAD-infinity (Gui et al. 2024): the distance for ever more rows, from a straight line through distances of draws of several
 * sizes over 1 / size. */
typedef struct {
    double distance, slope, r_squared;
} extrapolation;
extrapolation frechet_line(const double *sizes, const double *distances, int64_t points);
/* The whole of it: `points` sizes from `least` to all rows, rows drawn with replacement. */
extrapolation frechet_infinity(const statistics *reference, const tensor *rows, int64_t least, int64_t points,
                               random_key key);

/* Rows of the set by index: [N, D] -> [n, D] F64. */
tensor *pick_rows(const tensor *rows, const int64_t *which, int64_t n);

#endif
