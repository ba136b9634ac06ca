/* Elementwise operations of one or two tensors, and the broadcast over positions. */
#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/gelu.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

/* A function of one element: its value, and its slope given the input. */
typedef struct {
    row_kernel *value, *slope_times; /* slope_times: in[0] = x, in[1] = gradient of the result */
    float parameter;
    int64_t width;
} unary;

static void unary_backward(node *n) {
    const unary *u = n->options;
    bool more;
    float *dx = gradient_sink(n->in[0], &more);
    if (!dx) return;
    rows in[2] = {rows_of(n->in[0]), rows_of_gradient(n->grad, n->out)};
    map_rows(row_count(n->out), rows_of_gradient(dx, n->in[0]), more, in, 2, u->slope_times, u);
}

static tensor *unary_apply(const tensor *x, unary u, dtype out) {
    tensor *y = tensor_new(out, shape_of(x));
    u.width = x->shape[x->rank - 1];
    rows in = rows_of(x);
    map_rows(row_count(x), rows_of(y), false, &in, 1, u.value, &u);
    record(y, unary_backward, INPUTS(x), &u, sizeof u);
    return y;
}

/* Defines NAME_value and NAME_slope over x with the parameter a. */
#define UNARY(NAME, VALUE, SLOPE)                                                                                      \
    CLONES static void NAME##_value(const float *const *in, float *restrict out, int64_t first, int64_t n,             \
                                    const void *context) {                                                             \
        const unary *u = context;                                                                                      \
        const float a = u->parameter, *restrict px = in[0];                                                            \
        (void) a, (void) first;                                                                                        \
        for (int64_t i = 0; i < n * u->width; i++) {                                                                   \
            float x = px[i];                                                                                           \
            out[i] = (VALUE);                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    CLONES static void NAME##_slope(const float *const *in, float *restrict out, int64_t first, int64_t n,             \
                                    const void *context) {                                                             \
        const unary *u = context;                                                                                      \
        const float a = u->parameter, *restrict px = in[0], *restrict g = in[1];                                       \
        (void) a, (void) first;                                                                                        \
        for (int64_t i = 0; i < n * u->width; i++) {                                                                   \
            float x = px[i];                                                                                           \
            (void) x;                                                                                                  \
            out[i] = g[i] * (SLOPE);                                                                                   \
        }                                                                                                              \
    }

UNARY(scaled, a *x, a)
UNARY(leaky, x > 0 ? x : a * x, x > 0 ? 1.0f : a)
UNARY(swish, x *fast_sigmoid(x), fast_sigmoid(x) * (1.0f + x * (1.0f - fast_sigmoid(x))))
UNARY(tangent, fast_tanh(x), 1.0f - fast_tanh(x) * fast_tanh(x))
UNARY(exponential, x > 0 ? x : fast_exp(x) - 1.0f, x > 0 ? 1.0f : fast_exp(x))
UNARY(gauss, fast_gelu(x), gelu_slope(x))
UNARY(gauss_tanh, fast_gelu_tanh(x), gelu_tanh_slope(x))

tensor *scale(const tensor *x, float factor, dtype out) {
    return unary_apply(x, (unary){scaled_value, scaled_slope, factor, 0}, out);
}

tensor *leaky_relu(const tensor *x, float slope, dtype out) {
    return unary_apply(x, (unary){leaky_value, leaky_slope, slope, 0}, out);
}

tensor *relu(const tensor *x, dtype out) { return leaky_relu(x, 0, out); }

tensor *silu(const tensor *x, dtype out) { return unary_apply(x, (unary){swish_value, swish_slope, 0, 0}, out); }

tensor *tanh_of(const tensor *x, dtype out) { return unary_apply(x, (unary){tangent_value, tangent_slope, 0, 0}, out); }

tensor *elu(const tensor *x, dtype out) {
    return unary_apply(x, (unary){exponential_value, exponential_slope, 0, 0}, out);
}

tensor *gelu(const tensor *x, dtype out) { return unary_apply(x, (unary){gauss_value, gauss_slope, 0, 0}, out); }

tensor *gelu_tanh(const tensor *x, dtype out) {
    return unary_apply(x, (unary){gauss_tanh_value, gauss_tanh_slope, 0, 0}, out);
}

tensor *cast(const tensor *x, dtype out) { return x->type == out ? (tensor *) x : scale(x, 1.0f, out); }

/* Passes the gradient of n on to x unchanged. */
static void pass_gradient(const node *n, const tensor *x) {
    bool more;
    float *dx = gradient_sink(x, &more);
    if (!dx) return;
    unary one = {scaled_value, NULL, 1.0f, x->shape[x->rank - 1]};
    rows in = rows_of_gradient(n->grad, n->out);
    map_rows(row_count(x), rows_of_gradient(dx, x), more, &in, 1, one.value, &one);
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

tensor *add(const tensor *a, const tensor *b, dtype out) {
    require(count(a) == count(b));
    tensor *y = tensor_new(out, shape_of(a));
    rows in[2] = {rows_of(a), rows_of(b)};
    map_rows(row_count(a), rows_of(y), false, in, 2, add_kernel, &in[0].width);
    record(y, add_backward, INPUTS(a, b), NULL, 0);
    return y;
}

typedef struct {
    const float *d;
    int64_t positions, width; /* rows of x to one row of d */
} broadcast;

CLONES static void add_rows_kernel(const float *const *in, float *restrict out, int64_t first, int64_t n,
                                   const void *context) {
    const broadcast *c = context;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict d = c->d + (first + r) / c->positions * c->width, *restrict x = in[0] + r * c->width;
        float *restrict y = out + r * c->width;
        for (int64_t i = 0; i < c->width; i++) y[i] = x[i] + d[i];
    }
}

static void add_rows_backward(node *n) {
    pass_gradient(n, n->in[0]);
    bool more;
    const tensor *d = n->in[1];
    float *dd = gradient_sink(d, &more);
    if (!dd) return;
    int64_t batch = d->shape[0], width = d->shape[1], positions = row_count(n->out) / batch;
    if (!more) memset(dd, 0, (size_t) count(d) * sizeof(float));
    for (int64_t b = 0; b < batch; b++)
        sum_rows_into(dd + b * width, n->grad + b * positions * width, positions, width);
}

tensor *add_rows(const tensor *x, const tensor *d, dtype out) {
    int64_t width = x->shape[x->rank - 1], batch = d->shape[0];
    require(d->rank == 2 && d->shape[1] == width && x->shape[0] == batch);
    tensor *y = tensor_new(out, shape_of(x));
    broadcast c = {f32(d), row_count(x) / batch, width};
    rows in = rows_of(x);
    map_rows(row_count(x), rows_of(y), false, &in, 1, add_rows_kernel, &c);
    record(y, add_rows_backward, INPUTS(x, d), NULL, 0);
    return y;
}
