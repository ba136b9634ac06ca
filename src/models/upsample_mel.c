/* Output row o reads the input rows f = (o + s/2) / s and f - 1 through the kernel columns k = (o + s/2) mod s and k + s:
 * each output is 3 mels x 2 frames. */
#include "models/upsample_mel.h"

#include <string.h>

#include "base/parallel.h"
#include "tensor/convert.h"
#include "tensor/node.h"
#include "tensor/reduce.h"

typedef struct {
    int64_t B, F, M, s;
    float slope;
} problem;

/* sum += w0 x[m + 1] + w1 x[m] + w2 x[m - 1]: kernel row h reads mel m + 1 - h. */
static inline void add_mels(float *restrict sum, const float *restrict x, const float *w, int64_t width, int64_t M) {
    float w0 = w[0], w1 = w[width], w2 = w[2 * width];
    for (int64_t m = 0; m < M; m++) sum[m] += w1 * x[m];
    for (int64_t m = 0; m + 1 < M; m++) sum[m] += w0 * x[m + 1];
    for (int64_t m = 1; m < M; m++) sum[m] += w2 * x[m - 1];
}

/* One output row, activated. */
CLONES static void upsample_row(float *restrict y, const float *x, const float *w, float bias, const problem *p,
                                int64_t o) {
    int64_t at = o + p->s / 2, k = at % p->s, f = at / p->s;
    for (int64_t m = 0; m < p->M; m++) y[m] = bias;
    if (f < p->F) add_mels(y, x + f * p->M, w + k, 2 * p->s, p->M);
    if (f > 0) add_mels(y, x + (f - 1) * p->M, w + k + p->s, 2 * p->s, p->M);
    for (int64_t m = 0; m < p->M; m++) y[m] = y[m] > 0 ? y[m] : p->slope * y[m];
}

/* An output row's gradient g, spread back to the input row it read. */
static void spread_mels(float *dx, const float *g, const float *w, int64_t width, int64_t M) {
    for (int64_t m = 0; m < M; m++) {
        dx[m] += w[width] * g[m];
        if (m + 1 < M) dx[m + 1] += w[0] * g[m];
        if (m > 0) dx[m - 1] += w[2 * width] * g[m];
    }
}

static void gather_weight(float *dw, const float *x, const float *g, int64_t width, int64_t M) {
    double sum[3] = {0};
    for (int64_t m = 0; m < M; m++) {
        if (m + 1 < M) sum[0] += x[m + 1] * g[m];
        sum[1] += x[m] * g[m];
        if (m > 0) sum[2] += x[m - 1] * g[m];
    }
    for (int h = 0; h < 3; h++) dw[h * width] += (float) sum[h];
}

static void backward_rows(const problem *p, const float *x, const float *w, const float *g, float *dx, float *dw) {
    for (int64_t o = 0; o < p->F * p->s; o++) {
        int64_t at = o + p->s / 2, k = at % p->s, f = at / p->s;
        for (int tap = 0; tap < 2; tap++) {
            int64_t frame = f - tap, column = k + tap * p->s;
            if (frame < 0 || frame >= p->F) continue;
            if (dx) spread_mels(dx + frame * p->M, g + o * p->M, w + column, 2 * p->s, p->M);
            gather_weight(dw + column, x + frame * p->M, g + o * p->M, 2 * p->s, p->M);
        }
    }
}

static void upsample_backward(node *n) {
    const problem *p = n->options;
    const tensor *x = n->in[0], *w = n->in[1];
    const float *y = f32(tensor_to_f32(n->out)); /* the sign before the activation is that after it */
    int64_t item = p->F * p->s * p->M, weights = 6 * p->s;
    float *g = alloc((size_t) (p->B * item) * sizeof(float));
#pragma omp parallel for simd schedule(static) if (p->B * item > PARALLEL_MIN)
    for (int64_t i = 0; i < p->B * item; i++) g[i] = n->grad[i] * (y[i] > 0 ? 1.0f : p->slope);
    bool more;
    float *dx = gradient_sink(x, &more), *parts = NEW_ARRAY(float, p->B *weights);
    if (dx && !more) memset(dx, 0, (size_t) count(x) * sizeof(float));
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < p->B; b++)
        backward_rows(p, f32(x) + b * p->F * p->M, f32(w), g + b * item, dx ? dx + b * p->F * p->M : NULL,
                      parts + b * weights);
    float *dw = gradient_sink(w, &more);
    if (dw && !more) memset(dw, 0, (size_t) weights * sizeof(float));
    if (dw) sum_rows_into(dw, parts, p->B, weights);
    float *db = gradient_sink(n->in[2], &more);
    double sum = 0;
    for (int64_t i = 0; db && i < p->B * item; i++) sum += g[i];
    if (db) db[0] = (more ? db[0] : 0) + (float) sum;
}

tensor *upsample_mel(const tensor *x, const tensor *w, const tensor *b, float slope, dtype out) {
    enum { WIDEST = 1024 };
    problem p = {x->shape[0], x->shape[1], x->shape[2], w->shape[3] / 2, slope};
    require(x->type == F32 && p.M <= WIDEST && p.s % 2 == 0 && w->shape[2] == 3);
    x = brought(x), w = brought(w), b = brought(b);
    bool was = device_switch(false);
    int64_t rows = p.F * p.s;
    tensor *y = tensor_new(out, SHAPE(p.B, rows, p.M));
    const float *from = f32(x), *weight = f32(w);
    float bias = f32(b)[0];
#pragma omp parallel for schedule(static) if (count(y) > PARALLEL_MIN)
    for (int64_t r = 0; r < p.B * rows; r++) {
        float row[WIDEST];
        upsample_row(row, from + r / rows * p.F * p.M, weight, bias, &p, r % rows);
        if (out == F32) memcpy((float *) y->data + r * p.M, row, (size_t) p.M * sizeof(float));
        else f32_to_bf16((uint16_t *) y->data + r * p.M, row, p.M);
    }
    record(y, upsample_backward, INPUTS(x, w, b), &p, sizeof p);
    device_switch(was);
    return y;
}
