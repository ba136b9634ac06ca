/* Depthwise convolution over time: each channel with its own kernel, the length kept. x [B, T, C], w [C, 1, K]. Channels
 * lie together, so the loops over them vectorise; the weights are turned to [K, C] first. */
#include <string.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"

typedef depthwise_filter filter; /* row t of y reads rows t - pad + k dilation of x */

/* y [C] += x [C] * w [C]. */
CLONES static void multiply_add(float *restrict y, const float *restrict x, const float *restrict w, int64_t C) {
#pragma omp simd
    for (int64_t i = 0; i < C; i++) y[i] += x[i] * w[i];
}

static float *turned(const filter *f, const float *w) {
    float *t = alloc((size_t) (f->K * f->C) * sizeof *t);
    for (int64_t k = 0; k < f->K; k++)
        for (int64_t c = 0; c < f->C; c++) t[k * f->C + c] = w[c * f->K + k];
    return t;
}

/* y += the filter over x, or, with direction -1, its transpose. */
static void run(const filter *f, float *y, const float *x, const float *w, int direction) {
    int64_t T = f->T, C = f->C;
#pragma omp parallel for schedule(static) if (f->B * T * C > PARALLEL_MIN)
    for (int64_t r = 0; r < f->B * T; r++)
        for (int64_t k = 0; k < f->K; k++) {
            int64_t t = r % T + direction * (k * f->dilation - f->pad);
            if (t >= 0 && t < T) multiply_add(y + r * C, x + (r - r % T + t) * C, w + k * C, C);
        }
}

/* dw [K, C] and db [C] from the rows [first, last) of all rows. */
static void sum_weights(const filter *f, float *dw, float *db, const float *x, const float *dy, const float *ones,
                        int64_t first, int64_t last) {
    int64_t T = f->T, C = f->C;
    for (int64_t r = first; r < last; r++) {
        multiply_add(db, dy + r * C, ones, C);
        for (int64_t k = 0; k < f->K; k++) {
            int64_t t = r % T + k * f->dilation - f->pad;
            if (t >= 0 && t < T) multiply_add(dw + k * C, dy + r * C, x + (r - r % T + t) * C, C);
        }
    }
}

/* Adds to dw [C, 1, K] and db [C] (each may be NULL): partial sums over a fixed number of rows, added in order. */
static void backward_weights(const filter *f, float *dw, float *db, const float *x, const float *dy) {
    enum { CHUNK = 256 };
    int64_t total = f->B * f->T, chunks = (total + CHUNK - 1) / CHUNK, C = f->C, wide = (f->K + 1) * C;
    float *partial = alloc_zero((size_t) (chunks * wide), sizeof(float)), *ones = alloc((size_t) C * sizeof *ones);
    for (int64_t i = 0; i < C; i++) ones[i] = 1.0f;
#pragma omp parallel for schedule(static) if (total * C > PARALLEL_MIN)
    for (int64_t c = 0; c < chunks; c++)
        sum_weights(f, partial + c * wide, partial + c * wide + f->K * C, x, dy, ones, c * CHUNK,
                    (c + 1) * CHUNK < total ? (c + 1) * CHUNK : total);
    for (int64_t c = 0; c < chunks; c++) {
        const float *from = partial + c * wide;
        for (int64_t k = 0; dw && k < f->K; k++)
            for (int64_t i = 0; i < C; i++) dw[i * f->K + k] += from[k * C + i];
        for (int64_t i = 0; db && i < C; i++) db[i] += from[f->K * C + i];
    }
}

/* y (+)= the filter over x, w [C, 1, K], or its transpose. */
static void filter_rows(const filter *f, float *y, const tensor *x, const tensor *w, const float *b, bool transposed,
                        bool add) {
    if (device_current()) {
        device_current()->depthwise(f, y, x->data, x->type, values(w), b, transposed, add);
        return;
    }
    scope_begin();
    if (!add) memset(y, 0, (size_t) count(x) * sizeof *y);
    for (int64_t r = 0; b && r < f->B * f->T; r++) memcpy(y + r * f->C, b, (size_t) f->C * sizeof *y);
    run(f, y, values(x->type == F32 ? x : tensor_to_f32(x)), turned(f, values(w)), transposed ? -1 : 1);
    scope_end();
}

static void depthwise_backward(node *n) {
    const filter *f = n->options;
    const tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    bool more;
    float *dx = gradient_sink(x, &more), *dw = gradient_sum(w), *db = gradient_sum(b);
    if (dx) filter_rows(f, dx, tensor_there(n->grad, n->out), w, NULL, true, more);
    if (!dw && !db) return;
    if (device_current()) device_current()->depthwise_weights(f, dw, db, x->data, x->type, n->grad);
    else backward_weights(f, dw, db, values(x->type == F32 ? x : tensor_to_f32(x)), n->grad);
}

tensor *depthwise_conv1d(const tensor *x, const tensor *w, const tensor *b, int dilation) {
    filter f = {x->shape[0], x->shape[1], x->shape[2], w->shape[w->rank - 1], dilation ? dilation : 1, 0};
    require(x->rank == 3 && w->shape[0] == f.C && count(w) == f.C * f.K && (!b || count(b) == f.C));
    f.pad = (f.K - 1) * f.dilation / 2;
    PLACE(x);
    PLACE(w);
    PLACE(b);
    tensor *y = tensor_result(F32, shape_of(x));
    filter_rows(&f, y->data, x, w, values(b), false, false);
    record(y, depthwise_backward, INPUTS(x, w, b), &f, sizeof f);
    return y;
}
