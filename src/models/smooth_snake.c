/* See smooth_snake.h. Tiles of rows: the doubled rate never leaves the cache. Row t of x is rows 2 t and 2 t + 1 of the doubled
 * sound u:
 *     u[2 t]     = 2 sum over odd k of  f[k] x[t + (5 - k) / 2]
 *     u[2 t + 1] = 2 sum over even k of f[k] x[t + 3 - k / 2]
 *     y[t]       = sum over k of f[k] snake(u[2 t + k - 5]) */
#include "models/smooth_snake.h"

#include <math.h>
#include <omp.h>

#include "base/parallel.h"
#include "tensor/convert.h"
#include "tensor/device.h"

enum { TAPS = 12, HALF = TAPS / 2, TILE = 16 };

/* Modified Bessel function of order 0. */
static double bessel_i0(double x) {
    double sum = 1, term = 1;
    for (int k = 1; k < 60; k++) {
        term *= x * x / 4 / k / k;
        sum += term;
    }
    return sum;
}

/* Kaiser-windowed sinc, cut off at a quarter of the doubled rate, transition 0.3 (half width) wide; sum 1. */
static void set_filter(float f[TAPS]) {
    const double cutoff = 0.25, width = 0.3, attenuation = 2.285 * (HALF - 1) * M_PI * 4 * width + 7.95;
    const double beta = 0.1102 * (attenuation - 8.7); /* Kaiser's rule above 50 dB: here 51.02 */
    double value[TAPS], sum = 0;
    for (int k = 0; k < TAPS; k++) {
        const double t = k - HALF + 0.5, x = 2.0 * k / (TAPS - 1) - 1, angle = 2 * M_PI * cutoff * t;
        value[k] = 2 * cutoff * sin(angle) / angle * bessel_i0(beta * sqrt(fmax(0, 1 - x * x))) / bessel_i0(beta);
        sum += value[k];
    }
    for (int k = 0; k < TAPS; k++) f[k] = (float) (value[k] / sum);
}

/* sin(x)^2, absolute error about 1e-6: its period is pi, so whole ones are taken off first (in two parts). */
static inline float square_sine(float x) {
    const float shifted = x * 0.318309886f + 12582912.0f, n = shifted - 12582912.0f; /* 1.5 2^23 rounds */
    const float r = x - n * 3.140625f - n * 9.67653589793e-4f, q = r * r;
    const float s = r + r * q *
                            (-1.6666667e-1f +
                             q * (8.3333310e-3f + q * (-1.9840874e-4f + q * (2.7525562e-6f + q * -2.3889859e-8f))));
    return s * s;
}

typedef struct {
    const float *x, *alpha, *inverse_beta;
    float filter[TAPS];
    int64_t T, C;
} job;

static int64_t within(int64_t t, int64_t T) { return t < 0 ? 0 : t >= T ? T - 1 : t; }

/* Row n of the activated doubled sound, 0 <= n < 2 T. */
CLONES static void doubled_row(const job *j, const float *x, int64_t n, float *restrict u) {
    const int64_t C = j->C, t = n / 2;
    const int odd = n % 2 == 0; /* which taps */
    const float *restrict row[HALF];
    float weight[HALF];
    for (int i = 0; i < HALF; i++) {
        const int k = 2 * i + odd;
        row[i] = x + within(odd ? t + (5 - k) / 2 : t + 3 - k / 2, j->T) * C;
        weight[i] = 2 * j->filter[k];
    }
#pragma omp simd
    for (int64_t c = 0; c < C; c++) {
        float sum = 0;
        for (int i = 0; i < HALF; i++) sum += weight[i] * row[i][c];
        u[c] = sum + square_sine(j->alpha[c] * sum) * j->inverse_beta[c];
    }
}

CLONES static void halved_row(const job *j, const float *const row[TAPS], float *restrict y) {
    for (int64_t c = 0; c < j->C; c++) y[c] = 0;
    for (int k = 0; k < TAPS; k++) {
        const float *restrict u = row[k], w = j->filter[k];
#pragma omp simd
        for (int64_t c = 0; c < j->C; c++) y[c] += w * u[c];
    }
}

/* Rows first .. last - 1 of one sound. u: room for 2 TILE + TAPS rows. */
static void run_tile(const job *j, const float *x, int64_t first, int64_t last, float *u, float *y) {
    const int64_t C = j->C, least = within(2 * first - 5, 2 * j->T), most = within(2 * last + 4, 2 * j->T);
    for (int64_t n = least; n <= most; n++) doubled_row(j, x, n, u + (n - least) * C);
    for (int64_t t = first; t < last; t++) {
        const float *row[TAPS];
        for (int k = 0; k < TAPS; k++) row[k] = u + (within(2 * t + k - 5, 2 * j->T) - least) * C;
        halved_row(j, row, y + (t - first) * C);
    }
}

tensor *smooth_snake(const tensor *x, const float *alpha, const float *inverse_beta, dtype out) {
    const int64_t B = x->shape[0], T = x->shape[1], C = x->shape[2], tiles = (T + TILE - 1) / TILE;
    const bool was = device_switch(false); /* no device has it */
    job j = {.x = f32(x), .alpha = alpha, .inverse_beta = inverse_beta, .T = T, .C = C};
    set_filter(j.filter);
    tensor *y = tensor_new(out, shape_of(x));
    const int threads = threads_get();
    const int64_t lane = (3 * TILE + TAPS) * C;
    scope_begin();
    float *scratch = alloc((size_t) (threads * lane) * sizeof(float));
#pragma omp parallel for num_threads(threads) schedule(static) if (B * T * C > PARALLEL_MIN)
    for (int64_t i = 0; i < B * tiles; i++) {
        float *u = scratch + omp_get_thread_num() * lane, *made = u + (2 * TILE + TAPS) * C;
        const int64_t first = i % tiles * TILE, last = first + TILE < T ? first + TILE : T;
        const int64_t at = (i / tiles * T + first) * C, n = (last - first) * C;
        if (out == F32) made = f32(y) + at;
        run_tile(&j, j.x + i / tiles * T * C, first, last, u, made);
        if (out == BF16) f32_to_bf16((uint16_t *) y->data + at, made, n);
    }
    scope_end();
    device_switch(was);
    return y;
}
