/* Elementwise operations of one or two tensors, and the broadcast over positions. */
#include <math.h>

#include "base/parallel.h"
#include "tensor/gelu.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

/* A function of one element: its value, and its slope given the input. */
typedef struct {
    unary_numbers numbers;             /* what the kernels read */
    const row_op *value, *slope_times; /* slope_times: in[0] = x, in[1] = gradient of the result */
} unary;

static void unary_backward(node *n) {
    const unary *u = n->options;
    bool more;
    float *dx = gradient_sink(n->in[0], &more);
    if (!dx) return;
    rows in[2] = {rows_of(n->in[0]), rows_of_gradient(n->grad, n->out)};
    map_rows(row_count(n->out), rows_of_gradient(dx, n->in[0]), more, in, 2, u->slope_times, &u->numbers);
}

static tensor *unary_apply(const tensor *x, const row_op ops[2], float parameter, dtype out) {
    PLACE(x);
    tensor *y = tensor_result(out, shape_of(x));
    unary u = {{parameter, x->shape[x->rank - 1]}, &ops[0], &ops[1]};
    rows in = rows_of(x);
    map_rows(row_count(x), rows_of(y), false, &in, 1, u.value, &u.numbers);
    record(y, unary_backward, INPUTS(x), &u, sizeof u);
    return y;
}

/* Defines NAME's kernels over x with the parameter a; ROW: what devices call them. */
#define UNARY(NAME, ROW, VALUE, SLOPE)                                                                                 \
    CLONES static void NAME##_value(const float *const *in, float *restrict out, int64_t first, int64_t n,             \
                                    const void *context) {                                                             \
        const unary_numbers *u = context;                                                                              \
        const float a = u->parameter, *restrict px = in[0];                                                            \
        (void) a, (void) first;                                                                                        \
        for (int64_t i = 0; i < n * u->width; i++) {                                                                   \
            float x = px[i];                                                                                           \
            out[i] = (VALUE);                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    CLONES static void NAME##_slope(const float *const *in, float *restrict out, int64_t first, int64_t n,             \
                                    const void *context) {                                                             \
        const unary_numbers *u = context;                                                                              \
        const float a = u->parameter, *restrict px = in[0], *restrict g = in[1];                                       \
        (void) a, (void) first;                                                                                        \
        for (int64_t i = 0; i < n * u->width; i++) {                                                                   \
            float x = px[i];                                                                                           \
            (void) x;                                                                                                  \
            out[i] = g[i] * (SLOPE);                                                                                   \
        }                                                                                                              \
    }                                                                                                                  \
    static const row_op NAME[2] = {{NAME##_value, ROW, sizeof(unary_numbers)},                                         \
                                   {NAME##_slope, ROW##_SLOPE, sizeof(unary_numbers)}};

UNARY(scaled, ROW_SCALE, a *x, a)
UNARY(leaky, ROW_LEAKY, x > 0 ? x : a * x, x > 0 ? 1.0f : a)
UNARY(swish, ROW_SILU, x *fast_sigmoid(x), fast_sigmoid(x) * (1.0f + x * (1.0f - fast_sigmoid(x))))
UNARY(tangent, ROW_TANH, fast_tanh(x), 1.0f - fast_tanh(x) * fast_tanh(x))
UNARY(rooted, ROW_ROOT, sqrtf(x > 0 ? x : 0), 0.5f / sqrtf(x > 1e-12f ? x : 1e-12f))
UNARY(exponential, ROW_ELU, x > 0 ? x : fast_exp(x) - 1.0f, x > 0 ? 1.0f : fast_exp(x))
UNARY(gauss, ROW_GELU, fast_gelu(x), gelu_slope(x))
UNARY(gauss_tanh, ROW_GELU_TANH, fast_gelu_tanh(x), gelu_tanh_slope(x))

tensor *scale(const tensor *x, float factor, dtype out) { return unary_apply(x, scaled, factor, out); }

tensor *leaky_relu(const tensor *x, float slope, dtype out) { return unary_apply(x, leaky, slope, out); }

tensor *relu(const tensor *x, dtype out) { return leaky_relu(x, 0, out); }

tensor *silu(const tensor *x, dtype out) { return unary_apply(x, swish, 0, out); }

tensor *tanh_of(const tensor *x, dtype out) { return unary_apply(x, tangent, 0, out); }

tensor *square_root(const tensor *x, dtype out) { return unary_apply(x, rooted, 0, out); }

tensor *elu(const tensor *x, dtype out) { return unary_apply(x, exponential, 0, out); }

tensor *gelu(const tensor *x, dtype out) { return unary_apply(x, gauss, 0, out); }

tensor *gelu_tanh(const tensor *x, dtype out) { return unary_apply(x, gauss_tanh, 0, out); }

tensor *cast(const tensor *x, dtype out) { return x->type == out ? (tensor *) x : scale(x, 1.0f, out); }

/* Passes the gradient of n on to x unchanged. */
static void pass_gradient(const node *n, const tensor *x) {
    bool more;
    float *dx = gradient_sink(x, &more);
    if (!dx) return;
    unary_numbers one = {1.0f, x->shape[x->rank - 1]};
    rows in = rows_of_gradient(n->grad, n->out);
    map_rows(row_count(x), rows_of_gradient(dx, x), more, &in, 1, &scaled[0], &one);
}

static void add_backward(node *n) {
    pass_gradient(n, n->in[0]);
    pass_gradient(n, n->in[1]);
}

CLONES static void add_kernel(const float *const *in, float *restrict out, int64_t first, int64_t n,
                              const void *context) {
    int64_t width = *(const int64_t *) context;
    const float *restrict a = in[0], *restrict b = in[1];
    (void) first;
    for (int64_t i = 0; i < n * width; i++) out[i] = a[i] + b[i];
}

static const row_op add_op = {add_kernel, ROW_ADD, sizeof(width_only)};

tensor *add(const tensor *a, const tensor *b, dtype out) {
    require(count(a) == count(b));
    PLACE(a);
    PLACE(b);
    tensor *y = tensor_result(out, shape_of(a));
    rows in[2] = {rows_of(a), rows_of(b)};
    map_rows(row_count(a), rows_of(y), false, in, 2, &add_op, &(width_only){in[0].width});
    record(y, add_backward, INPUTS(a, b), NULL, 0);
    return y;
}

CLONES static void add_rows_kernel(const float *const *in, float *restrict out, int64_t first, int64_t n,
                                   const void *context) {
    const shared_row *c = context;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict d = c->d + (first + r) / c->positions * c->width, *restrict x = in[0] + r * c->width;
        float *restrict y = out + r * c->width;
        for (int64_t i = 0; i < c->width; i++) y[i] = x[i] + d[i];
    }
}

static const row_op add_rows_op = {add_rows_kernel, ROW_ADD_ROWS, sizeof(shared_row)};

static void add_rows_backward(node *n) {
    pass_gradient(n, n->in[0]);
    const tensor *d = n->in[1];
    float *dd = gradient_sum(d);
    int64_t batch = d->shape[0];
    if (dd) sum_groups(dd, n->grad, batch, row_count(n->out) / batch, d->shape[1]);
}

tensor *add_rows(const tensor *x, const tensor *d, dtype out) {
    int64_t width = x->shape[x->rank - 1], batch = d->shape[0];
    require(d->rank == 2 && d->shape[1] == width && x->shape[0] == batch);
    PLACE(x);
    PLACE(d);
    tensor *y = tensor_result(out, shape_of(x));
    shared_row c = {values(d), row_count(x) / batch, width};
    rows in = rows_of(x);
    map_rows(row_count(x), rows_of(y), false, &in, 1, &add_rows_op, &c);
    record(y, add_rows_backward, INPUTS(x, d), NULL, 0);
    return y;
}
