/* Rows of a table by index. */
#include <string.h>

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

tensor *embedding(const tensor *w, const int32_t *index, int64_t n) {
    PLACE(w);
    int64_t C = w->shape[1];
    tensor *y = tensor_result(F32, SHAPE(n, C));
    for (int64_t r = 0; r < n; r++) require(index[r] >= 0 && index[r] < w->shape[0]);
    if (device_current()) device_current()->gather_rows(y->data, values(w), index, n, C);
    else
        for (int64_t r = 0; r < n; r++) memcpy(f32(y) + r * C, values(w) + index[r] * C, (size_t) C * sizeof(float));
    node *recorded = record(y, embedding_backward, INPUTS(w), NULL, 0);
    if (recorded) recorded->saved = memcpy(alloc((size_t) n * sizeof *index), index, (size_t) n * sizeof *index);
    return y;
}
