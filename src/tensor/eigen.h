/* Eigenvalues and eigenvectors of symmetric matrices (LAPACK). */
#ifndef HISS_TENSOR_EIGEN_H
#define HISS_TENSOR_EIGEN_H

#include <stdint.h>

/* a [n, n], symmetric, becomes its unit eigenvectors, one a row, values [n] its eigenvalues; the largest first. Each vector's
 * largest element is positive, so that the result depends on a alone. */
void symmetric_eigen(double *a, int64_t n, double *values);

#endif
