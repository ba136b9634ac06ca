/* Gates, residual halves and feature-wise film_modulation. C is the narrow width, 2C the wide one. */
#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/rows.h"

static int64_t width_of(const tensor *t) { return t->shape[t->rank - 1]; }

/* A result shaped like x with another last dimension. */
static tensor *with_width(const tensor *x, int64_t width, dtype type) {
    shape s = shape_of(x);
    s.dims[s.rank - 1] = width;
    return tensor_result(type, s);
}

/* --- gated_tanh --- */

CLONES static void gate_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    int64_t C = *(const int64_t *) context;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict a = in[0] + r * 2 * C, *restrict b = in[1] ? in[1] + r * 2 * C : NULL;
        float *restrict y = out + r * C;
        if (b)
            for (int64_t i = 0; i < C; i++) y[i] = fast_gate(a[i] + b[i], a[C + i] + b[C + i]);
        else
            for (int64_t i = 0; i < C; i++) y[i] = fast_gate(a[i], a[C + i]);
    }
}

/* in: a, b or NULL, gradient of the result -> gradient of a, and of b. */
CLONES static void gate_slope(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    int64_t C = *(const int64_t *) context;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict a = in[0] + r * 2 * C, *restrict b = in[1] ? in[1] + r * 2 * C : NULL;
        const float *restrict g = in[2] + r * C;
        float *restrict d = out + r * 2 * C;
        if (b)
            for (int64_t i = 0; i < 2 * C; i++) d[i] = a[i] + b[i];
        else
            for (int64_t i = 0; i < 2 * C; i++) d[i] = a[i];
        for (int64_t i = 0; i < C; i++) {
            float s = fast_sigmoid(d[i]), t = fast_tanh(d[C + i]);
            d[i] = g[i] * t * s * (1.0f - s);
            d[C + i] = g[i] * s * (1.0f - t * t);
        }
    }
}

CLONES static void copy_kernel(const float *const *in, float *restrict out, int64_t first, int64_t n,
                               const void *context) {
    int64_t width = *(const int64_t *) context;
    const float *restrict x = in[0];
    (void) first;
    for (int64_t i = 0; i < n * width; i++) out[i] = x[i];
}

static const row_op gate_op = {gate_kernel, ROW_GATED_TANH, sizeof(width_only)},
                    gate_slope_op = {gate_slope, ROW_GATED_TANH_SLOPE, sizeof(width_only)},
                    copy_op = {copy_kernel, ROW_COPY, sizeof(width_only)};

/* a and b have the same gradient: it is computed once where one of them takes it whole. */
static void gate_backward(node *n) {
    int64_t C = width_of(n->out);
    rows in[3] = {rows_of(n->in[0]), rows_of(n->in[1]), rows_of_gradient(n->grad, n->out)};
    const float *made = NULL;
    for (int i = 0; i < 2; i++) {
        bool more;
        float *d = gradient_sink(n->in[i], &more);
        if (!d) continue;
        rows to = rows_of_gradient(d, n->in[i]), from = {(void *) made, F32, 2 * C};
        if (made) map_rows(row_count(n->out), to, more, &from, 1, &copy_op, &(width_only){2 * C});
        else map_rows(row_count(n->out), to, more, in, 3, &gate_slope_op, &C);
        if (!more) made = d;
    }
}

tensor *gated_tanh(const tensor *a, const tensor *b, dtype out) {
    PLACE(a);
    PLACE(b);
    int64_t C = width_of(a) / 2;
    require(width_of(a) == 2 * C && (!b || count(a) == count(b)));
    tensor *y = with_width(a, C, out);
    rows in[2] = {rows_of(a), rows_of(b)};
    map_rows(row_count(a), rows_of(y), false, in, 2, &gate_op, &C);
    record(y, gate_backward, INPUTS(a, b), NULL, 0);
    return y;
}

/* --- halves --- */

CLONES static void half_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const residual_half *h = context;
    (void) first;
    for (int64_t k = 0; k < n; k++) {
        const float *restrict r = in[1] + k * 2 * h->C + h->offset, *restrict x = in[0] ? in[0] + k * h->C : NULL;
        float *restrict y = out + k * h->C;
        if (x)
            for (int64_t i = 0; i < h->C; i++) y[i] = (x[i] + r[i]) * h->factor;
        else
            for (int64_t i = 0; i < h->C; i++) y[i] = r[i] * h->factor;
    }
}

CLONES static void half_slope_x(const float *const *in, float *restrict out, int64_t first, int64_t n,
                                const void *context) {
    const residual_half *h = context;
    const float *restrict g = in[0];
    (void) first;
    for (int64_t i = 0; i < n * h->C; i++) out[i] = g[i] * h->factor;
}

CLONES static void half_slope_r(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const residual_half *h = context;
    (void) first;
    for (int64_t k = 0; k < n; k++) {
        const float *restrict g = in[0] + k * h->C;
        float *restrict d = out + k * 2 * h->C;
        for (int64_t i = 0; i < h->C; i++) {
            d[h->offset + i] = g[i] * h->factor;
            d[h->C - h->offset + i] = 0;
        }
    }
}

static const row_op half_op = {half_kernel, ROW_HALF, sizeof(residual_half)},
                    half_slope_x_op = {half_slope_x, ROW_HALF_SLOPE_X, sizeof(residual_half)},
                    half_slope_r_op = {half_slope_r, ROW_HALF_SLOPE_R, sizeof(residual_half)};

static void half_backward(node *n) {
    bool more;
    rows g = rows_of_gradient(n->grad, n->out);
    float *dx = gradient_sink(n->in[0], &more);
    if (dx) map_rows(row_count(n->out), rows_of_gradient(dx, n->in[0]), more, &g, 1, &half_slope_x_op, n->options);
    float *dr = gradient_sink(n->in[1], &more);
    if (dr) map_rows(row_count(n->out), rows_of_gradient(dr, n->in[1]), more, &g, 1, &half_slope_r_op, n->options);
}

static tensor *add_half(const tensor *x, const tensor *r, residual_half h) {
    PLACE(x);
    PLACE(r);
    require(width_of(r) == 2 * h.C && (!x || width_of(x) == h.C));
    tensor *y = with_width(r, h.C, F32);
    rows in[2] = {rows_of(x), rows_of(r)};
    map_rows(row_count(r), rows_of(y), false, in, 2, &half_op, &h);
    record(y, half_backward, INPUTS(x, r), &h, sizeof h);
    return y;
}

tensor *add_first_half(const tensor *x, const tensor *r, float factor) {
    return add_half(x, r, (residual_half){width_of(r) / 2, 0, factor});
}

tensor *add_second_half(const tensor *x, const tensor *r) {
    return add_half(x, r, (residual_half){width_of(r) / 2, width_of(r) / 2, 1.0f});
}

/* --- film --- */

CLONES static void film_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const film_modulation *m = context;
    int64_t C = m->C;
    float slope = m->slope;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] + r * C, *restrict f = in[1] + r * 2 * C;
        float *restrict y = out + r * C;
        for (int64_t i = 0; i < C; i++) {
            float v = f[i] + f[C + i] * x[i];
            y[i] = v > 0 ? v : slope * v;
        }
    }
}

/* in: x, f, gradient -> gradient of x. */
CLONES static void film_slope_x(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const film_modulation *m = context;
    int64_t C = m->C;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] + r * C, *restrict f = in[1] + r * 2 * C, *restrict g = in[2] + r * C;
        float *restrict d = out + r * C;
        for (int64_t i = 0; i < C; i++) d[i] = g[i] * f[C + i] * (f[i] + f[C + i] * x[i] > 0 ? 1.0f : m->slope);
    }
}

CLONES static void film_slope_f(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const film_modulation *m = context;
    int64_t C = m->C;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] + r * C, *restrict f = in[1] + r * 2 * C, *restrict g = in[2] + r * C;
        float *restrict d = out + r * 2 * C;
        for (int64_t i = 0; i < C; i++) {
            float v = g[i] * (f[i] + f[C + i] * x[i] > 0 ? 1.0f : m->slope);
            d[i] = v;
            d[C + i] = v * x[i];
        }
    }
}

static const row_op film_op = {film_kernel, ROW_FILM, sizeof(film_modulation)};

static void film_backward(node *n) {
    static const row_op slopes[2] = {{film_slope_x, ROW_FILM_SLOPE_X, sizeof(film_modulation)},
                                     {film_slope_f, ROW_FILM_SLOPE_F, sizeof(film_modulation)}};
    rows in[3] = {rows_of(n->in[0]), rows_of(n->in[1]), rows_of_gradient(n->grad, n->out)};
    for (int i = 0; i < 2; i++) {
        bool more;
        float *d = gradient_sink(n->in[i], &more);
        if (d) map_rows(row_count(n->out), rows_of_gradient(d, n->in[i]), more, in, 3, &slopes[i], n->options);
    }
}

tensor *film(const tensor *x, const tensor *f, float slope, dtype out) {
    PLACE(x);
    PLACE(f);
    film_modulation m = {width_of(x), slope};
    require(width_of(f) == 2 * m.C && row_count(x) == row_count(f));
    tensor *y = with_width(x, m.C, out);
    rows in[2] = {rows_of(x), rows_of(f)};
    map_rows(row_count(x), rows_of(y), false, in, 2, &film_op, &m);
    record(y, film_backward, INPUTS(x, f), &m, sizeof m);
    return y;
}
