#include "models/diffwave_layer.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "models/diffwave_bf16.h"
#include "tensor/node.h"

/* One layer. The dilated convolution reads the rows `wide`, which are x's and those of its neighbourhood that exist; `left`
 * and `right` rows more lie outside the sound and are zero. The last layer's x is not needed. */
static diffwave_state apply_layer(const diffwave_layer *l, const tensor *d, const tensor *mel, const tensor *wide,
                                  int64_t left, int64_t right, diffwave_state s, bool last) {
    dtype op = operands();
    conv1d_options dilated = {.dilation = l->dilation, .pad_left = (int) left, .pad_right = (int) right, .out = op};
    tensor *h = conv1d(add_rows(wide, d, op), l->dilated.weight, l->dilated.bias, dilated); /* [B, T, 2C] */
    tensor *condition = mel ? apply_conv(l->mel, mel, 1, op) : NULL;                        /* [B, T, 2C] */
    tensor *r = apply_conv(l->output, gated_tanh(h, condition, op), 1, op);                 /* [B, T, 2C] */
    return (diffwave_state){last ? NULL : add_first_half(s.x, r, (float) M_SQRT1_2), add_second_half(s.skip, r)};
}

/* Rows first .. end - 1 of item b of t [B, T, C], or NULL: the same memory. */
static tensor *rows_within(const tensor *t, int64_t b, int64_t first, int64_t end) {
    if (!t) return NULL;
    int64_t C = t->shape[2];
    return tensor_view(t, (b * t->shape[1] + first) * C, SHAPE(1, end - first, C));
}

/* --- tiles --- */

/* Rows first .. end - 1 of item b, computed from rows from .. to - 1 of x. */
typedef struct {
    int64_t b, first, end, from, to;
} span;

static int64_t tile_count(const tensor *x) { return (x->shape[1] + DIFFWAVE_TILE - 1) / DIFFWAVE_TILE; }

/* Tile i of all items'. */
static span tile_span(const tensor *x, int64_t i, int64_t reach) {
    int64_t T = x->shape[1], n = tile_count(x), first = i % n * DIFFWAVE_TILE;
    int64_t end = first + DIFFWAVE_TILE < T ? first + DIFFWAVE_TILE : T;
    return (span){i / n, first, end, first > reach ? first - reach : 0, end + reach < T ? end + reach : T};
}

static diffwave_state apply_tile(const diffwave_layer *l, const tensor *d, const tensor *mel, const tensor *wide,
                                 span s, diffwave_state in, bool last) {
    int64_t reach = l->dilation;
    return apply_layer(l, d, mel, wide, reach - (s.first - s.from), reach - (s.to - s.end), in, last);
}

static tensor *item_of(const tensor *d, int64_t b) {
    return tensor_wrap(F32, SHAPE(1, d->shape[1]), f32(d) + b * d->shape[1]);
}

static diffwave_state forward_tiles(const diffwave_layer *l, const tensor *d, const tensor *mel, diffwave_state s,
                                    bool last) {
    diffwave_state next = {last ? NULL : tensor_new(F32, shape_of(s.x)), tensor_new(F32, shape_of(s.x))};
    for (int64_t i = 0; i < s.x->shape[0] * tile_count(s.x); i++) {
        span k = tile_span(s.x, i, l->dilation);
        scope_begin();
        diffwave_state in = {rows_within(s.x, k.b, k.first, k.end), rows_within(s.skip, k.b, k.first, k.end)};
        diffwave_state out = apply_tile(l, item_of(d, k.b), rows_within(mel, k.b, k.first, k.end),
                                        rows_within(s.x, k.b, k.from, k.to), k, in, last);
        if (!last) memcpy(rows_within(next.x, k.b, k.first, k.end)->data, out.x->data, tensor_bytes(out.x));
        memcpy(rows_within(next.skip, k.b, k.first, k.end)->data, out.skip->data, tensor_bytes(out.skip));
        scope_end();
    }
    return next;
}

/* --- whole sounds by the fused kernel --- */

/* The layer's operands of item b; `operand` [T, C] takes x + d, NULL in f32. */
static diffwave_rows item_rows(const tensor *x, const tensor *d, const tensor *mel, int64_t b, uint16_t *operand) {
    const int64_t T = x->shape[1], C = x->shape[2];
    diffwave_rows r = {.x = f32(x) + b * T * C, .end = T, .d = f32(d) + b * C, .operand = operand};
    if (mel) r.mel = (const char *) mel->data + (size_t) (b * T * mel->shape[2]) * dtype_size(mel->type);
    if (operand) diffwave_bf16_operand(r.x, r.d, T, C, operand);
    return r;
}

/* [T, C], or NULL where operands are f32. */
static uint16_t *operand_of_item(const tensor *x) {
    return operands() == BF16 ? alloc((size_t) (x->shape[1] * x->shape[2]) * sizeof(uint16_t)) : NULL;
}

static diffwave_state forward_fused(const diffwave_layer *l, const tensor *d, const tensor *mel, diffwave_state s,
                                    bool last) {
    diffwave_state next = {last ? NULL : tensor_new(F32, shape_of(s.x)), tensor_new(F32, shape_of(s.x))};
    const int64_t T = s.x->shape[1], sound = T * s.x->shape[2];
    scope_begin();
    uint16_t *operand = operand_of_item(s.x);
    const diffwave_bf16 *narrow = operand ? diffwave_bf16_new(l, 1) : NULL;
    for (int64_t b = 0; b < s.x->shape[0]; b++) {
        diffwave_rows r = item_rows(s.x, d, mel, b, operand);
        r.skip_before = s.skip ? f32(s.skip) + b * sound : NULL;
        r.skip = f32(next.skip) + b * sound;
        r.next = last ? NULL : f32(next.x) + b * sound;
        if (narrow) diffwave_bf16_rows(narrow, 0, T, &r);
        else diffwave_fused_rows(l, T, &r);
    }
    scope_end();
    return next;
}

/* --- gradients --- */

typedef struct {
    const diffwave_layer *l;
    bool last;
} remembered;

/* Where the gradient of t goes, all of it there: zero if nothing was; NULL if none is wanted. */
static float *whole_sink(const tensor *t) {
    bool more;
    float *d = gradient_sink(t, &more);
    if (d && !more) memset(d, 0, (size_t) count(t) * sizeof(float));
    return d;
}

/* A tensor of the same rows to differentiate by, if a gradient is wanted. */
static tensor *leaf(tensor *t, const float *sink) {
    if (t && sink) tape_watch(t);
    return t;
}

/* The gradient of a leaf, added from row `first` of item b on. */
static void collect(float *sink, const tensor *whole, int64_t b, int64_t first, const tensor *from) {
    const float *gradient = sink ? tape_gradient(from) : NULL;
    if (!gradient) return;
    int64_t C = from->shape[from->rank - 1], n = count(from);
    float *restrict to = sink + (whole->rank == 3 ? b * whole->shape[1] + first : b) * C;
#pragma omp parallel for simd schedule(static) if (n > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) to[i] += gradient[i];
}

static const float *rows_of_item(const float *gradient, const tensor *x, const span *k) {
    return gradient + (k->b * x->shape[1] + k->first) * x->shape[2];
}

static void backward_tile(const remembered *o, const tensor *const *in, float *const *sinks, const float *dx,
                          const float *dskip, span k) {
    const tensor *x = in[0], *d = in[1], *mel = in[2];
    scope_begin();
    tape_state outer = tape_nest();
    tensor *wide = leaf(rows_within(x, k.b, k.from, k.to), sinks[0]), *row = leaf(item_of(d, k.b), sinks[1]);
    tensor *condition = leaf(rows_within(mel, k.b, k.first, k.end), sinks[2]);
    tensor *centre = leaf(rows_within(x, k.b, k.first, k.end), sinks[0]);
    diffwave_state out = apply_tile(o->l, row, condition, wide, k, (diffwave_state){centre, NULL}, o->last);
    if (!o->last) tape_seed(out.x, rows_of_item(dx, x, &k));
    tape_seed(out.skip, rows_of_item(dskip, x, &k));
    tape_nest_end(outer);
    collect(sinks[0], x, k.b, k.from, wide);
    collect(sinks[0], x, k.b, k.first, centre);
    collect(sinks[1], d, k.b, 0, row);
    if (mel) collect(sinks[2], mel, k.b, k.first, condition);
    scope_end();
}

static void backward_fused(const remembered *o, const tensor *const *in, float *const *sinks, const float *dx,
                           const float *dskip) {
    const tensor *x = in[0], *d = in[1], *mel = in[2];
    const int64_t T = x->shape[1], sound = T * x->shape[2];
    scope_begin();
    uint16_t *operand = operand_of_item(x);
    diffwave_bf16_slopes *narrow = operand ? diffwave_bf16_slopes_new(o->l, T) : NULL;
    for (int64_t b = 0; b < x->shape[0]; b++) {
        const diffwave_rows r = item_rows(x, d, mel, b, operand);
        const diffwave_gradients g = {.next = o->last ? NULL : dx + b * sound,
                                      .skip = dskip + b * sound,
                                      .x = sinks[0] ? sinks[0] + b * sound : NULL,
                                      .d = sinks[1] ? sinks[1] + b * d->shape[1] : NULL,
                                      .mel = sinks[2] ? sinks[2] + b * T * mel->shape[2] : NULL};
        if (narrow) diffwave_bf16_backward(narrow, &r, &g);
        else diffwave_fused_backward(o->l, T, &r, &g);
    }
    if (narrow) diffwave_bf16_slopes_end(narrow);
    scope_end();
}

/* The gradient of the sum of skips is that of each: the buffer goes on to the layer before. */
static void pass_on(const tensor *skip, float *gradient) {
    if (skip && skip->node && !skip->node->grad) {
        skip->node->grad = gradient;
        return;
    }
    bool more;
    float *d = skip ? gradient_sink(skip, &more) : NULL;
    for (int64_t i = 0, n = d ? count(skip) : 0; i < n; i++) d[i] += gradient[i];
    block_release(gradient);
}

/* n is the node of x, or of skip in the last layer; that of skip left its gradient in `saved`. */
static void layer_backward(node *n) {
    const remembered *o = n->options;
    const tensor *x = n->in[0];
    float *dskip = o->last ? n->grad : (float *) n->saved;
    float *sinks[3] = {whole_sink(x), whole_sink(n->in[1]), n->in[2] ? whole_sink(n->in[2]) : NULL};
    if (diffwave_fuses()) backward_fused(o, n->in, sinks, n->grad, dskip);
    else
        for (int64_t i = 0; i < x->shape[0] * tile_count(x); i++)
            backward_tile(o, n->in, sinks, n->grad, dskip, tile_span(x, i, o->l->dilation));
    pass_on(n->in[3], dskip);
    if (o->last) n->grad = NULL;
}

/* Runs before layer_backward: recorded after it. */
static void skip_backward(node *n) {
    node *layer = *(node *const *) n->options;
    layer->saved = n->grad;
    n->grad = NULL;
}

static void record_layer(const diffwave_layer *l, const tensor *d, const tensor *mel, diffwave_state s,
                         diffwave_state next, bool last) {
    remembered o = {l, last};
    node *n = record(last ? next.skip : next.x, layer_backward,
                     INPUTS(s.x, d, mel, s.skip, l->dilated.weight, l->output.weight), &o, sizeof o);
    if (n && !last) record(next.skip, skip_backward, INPUTS(next.x), &n, sizeof n);
}

diffwave_state diffwave_layer_forward(const diffwave_layer *l, const tensor *d, const tensor *mel, diffwave_state s,
                                      bool last) {
    /* A device is fed whole: its memory holds what training needs, and its kernels want much work at once. */
    if (device_current()) return apply_layer(l, d, mel, s.x, l->dilation, l->dilation, s, last);
    bool was = tape_pause();
    diffwave_state next = (diffwave_fuses() ? forward_fused : forward_tiles)(l, d, mel, s, last);
    tape_resume(was);
    record_layer(l, d, mel, s, next, last);
    return next;
}
