/* Softmax over the last dimension: y = exp(x - max) / sum. */
#include <math.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/rows.h"

CLONES static void softmax_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    int64_t C = *(const int64_t *) context;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] + r * C;
        float *restrict y = out + r * C, most = -INFINITY, sum = 0;
#pragma omp simd reduction(max : most)
        for (int64_t i = 0; i < C; i++) most = x[i] > most ? x[i] : most;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < C; i++) sum += y[i] = fast_exp(x[i] - most);
        for (int64_t i = 0; i < C; i++) y[i] /= sum;
    }
}

/* in: y, gradient of y -> y (dy - sum of y dy). */
CLONES static void softmax_slope(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    int64_t C = *(const int64_t *) context;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict y = in[0] + r * C, *restrict g = in[1] + r * C;
        float *restrict d = out + r * C, dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int64_t i = 0; i < C; i++) dot += y[i] * g[i];
        for (int64_t i = 0; i < C; i++) d[i] = y[i] * (g[i] - dot);
    }
}

static const row_op value_op = {softmax_kernel, ROW_SOFTMAX, sizeof(width_only)},
                    slope_op = {softmax_slope, ROW_SOFTMAX_SLOPE, sizeof(width_only)};

static void softmax_backward(node *n) {
    const tensor *x = n->in[0];
    bool more;
    float *d = gradient_sink(x, &more);
    rows in[2] = {rows_of(n->out), rows_of_gradient(n->grad, n->out)};
    if (d) map_rows(row_count(x), rows_of_gradient(d, x), more, in, 2, &slope_op, n->options);
}

tensor *softmax(const tensor *x) {
    PLACE(x);
    int64_t C = x->shape[x->rank - 1];
    tensor *y = tensor_result(F32, shape_of(x));
    rows in = rows_of(x);
    map_rows(row_count(x), rows_of(y), false, &in, 1, &value_op, &C);
    record(y, softmax_backward, INPUTS(x), &C, sizeof C);
    return y;
}
