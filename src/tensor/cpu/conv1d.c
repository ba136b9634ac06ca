/* How a 1-D problem is computed. In f32 by tiles of our own, where the processor has the vectors (conv_f32.h). Otherwise
 * oneDNN, whose fast convolutions take dense kernels and work along the image's width:
 *  - dilation 1: an image one row high, [1, T];
 *  - dilation d: the same memory seen as an image [T / d, d] with a dense kernel along its height (design of the dense
 *    view); a length that is no multiple of d is padded with zero rows, which is what lies outside anyway;
 *  - kernel 1, stride 1: a matrix product;
 *  - gradient of the weights in f32: one product dy' x per tap over blocks of rows that stay in cache. */
#include "tensor/cpu/conv1d.h"

#include <string.h>

#include "base/parallel.h"
#include "tensor/cpu/conv_f32.h"
#include "tensor/cpu/tile.h"

/* Narrower views than this are slower than oneDNN's own dilated kernels. Its bf16 kernels for AMX take dense kernels
 * only; its f32 ones for AVX-512 lose by dilation from 512 on (0.9 of the view), the view by its narrow rows (0.8 of
 * the dilated kernel at 8, the same at 64) and by copies of lengths that are no multiple. */
enum { NARROWEST_VIEW = 8, NARROWEST_VIEW_F32 = 128 };
/* Rows a product for the gradient of the weights takes at a time; input channels from which such products are worth it.
 */
enum { GRADIENT_ROWS = 1024, GRADIENT_CHANNELS = 8 };

typedef struct {
    conv_problem image;
    int64_t in_rows, out_rows; /* of x and y in time, padded */
} plan;

static bool is_product(const conv1d_problem *c) {
    return c->kernel == 1 && c->stride == 1 && c->pad_left == 0 && c->in_time == c->out_time;
}

/* Tiles of our own: f32 on processors whose vectors they are made for. */
static bool by_tiles(const conv1d_problem *c, bool backward) {
    return c->in == F32 && (c->out == F32 || backward) && (c->stride == 1 || !backward) && tile_fast();
}

static int64_t view_rows(int64_t time, int64_t width) { return (time + width - 1) / width; }

/* Where the padding is whole rows of the view, and no row of x lies behind what the last row of y reads. */
static bool has_dense_view(const conv1d_problem *c) {
    int narrowest = c->in == F32 ? NARROWEST_VIEW_F32 : NARROWEST_VIEW;
    return c->dilation >= narrowest && c->stride == 1 && c->pad_left % c->dilation == 0 &&
           view_rows(c->out_time, c->dilation) - 1 + c->kernel >=
               view_rows(c->in_time, c->dilation) + c->pad_left / c->dilation;
}

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

/* Tap k of the gradient for rows first .. end - 1 of one item: += dy' x [out_c, in_c]. */
static void add_tap(const conv1d_problem *c, const float *x, const float *dy, int k, int64_t first, int64_t end,
                    float *tap, bool more) {
    int64_t shift = (int64_t) k * c->dilation - c->pad_left;
    if (first + shift < 0) first = -shift;
    if (end + shift > c->in_time) end = c->in_time - shift;
    if (first < end)
        matmul(1, c->out_c, c->in_c, end - first, F32, dy + first * c->out_c, true, x + (first + shift) * c->in_c,
               false, F32, tap, more);
    else if (!more) memset(tap, 0, (size_t) (c->out_c * c->in_c) * sizeof(float));
}

static void add_weight_gradient(const conv1d_problem *c, const float *x, const float *dy, float *dw) {
    int64_t size = c->out_c * c->in_c;
    int K = c->kernel;
    float *taps = alloc((size_t) (K * size) * sizeof(float));
    bool more = false;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t first = 0; first < c->out_time; first += GRADIENT_ROWS, more = true) {
            int64_t end = first + GRADIENT_ROWS < c->out_time ? first + GRADIENT_ROWS : c->out_time;
            for (int k = 0; k < K; k++)
                add_tap(c, x + b * c->in_time * c->in_c, dy + b * c->out_time * c->out_c, k, first, end,
                        taps + k * size, more);
        }
#pragma omp parallel for schedule(static) if (K * size > PARALLEL_MIN)
    for (int64_t i = 0; i < size; i++)
        for (int k = 0; k < K; k++) dw[i * K + k] += taps[k * size + i];
}

/* dbias += the sum over rows of dy [rows, C]; in blocks, so that the result is the same for any number of threads. */
static void add_bias_gradient(const float *dy, int64_t rows, int64_t C, float *dbias) {
    int64_t blocks = (rows + GRADIENT_ROWS - 1) / GRADIENT_ROWS;
    float *sums = NEW_ARRAY(float, blocks *C);
#pragma omp parallel for schedule(static) if (rows * C > PARALLEL_MIN)
    for (int64_t k = 0; k < blocks; k++) {
        int64_t end = (k + 1) * GRADIENT_ROWS < rows ? (k + 1) * GRADIENT_ROWS : rows;
        float *restrict sum = sums + k * C;
        for (int64_t t = k * GRADIENT_ROWS; t < end; t++) {
#pragma omp simd
            for (int64_t i = 0; i < C; i++) sum[i] += dy[t * C + i];
        }
    }
    for (int64_t k = 0; k < blocks; k++)
        for (int64_t i = 0; i < C; i++) dbias[i] += sums[k * C + i];
}

void conv1d_backward_weights(const conv1d_problem *c, const void *x, const void *dy, float *dw, float *dbias) {
    if (c->in == F32 && c->stride == 1 && (by_tiles(c, true) || c->in_c >= GRADIENT_CHANNELS)) {
        scope_begin();
        conv1d_problem one = *c; /* rows of all items are alike to a kernel of 1 */
        if (is_product(c)) one.batch = 1, one.in_time = one.out_time = c->batch * c->in_time;
        if (by_tiles(c, true)) conv_f32_backward_weights(c, x, dy, dw);
        else add_weight_gradient(&one, x, dy, dw);
        if (dbias) add_bias_gradient(dy, c->batch * c->out_time, c->out_c, dbias);
        scope_end();
        return;
    }
    plan p = plan_of(c);
    scope_begin();
    x = pad_rows(x, c->batch, c->in_time, p.in_rows, (size_t) c->in_c * dtype_size(c->in));
    dy = pad_rows(dy, c->batch, c->out_time, p.out_rows, (size_t) c->out_c * dtype_size(c->in));
    conv_backward_weights(&p.image, x, dy, dw, dbias);
    scope_end();
}
