/* The CUDA backend's memory and products against plain loops, at odd shapes. Skipped where the backend was not built or finds no
 * GPU. */
#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/convert.h"
#include "tensor/device.h"

#include <cmocka.h> /* last: it has a fail of its own */

static const device *gpu;

static void give_up(int code, const char *message) {
    fprintf(stderr, "error %d: %s\n", code, message);
    abort();
}

static int open_backend(void **state) {
    (void) state;
    char path[4096], why[256] = "";
    snprintf(path, sizeof path, "%s", HISS_PROGRAM);
    *strrchr(path, '/') = 0;
    strncat(path, "/libhiss-cuda.so", sizeof path - strlen(path) - 1);
    void *library = dlopen(path, RTLD_NOW);
    if (!library) {
        print_message("skipped: %s\n", dlerror());
        return 0;
    }
    device_opener *open = (device_opener *) dlsym(library, "hiss_cuda_open");
    assert_non_null(open);
    gpu = open(0, give_up, why);
    if (!gpu) print_message("skipped: %s\n", why);
    return 0;
}

/* --- numbers --- */

static float *numbers(int64_t n) {
    static uint32_t seed = 1;
    float *x = malloc((size_t) (n + 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float) (seed >> 8) / (float) (1 << 23) - 1.0f;
    }
    return x;
}

/* A copy on the device as `type`; x itself takes the rounded values. */
static void *to_device(float *x, int64_t n, dtype type) {
    size_t bytes = (size_t) n * (type == BF16 ? 2 : 4);
    void *data = gpu->take(bytes);
    if (type == F32) {
        gpu->upload(data, x, bytes);
        return data;
    }
    uint16_t *rounded = malloc(bytes + 1);
    f32_to_bf16(rounded, x, n);
    bf16_to_f32(x, rounded, n);
    gpu->upload(data, rounded, bytes);
    memset(rounded, 0, bytes); /* the upload may not read it any more */
    free(rounded);
    return data;
}

static float *to_host(const void *data, int64_t n, dtype type) {
    float *x = malloc((size_t) (n + 1) * sizeof *x);
    if (type == F32) {
        gpu->download(x, data, (size_t) n * 4);
        return x;
    }
    uint16_t *rounded = malloc((size_t) n * 2 + 1);
    gpu->download(rounded, data, (size_t) n * 2);
    bf16_to_f32(x, rounded, n);
    free(rounded);
    return x;
}

/* The greatest difference over the greatest value. */
static void check_close(const char *what, const float *x, const double *wanted, int64_t n, double tolerance) {
    double most = 1e-30, worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isinf(wanted[i]) && wanted[i] == (double) x[i]) continue;
        double difference = fabs((double) x[i] - wanted[i]);
        if (!(difference <= worst)) worst = difference, at = i;
        if (fabs(wanted[i]) > most) most = fabs(wanted[i]);
    }
    if (!(worst <= tolerance * most))
        fail_msg("%s: [%lld] is %g, not %g (%.2g of the greatest)", what, (long long) at, (double) x[at], wanted[at],
                 worst / most);
}

/* --- memory --- */

static void test_memory(void **state) {
    (void) state;
    if (!gpu) skip();
    int64_t n = (100 << 20) / 4; /* more than the ring of uploads holds */
    float *x = numbers(n), *kept = malloc((size_t) n * 4), *back = malloc((size_t) n * 4);
    memcpy(kept, x, (size_t) n * 4);
    char *a = gpu->take((size_t) n * 4), *b = gpu->take((size_t) n * 4);
    gpu->upload(a, x, (size_t) n * 4);
    memset(x, 0, (size_t) n * 4);
    gpu->copy(b, a, (size_t) n * 4);
    gpu->clear(a, (size_t) n * 4);
    gpu->download(back, b, (size_t) n * 4);
    assert_memory_equal(back, kept, (size_t) n * 4);
    gpu->download(back, a, (size_t) n * 4);
    assert_memory_equal(back, x, (size_t) n * 4);
    for (int i = 0; i < 4096; i++) gpu->upload(a + 7 * i, &i, sizeof i); /* small ones, at odd addresses */
    for (int i = 0; i < 4096; i += 511) {
        int value;
        gpu->download(&value, a + 7 * i, sizeof value);
        assert_int_equal(value, i);
    }
    gpu->give(a);
    gpu->give(b);
    free(x), free(kept), free(back);
}

/* --- products --- */

typedef struct {
    int64_t batch, m, n, k;
} sizes;

static void multiply(const sizes *s, const float *a, bool a_turned, const float *b, bool b_turned, const float *bias,
                     const float *before, double *y) {
    for (int64_t i = 0; i < s->batch * s->m * s->n; i++) {
        int64_t z = i / s->n / s->m, row = i / s->n % s->m, column = i % s->n;
        double sum = (before ? (double) before[i] : 0) + (bias ? (double) bias[column] : 0);
        for (int64_t l = 0; l < s->k; l++)
            sum += (double) a[z * s->m * s->k + (a_turned ? l * s->m + row : row * s->k + l)] *
                   (double) b[z * s->k * s->n + (b_turned ? column * s->k + l : l * s->n + column)];
        y[i] = sum;
    }
}

static void check_product(const sizes *s, dtype in, dtype out, int form) {
    bool a_turned = form & 1, b_turned = form & 2, with_bias = form & 4, add = form & 8;
    int64_t n = s->batch * s->m * s->n;
    float *a = numbers(s->batch * s->m * s->k), *b = numbers(s->batch * s->k * s->n), *bias = numbers(s->n),
          *y = numbers(n);
    void *da = to_device(a, s->batch * s->m * s->k, in), *db = to_device(b, s->batch * s->k * s->n, in);
    void *dbias = to_device(bias, s->n, F32), *dy = to_device(y, n, out);
    double *wanted = malloc((size_t) n * sizeof *wanted);
    multiply(s, a, a_turned, b, b_turned, with_bias ? bias : NULL, add ? y : NULL, wanted);
    gpu->matmul(s->batch, s->m, s->n, s->k, in, da, a_turned, db, b_turned, with_bias ? dbias : NULL, out, dy, add);
    float *got = to_host(dy, n, out);
    char what[128];
    snprintf(what, sizeof what, "product %lld x [%lld, %lld, %lld] %s -> %s, form %d", (long long) s->batch,
             (long long) s->m, (long long) s->n, (long long) s->k, in == BF16 ? "bf16" : "f32",
             out == BF16 ? "bf16" : "f32", form);
    check_close(what, got, wanted, n, out == BF16 ? 8e-3 : 1e-5);
    gpu->matmul(s->batch, s->m, 0, s->k, in, da, a_turned, db, b_turned, NULL, out, dy, add); /* nothing to do */
    void *buffers[] = {da, db, dbias, dy};
    for (int i = 0; i < 4; i++) gpu->give(buffers[i]);
    free(a), free(b), free(bias), free(y), free(wanted), free(got);
}

static void test_products(void **state) {
    (void) state;
    if (!gpu) skip();
    const sizes shapes[] = {{1, 64, 96, 128}, {1, 1, 1, 1},    {1, 7, 5, 3},  {3, 13, 17, 31},
                            {1, 129, 1, 65},  {1, 1, 257, 33}, {5, 8, 8, 64}, {1, 33, 66, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int form = 0; form < 16; form++) {
            check_product(&shapes[i], F32, F32, form);
            check_product(&shapes[i], BF16, F32, form);
            if (!(form & 8)) check_product(&shapes[i], BF16, BF16, form);
            if (!(form & 8)) check_product(&shapes[i], F32, BF16, form);
        }
}

/* --- attention --- */

/* y, sums and the gradients (added to) in double. q, dy [B, T, H D]; k, v [B, S, G D]. */
typedef struct {
    double *y, *sums, *dq, *dk, *dv, *dbias;
} results;

static void one_query(const attention_problem *a, const float *dy, const results *r, int64_t b, int64_t h, int64_t t) {
    const float *q = a->q, *k = a->k, *v = a->v;
    int64_t row = ((b * a->T + t) * a->H + h) * a->D, group = a->H / a->G;
    int64_t bias = a->bias ? ((b % a->bias_batch * a->bias_heads + h % a->bias_heads) * a->T + t) * a->S : 0;
    double *p = calloc((size_t) a->S * 2, sizeof *p), *dp = p + a->S, most = -INFINITY, sum = 0, delta = 0;
    for (int64_t s = 0; s < a->S; s++) {
        int64_t key = ((b * a->S + s) * a->G + h / group) * a->D;
        for (int64_t d = 0; d < a->D; d++) p[s] += (double) q[row + d] * (double) k[key + d] * (double) a->scale;
        if (a->bias) p[s] += (double) a->bias[bias + s];
        if ((a->mask && !a->mask[b * a->S + s]) || (a->causal && s > t + a->S - a->T)) p[s] = -INFINITY;
        if (p[s] > most) most = p[s];
    }
    for (int64_t s = 0; s < a->S; s++) sum += p[s] = p[s] == -INFINITY ? 0 : exp(p[s] - most);
    r->sums[(b * a->H + h) * a->T + t] = sum > 0 ? most + log(sum) : INFINITY;
    for (int64_t s = 0; s < a->S; s++) {
        int64_t key = ((b * a->S + s) * a->G + h / group) * a->D;
        p[s] = sum > 0 ? p[s] / sum : 0;
        for (int64_t d = 0; d < a->D; d++) {
            r->y[row + d] += p[s] * (double) v[key + d];
            r->dv[key + d] += p[s] * (double) dy[row + d];
            dp[s] += (double) dy[row + d] * (double) v[key + d];
        }
        delta += p[s] * dp[s];
    }
    for (int64_t s = 0; s < a->S; s++) {
        int64_t key = ((b * a->S + s) * a->G + h / group) * a->D;
        double slope = p[s] * (dp[s] - delta);
        if (a->bias) r->dbias[bias + s] += slope;
        for (int64_t d = 0; d < a->D; d++) {
            r->dq[row + d] += slope * (double) k[key + d] * (double) a->scale;
            r->dk[key + d] += slope * (double) q[row + d] * (double) a->scale;
        }
    }
    free(p);
}

/* A buffer for n results on the device, and its counterpart. */
static float *sink(int64_t n, double **wanted) {
    float *data = gpu->take((size_t) n * 4);
    gpu->clear(data, (size_t) n * 4);
    *wanted = calloc((size_t) n + 1, sizeof **wanted);
    return data;
}

static void check_sink(const char *what, const attention_problem *a, float *data, double *wanted, int64_t n,
                       double tolerance) {
    char text[128];
    snprintf(text, sizeof text, "attention B %d T %d S %d H %d G %d D %d%s: %s", (int) a->B, (int) a->T, (int) a->S,
             (int) a->H, (int) a->G, (int) a->D, a->bf16 ? " bf16" : "", what);
    float *got = to_host(data, n, F32);
    check_close(text, got, wanted, n, tolerance);
    gpu->give(data);
    free(got), free(wanted);
}

static void check_attention(attention_problem a, bool with_mask, dtype type) {
    int64_t nq = a.B * a.T * a.H * a.D, nk = a.B * a.S * a.G * a.D, nb = a.bias_batch * a.bias_heads * a.T * a.S;
    float *q = numbers(nq), *k = numbers(nk), *v = numbers(nk), *dy = numbers(nq), *bias = numbers(nb);
    uint8_t *mask = malloc((size_t) (a.B * a.S));
    for (int64_t i = 0; i < a.B * a.S; i++) mask[i] = i / a.S != 1 && i % 3 != 1; /* the second item sees nothing */
    attention_problem there = a;
    there.q = to_device(q, nq, type), there.k = to_device(k, nk, type), there.v = to_device(v, nk, type);
    there.q_type = there.k_type = there.v_type = type;
    float *slope = to_device(dy, nq, F32), *there_bias = to_device(bias, nb, F32);
    uint8_t *there_mask = gpu->take((size_t) (a.B * a.S));
    gpu->upload(there_mask, mask, (size_t) (a.B * a.S));
    if (nb) there.bias = there_bias, a.bias = bias;
    if (with_mask) there.mask = there_mask, a.mask = mask;
    a.q = q, a.k = k, a.v = v;
    results r;
    float *y = sink(nq, &r.y), *sums = sink(a.B * a.H * a.T, &r.sums), *dq = sink(nq, &r.dq), *dk = sink(nk, &r.dk);
    float *dv = sink(nk, &r.dv), *dbias = sink(nb, &r.dbias);
    for (int64_t i = 0; i < a.B * a.H * a.T; i++) one_query(&a, dy, &r, i / a.T / a.H, i / a.T % a.H, i % a.T);
    gpu->attend(&there, y, F32, sums);
    gpu->attend_back(&there, y, slope, sums, dq, dk, dv, nb ? dbias : NULL);
    double tolerance = a.bf16 || type == BF16 ? 2e-2 : 1e-5;
    check_sink("y", &a, y, r.y, nq, tolerance);
    check_sink("sums", &a, sums, r.sums, a.B * a.H * a.T, tolerance);
    check_sink("dq", &a, dq, r.dq, nq, tolerance);
    check_sink("dk", &a, dk, r.dk, nk, tolerance);
    check_sink("dv", &a, dv, r.dv, nk, tolerance);
    check_sink("dbias", &a, dbias, r.dbias, nb, tolerance);
    void *buffers[] = {(void *) there.q, (void *) there.k, (void *) there.v, slope, there_bias, there_mask};
    for (int i = 0; i < 6; i++) gpu->give(buffers[i]);
    free(q), free(k), free(v), free(dy), free(bias), free(mask);
}

static void test_attention(void **state) {
    (void) state;
    if (!gpu) skip();
    const struct {
        attention_problem a;
        bool mask;
    } cases[] = {
        {{.B = 3, .T = 8, .S = 8, .H = 2, .G = 2, .D = 64, .scale = 0.5f}, false},
        {{.B = 2, .T = 64, .S = 64, .H = 2, .G = 2, .D = 64, .scale = 0.3f}, false},
        {{.B = 3, .T = 7, .S = 9, .H = 4, .G = 2, .D = 5, .scale = 1}, true},
        {{.B = 2, .T = 19, .S = 33, .H = 2, .G = 1, .D = 20, .scale = 0.7f, .causal = true}, false},
        {{.B = 2, .T = 9, .S = 11, .H = 4, .G = 2, .D = 8, .bias_batch = 1, .bias_heads = 4, .scale = 1}, true},
        {{.B = 2, .T = 9, .S = 11, .H = 2, .G = 2, .D = 8, .bias_batch = 2, .bias_heads = 1, .scale = 1}, false},
        {{.B = 1, .T = 120, .S = 130, .H = 2, .G = 2, .D = 64, .scale = 0.2f}, false},
        {{.B = 1, .T = 200, .S = 301, .H = 4, .G = 2, .D = 96, .scale = 0.1f, .causal = true}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        attention_problem rounded = cases[i].a;
        rounded.bf16 = true;
        check_attention(cases[i].a, cases[i].mask, F32);
        check_attention(cases[i].a, cases[i].mask, BF16);
        check_attention(rounded, cases[i].mask, F32);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_products),
                                       cmocka_unit_test(test_attention)};
    return cmocka_run_group_tests(tests, open_backend, NULL);
}
