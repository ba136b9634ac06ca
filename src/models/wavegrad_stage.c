#include "models/wavegrad_stage.h"

#include <math.h>
#include <string.h>

#include "tensor/node.h"

/* Rows of a stage's result that are computed at a time. */
enum { ROWS = 1024 };
static const float SLOPE = WAVEGRAD_SLOPE;

tensor *wavegrad_encode(const float *level, int64_t B, int64_t C) {
    int64_t half = C / 2;
    tensor *e = tensor_zero(F32, SHAPE(B, C));
    for (int64_t b = 0; b < B; b++)
        for (int64_t k = 0; k < half; k++) {
            double angle = (double) level[b] * exp(-log(1e4) * (double) k / (double) half);
            f32(e)[b * C + k] = (float) sin(angle);
            f32(e)[b * C + half + k] = (float) cos(angle);
        }
    return e;
}

/* --- whole --- */

tensor *wavegrad_film_forward(const wavegrad_film *f, const tensor *x, const tensor *e) {
    dtype op = operands();
    tensor *y = leaky_relu(apply_conv(f->input, x, 1, F32), SLOPE, F32);
    return apply_conv(f->output, add_rows(y, e, op), 1, op);
}

tensor *wavegrad_up_forward(const wavegrad_up *u, const tensor *x, const tensor *f) {
    dtype op = operands();
    const int *dilation = u->dilations;
    tensor *a = repeat_time(apply_conv(u->residual, x, 1, F32), u->factor, 1.0f, F32);
    const repeated_options first = {.factor = u->factor, .dilation = dilation[0], .out = op};
    tensor *b = conv1d_repeated(leaky_relu(x, SLOPE, op), u->conv[0].weight, u->conv[0].bias, first);
    b = apply_conv(u->conv[1], film(b, f, SLOPE, op), dilation[1], F32);
    tensor *y = add(a, b, F32);
    tensor *c = apply_conv(u->conv[2], film(y, f, SLOPE, op), dilation[2], op);
    c = apply_conv(u->conv[3], film(c, f, SLOPE, op), dilation[3], F32);
    return add(y, c, F32);
}

/* --- in tiles: every tensor knows which rows of the sound it holds --- */

/* Rows [first, end) of T. */
typedef struct {
    int64_t first, end, T;
} span;

/* `rows` [1, end - first, C]. */
typedef struct {
    tensor *rows;
    span at;
} part;

/* s and its neighbourhood, as far as there are rows. */
static span wider(span s, int64_t reach) {
    return (span){s.first > reach ? s.first - reach : 0, s.end + reach < s.T ? s.end + reach : s.T, s.T};
}

static tensor *rows_of_memory(const tensor *t, int64_t first, int64_t n) {
    int64_t C = t->shape[2];
    return tensor_view(t, first * C, SHAPE(1, n, C));
}

/* Rows of item b of a whole tensor, and fewer rows of a part: the same memory. */
static part part_of(const tensor *whole, int64_t b, span s) {
    return (part){rows_of_memory(whole, b * whole->shape[1] + s.first, s.end - s.first), s};
}

static tensor *within(part p, span s) { return rows_of_memory(p.rows, s.first - p.at.first, s.end - s.first); }

/* A convolution of three taps at the rows s; beyond the ends of the sound are zeros. */
static part convolve(affine a, part x, int dilation, span s, dtype out) {
    span wide = wider(s, dilation);
    conv1d_options o = {.dilation = dilation,
                        .pad_left = (int) (dilation - (s.first - wide.first)),
                        .pad_right = (int) (dilation - (wide.end - s.end)),
                        .out = out};
    return (part){conv1d(within(x, wide), a.weight, a.bias, o), s};
}

static part film_tile(const wavegrad_film *f, const tensor *down, const tensor *e, int64_t b, span s) {
    dtype op = operands();
    int64_t C = down->shape[2];
    part y = convolve(f->input, part_of(down, b, wider(s, 2)), 1, wider(s, 1), F32);
    y.rows = leaky_relu(y.rows, SLOPE, F32);
    y.rows = add_rows(y.rows, tensor_view(e, b * C, SHAPE(1, C)), op);
    return convolve(f->output, y, 1, s, op);
}

/* leaky_relu(FiLM) of x, at its rows. */
static part modulate(part x, part f) { return (part){film(x.rows, within(f, x.at), SLOPE, operands()), x.at}; }

/* leaky_relu(x), x the rows of one item, each `factor` times, convolved at the rows s. */
static part convolve_repeated(affine a, const tensor *x, int factor, int dilation, span s) {
    dtype op = operands();
    span wide = wider(s, dilation);
    int64_t from = wide.first / factor, to = (wide.end + factor - 1) / factor;
    repeated_options o = {.factor = factor,
                          .dilation = dilation,
                          .first = s.first - from * factor,
                          .end = s.end - from * factor,
                          .out = op};
    return (part){conv1d_repeated(leaky_relu(rows_of_memory(x, from, to - from), SLOPE, op), a.weight, a.bias, o), s};
}

/* Rows s of item b, as in wavegrad_up_forward. */
static tensor *up_tile(const wavegrad_up *u, const wavegrad_film *g, const tensor *x, const tensor *down,
                       const tensor *e, int64_t b, span s) {
    dtype op = operands();
    const int *d = u->dilations;
    span third = wider(s, d[3]), second = wider(third, d[2]), first = wider(second, d[1]);
    part f = film_tile(g, down, e, b, first);
    const tensor *item = rows_of_memory(x, b * x->shape[1], x->shape[1]);
    part h = convolve_repeated(u->conv[0], item, u->factor, d[0], first);
    h = convolve(u->conv[1], modulate(h, f), d[1], second, F32);
    int64_t from = second.first / u->factor, to = (second.end + u->factor - 1) / u->factor;
    part a = {repeat_time(apply_conv(u->residual, rows_of_memory(item, from, to - from), 1, F32), u->factor, 1.0f, F32),
              {from * u->factor, to * u->factor, s.T}};
    part y = {add(within(a, second), h.rows, F32), second};
    part c = convolve(u->conv[2], modulate(y, f), d[2], third, op);
    c = convolve(u->conv[3], modulate(c, f), d[3], s, F32);
    return add(within(y, s), c.rows, F32);
}

tensor *wavegrad_up_tiles(const wavegrad_up *u, const wavegrad_film *f, const tensor *x, const tensor *down,
                          const tensor *e) {
    int64_t B = x->shape[0], T = x->shape[1] * u->factor;
    tensor *y = tensor_result(F32, SHAPE(B, T, u->residual.weight->shape[0]));
    const int64_t rows_at_once = device_current() ? T : ROWS; /* a device has the memory, and wants much work at once */
    for (int64_t b = 0; b < B; b++)
        for (int64_t first = 0; first < T; first += rows_at_once) {
            span s = {first, first + rows_at_once < T ? first + rows_at_once : T, T};
            scope_begin();
            const tensor *rows = up_tile(u, f, x, down, e, b, s);
            copy_to(part_of(y, b, s).rows->data, rows->data, tensor_bytes(rows));
            scope_end();
        }
    return y;
}
