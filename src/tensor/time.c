/* Operations on the time axis: picking, repeating and reshaping rows. */
#include <string.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/rows.h"

/* --- pick --- */

static void pick_backward(node *n) {
    const tensor *x = n->in[0];
    int64_t factor = *(const int *) n->options, T = n->out->shape[1], C = n->out->shape[2], full = x->shape[1];
    float *d = gradient_sum(x);
    if (!d) return;
    if (device_current()) {
        copying c = {n->out->shape[0] * T, C, 0, factor * C, 0, C};
        device_current()->return_blocks(&c, d, n->grad);
        return;
    }
#pragma omp parallel for schedule(static) if (count(x) > PARALLEL_MIN)
    for (int64_t r = 0; r < n->out->shape[0] * T; r++) {
        float *to = d + (r / T * full + r % T * factor) * C;
        for (int64_t i = 0; i < C; i++) to[i] += n->grad[r * C + i];
    }
}

tensor *pick_time(const tensor *x, int factor) {
    require(x->rank == 3 && x->shape[1] % factor == 0);
    PLACE(x);
    int64_t T = x->shape[1] / factor, C = x->shape[2];
    tensor *y = tensor_result(x->type, SHAPE(x->shape[0], T, C));
    copying c = {x->shape[0] * T, C, 0, factor * C, 0, C};
    copy_blocks(&c, y->data, x->data, x->type);
    record(y, pick_backward, INPUTS(x), &factor, sizeof factor);
    return y;
}

/* --- repeat --- */

static void repeat_backward(node *n) {
    int factor = *(const int *) n->options;
    const tensor *x = n->in[0];
    int64_t C = x->shape[2], total = x->shape[0] * x->shape[1];
    bool more;
    float *d = gradient_sink(x, &more);
    if (!d) return;
    if (device_current()) {
        device_current()->sum_repeated(d, n->grad, total, factor, C, more);
        return;
    }
#pragma omp parallel for schedule(static) if (count(n->out) > PARALLEL_MIN)
    for (int64_t r = 0; r < total; r++)
        for (int64_t i = 0; i < C; i++) {
            float sum = 0;
            for (int k = 0; k < factor; k++) sum += n->grad[(r * factor + k) * C + i];
            d[r * C + i] = (more ? d[r * C + i] : 0) + sum;
        }
}

static void repeat_rows(void *y, const void *x, int64_t rows, int factor, size_t size) {
    if (device_current()) {
        device_current()->repeat_rows(y, x, rows * factor, factor, (int64_t) size);
        return;
    }
    const char *from = x;
    char *to = y;
#pragma omp parallel for schedule(static) if (rows * factor * (int64_t) size > PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++)
        for (int k = 0; k < factor; k++) memcpy(to + (size_t) (r * factor + k) * size, from + (size_t) r * size, size);
}

tensor *repeat_time(const tensor *x, int factor, float slope, dtype out) {
    require(x->rank == 3);
    PLACE(x);
    tensor *row = slope != 1.0f || x->type != out ? leaky_relu(x, slope, out) : (tensor *) x;
    tensor *y = tensor_result(out, SHAPE(x->shape[0], x->shape[1] * factor, x->shape[2]));
    repeat_rows(y->data, row->data, x->shape[0] * x->shape[1], factor, (size_t) x->shape[2] * dtype_size(out));
    record(y, repeat_backward, INPUTS(row), &factor, sizeof factor);
    if (row != x) tensor_release(row);
    return y;
}

/* --- reshape --- */

static void reshape_backward(node *n) {
    bool more;
    float *d = gradient_sink(n->in[0], &more);
    if (!d) return;
    if (more) add_to(d, n->grad, count(n->out));
    else copy_to(d, n->grad, (size_t) count(n->out) * sizeof *d);
}

tensor *reshape(const tensor *x, shape s) {
    PLACE(x);
    tensor *y = tensor_view(x, 0, s);
    require(count(y) == count(x));
    record(y, reshape_backward, INPUTS(x), NULL, 0);
    return y;
}
