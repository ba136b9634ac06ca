#include "tensor/cpu/int8.h"

#include <math.h>

#include "base/parallel.h"
#include "tensor/convert.h"
#include "tensor/cpu/dnn.h"

enum { MOST = 127 };

/* Of a parameter: a tensor that is packed like one, and the scale of each of its rows. */
struct coarse {
    tensor *matrix;
    float *scales;
    const param *of;
    uint64_t version;
};
typedef struct coarse coarse;

/* --- rounding --- */

CLONES static float round_row(const float *restrict x, int8_t *restrict q, int64_t n) {
    float most = 0;
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < n; i++) {
        const float size = x[i] < 0 ? -x[i] : x[i];
        most = size > most ? size : most;
    }
    const float scale = most / MOST, inverse = most > 0 ? MOST / most : 0;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float shifted = x[i] * inverse + 12582912.0f; /* 1.5 2^23 rounds */
        q[i] = (int8_t) (shifted - 12582912.0f);
    }
    return scale;
}

/* Rows [n, K] of x, F32 or BF16 -> q, scales [n]. */
static void round_rows(const tensor *x, int64_t n, int64_t K, int8_t *q, float *scales) {
    scope_begin();
    const int threads = threads_get();
    float *wide = x->type == F32 ? NULL : alloc((size_t) (threads * K) * sizeof(float));
#pragma omp parallel for schedule(static) num_threads(threads) if (n * K > PARALLEL_MIN)
    for (int part = 0; part < threads; part++)
        for (int64_t r = n * part / threads; r < n * (part + 1) / threads; r++) {
            const float *row = (const float *) x->data + r * K;
            if (wide) {
                bf16_to_f32(wide + part * K, (const uint16_t *) x->data + r * K, K);
                row = wide + part * K;
            }
            scales[r] = round_row(row, q + r * K, K);
        }
    scope_end();
}

CLONES static void finish_row(const int32_t *restrict sums, float scale, const float *restrict scales,
                              const float *restrict bias, float *restrict y, int64_t n) {
    if (bias)
        for (int64_t i = 0; i < n; i++) y[i] = (float) sums[i] * (scale * scales[i]) + bias[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] = (float) sums[i] * (scale * scales[i]);
}

/* --- of parameters --- */

static const tensor *read_coarse(void *context) {
    const coarse *c = context;
    const int64_t N = c->matrix->shape[0], K = c->matrix->shape[1];
    const tensor *w = param_values(c->of);
    if (w->type != F32 && w->type != BF16) w = tensor_to_f32(w);
    tensor *q = tensor_new(I8, SHAPE(N, K));
    round_rows(w, N, K, q->data, c->scales);
    return q;
}

static void drop_coarse(void *context) {
    const param *p = ((const coarse *) context)->of;
    if (p->source && p->source->drop) p->source->drop(p->source->context);
}

static coarse *make_coarse(param *p, int64_t N, int64_t K) {
    coarse *c = NEW(coarse);
    param *own = NEW(param);
    param_source *from = NEW(param_source);
    *c = (coarse){tensor_wrap(F32, SHAPE(N, K), NULL), alloc((size_t) N * sizeof(float)), p, p->version};
    *from = (param_source){read_coarse, drop_coarse, c};
    *own = (param){.name = p->name, .value = c->matrix, .source = from, .version = p->version, .home = p->home};
    c->matrix->param = own;
    return c;
}

/* Made once; one thread at a time, as with all that is kept of a parameter. */
static const coarse *coarse_of(param *p, int64_t N, int64_t K) {
    scope *before = param_home_enter(p);
    if (!p->coarse) p->coarse = make_coarse(p, N, K);
    p->coarse->matrix->param->version = p->version;
    param_home_leave(before);
    return p->coarse;
}

bool int8_product(const tensor *x, const tensor *w, const float *bias, float *y) {
    const int64_t N = w->shape[0], K = w->shape[1], M = count(x) / K;
    scope_begin();
    const coarse *c = coarse_of(w->param, N, K);
    int8_t *q = alloc((size_t) (M * K));
    float *scales = alloc((size_t) M * sizeof(float));
    int32_t *sums = alloc((size_t) (M * N) * sizeof *sums);
    round_rows(x, M, K, q, scales);
    const bool done = matmul_int8(M, N, K, q, c->matrix, sums);
#pragma omp parallel for schedule(static) if (done && M * N > PARALLEL_MIN)
    for (int64_t r = 0; r < (done ? M : 0); r++) finish_row(sums + r * N, scales[r], c->scales, bias, y + r * N, N);
    scope_end();
    return done;
}
