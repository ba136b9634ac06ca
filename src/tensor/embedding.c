/* Rows of a table by index. */
#include <string.h>

#include "tensor/convert.h"
#include "tensor/node.h"
#include "tensor/ops.h"

static void embedding_backward(node *n) {
    const int32_t *index = n->saved;
    int64_t rows = n->out->shape[0], C = n->out->shape[1];
    float *d = gradient_sum(n->in[0]);
    if (!d) return;
    if (device_current()) {
        device_current()->scatter_rows(d, n->grad, index, rows, C);
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < C; i++) d[index[r] * C + i] += n->grad[r * C + i];
}

/* Of a table that lies in a file the rows alone that are asked for are read. */
static void take_rows(const tensor *w, const int32_t *index, int64_t n, tensor *y) {
    const int64_t C = w->shape[1];
    scope_begin();
    const tensor *from = w->param && !w->device ? param_values(w->param) : w;
    const size_t row = (size_t) C * dtype_size(from->type);
    for (int64_t r = 0; r < n; r++)
        convert(f32(y) + r * C, F32, (const char *) from->data + (size_t) index[r] * row, from->type, C);
    scope_end();
}

tensor *embedding(const tensor *w, const int32_t *index, int64_t n) {
    w = placed_matrix(w);
    int64_t C = w->shape[1];
    tensor *y = tensor_result(F32, SHAPE(n, C));
    for (int64_t r = 0; r < n; r++) require(index[r] >= 0 && index[r] < w->shape[0]);
    if (device_current()) device_current()->gather_rows(y->data, values(w), index, n, C);
    else take_rows(w, index, n, y);
    node *recorded = record(y, embedding_backward, INPUTS(w), NULL, 0);
    if (recorded) recorded->saved = memcpy(alloc((size_t) n * sizeof *index), index, (size_t) n * sizeof *index);
    return y;
}
