#include "tensor/reduce.h"

#include "base/parallel.h"
#include "base/scope.h"
#include "tensor/device.h"

enum { CHUNK_ROWS = 1024, RUN = 1 << 14 };

CLONES static void sum_chunk(float *restrict to, const float *restrict x, int64_t count, int64_t width) {
    for (int64_t i = 0; i < width; i++) to[i] = 0;
    for (int64_t r = 0; r < count; r++)
        for (int64_t i = 0; i < width; i++) to[i] += x[r * width + i];
}

void sum_rows_into(float *to, const float *x, int64_t count, int64_t width) {
    int64_t chunks = (count + CHUNK_ROWS - 1) / CHUNK_ROWS;
    scope_begin();
    float *partial = alloc((size_t) (chunks > 0 ? chunks : 1) * (size_t) width * sizeof(float));
#pragma omp parallel for schedule(static) if (count * width > PARALLEL_MIN)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t first = c * CHUNK_ROWS, n = count - first < CHUNK_ROWS ? count - first : CHUNK_ROWS;
        sum_chunk(partial + c * width, x + first * width, n, width);
    }
    for (int64_t c = 0; c < chunks; c++)
        for (int64_t i = 0; i < width; i++) to[i] += partial[c * width + i];
    scope_end();
}

void sum_groups(float *to, const float *x, int64_t groups, int64_t count, int64_t width) {
    if (device_current()) {
        device_current()->sum_rows(to, x, groups, count, width);
        return;
    }
    for (int64_t g = 0; g < groups; g++) sum_rows_into(to + g * width, x + g * count * width, count, width);
}

double sum_runs(int64_t n, double (*run)(int64_t first, int64_t length, const void *context), const void *context) {
    int64_t runs = (n + RUN - 1) / RUN;
    scope_begin();
    double *partial = alloc((size_t) (runs > 0 ? runs : 1) * sizeof(double)), sum = 0;
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
    for (int64_t r = 0; r < runs; r++) partial[r] = run(r * RUN, n - r * RUN < RUN ? n - r * RUN : RUN, context);
    for (int64_t r = 0; r < runs; r++) sum += partial[r];
    scope_end();
    return sum;
}
