/* See unfolded.h. x [B, T, C], y [B, U, O], w [O, C, K]; columns [rows, C K] of one batch item at a time, in pieces of at most
 * PIECE bytes. */
#include "tensor/unfolded.h"

#include "tensor/node.h"

static const int64_t PIECE = INT64_C(1) << 29;

static bool is_product(const conv1d_problem *c) {
    return c->kernel == 1 && c->stride == 1 && c->pad_left == 0 && c->in_time == c->out_time;
}

static int64_t rows_at_once(const conv1d_problem *c, size_t element) {
    int64_t row = c->in_c * c->kernel * (int64_t) element, n = PIECE / row;
    return n < 1 ? 1 : n < c->out_time ? n : c->out_time;
}

static const void *row_at(const void *x, int64_t row, int64_t width, dtype type) {
    return (const char *) x + (size_t) (row * width) * dtype_size(type);
}

/* The columns of rows first .. first + n - 1 of item b. */
static const void *columns_of(const conv1d_problem *c, void *to, const void *x, int64_t b, int64_t first, int64_t n) {
    device_current()->unfold(to, row_at(x, b * c->in_time, c->in_c, c->in), c->in_time, c->in_c, c->kernel, c->stride,
                             c->dilation, c->pad_left, first, n, dtype_size(c->in));
    return to;
}

void unfolded_forward(const conv1d_problem *c, const void *x, const tensor *w, const float *bias, void *y) {
    const device *d = device_current();
    const void *weights = placed_as(w, c->in)->data;
    int64_t wide = c->in_c * c->kernel;
    if (is_product(c)) {
        d->matmul(1, c->batch * c->out_time, c->out_c, wide, c->in, x, false, weights, true, bias, c->out, y, false);
        return;
    }
    scope_begin();
    int64_t most = rows_at_once(c, dtype_size(c->in));
    void *columns = device_alloc((size_t) (most * wide) * dtype_size(c->in));
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t first = 0; first < c->out_time; first += most) {
            int64_t n = c->out_time - first < most ? c->out_time - first : most;
            d->matmul(1, n, c->out_c, wide, c->in, columns_of(c, columns, x, b, first, n), false, weights, true, bias,
                      c->out, (void *) row_at(y, b * c->out_time + first, c->out_c, c->out), false);
        }
    scope_end();
}

void unfolded_backward_data(const conv1d_problem *c, const void *dy, const tensor *w, float *dx, bool add) {
    const device *d = device_current();
    const void *weights = placed_as(w, c->in)->data;
    int64_t wide = c->in_c * c->kernel;
    if (is_product(c)) {
        d->matmul(1, c->batch * c->out_time, wide, c->out_c, c->in, dy, false, weights, false, NULL, F32, dx, add);
        return;
    }
    scope_begin();
    float *columns = device_alloc((size_t) (c->out_time * wide) * sizeof(float));
    for (int64_t b = 0; b < c->batch; b++) {
        d->matmul(1, c->out_time, wide, c->out_c, c->in, row_at(dy, b * c->out_time, c->out_c, c->in), false, weights,
                  false, NULL, F32, columns, false);
        d->fold(dx + b * c->in_time * c->in_c, columns, c->in_time, c->in_c, c->out_time, c->kernel, c->stride,
                c->dilation, c->pad_left, add);
    }
    scope_end();
}

void unfolded_backward_weights(const conv1d_problem *c, const void *x, const void *dy, float *dw, float *dbias) {
    const device *d = device_current();
    int64_t wide = c->in_c * c->kernel;
    require(!dbias);
    if (is_product(c)) {
        d->matmul(1, c->out_c, wide, c->batch * c->out_time, c->in, dy, true, x, false, NULL, F32, dw, true);
        return;
    }
    scope_begin();
    int64_t most = rows_at_once(c, dtype_size(c->in));
    void *columns = device_alloc((size_t) (most * wide) * dtype_size(c->in));
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t first = 0; first < c->out_time; first += most) {
            int64_t n = c->out_time - first < most ? c->out_time - first : most;
            d->matmul(1, c->out_c, wide, n, c->in, row_at(dy, b * c->out_time + first, c->out_c, c->in), true,
                      columns_of(c, columns, x, b, first, n), false, NULL, F32, dw, true);
        }
    scope_end();
}
