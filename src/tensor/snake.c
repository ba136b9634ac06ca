/* Snake with two parameters a channel (Ziyin et al. 2020, arXiv 2006.08195; Lee et al. 2022, arXiv 2206.04658):
 *     y = x + sin(a x)^2 / (b + 1e-9), a = exp(alpha), b = exp(beta). */
#include <math.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

static const float SMALL = 1e-9f;

/* x less whole half turns, in [-pi / 2, pi / 2]; pi in three parts. */
static inline float within_half_turn(float x) {
    const float shifted = x * 0.318309886f + 12582912.0f, n = shifted - 12582912.0f; /* 1.5 2^23 rounds */
    return ((x - n * 3.140625f) - n * 9.67502593994e-4f) - n * 1.50995788317e-7f;
}

/* Taylor's to the eleventh power there: absolute error under 1e-7. */
static inline float short_sine(float r) {
    const float q = r * r;
    return r + r * q *
                   (-1.66666667e-1f +
                    q * (8.33333333e-3f +
                         q * (-1.98412698e-4f + q * (2.75573192e-6f + q * (-2.50521084e-8f + q * 1.60590438e-10f)))));
}

CLONES static void snake_value(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const snake_waves *w = context;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] + r * w->C, *restrict a = w->a, *restrict inverse_b = w->inverse_b;
        float *restrict y = out + r * w->C;
#pragma omp simd
        for (int64_t i = 0; i < w->C; i++) {
            const float s = short_sine(within_half_turn(a[i] * x[i]));
            y[i] = x[i] + s * s * inverse_b[i];
        }
    }
}

/* in: x, gradient of y -> gradient of x; sin(2 a x) is twice sine times cosine, whose signs go together. */
CLONES static void snake_slope(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const snake_waves *w = context;
    (void) first;
    for (int64_t i = 0; i < n * w->C; i++) {
        const int64_t c = i % w->C;
        out[i] = in[1][i] * (1 + w->a[c] * w->inverse_b[c] * sinf(2 * w->a[c] * in[0][i]));
    }
}

/* The same for alpha at each row: a x sin(2 a x) / b. */
CLONES static void alpha_slope(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const snake_waves *w = context;
    (void) first;
    for (int64_t i = 0; i < n * w->C; i++) {
        const int64_t c = i % w->C;
        const float x = in[0][i];
        out[i] = in[1][i] * w->a[c] * x * w->inverse_b[c] * sinf(2 * w->a[c] * x);
    }
}

/* And for beta: -sin(a x)^2 / b, but for the small number. */
CLONES static void beta_slope(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const snake_waves *w = context;
    (void) first;
    for (int64_t i = 0; i < n * w->C; i++) {
        const int64_t c = i % w->C;
        const float s = sinf(w->a[c] * in[0][i]), inverse = w->inverse_b[c];
        out[i] = -in[1][i] * s * s * inverse * (1 - SMALL * inverse);
    }
}

static snake_waves waves_of(const tensor *alpha, const tensor *beta) {
    const int64_t C = count(alpha);
    float *a = alloc((size_t) C * sizeof *a), *inverse_b = alloc((size_t) C * sizeof *inverse_b);
    const float *host_alpha = f32(brought(alpha)), *host_beta = f32(brought(beta));
    for (int64_t i = 0; i < C; i++) {
        a[i] = expf(host_alpha[i]);
        inverse_b[i] = 1 / (expf(host_beta[i]) + SMALL);
    }
    if (device_current()) {
        a = (float *) values(placed(tensor_wrap(F32, SHAPE(C), a)));
        inverse_b = (float *) values(placed(tensor_wrap(F32, SHAPE(C), inverse_b)));
    }
    return (snake_waves){a, inverse_b, C};
}

static const row_op value_op = {snake_value, ROW_SNAKE, sizeof(snake_waves)},
                    slope_op = {snake_slope, ROW_SNAKE_SLOPE, sizeof(snake_waves)},
                    alpha_op = {alpha_slope, ROW_SNAKE_SLOPE_ALPHA, sizeof(snake_waves)},
                    beta_op = {beta_slope, ROW_SNAKE_SLOPE_BETA, sizeof(snake_waves)};

static void add_parameter_gradient(const node *n, const tensor *of, const row_op *slope, const snake_waves *w) {
    float *d = gradient_sum(of);
    if (!d) return;
    const tensor *x = n->in[0];
    const rows in[2] = {rows_of(x), rows_of_gradient(n->grad, n->out)};
    float *each = alloc_there((size_t) count(x) * sizeof *each);
    map_rows(row_count(x), (rows){each, F32, w->C}, false, in, 2, slope, w);
    sum_groups(d, each, 1, row_count(x), w->C);
}

static void snake_backward(node *n) {
    const snake_waves w = waves_of(n->in[1], n->in[2]);
    const tensor *x = n->in[0];
    bool more;
    float *dx = gradient_sink(x, &more);
    const rows in[2] = {rows_of(x), rows_of_gradient(n->grad, n->out)};
    if (dx) map_rows(row_count(x), rows_of_gradient(dx, x), more, in, 2, &slope_op, &w);
    add_parameter_gradient(n, n->in[1], &alpha_op, &w);
    add_parameter_gradient(n, n->in[2], &beta_op, &w);
}

tensor *snake(const tensor *x, const tensor *alpha, const tensor *beta, dtype out) {
    const int64_t C = x->shape[x->rank - 1];
    require(count(alpha) == C && count(beta) == C);
    PLACE(x);
    PLACE(alpha);
    PLACE(beta);
    tensor *y = tensor_result(out, shape_of(x));
    scope_begin();
    const snake_waves w = waves_of(alpha, beta);
    const rows in = rows_of(x);
    map_rows(row_count(x), rows_of(y), false, &in, 1, &value_op, &w);
    scope_end();
    record(y, snake_backward, INPUTS(x, alpha, beta), NULL, 0);
    return y;
}
