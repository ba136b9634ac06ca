/* Linear layers whose weight lies [in, out], as GPT-2's code keeps it: y = x w + b, F32. */
#include "tensor/cpu/dnn.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/reduce.h"

static const float *as_f32(const tensor *x) { return values(placed_as(x, F32)); }

/* matmul of one batch where operations run. */
static void product(int64_t m, int64_t n, int64_t k, const float *a, bool a_transposed, const float *b,
                    bool b_transposed, float *y, bool add) {
    const device *d = device_current();
    if (d) d->matmul(1, m, n, k, F32, a, a_transposed, b, b_transposed, NULL, F32, y, add);
    else matmul(1, m, n, k, F32, a, a_transposed, b, b_transposed, F32, y, add);
}

static void columns_backward(node *n) {
    const tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    int64_t N = w->shape[0], M = w->shape[1], rows = count(x) / N;
    bool more;
    float *dx = gradient_sink(x, &more);
    if (dx) product(rows, N, M, n->grad, false, values(w), true, dx, more);
    float *dw = gradient_sink(w, &more);
    if (dw) product(N, M, rows, as_f32(x), true, n->grad, false, dw, more);
    float *db = gradient_sum(b);
    if (db) sum_groups(db, n->grad, 1, rows, M);
}

tensor *linear_columns(const tensor *x, const tensor *w, const tensor *b) {
    int64_t N = w->shape[0], M = w->shape[1];
    require(w->rank == 2 && x->shape[x->rank - 1] == N && (!b || count(b) == M));
    PLACE(x);
    w = placed_matrix(w);
    PLACE(b);
    matmul_problem p = {count(x) / N, M, N, F32, F32, .b_transposed = true, .bias = b != NULL};
    shape s = shape_of(x);
    s.dims[s.rank - 1] = M;
    tensor *y = tensor_result(F32, s);
    const device *d = device_current();
    if (d) d->matmul(1, p.m, p.n, p.k, F32, as_f32(x), false, values(w), false, values(b), F32, y->data, false);
    else matmul_weights(&p, as_f32(x), w, values(b), y->data);
    record(y, columns_backward, INPUTS(x, w, b), NULL, 0);
    return y;
}
