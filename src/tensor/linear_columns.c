/* Linear layers whose weight lies [in, out], as GPT-2's code keeps it: y = x w + b, F32. */
#include <string.h>

#include "tensor/cpu/dnn.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/reduce.h"

static const float *as_f32(const tensor *x) { return x->type == F32 ? f32(x) : f32(tensor_to_f32(x)); }

static void columns_backward(node *n) {
    const tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    int64_t N = w->shape[0], M = w->shape[1], rows = count(x) / N;
    bool more;
    float *dx = gradient_sink(x, &more);
    if (dx) matmul(1, rows, N, M, F32, n->grad, false, f32(w), true, F32, dx, more);
    float *dw = gradient_sink(w, &more);
    if (dw) matmul(1, N, M, rows, F32, as_f32(x), true, n->grad, false, F32, dw, more);
    float *db = gradient_sink(b, &more);
    if (!db) return;
    if (!more) memset(db, 0, (size_t) M * sizeof *db);
    sum_rows_into(db, n->grad, rows, M);
}

tensor *linear_columns(const tensor *x, const tensor *w, const tensor *b) {
    int64_t N = w->shape[0], M = w->shape[1];
    require(w->rank == 2 && x->shape[x->rank - 1] == N && (!b || count(b) == M));
    matmul_problem p = {count(x) / N, M, N, F32, F32, .b_transposed = true, .bias = b != NULL};
    shape s = shape_of(x);
    s.dims[s.rank - 1] = M;
    tensor *y = tensor_new(F32, s);
    matmul_weights(&p, as_f32(x), w, b ? f32(b) : NULL, y->data);
    record(y, columns_backward, INPUTS(x, w, b), NULL, 0);
    return y;
}
