/* How a 1-D problem is computed. In f32 by tiles of our own (conv_f32.h). In bf16 by oneDNN, whose fast convolutions take
 * dense kernels and work along the image's width:
 *  - dilation 1: an image one row high, [1, T];
 *  - dilation d: the same memory seen as an image [T / d, d] with a dense kernel along its height (design of the dense
 *    view); a length that is no multiple of d is padded with zero rows, which is what lies outside anyway;
 *  - a small d: that image turned, so that each of its d columns is a sound of its own with a dense kernel. (oneDNN's own dilated
 *    kernels add in an order that depends on the number of threads; the others were not seen to.)
 *  - kernel 1, stride 1: a matrix product. */
#include "tensor/cpu/conv1d.h"

#include <string.h>

#include "base/parallel.h"
#include "tensor/cpu/conv_f32.h"
#include "tensor/reduce.h"

/* Narrower views than this are slow. */
enum { NARROWEST_VIEW = 8 };

typedef struct {
    conv_problem image;
    int64_t in_rows, out_rows; /* of x and y in time, padded */
} plan;

static bool is_product(const conv1d_problem *c) {
    return c->kernel == 1 && c->stride == 1 && c->pad_left == 0 && c->in_time == c->out_time;
}

static bool by_tiles(const conv1d_problem *c, bool backward) {
    return c->in == F32 && (backward ? c->stride == 1 : c->out == F32);
}

static int64_t view_rows(int64_t time, int64_t width) { return (time + width - 1) / width; }

/* Where the padding is whole rows of the view, and no row of x lies behind what the last row of y reads. */
static bool has_view(const conv1d_problem *c) {
    return c->dilation > 1 && c->stride == 1 && c->pad_left % c->dilation == 0 &&
           view_rows(c->out_time, c->dilation) - 1 + c->kernel >=
               view_rows(c->in_time, c->dilation) + c->pad_left / c->dilation;
}

static bool has_dense_view(const conv1d_problem *c) { return c->dilation >= NARROWEST_VIEW && has_view(c); }
static bool has_turned_view(const conv1d_problem *c) { return c->dilation < NARROWEST_VIEW && has_view(c); }

static plan plan_of(const conv1d_problem *c) {
    conv_problem p = {.batch = c->batch,
                      .in_c = c->in_c,
                      .out_c = c->out_c,
                      .stride_h = 1,
                      .stride_w = 1,
                      .dilation_h = 1,
                      .dilation_w = 1,
                      .groups = 1,
                      .in = c->in,
                      .out = c->out,
                      .bias = c->bias};
    if (has_dense_view(c)) {
        p.in_h = view_rows(c->in_time, c->dilation);
        p.out_h = view_rows(c->out_time, c->dilation);
        p.in_w = p.out_w = c->dilation;
        p.kernel_h = c->kernel;
        p.kernel_w = 1;
        p.pad_h = c->pad_left / c->dilation;
        return (plan){p, p.in_h * c->dilation, p.out_h * c->dilation};
    }
    p.in_h = p.out_h = p.kernel_h = 1;
    p.in_w = c->in_time;
    p.out_w = c->out_time;
    p.kernel_w = c->kernel;
    p.stride_w = c->stride;
    p.dilation_w = c->dilation;
    p.pad_w = c->pad_left;
    return (plan){p, c->in_time, c->out_time};
}

/* [batch, time] rows of `row` bytes with more of them: a copy, zero behind; x itself if there are none more. */
static const void *pad_rows(const void *x, int64_t batch, int64_t time, int64_t rows, size_t row) {
    if (rows == time) return x;
    char *padded = alloc((size_t) (batch * rows) * row);
    for (int64_t b = 0; b < batch; b++) {
        memcpy(padded + (size_t) (b * rows) * row, (const char *) x + (size_t) (b * time) * row, (size_t) time * row);
        memset(padded + (size_t) (b * rows + time) * row, 0, (size_t) (rows - time) * row);
    }
    return padded;
}

static void cut_rows(void *y, const void *padded, int64_t batch, int64_t time, int64_t rows, size_t row) {
    for (int64_t b = 0; b < batch; b++)
        memcpy((char *) y + (size_t) (b * time) * row, (const char *) padded + (size_t) (b * rows) * row,
               (size_t) time * row);
}

/* The view [batch, rows, d] of [batch, time] rows of `row` bytes, turned: [batch, d, rows], zero where time ends. */
static void *turn(const void *x, int64_t batch, int64_t time, int64_t d, size_t row) {
    const int64_t rows = view_rows(time, d), n = batch * d * rows;
    char *to = alloc((size_t) n * row);
#pragma omp parallel for schedule(static) if (n * (int64_t) row > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) {
        const int64_t b = i / (d * rows), t = i % rows * d + i / rows % d;
        if (t < time) memcpy(to + (size_t) i * row, (const char *) x + (size_t) (b * time + t) * row, row);
        else memset(to + (size_t) i * row, 0, row);
    }
    return to;
}

static void turn_back(void *y, const char *turned, int64_t batch, int64_t time, int64_t d, size_t row) {
    const int64_t rows = view_rows(time, d), n = batch * time;
#pragma omp parallel for schedule(static) if (n * (int64_t) row > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) {
        const int64_t b = i / time, t = i % time, from = (b * d + t % d) * rows + t / d;
        memcpy((char *) y + (size_t) i * row, turned + (size_t) from * row, row);
    }
}

static void forward_turned(const conv1d_problem *c, const void *x, const tensor *w, const float *bias, void *y) {
    const int64_t d = c->dilation;
    const size_t in_row = (size_t) c->in_c * dtype_size(c->in), out_row = (size_t) c->out_c * dtype_size(c->out);
    conv1d_problem dense = *c;
    dense.batch = c->batch * d;
    dense.in_time = view_rows(c->in_time, d);
    dense.out_time = view_rows(c->out_time, d);
    dense.dilation = 1;
    dense.pad_left = c->pad_left / (int) d;
    scope_begin();
    char *turned = alloc((size_t) (dense.batch * dense.out_time) * out_row);
    conv1d_forward(&dense, turn(x, c->batch, c->in_time, d, in_row), w, bias, turned);
    turn_back(y, turned, c->batch, c->out_time, d, out_row);
    scope_end();
}

void conv1d_forward(const conv1d_problem *c, const void *x, const tensor *w, const float *bias, void *y) {
    if (by_tiles(c, false)) {
        conv_f32_forward(c, x, w, bias, y, false);
        return;
    }
    if (is_product(c)) {
        matmul_problem m = {c->batch * c->in_time, c->out_c, c->in_c, c->in, c->out, false, c->bias, false};
        matmul_weights(&m, x, w, bias, y);
        return;
    }
    if (has_turned_view(c)) {
        forward_turned(c, x, w, bias, y);
        return;
    }
    plan p = plan_of(c);
    bool longer = p.out_rows != c->out_time;
    size_t in_row = (size_t) c->in_c * dtype_size(c->in), out_row = (size_t) c->out_c * dtype_size(c->out);
    scope_begin();
    void *to = longer ? alloc((size_t) (c->batch * p.out_rows) * out_row) : y;
    conv_forward(&p.image, pad_rows(x, c->batch, c->in_time, p.in_rows, in_row), w, bias, to);
    if (longer) cut_rows(y, to, c->batch, c->out_time, p.out_rows, out_row);
    scope_end();
}

static void add_to(float *restrict to, const float *restrict x, int64_t n) {
#pragma omp parallel for simd schedule(static) if (n > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) to[i] += x[i];
}

void conv1d_backward_data(const conv1d_problem *c, const void *dy, const tensor *w, float *dx, bool add) {
    if (by_tiles(c, true)) {
        conv_f32_backward_data(c, dy, w, dx, add);
        return;
    }
    if (is_product(c)) {
        matmul_problem m = {c->batch * c->in_time, c->in_c, c->out_c, c->in, F32, true, false, add};
        matmul_weights(&m, dy, w, NULL, dx);
        return;
    }
    plan p = plan_of(c);
    bool longer = p.in_rows != c->in_time;
    int64_t n = c->batch * c->in_time * c->in_c;
    scope_begin();
    const void *from = pad_rows(dy, c->batch, c->out_time, p.out_rows, (size_t) c->out_c * dtype_size(c->in));
    float *to = longer || add ? alloc((size_t) (c->batch * p.in_rows * c->in_c) * sizeof(float)) : dx;
    conv_backward_data(&p.image, from, w, to, F32);
    if (longer) {
        float *cut = add ? alloc((size_t) n * sizeof(float)) : dx;
        cut_rows(cut, to, c->batch, c->in_time, p.in_rows, (size_t) c->in_c * sizeof(float));
        to = cut;
    }
    if (add) add_to(dx, to, n);
    scope_end();
}

void conv1d_backward_weights(const conv1d_problem *c, const void *x, const void *dy, float *dw, float *dbias) {
    if (by_tiles(c, true)) {
        conv_f32_backward_weights(c, x, dy, dw);
        if (dbias) sum_rows_into(dbias, dy, c->batch * c->out_time, c->out_c);
        return;
    }
    plan p = plan_of(c);
    scope_begin();
    x = pad_rows(x, c->batch, c->in_time, p.in_rows, (size_t) c->in_c * dtype_size(c->in));
    dy = pad_rows(dy, c->batch, c->out_time, p.out_rows, (size_t) c->out_c * dtype_size(c->in));
    conv_backward_weights(&p.image, x, dy, dw, dbias);
    scope_end();
}
