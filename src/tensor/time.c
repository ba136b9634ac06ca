/* Operations on the time axis: picking, repeating and reshaping rows. */
#include <string.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"

/* --- pick --- */

static void pick_backward(node *n) {
    const tensor *x = n->in[0];
    int64_t factor = *(const int *) n->options, T = n->out->shape[1], C = n->out->shape[2], full = x->shape[1];
    bool more;
    float *d = gradient_sink(x, &more);
    if (!d) return;
    if (!more) memset(d, 0, (size_t) count(x) * sizeof(float));
#pragma omp parallel for schedule(static) if (count(x) > PARALLEL_MIN)
    for (int64_t r = 0; r < n->out->shape[0] * T; r++) {
        float *to = d + (r / T * full + r % T * factor) * C;
        for (int64_t i = 0; i < C; i++) to[i] += n->grad[r * C + i];
    }
}

tensor *pick_time(const tensor *x, int factor) {
    require(x->rank == 3 && x->shape[1] % factor == 0);
    int64_t T = x->shape[1] / factor;
    size_t row = (size_t) x->shape[2] * dtype_size(x->type);
    tensor *y = tensor_new(x->type, SHAPE(x->shape[0], T, x->shape[2]));
    const char *from = x->data;
    char *to = y->data;
#pragma omp parallel for schedule(static) if (count(y) > PARALLEL_MIN)
    for (int64_t r = 0; r < x->shape[0] * T; r++)
        memcpy(to + (size_t) r * row, from + (size_t) (r * factor) * row, row);
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
#pragma omp parallel for schedule(static) if (count(n->out) > PARALLEL_MIN)
    for (int64_t r = 0; r < total; r++)
        for (int64_t i = 0; i < C; i++) {
            float sum = 0;
            for (int k = 0; k < factor; k++) sum += n->grad[(r * factor + k) * C + i];
            d[r * C + i] = (more ? d[r * C + i] : 0) + sum;
        }
}

tensor *repeat_time(const tensor *x, int factor, float slope, dtype out) {
    require(x->rank == 3);
    tensor *row = slope != 1.0f || x->type != out ? leaky_relu(x, slope, out) : (tensor *) x;
    int64_t total = x->shape[0] * x->shape[1];
    size_t size = (size_t) x->shape[2] * dtype_size(out);
    tensor *y = tensor_new(out, SHAPE(x->shape[0], x->shape[1] * factor, x->shape[2]));
    const char *from = row->data;
    char *to = y->data;
#pragma omp parallel for schedule(static) if (count(y) > PARALLEL_MIN)
    for (int64_t r = 0; r < total; r++)
        for (int k = 0; k < factor; k++) memcpy(to + (size_t) (r * factor + k) * size, from + (size_t) r * size, size);
    record(y, repeat_backward, INPUTS(row), &factor, sizeof factor);
    if (row != x) tensor_release(row);
    return y;
}

/* --- reshape --- */

static void reshape_backward(node *n) {
    bool more;
    float *d = gradient_sink(n->in[0], &more);
    if (!d) return;
    int64_t elements = count(n->out);
#pragma omp parallel for simd schedule(static) if (elements > PARALLEL_MIN)
    for (int64_t i = 0; i < elements; i++) d[i] = (more ? d[i] : 0) + n->grad[i];
}

tensor *reshape(const tensor *x, shape s) {
    tensor *y = tensor_wrap(x->type, s, x->data);
    require(count(y) == count(x));
    record(y, reshape_backward, INPUTS(x), NULL, 0);
    return y;
}
