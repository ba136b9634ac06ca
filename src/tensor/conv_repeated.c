/* The convolution of repeated rows: conv1d(repeat_time(x)) with less work, in f32. A result's row reads one or two rows of x:
 * taps on the same row are added up first, and rows that read the same are computed once. For a kernel of 3 and a factor f
 * it is 5 products instead of 3 f. Backward goes the long way. */
#include <string.h>

#include "base/parallel.h"
#include "tensor/cpu/conv1d.h"
#include "tensor/cpu/conv_f32.h"
#include "tensor/node.h"
#include "tensor/ops.h"

/* [B, T, C] -> [B, T factor, C]. */
static float *repeated(const float *x, int64_t rows, int64_t C, int factor) {
    float *y = alloc((size_t) (rows * factor * C) * sizeof(float));
#pragma omp parallel for schedule(static) if (rows * C > PARALLEL_MIN)
    for (int64_t r = 0; r < rows * factor; r++) memcpy(y + r * C, x + r / factor * C, (size_t) C * sizeof(float));
    return y;
}

static void fold(float *to, const float *from, int64_t rows, int64_t C, int factor, bool add) {
#pragma omp parallel for schedule(static) if (rows * C > PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < C; i++) {
            float sum = add ? to[r * C + i] : 0;
            for (int k = 0; k < factor; k++) sum += from[(r * factor + k) * C + i];
            to[r * C + i] = sum;
        }
}

static void repeated_backward(node *n) {
    const tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const int factor = ((const repeated_options *) n->options)->factor;
    const int dilation = ((const repeated_options *) n->options)->dilation;
    const int64_t rows = x->shape[0] * x->shape[1], C = x->shape[2];
    const conv1d_problem c = {.batch = x->shape[0],
                              .in_time = x->shape[1] * factor,
                              .in_c = C,
                              .out_time = x->shape[1] * factor,
                              .out_c = w->shape[0],
                              .kernel = (int) w->shape[2],
                              .stride = 1,
                              .dilation = dilation,
                              .pad_left = (int) (w->shape[2] / 2) * dilation,
                              .in = F32,
                              .out = F32};
    bool more, more_bias;
    scope_begin();
    float *dx = gradient_sink(x, &more), *whole = alloc((size_t) (rows * factor * C) * sizeof(float));
    if (dx) conv1d_backward_data(&c, n->grad, w, whole, false);
    if (dx) fold(dx, whole, rows, C, factor, more);
    float *dw = gradient_sink(w, &more), *db = gradient_sink(b, &more_bias);
    if (dw && !more) memset(dw, 0, (size_t) count(w) * sizeof(float));
    if (db && !more_bias) memset(db, 0, (size_t) count(b) * sizeof(float));
    if (dw) conv1d_backward_weights(&c, repeated(f32(x), rows, C, factor), n->grad, dw, db);
    scope_end();
}

/* By operations: with operands other than f32. */
static tensor *by_operations(const tensor *x, const tensor *w, const tensor *b, repeated_options o) {
    const int64_t all = x->shape[1] * o.factor, reach = w->shape[2] / 2 * o.dilation;
    const int64_t from = o.first > reach ? o.first - reach : 0, to = o.end + reach < all ? o.end + reach : all;
    const tensor *rows = repeat_time(x, o.factor, 1.0f, x->type);
    if (to - from < all) rows = slice_time(rows, from, to - from);
    const conv1d_options c = {.dilation = o.dilation,
                              .pad_left = (int) (reach - (o.first - from)),
                              .pad_right = (int) (reach - (to - o.end)),
                              .out = o.out};
    return conv1d(rows, w, b, c);
}

tensor *conv1d_repeated(const tensor *x, const tensor *w, const tensor *b, repeated_options o) {
    const int64_t B = x->shape[0], T = x->shape[1], C = x->shape[2], O = w->shape[0];
    if (!o.end) o.end = T * o.factor;
    require(x->rank == 3 && w->rank == 3 && w->shape[1] == C && w->shape[2] % 2 == 1);
    require(o.factor >= 1 && o.dilation >= 1 && o.first >= 0 && o.first < o.end && o.end <= T * o.factor);
    if (device_current() || operands() != F32 || x->type != F32 || o.out != F32) return by_operations(x, w, b, o);
    require(!recording() || (o.first == 0 && o.end == T * o.factor));
    const repeated_problem c = {T, C, O, o.first, o.end, (int) w->shape[2], o.dilation, o.factor};
    tensor *y = tensor_new(F32, SHAPE(B, o.end - o.first, O));
    for (int64_t i = 0; i < B; i++)
        conv_f32_repeated(&c, f32(x) + i * T * C, w, b ? f32(b) : NULL, f32(y) + i * (o.end - o.first) * O);
    record(y, repeated_backward, INPUTS(x, w, b), &o, sizeof o);
    return y;
}
