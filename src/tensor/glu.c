/* Gated linear units (Shazeer 2020): one half of the channels, activated, times the other. [..., 2C] -> [..., C]. */
#include "base/parallel.h"
#include "tensor/gelu.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/rows.h"

static inline float swish(float x) { return x * fast_sigmoid(x); }
static inline float swish_slope(float x) { return fast_sigmoid(x) * (1.0f + x * (1.0f - fast_sigmoid(x))); }
static inline float sigmoid_slope(float x) { return fast_sigmoid(x) * (1.0f - fast_sigmoid(x)); }

#define FOR_KIND(VALUE)                                                                                                \
    switch ((glu_kind) u->kind) {                                                                                      \
    case GLU_SILU: VALUE(swish, swish_slope); break;                                                                   \
    case GLU_GELU: VALUE(fast_gelu, gelu_slope); break;                                                                \
    case GLU_GELU_TANH: VALUE(fast_gelu_tanh, gelu_tanh_slope); break;                                                 \
    case GLU_SIGMOID: VALUE(fast_sigmoid, sigmoid_slope); break;                                                       \
    }

CLONES static void unit_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const glu_halves *u = context;
    int64_t C = u->C;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict a = in[0] + r * 2 * C + u->gate, *restrict b = in[0] + r * 2 * C + u->plain;
        float *restrict y = out + r * C;
#define VALUE(f, df)                                                                                                   \
    for (int64_t i = 0; i < C; i++) y[i] = f(a[i]) * b[i]
        FOR_KIND(VALUE)
#undef VALUE
    }
}

/* in: x, gradient of y -> gradient of x. */
CLONES static void unit_slope(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const glu_halves *u = context;
    int64_t C = u->C;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict a = in[0] + r * 2 * C + u->gate, *restrict b = in[0] + r * 2 * C + u->plain;
        const float *restrict g = in[1] + r * C;
        float *restrict da = out + r * 2 * C + u->gate, *restrict db = out + r * 2 * C + u->plain;
#define VALUE(f, df)                                                                                                   \
    for (int64_t i = 0; i < C; i++) {                                                                                  \
        da[i] = g[i] * b[i] * df(a[i]);                                                                                \
        db[i] = g[i] * f(a[i]);                                                                                        \
    }
        FOR_KIND(VALUE)
#undef VALUE
    }
}

static const row_op unit_op = {unit_kernel, ROW_GLU, sizeof(glu_halves)},
                    slope_op = {unit_slope, ROW_GLU_SLOPE, sizeof(glu_halves)};

static void glu_backward(node *n) {
    const tensor *x = n->in[0];
    bool more;
    float *d = gradient_sink(x, &more);
    rows in[2] = {rows_of(x), rows_of_gradient(n->grad, n->out)};
    if (d) map_rows(row_count(x), rows_of_gradient(d, x), more, in, 2, &slope_op, n->options);
}

tensor *glu(const tensor *x, glu_kind kind, int gate_half, dtype out) {
    PLACE(x);
    int64_t C = x->shape[x->rank - 1] / 2;
    require(x->shape[x->rank - 1] == 2 * C && (gate_half == 0 || gate_half == 1));
    glu_halves u = {kind, C, gate_half * C, (1 - gate_half) * C};
    shape s = shape_of(x);
    s.dims[s.rank - 1] = C;
    tensor *y = tensor_result(out, s);
    rows in = rows_of(x);
    map_rows(row_count(x), rows_of(y), false, &in, 1, &unit_op, &u);
    record(y, glu_backward, INPUTS(x), &u, sizeof u);
    return y;
}
