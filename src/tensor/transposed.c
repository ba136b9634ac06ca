/* The transposed convolution as a dense one at the lower rate. With n + pad = stride m + r,
 *     y[n] = sum over j of x[m - j] w[r + j stride],
 * so the channels (r, c) of a convolution over ceil(K / stride) rows of x are, channels last, the rows of the higher rate. */
#include <string.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"

typedef struct {
    int64_t in, out, width, stride, taps; /* w [in, out, width] -> [stride out, in, taps] */
} layout;

static layout layout_of(const tensor *w, int stride) {
    const int64_t width = w->shape[2];
    return (layout){w->shape[0], w->shape[1], width, stride, (width + stride - 1) / stride};
}

/* Where w[i, o, k] goes. */
static int64_t dense_at(const layout *l, int64_t i, int64_t o, int64_t k) {
    return ((k % l->stride * l->out + o) * l->in + i) * l->taps + (l->taps - 1 - k / l->stride);
}

static void kernel_backward(node *n) {
    const layout *l = n->options;
    bool more;
    float *d = gradient_sink(n->in[0], &more);
    if (!d) return;
#pragma omp parallel for schedule(static) if (count(n->out) > PARALLEL_MIN)
    for (int64_t i = 0; i < l->in; i++)
        for (int64_t o = 0; o < l->out; o++)
            for (int64_t k = 0; k < l->width; k++) {
                float *to = d + (i * l->out + o) * l->width + k;
                *to = (more ? *to : 0) + n->grad[dense_at(l, i, o, k)];
            }
}

tensor *transposed_kernel(const tensor *w, int stride) {
    require(w->rank == 3 && stride >= 1);
    w = brought(w);
    const bool was = device_switch(false);
    const layout l = layout_of(w, stride);
    tensor *y = tensor_zero(F32, SHAPE(stride * l.out, l.in, l.taps));
    const float *from = f32(w);
    float *to = f32(y);
#pragma omp parallel for schedule(static) if (count(y) > PARALLEL_MIN)
    for (int64_t i = 0; i < l.in; i++)
        for (int64_t o = 0; o < l.out; o++)
            for (int64_t k = 0; k < l.width; k++) to[dense_at(&l, i, o, k)] = from[(i * l.out + o) * l.width + k];
    record(y, kernel_backward, INPUTS(w), &l, sizeof l);
    device_switch(was);
    return y;
}

tensor *transposed_bias(const tensor *b, int stride) {
    const int64_t C = count(b);
    tensor *y = repeat_time(reshape(b, SHAPE(1, 1, C)), stride, 1, F32);
    return reshape(y, SHAPE(stride * C));
}

tensor *transposed_conv1d(const tensor *x, const tensor *kernel, const tensor *bias, transposed_options o) {
    const int64_t B = x->shape[0], T = x->shape[1], C = kernel->shape[0] / o.stride;
    const int rest = (int) kernel->shape[2] - 1;
    const conv1d_options dense = {.pad_left = rest, .pad_right = rest, .out = o.out, .exact = o.exact};
    tensor *y = conv1d(x, kernel, bias, dense); /* [B, T + rest, stride C] */
    y = reshape(y, SHAPE(B, (T + rest) * o.stride, C));
    return slice_time(y, o.pad, (T - 1) * o.stride - 2 * o.pad + o.width);
}
