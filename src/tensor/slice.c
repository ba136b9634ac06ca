/* Runs of rows or channels cut out and put together, and the mean over time. */
#include <string.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/rows.h"

/* Both cutting and joining copy blocks: along time a block is all a batch item has of it, along channels one row. */
void copy_blocks(const copying *c, void *to, const void *from, dtype type) {
    size_t size = dtype_size(type), bytes = (size_t) c->length * size;
    if (device_current()) {
        device_current()->copy_blocks(c, to, from, size);
        return;
    }
#pragma omp parallel for schedule(static) if (c->blocks * c->length > PARALLEL_MIN)
    for (int64_t k = 0; k < c->blocks; k++)
        memcpy((char *) to + (size_t) (c->to + k * c->to_step) * size,
               (const char *) from + (size_t) (c->from + k * c->from_step) * size, bytes);
}

/* The way back: adds (or, where the sink is new and wholly covered, puts) what lies at `to` in g to `from` in d. */
static void return_blocks(const copying *c, float *d, const float *g) {
    if (device_current()) {
        device_current()->return_blocks(c, d, g);
        return;
    }
#pragma omp parallel for schedule(static) if (c->blocks * c->length > PARALLEL_MIN)
    for (int64_t k = 0; k < c->blocks; k++) {
        float *to = d + c->from + k * c->from_step;
        const float *from = g + c->to + k * c->to_step;
#pragma omp simd
        for (int64_t i = 0; i < c->length; i++) to[i] += from[i];
    }
}

static void copy_backward(node *n) {
    const copying *c = n->options;
    for (int i = 0; i < 2; i++) {
        float *d = gradient_sum(n->in[i]);
        if (d) return_blocks(&c[i], d, n->grad);
    }
}

static tensor *cut(const tensor *x, shape s, copying c) {
    PLACE(x);
    tensor *y = tensor_result(x->type, s);
    copy_blocks(&c, y->data, x->data, x->type);
    record(y, copy_backward, INPUTS(x, NULL), &c, sizeof c);
    return y;
}

static tensor *join(const tensor *a, const tensor *b, shape s, copying first, copying second) {
    require(a->type == b->type);
    PLACE(a);
    PLACE(b);
    tensor *y = tensor_result(a->type, s);
    copying both[2] = {first, second};
    copy_blocks(&first, y->data, a->data, a->type);
    copy_blocks(&second, y->data, b->data, b->type);
    record(y, copy_backward, INPUTS(a, b), both, sizeof both);
    return y;
}

tensor *slice_time(const tensor *x, int64_t first, int64_t length) {
    int64_t B = x->shape[0], T = x->shape[1], C = x->shape[2];
    require(x->rank == 3 && first >= 0 && length >= 0 && first + length <= T);
    return cut(x, SHAPE(B, length, C), (copying){B, length * C, first * C, T * C, 0, length * C});
}

tensor *slice_channels(const tensor *x, int64_t first, int64_t length) {
    int64_t C = x->shape[x->rank - 1];
    require(first >= 0 && length >= 0 && first + length <= C);
    shape s = shape_of(x);
    s.dims[s.rank - 1] = length;
    return cut(x, s, (copying){row_count(x), length, first, C, 0, length});
}

tensor *concat_time(const tensor *a, const tensor *b) {
    int64_t B = a->shape[0], C = a->shape[2], Ta = a->shape[1], Tb = b->shape[1], T = Ta + Tb;
    require(a->rank == 3 && b->rank == 3 && b->shape[0] == B && b->shape[2] == C);
    return join(a, b, SHAPE(B, T, C), (copying){B, Ta * C, 0, Ta * C, 0, T * C},
                (copying){B, Tb * C, 0, Tb * C, Ta * C, T * C});
}

tensor *concat_channels(const tensor *a, const tensor *b) {
    int64_t Ca = a->shape[a->rank - 1], Cb = b->shape[b->rank - 1], C = Ca + Cb, n = row_count(a);
    require(row_count(b) == n);
    shape s = shape_of(a);
    s.dims[s.rank - 1] = C;
    return join(a, b, s, (copying){n, Ca, 0, Ca, 0, C}, (copying){n, Cb, 0, Cb, Ca, C});
}

/* --- mean over time --- */

/* What each position counts: 1 / (positions kept), or 0. */
static float *weights_of(const tensor *mask, int64_t batch, int64_t T) {
    float *w = alloc((size_t) (batch * T) * sizeof *w);
    for (int64_t b = 0; b < batch; b++) {
        int64_t kept = 0;
        for (int64_t t = 0; t < T; t++) kept += !mask || ((const uint8_t *) host_data(mask))[b * T + t];
        for (int64_t t = 0; t < T; t++)
            w[b * T + t] = !mask || ((const uint8_t *) host_data(mask))[b * T + t] ? 1.0f / (float) kept : 0.0f;
    }
    return w;
}

static void mean_backward(node *n) {
    const tensor *x = n->in[0];
    const float *w = n->saved;
    int64_t T = x->shape[1], C = x->shape[2], total = x->shape[0] * T;
    bool more;
    float *d = gradient_sink(x, &more);
    if (!d) return;
    if (device_current()) {
        device_current()->weighted_spread(d, n->grad, w, x->shape[0], T, C, more);
        return;
    }
#pragma omp parallel for schedule(static) if (total * C > PARALLEL_MIN)
    for (int64_t r = 0; r < total; r++) {
        const float *g = n->grad + r / T * C;
        for (int64_t i = 0; i < C; i++) d[r * C + i] = (more ? d[r * C + i] : 0.0f) + w[r] * g[i];
    }
}

static void weighted_mean(float *y, const tensor *x, const float *w) {
    int64_t B = x->shape[0], T = x->shape[1], C = x->shape[2];
    if (device_current()) {
        device_current()->weighted_mean(y, x->data, x->type, w, B, T, C);
        return;
    }
    scope_begin();
    const float *wide = values(x->type == F32 ? x : tensor_to_f32(x));
    memset(y, 0, (size_t) (B * C) * sizeof *y);
#pragma omp parallel for schedule(static) if (count(x) > PARALLEL_MIN)
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0; t < T; t++)
            for (int64_t i = 0; i < C; i++) y[b * C + i] += w[b * T + t] * wide[(b * T + t) * C + i];
    scope_end();
}

tensor *mean_time(const tensor *x, const tensor *mask) {
    int64_t B = x->shape[0], T = x->shape[1], C = x->shape[2];
    require(x->rank == 3 && (!mask || (dtype_size(mask->type) == 1 && count(mask) == B * T)));
    PLACE(x);
    tensor *y = tensor_result(F32, SHAPE(B, C));
    const float *w = weights_of(mask, B, T);
    if (device_current()) w = values(placed(tensor_wrap(F32, SHAPE(B * T), (void *) w)));
    weighted_mean(y->data, x, w);
    node *recorded = record(y, mean_backward, INPUTS(x), NULL, 0);
    if (recorded) recorded->saved = w;
    return y;
}
