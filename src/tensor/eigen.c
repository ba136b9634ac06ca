#include "tensor/eigen.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/scope.h"

static void turn_positive(double *v, int64_t n) {
    int64_t most = 0;
    for (int64_t i = 1; i < n; i++)
        if (fabs(v[i]) > fabs(v[most])) most = i;
    if (v[most] < 0)
        for (int64_t i = 0; i < n; i++) v[i] = -v[i];
}

void symmetric_eigen(double *a, int64_t n, double *values) {
    require(n > 0 && n <= INT32_MAX);
    for (int64_t i = 0; i < n * n; i++)
        if (!isfinite(a[i])) fail(HISS_ERROR_FORMAT, "a matrix with values that are not numbers has no eigenvalues");
    scope_begin();
    double *rising = NEW_ARRAY(double, n), *swapped = NEW_ARRAY(double, n);
    /* Columns of a column-major matrix are rows of ours. */
    lapack_int failed = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', (lapack_int) n, a, (lapack_int) n, rising);
    if (failed) fail(HISS_ERROR_INTERNAL, "LAPACK's dsyevd: %d", (int) failed);
    for (int64_t i = 0; i < n; i++) values[i] = rising[n - 1 - i];
    for (int64_t i = 0; i < n / 2; i++) {
        double *low = a + i * n, *high = a + (n - 1 - i) * n;
        memcpy(swapped, low, (size_t) n * sizeof *low);
        memcpy(low, high, (size_t) n * sizeof *low);
        memcpy(high, swapped, (size_t) n * sizeof *low);
    }
    for (int64_t i = 0; i < n; i++) turn_positive(a + i * n, n);
    scope_end();
}
