/* Convolutions and matrix products against plain loops in double, at odd shapes: every way of conv1d (product, row
 * image, dense view, products for the gradient of the weights), groups, strides, batches, both operand types, packed
 * weights. */
#include "test.h"

#include <math.h>
#include <stdio.h>

#include "base/parallel.h"
#include "base/random.h"
#include "tensor/convert.h"
#include "tensor/cpu/conv1d.h"

/* Relative RMS allowed: f32 sums in another order; bf16 operands are rounded before the reference too, so only what
 * oneDNN rounds inside remains. */
static const double F32_TOLERANCE = 1e-5, BF16_TOLERANCE = 1e-3, BF16_RESULT = 4e-3;

static float *draw(int64_t n, uint64_t stream) {
    float *x = alloc((size_t) n * sizeof(float));
    random_normal((random_key){7, stream}, 0, x, (size_t) n);
    return x;
}

/* x as an operand; x itself then holds the rounded values. */
static void *operand(float *x, int64_t n, dtype type) {
    if (type == F32) return x;
    void *narrow = alloc((size_t) n * dtype_size(type));
    convert(narrow, type, x, F32, n);
    convert(x, F32, narrow, type, n);
    return narrow;
}

static void expect_near(const char *what, const float *got, const double *wanted, int64_t n, double tolerance) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += (got[i] - wanted[i]) * (got[i] - wanted[i]);
        size += wanted[i] * wanted[i];
    }
    double error = sqrt(difference / (size > 0 ? size : 1));
    if (!(error <= tolerance)) print_error("%s: relative error %g, allowed %g\n", what, error, tolerance);
    assert_true(error <= tolerance);
}

static tensor *parameter(float *values, shape s) {
    param *p = NEW(param);
    *p = (param){.name = "w", .value = tensor_wrap(F32, s, values), .version = 1, .home = scope_current()};
    p->value->param = p;
    return p->value;
}

/* --- conv1d --- */

typedef struct {
    double *y, *dx, *dw, *db;
} reference;

static reference conv1d_reference(const conv1d_problem *c, const float *x, const float *w, const float *b,
                                  const float *dy) {
    reference r = {NEW_ARRAY(double, c->batch * c->out_time * c->out_c),
                   NEW_ARRAY(double, c->batch * c->in_time * c->in_c),
                   NEW_ARRAY(double, c->out_c * c->in_c * c->kernel), NEW_ARRAY(double, c->out_c)};
    for (int64_t n = 0; n < c->batch; n++)
        for (int64_t t = 0; t < c->out_time; t++)
            for (int64_t o = 0; o < c->out_c; o++) {
                int64_t at = (n * c->out_time + t) * c->out_c + o;
                r.y[at] = b ? b[o] : 0;
                r.db[o] += dy[at];
                for (int k = 0; k < c->kernel; k++) {
                    int64_t from = t * c->stride - c->pad_left + (int64_t) k * c->dilation;
                    if (from < 0 || from >= c->in_time) continue;
                    for (int64_t i = 0; i < c->in_c; i++) {
                        int64_t xi = (n * c->in_time + from) * c->in_c + i, wi = (o * c->in_c + i) * c->kernel + k;
                        r.y[at] += (double) x[xi] * w[wi];
                        r.dx[xi] += (double) dy[at] * w[wi];
                        r.dw[wi] += (double) dy[at] * x[xi];
                    }
                }
            }
    return r;
}

typedef struct {
    int64_t batch, time, in, out;
    int kernel, stride, dilation, left, right;
} geometry;

static const geometry geometries[] = {
    {1, 37, 5, 7, 3, 1, 1, 1, 1},        /* row image */
    {2, 33, 12, 9, 1, 1, 1, 0, 0},       /* product */
    {2, 64, 16, 24, 3, 1, 8, 8, 8},      /* dense view, whole rows */
    {2, 67, 16, 24, 3, 1, 8, 8, 8},      /* dense view, padded rows */
    {1, 300, 8, 9, 3, 1, 129, 129, 129}, /* dense view in f32 too */
    {1, 48, 8, 8, 3, 1, 16, 0, 0},       /* dense view, rows given on both sides */
    {2, 50, 8, 8, 3, 1, 16, 16, 0},      /* dense view, other numbers of rows */
    {1, 612, 8, 8, 3, 1, 256, 0, 256},   /* the same, longer than the kernel's reach */
    {1, 9, 8, 8, 3, 1, 64, 64, 64},      /* dilation far beyond the length */
    {2, 2500, 9, 10, 3, 1, 4, 4, 4},     /* several blocks of rows */
    {2, 53, 9, 10, 3, 1, 3, 3, 3},       /* turned view, padded rows */
    {2, 50, 8, 8, 3, 1, 4, 4, 0},        /* the same, other numbers of rows */
    {1, 3, 8, 8, 3, 1, 5, 5, 5},         /* the same, dilation beyond the length */
    {1, 41, 11, 3, 5, 1, 2, 7, 1},       /* asymmetric */
    {1, 29, 8, 6, 4, 1, 9, 0, 27},       /* all on one side, even kernel */
    {2, 40, 10, 6, 4, 2, 1, 1, 1},       /* strided */
    {1, 41, 3, 4, 7, 5, 1, 3, 3},        /* strided, odd */
    {1, 50, 1, 32, 5, 1, 1, 2, 2},       /* one channel in */
    {2, 50, 33, 1, 3, 1, 1, 1, 1},       /* one channel out */
    {1, 1, 16, 16, 3, 1, 1, 1, 1},       /* one row */
    {3, 21, 64, 128, 3, 1, 16, 16, 16}   /* DiffWave's widths */
};

static void check_conv1d(const geometry *g, dtype type) {
    scope_begin();
    conv1d_problem c = {.batch = g->batch,
                        .in_time = g->time,
                        .in_c = g->in,
                        .out_c = g->out,
                        .kernel = g->kernel,
                        .stride = g->stride,
                        .dilation = g->dilation,
                        .pad_left = g->left,
                        .in = type,
                        .out = F32,
                        .bias = true};
    c.out_time = (g->time + g->left + g->right - (int64_t) g->dilation * (g->kernel - 1) - 1) / g->stride + 1;
    int64_t nx = c.batch * c.in_time * c.in_c, ny = c.batch * c.out_time * c.out_c, nw = c.out_c * c.in_c * c.kernel;
    float *x = draw(nx, 1), *w = draw(nw, 2), *b = draw(c.out_c, 3), *dy = draw(ny, 4);
    void *narrow_x = operand(x, nx, type), *narrow_dy = operand(dy, ny, type);
    operand(w, nw, type);
    tensor *weights = parameter(w, SHAPE(c.out_c, c.in_c, c.kernel));
    reference r = conv1d_reference(&c, x, w, b, dy);
    double tolerance = type == F32 ? F32_TOLERANCE : BF16_TOLERANCE;
    const char *name =
        format("conv1d %s %lldx%lld %lld->%lld k%d s%d d%d", dtype_name(type), (long long) g->batch,
               (long long) g->time, (long long) g->in, (long long) g->out, g->kernel, g->stride, g->dilation);

    float *y = NEW_ARRAY(float, ny), *dx = draw(nx, 5), *dw = draw(nw, 6), *db = draw(c.out_c, 7);
    conv1d_forward(&c, narrow_x, weights, b, y);
    expect_near(name, y, r.y, ny, tolerance);
    conv1d_backward_data(&c, narrow_dy, weights, dx, false);
    expect_near(format("%s, dx", name), dx, r.dx, nx, tolerance);
    for (int64_t i = 0; i < nx; i++) r.dx[i] *= 2;
    conv1d_backward_data(&c, narrow_dy, weights, dx, true);
    expect_near(format("%s, dx twice", name), dx, r.dx, nx, tolerance);
    for (int64_t i = 0; i < nw; i++) r.dw[i] += dw[i];
    for (int64_t i = 0; i < c.out_c; i++) r.db[i] += db[i];
    conv1d_backward_weights(&c, narrow_x, narrow_dy, dw, db);
    expect_near(format("%s, dw", name), dw, r.dw, nw, tolerance);
    expect_near(format("%s, db", name), db, r.db, c.out_c, tolerance);
    for (int64_t i = 0; i < c.out_c; i++) r.db[i] = db[i];
    conv1d_backward_weights(&c, narrow_x, narrow_dy, dw, NULL);
    expect_near(format("%s, db unasked", name), db, r.db, c.out_c, 0);
    scope_end();
}

static void test_conv1d(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof geometries / sizeof *geometries; i++) {
        check_conv1d(&geometries[i], F32);
        check_conv1d(&geometries[i], BF16);
    }
}

/* A bf16 result is the f32 one, rounded. */
static void test_narrow_result(void **state) {
    (void) state;
    scope_begin();
    conv1d_problem c = {1, 40, 16, 40, 24, 3, 1, 8, 8, BF16, BF16, true};
    float *x = draw(40 * 16, 1), *w = draw(24 * 16 * 3, 2), *b = draw(24, 3), *y = alloc(40 * 24 * sizeof(float));
    void *narrow_x = operand(x, 40 * 16, BF16), *narrow_y = alloc(40 * 24 * 2);
    operand(w, 24 * 16 * 3, BF16);
    reference r = conv1d_reference(&c, x, w, b, draw(40 * 24, 4));
    conv1d_forward(&c, narrow_x, parameter(w, SHAPE(24, 16, 3)), b, narrow_y);
    convert(y, F32, narrow_y, BF16, 40 * 24);
    expect_near("bf16 result", y, r.y, 40 * 24, BF16_RESULT);
    scope_end();
}

/* Packed copies follow the parameter's version, and the cache the number of threads. */
static void test_versions_and_threads(void **state) {
    (void) state;
    scope_begin();
    conv1d_problem c = {1, 40, 16, 40, 24, 3, 1, 1, 1, F32, F32, false};
    float *x = draw(40 * 16, 1), *w = draw(24 * 16 * 3, 2), *y = alloc(40 * 24 * sizeof(float)), *dy = draw(40 * 24, 4);
    tensor *weights = parameter(w, SHAPE(24, 16, 3));
    int threads = threads_get();
    for (int i = 0; i < 3; i++) {
        threads_set(i + 1);
        for (int64_t k = 0; k < 24 * 16 * 3; k++) w[k] += 1;
        param_changed(weights->param);
        conv1d_forward(&c, x, weights, NULL, y);
        expect_near("after a change", y, conv1d_reference(&c, x, w, NULL, dy).y, 40 * 24, F32_TOLERANCE);
    }
    dnn_trim();
    conv1d_forward(&c, x, weights, NULL, y);
    expect_near("after a trim", y, conv1d_reference(&c, x, w, NULL, dy).y, 40 * 24, F32_TOLERANCE);
    threads_set(threads);
    scope_end();
}

/* --- conv, two-dimensional with groups --- */

static double *conv_reference(const conv_problem *c, const float *x, const float *w) {
    double *y = NEW_ARRAY(double, c->batch * c->out_h * c->out_w * c->out_c);
    int64_t in = c->in_c / c->groups, out = c->out_c / c->groups;
    for (int64_t at = 0; at < c->batch * c->out_h * c->out_w * c->out_c; at++) {
        int64_t o = at % c->out_c, ow = at / c->out_c % c->out_w, oh = at / c->out_c / c->out_w % c->out_h;
        int64_t n = at / c->out_c / c->out_w / c->out_h;
        for (int64_t kh = 0; kh < c->kernel_h; kh++)
            for (int64_t kw = 0; kw < c->kernel_w; kw++) {
                int64_t h = oh * c->stride_h - c->pad_h + kh * c->dilation_h;
                int64_t v = ow * c->stride_w - c->pad_w + kw * c->dilation_w;
                if (h < 0 || h >= c->in_h || v < 0 || v >= c->in_w) continue;
                for (int64_t i = 0; i < in; i++)
                    y[at] += (double) x[((n * c->in_h + h) * c->in_w + v) * c->in_c + o / out * in + i] *
                             w[((o * in + i) * c->kernel_h + kh) * c->kernel_w + kw];
            }
    }
    return y;
}

static void test_conv2d(void **state) {
    (void) state;
    for (int groups = 1; groups <= 4; groups *= 2) {
        scope_begin();
        conv_problem c = {.batch = 2,
                          .in_h = 9,
                          .in_w = 7,
                          .in_c = 8,
                          .out_h = 5,
                          .out_w = 6,
                          .out_c = 12,
                          .kernel_h = 3,
                          .kernel_w = 2,
                          .stride_h = 2,
                          .stride_w = 1,
                          .dilation_h = 1,
                          .dilation_w = 1,
                          .pad_h = 1,
                          .groups = groups,
                          .in = F32,
                          .out = F32,
                          .accumulate = true};
        int64_t nx = 2 * 9 * 7 * 8, nw = 12 * 8 / groups * 6, ny = 2 * 5 * 6 * 12;
        float *x = draw(nx, 1), *w = draw(nw, 2), *y = draw(ny, 3);
        double *wanted = conv_reference(&c, x, w);
        for (int64_t i = 0; i < ny; i++) wanted[i] += y[i];
        conv_forward(&c, x, parameter(w, SHAPE(12, 8 / groups, 3, 2)), NULL, y);
        expect_near(format("conv with %d groups", groups), y, wanted, ny, F32_TOLERANCE);
        scope_end();
    }
}

/* --- products --- */

static void check_matmul(dtype type, bool a_turned, bool b_turned, bool more) {
    enum { BATCH = 3, M = 17, N = 9, K = 31 };
    scope_begin();
    float *a = draw(BATCH * M * K, 1), *b = draw(BATCH * K * N, 2), *y = draw(BATCH * M * N, 3);
    void *narrow_a = operand(a, BATCH * M * K, type), *narrow_b = operand(b, BATCH * K * N, type);
    double *wanted = NEW_ARRAY(double, BATCH *M *N);
    for (int i = 0; i < BATCH * M * N; i++) {
        int n = i % N, m = i / N % M, s = i / N / M;
        wanted[i] = more ? y[i] : 0;
        for (int k = 0; k < K; k++)
            wanted[i] += (double) a[s * M * K + (a_turned ? k * M + m : m * K + k)] *
                         b[s * K * N + (b_turned ? n * K + k : k * N + n)];
    }
    matmul(BATCH, M, N, K, type, narrow_a, a_turned, narrow_b, b_turned, F32, y, more);
    expect_near(
        format("matmul %s%s%s%s", dtype_name(type), a_turned ? " a'" : "", b_turned ? " b'" : "", more ? " +=" : ""), y,
        wanted, BATCH * M * N, type == F32 ? F32_TOLERANCE : BF16_TOLERANCE);
    scope_end();
}

/* However many threads share the work, the sums are the same. Shapes where oneDNN's dilated kernels differ. */
static void check_threads(int64_t time, int64_t channels, int dilation, dtype type) {
    static const int COUNTS[] = {2, 3, 8};
    scope_begin();
    const int threads = threads_get();
    const conv1d_problem c = {.batch = 1,
                              .in_time = time,
                              .in_c = channels,
                              .out_time = time,
                              .out_c = channels,
                              .kernel = 3,
                              .stride = 1,
                              .dilation = dilation,
                              .pad_left = dilation,
                              .in = type,
                              .out = F32};
    const int64_t n = time * channels;
    float *x = draw(n, 1), *w = draw(channels * channels * 3, 2), *one = NEW_ARRAY(float, n),
          *many = NEW_ARRAY(float, n);
    const void *narrow_x = operand(x, n, type);
    tensor *weights = parameter(w, SHAPE(channels, channels, 3));
    threads_set(1);
    conv1d_forward(&c, narrow_x, weights, NULL, one);
    for (size_t i = 0; i < sizeof COUNTS / sizeof *COUNTS; i++) {
        threads_set(COUNTS[i]);
        conv1d_forward(&c, narrow_x, weights, NULL, many);
        assert_memory_equal(one, many, (size_t) n * sizeof(float));
    }
    threads_set(threads);
    scope_end();
}

static void test_threads(void **state) {
    (void) state;
    for (int i = 0; i < 2; i++) {
        const dtype type = i ? BF16 : F32;
        check_threads(352, 160, 3, type);
        check_threads(88, 256, 3, type);
        check_threads(301, 96, 4, type);
        check_threads(300, 96, 1, type);
        check_threads(300, 96, 9, type);
    }
}

static void test_matmul(void **state) {
    (void) state;
    for (int i = 0; i < 16; i++) check_matmul(i & 8 ? BF16 : F32, i & 1, i & 2, i & 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv1d),
        cmocka_unit_test(test_narrow_result),
        cmocka_unit_test(test_versions_and_threads),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_conv2d),
        cmocka_unit_test(test_matmul),
    };
    scope_begin();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scope_end();
    return failed;
}
