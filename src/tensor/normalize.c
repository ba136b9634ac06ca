/* Layer norm (Ba et al. 2016) and root-mean-square norm (Zhang and Sennrich 2019) with what networks put after them, in
 * one pass over memory: n = (x - mean) / deviation, u = n gain[C] + bias[C], y = u (1 + scale[b]) + shift[b] (adaLN,
 * Peebles and Xie 2023). P positions of x [B, ..., C] share a row of scale and shift [B, C].
 *
 * With A = sum of dy and N = sum of dy n over the positions of one b, all learned gradients follow: d shift = A,
 * d scale = gain N + bias A, d gain = sum over b of (1 + scale) N, d bias = sum over b of (1 + scale) A. */
#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/rows.h"

/* The parts' values for channel i of batch item b. */
static inline float gain_at(const normal *m, int64_t i) { return m->part[NORM_GAIN] ? m->part[NORM_GAIN][i] : 1.0f; }
static inline float bias_at(const normal *m, int64_t i) { return m->part[NORM_BIAS] ? m->part[NORM_BIAS][i] : 0.0f; }
static inline float scale_at(const normal *m, int64_t b, int64_t i) {
    return m->part[NORM_SCALE] ? 1.0f + m->part[NORM_SCALE][b * m->C + i] : 1.0f;
}
static inline float shift_at(const normal *m, int64_t b, int64_t i) {
    return m->part[NORM_SHIFT] ? m->part[NORM_SHIFT][b * m->C + i] : 0.0f;
}

typedef struct {
    float mean, inverse; /* 1 / deviation */
} moments;

static inline moments moments_of(const normal *m, const float *restrict x) {
    int64_t C = m->C;
    float sum = 0, square = 0;
    if (m->centred) {
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < C; i++) sum += x[i];
    }
    float mean = sum / (float) C;
#pragma omp simd reduction(+ : square)
    for (int64_t i = 0; i < C; i++) square += (x[i] - mean) * (x[i] - mean);
    return (moments){mean, 1.0f / sqrtf(square / (float) C + m->eps)};
}

/* --- forward --- */

CLONES static void value_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const normal *m = context;
    int64_t C = m->C;
    const float *restrict gain = m->part[NORM_GAIN], *restrict bias = m->part[NORM_BIAS];
    for (int64_t r = 0; r < n; r++) {
        int64_t b = (first + r) / m->positions;
        const float *restrict x = in[0] + r * C,
                              *restrict scale = m->part[NORM_SCALE] ? m->part[NORM_SCALE] + b * C : NULL,
                              *restrict shift = m->part[NORM_SHIFT] ? m->part[NORM_SHIFT] + b * C : NULL;
        float *restrict y = out + r * C;
        moments o = moments_of(m, x);
        for (int64_t i = 0; i < C; i++) y[i] = (x[i] - o.mean) * o.inverse;
        if (gain)
            for (int64_t i = 0; i < C; i++) y[i] *= gain[i];
        if (bias)
            for (int64_t i = 0; i < C; i++) y[i] += bias[i];
        if (scale)
            for (int64_t i = 0; i < C; i++) y[i] *= 1.0f + scale[i];
        if (shift)
            for (int64_t i = 0; i < C; i++) y[i] += shift[i];
    }
}

/* --- backward --- */

/* in: x, dy -> dx. */
CLONES static void slope_x(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const normal *m = context;
    int64_t C = m->C;
    const float *restrict gain = m->part[NORM_GAIN];
    for (int64_t r = 0; r < n; r++) {
        int64_t b = (first + r) / m->positions;
        const float *restrict x = in[0] + r * C, *restrict g = in[1] + r * C,
                              *restrict scale = m->part[NORM_SCALE] ? m->part[NORM_SCALE] + b * C : NULL;
        float *restrict d = out + r * C, sum = 0, dot = 0;
        moments o = moments_of(m, x);
        for (int64_t i = 0; i < C; i++) d[i] = scale ? g[i] * (1.0f + scale[i]) : g[i];
        if (gain)
            for (int64_t i = 0; i < C; i++) d[i] *= gain[i];
#pragma omp simd reduction(+ : sum, dot)
        for (int64_t i = 0; i < C; i++) {
            sum += d[i];
            dot += d[i] * (x[i] - o.mean) * o.inverse;
        }
        sum = m->centred ? sum / (float) C : 0.0f;
        dot /= (float) C;
        for (int64_t i = 0; i < C; i++) d[i] = o.inverse * (d[i] - sum - dot * (x[i] - o.mean) * o.inverse);
    }
}

/* a = the sum of dy, and nn = the sum of dy n, over `count` rows. */
CLONES static void sum_rows(const normal *m, const float *x, const float *dy, int64_t count, float *restrict a,
                            float *restrict nn) {
    int64_t C = m->C;
    memset(a, 0, (size_t) C * sizeof *a);
    memset(nn, 0, (size_t) C * sizeof *nn);
    for (int64_t r = 0; r < count; r++) {
        const float *restrict row = x + r * C, *restrict g = dy + r * C;
        moments o = moments_of(m, row);
        for (int64_t i = 0; i < C; i++) {
            a[i] += g[i];
            nn[i] += g[i] * (row[i] - o.mean) * o.inverse;
        }
    }
}

static const row_op value_op = {value_kernel, ROW_NORM, sizeof(normal)},
                    slope_op = {slope_x, ROW_NORM_SLOPE, sizeof(normal)};

/* sums [B, 2, C]: A and N of each batch item, by chunks of a fixed number of rows added in order. */
static void sums_of(const normal *m, const float *x, const float *dy, int64_t batch, float *sums) {
    enum { CHUNK = 64 };
    int64_t C = m->C, chunks = (m->positions + CHUNK - 1) / CHUNK;
    float *partial = alloc((size_t) (batch * chunks * 2 * C) * sizeof(float));
    memset(sums, 0, (size_t) (batch * 2 * C) * sizeof(float));
#pragma omp parallel for schedule(static) if (batch * m->positions * C > PARALLEL_MIN)
    for (int64_t k = 0; k < batch * chunks; k++) {
        int64_t first = k % chunks * CHUNK, rest = m->positions - first, row = k / chunks * m->positions + first;
        sum_rows(m, x + row * C, dy + row * C, rest < CHUNK ? rest : CHUNK, partial + 2 * k * C,
                 partial + (2 * k + 1) * C);
    }
    for (int64_t k = 0; k < batch * chunks; k++)
        for (int64_t i = 0; i < 2 * C; i++) sums[k / chunks * 2 * C + i] += partial[2 * k * C + i];
}

static void put(float *to, bool more, float value) { *to = (more ? *to : 0.0f) + value; }

static void part_backward(const node *n, int part, const float *sums, int64_t batch) {
    const normal *m = n->options;
    bool more;
    float *d = gradient_sink(n->in[part], &more);
    if (!d) return;
    int64_t C = m->C;
    if (device_current()) {
        device_current()->norm_part(m, part, sums, batch, d, more);
        return;
    }
    if (part <= NORM_BIAS && !more) memset(d, 0, (size_t) C * sizeof *d);
    for (int64_t b = 0; b < batch; b++) {
        const float *A = sums + b * 2 * C, *N = A + C;
        for (int64_t i = 0; i < C; i++) switch (part) {
            case NORM_GAIN: d[i] += scale_at(m, b, i) * N[i]; break;
            case NORM_BIAS: d[i] += scale_at(m, b, i) * A[i]; break;
            case NORM_SCALE: put(&d[b * C + i], more, gain_at(m, i) * N[i] + bias_at(m, i) * A[i]); break;
            default: put(&d[b * C + i], more, A[i]);
            }
    }
}

static void normalize_backward(node *n) {
    const normal *m = n->options;
    const tensor *x = n->in[NORM_X];
    rows in[2] = {rows_of(x), rows_of_gradient(n->grad, n->out)};
    bool more, learned = false;
    float *dx = gradient_sink(x, &more);
    if (dx) map_rows(row_count(x), rows_of_gradient(dx, x), more, in, 2, &slope_op, m);
    for (int i = NORM_GAIN; i < NORM_PARTS; i++) learned |= n->in[i] && (n->in[i]->node || n->in[i]->param);
    if (!learned) return;
    int64_t batch = row_count(x) / m->positions;
    float *sums = alloc_there((size_t) (batch * 2 * m->C) * sizeof *sums);
    if (device_current()) device_current()->norm_sums(m, x->data, x->type, n->grad, batch, sums);
    else sums_of(m, x->type == F32 ? values(x) : f32(tensor_to_f32(x)), n->grad, batch, sums);
    for (int i = NORM_GAIN; i < NORM_PARTS; i++) part_backward(n, i, sums, batch);
}

/* --- the operations --- */

tensor *modulated_norm(norm_kind kind, const tensor *x, const tensor *gain, const tensor *bias, const tensor *scale,
                       const tensor *shift, float eps, dtype out) {
    const tensor *parts[NORM_PARTS] = {x, gain, bias, scale, shift};
    for (int i = 0; i < NORM_PARTS; i++) PLACE(parts[i]);
    x = parts[NORM_X];
    int64_t C = x->shape[x->rank - 1], rows_all = row_count(x), batch = scale || shift ? x->shape[0] : 1;
    normal m = {.positions = rows_all / (batch ? batch : 1), .C = C, .eps = eps, .centred = kind == NORM_LAYER};
    for (int i = NORM_GAIN; i < NORM_PARTS; i++) {
        require(!parts[i] || count(parts[i]) == (i <= NORM_BIAS ? C : batch * C));
        m.part[i] = values(parts[i]);
    }
    tensor *y = tensor_result(out, shape_of(x));
    if (!rows_all) return y;
    rows in = rows_of(x);
    map_rows(rows_all, rows_of(y), false, &in, 1, &value_op, &m);
    record(y, normalize_backward, parts, NORM_PARTS, &m, sizeof m);
    return y;
}

tensor *layer_norm(const tensor *x, const tensor *gain, const tensor *bias, float eps, dtype out) {
    return modulated_norm(NORM_LAYER, x, gain, bias, NULL, NULL, eps, out);
}

tensor *rms_norm(const tensor *x, const tensor *gain, float eps, dtype out) {
    return modulated_norm(NORM_RMS, x, gain, NULL, NULL, NULL, eps, out);
}
