/* Root-mean-square normalisation (Zhang and Sennrich 2019), fused with modulation and activation: one pass over memory. */
#include <math.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

static const float EPSILON = 1e-6f;

static inline float inverse_rms(const float *restrict x, int64_t C) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < C; i++) sum += x[i] * x[i];
    return 1.0f / sqrtf(sum / (float) C + EPSILON);
}

static const float *row_of(const rms_modulation *m, int64_t row) {
    return m->f ? m->f + row / m->positions * 2 * m->C : NULL;
}

CLONES static void value_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const rms_modulation *m = context;
    int64_t C = m->C;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] + r * C, *restrict f = row_of(m, first + r);
        float *restrict y = out + r * C, scale = inverse_rms(x, C);
        for (int64_t i = 0; i < C; i++) {
            float u = x[i] * scale;
            if (f) u = u * (1.0f + f[i]) + f[C + i];
            y[i] = u * fast_sigmoid(u);
        }
    }
}

/* in: x, gradient of y -> gradient of u (before the activation). */
static inline float slope(float u, float g) {
    float s = fast_sigmoid(u);
    return g * s * (1.0f + u * (1.0f - s));
}

CLONES static void slope_x(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const rms_modulation *m = context;
    int64_t C = m->C;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] + r * C, *restrict g = in[1] + r * C, *restrict f = row_of(m, first + r);
        float *restrict d = out + r * C, scale = inverse_rms(x, C), dot = 0;
        for (int64_t i = 0; i < C; i++) {
            float gain = f ? 1.0f + f[i] : 1.0f, shift = f ? f[C + i] : 0.0f, normal = x[i] * scale;
            d[i] = gain * slope(normal * gain + shift, g[i]);
            dot += d[i] * normal;
        }
        dot /= (float) C;
        for (int64_t i = 0; i < C; i++) d[i] = scale * (d[i] - dot * x[i] * scale);
    }
}

CLONES static void slope_f(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const rms_modulation *m = context;
    int64_t C = m->C;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] + r * C, *restrict g = in[1] + r * C, *restrict f = row_of(m, first + r);
        float *restrict d = out + r * 2 * C, scale = inverse_rms(x, C);
        for (int64_t i = 0; i < C; i++) {
            float normal = x[i] * scale, du = slope(normal * (1.0f + f[i]) + f[C + i], g[i]);
            d[i] = du * normal;
            d[C + i] = du;
        }
    }
}

static const row_op value_op = {value_kernel, ROW_RMS_SILU, sizeof(rms_modulation)},
                    slope_x_op = {slope_x, ROW_RMS_SILU_SLOPE_X, sizeof(rms_modulation)},
                    slope_f_op = {slope_f, ROW_RMS_SILU_SLOPE_F, sizeof(rms_modulation)};

static void rms_backward(node *n) {
    const rms_modulation *m = n->options;
    const tensor *x = n->in[0], *f = n->in[1];
    rows in[2] = {rows_of(x), rows_of_gradient(n->grad, n->out)};
    bool more;
    float *dx = gradient_sink(x, &more);
    if (dx) map_rows(row_count(x), rows_of_gradient(dx, x), more, in, 2, &slope_x_op, m);
    float *df = gradient_sum(f);
    if (!df) return;
    int64_t wide = 2 * m->C;
    float *each = alloc_there((size_t) (row_count(x) * wide) * sizeof(float));
    map_rows(row_count(x), (rows){each, F32, wide}, false, in, 2, &slope_f_op, m);
    sum_groups(df, each, f->shape[0], m->positions, wide);
}

tensor *rms_silu(const tensor *x, const tensor *f, dtype out) {
    PLACE(x);
    PLACE(f);
    int64_t C = x->shape[x->rank - 1];
    require(!f || (f->rank == 2 && f->shape[1] == 2 * C && f->shape[0] == x->shape[0]));
    rms_modulation m = {values(f), row_count(x) / x->shape[0], C};
    tensor *y = tensor_result(out, shape_of(x));
    rows in = rows_of(x);
    map_rows(row_count(x), rows_of(y), false, &in, 1, &value_op, &m);
    record(y, rms_backward, INPUTS(x, f), &m, sizeof m);
    return y;
}
