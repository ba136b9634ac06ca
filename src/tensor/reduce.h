/* Sums whose result does not depend on the number of threads: fixed chunks, added in order. */
#ifndef HISS_TENSOR_REDUCE_H
#define HISS_TENSOR_REDUCE_H

#include <stdint.h>

/* to [width] += the sum over rows of x [count, width]; on the CPU. */
void sum_rows_into(float *to, const float *x, int64_t count, int64_t width);
/* to [groups, width] += the same of each group's rows, x [groups, count, width], where operations run. */
void sum_groups(float *to, const float *x, int64_t groups, int64_t count, int64_t width);
/* The sum of f(i) for i in [0, n) in double, f given a run [first, first + length). */
double sum_runs(int64_t n, double (*run)(int64_t first, int64_t length, const void *context), const void *context);

#endif
