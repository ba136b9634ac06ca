/* Products with what is the same for many positions: a row per batch item (gates of adaLN) or one row for all (layer
 * scale, Touvron et al. 2021). */
#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

/* in: x or NULL, y -> x + y gate. */
CLONES static void gate_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const gating *m = context;
    int64_t C = m->C;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] ? in[0] + r * C : NULL, *restrict y = in[1] + r * C;
        const float *restrict gate = m->gate ? m->gate + (first + r) / m->positions * C : NULL;
        float *restrict z = out + r * C;
        if (gate)
            for (int64_t i = 0; i < C; i++) z[i] = y[i] * gate[i];
        else
            for (int64_t i = 0; i < C; i++) z[i] = y[i];
        if (x)
            for (int64_t i = 0; i < C; i++) z[i] += x[i];
    }
}

CLONES static void product_kernel(const float *const *in, float *restrict out, int64_t first, int64_t n,
                                  const void *context) {
    int64_t C = ((const gating *) context)->C;
    const float *restrict a = in[0], *restrict b = in[1];
    (void) first;
    for (int64_t i = 0; i < n * C; i++) out[i] = a[i] * b[i];
}

static const row_op gate_op = {gate_kernel, ROW_GATE, sizeof(gating)},
                    product_op = {product_kernel, ROW_MULTIPLY, sizeof(gating)};

static void gate_backward(node *n) {
    const gating *m = n->options, pass = {NULL, m->positions, m->C};
    const tensor *x = n->in[0], *y = n->in[1], *gate = n->in[2];
    rows g = rows_of_gradient(n->grad, n->out), in[2] = {{0}, g}, both[2] = {g, rows_of(y)};
    bool more;
    float *dx = gradient_sink(x, &more);
    if (dx) map_rows(row_count(y), rows_of_gradient(dx, x), more, in, 2, &gate_op, &pass);
    float *dy = gradient_sink(y, &more);
    if (dy) map_rows(row_count(y), rows_of_gradient(dy, y), more, in, 2, &gate_op, m);
    float *dgate = gradient_sum(gate);
    if (!dgate) return;
    float *each = alloc_there((size_t) count(y) * sizeof(float));
    map_rows(row_count(y), (rows){each, F32, m->C}, false, both, 2, &product_op, m);
    sum_groups(dgate, each, row_count(y) / m->positions, m->positions, m->C);
}

static tensor *gate_rows(const tensor *x, const tensor *y, const tensor *gate, int64_t positions, dtype out) {
    PLACE(x);
    PLACE(y);
    PLACE(gate);
    gating m = {values(gate), positions ? positions : 1, y->shape[y->rank - 1]};
    tensor *z = tensor_result(out, shape_of(y));
    rows in[2] = {rows_of(x), rows_of(y)};
    map_rows(row_count(y), rows_of(z), false, in, 2, &gate_op, &m);
    record(z, gate_backward, INPUTS(x, y, gate), &m, sizeof m);
    return z;
}

tensor *gated_add(const tensor *x, const tensor *y, const tensor *gate) {
    int64_t batch = y->shape[0], C = y->shape[y->rank - 1];
    require(count(x) == count(y) && (!gate || count(gate) == batch * C));
    return gate_rows(x, y, gate, row_count(y) / (batch ? batch : 1), F32);
}

tensor *gate_channels(const tensor *x, const tensor *gate, dtype out) {
    int64_t batch = x->shape[0], C = x->shape[x->rank - 1];
    require(count(gate) == batch * C);
    return gate_rows(NULL, x, gate, row_count(x) / (batch ? batch : 1), out);
}

tensor *scale_channels(const tensor *x, const tensor *gain, dtype out) {
    require(count(gain) == x->shape[x->rank - 1]);
    return gate_rows(NULL, x, gain, row_count(x), out);
}

/* --- products of equal shapes --- */

static void multiply_backward(node *n) {
    const gating *m = n->options;
    for (int i = 0; i < 2; i++) {
        rows in[2] = {rows_of_gradient(n->grad, n->out), rows_of(n->in[1 - i])};
        bool more;
        float *d = gradient_sink(n->in[i], &more);
        if (d) map_rows(row_count(n->out), rows_of_gradient(d, n->in[i]), more, in, 2, &product_op, m);
    }
}

tensor *multiply(const tensor *a, const tensor *b, dtype out) {
    gating m = {NULL, 1, a->shape[a->rank - 1]};
    require(count(a) == count(b) && b->shape[b->rank - 1] == m.C);
    PLACE(a);
    PLACE(b);
    tensor *y = tensor_result(out, shape_of(a));
    rows in[2] = {rows_of(a), rows_of(b)};
    map_rows(row_count(a), rows_of(y), false, in, 2, &product_op, &m);
    record(y, multiply_backward, INPUTS(a, b), &m, sizeof m);
    return y;
}
