#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/parallel.h"
#include "models/diffwave_bf16_block.h"
#include "tensor/convert.h"
#include "tensor/node.h"

/* Blocks whose weights' gradients are summed by one thread. */
enum { SEGMENT_BLOCKS = 4, SEGMENT = SEGMENT_BLOCKS * BLOCK };

/* Sums over rows: of the inner operand times the gate's gradient, of the gate's result times the result's gradient, and of
 * columns: the result's gradient, the gate's and that of x + d. One piece of memory, added up as such. */
typedef struct {
    float *inner, *outer;     /* [K, 2C], [C, 2C] */
    float *result, *gate, *d; /* [2C], [2C], [C] */
} sums;

/* A thread's memory beside that of the way forward. */
typedef struct {
    uint16_t *result, *taps; /* [BLOCK, 2C], [BLOCK, TAPS 2C] */
    float *y;                /* [BLOCK, max(C, M)] */
} scratch;

struct diffwave_bf16_slopes {
    const diffwave_layer *l;
    diffwave_bf16 *net;
    int64_t T, segments;
    block_product *turned, *dilated, *mel, *inner, *outer;
    const block_weights *w_turned, *w_dilated, *w_mel;
    scratch *scratches;
    uint16_t *dwide; /* [T, 2C] and zeros up to a whole block */
    float *parts;    /* of each segment, then those of all sounds */
};

/* --- what it needs --- */

static int64_t sums_size(const diffwave_bf16 *net) { return 2 * net->C * (net->K + net->C) + 5 * net->C; }

static sums sums_at(const diffwave_bf16_slopes *s, int64_t segment) {
    const int64_t C = s->net->C, K = s->net->K;
    float *p = s->parts + segment * sums_size(s->net), *columns = p + 2 * C * (K + C);
    return (sums){p, p + 2 * C * K, columns, columns + 2 * C, columns + 4 * C};
}

/* [TAPS 2C, C]: the taps turned round. */
static const float *dilated_turned(const diffwave_layer *l, int64_t C) {
    const float *w = f32(l->dilated.weight);
    float *b = NEW_ARRAY(float, TAPS * 2 * C * C);
    for (int64_t tap = 0; tap < TAPS; tap++)
        for (int64_t o = 0; o < 2 * C; o++)
            for (int64_t c = 0; c < C; c++) b[(tap * 2 * C + o) * C + c] = w[(o * C + c) * TAPS + TAPS - 1 - tap];
    return b;
}

static block_product *rows_by_weights(const diffwave_bf16 *net, int64_t k, int64_t n, const float *w,
                                      const block_weights **packed) {
    block_product *p = block_product_new(&(block_problem){.m = BLOCK, .n = n, .k = k, .packed = true}, net->threads);
    *packed = block_weights_of(p, w);
    return p;
}

static block_product *columns_by_rows(const diffwave_bf16 *net, int64_t m) {
    const block_problem p = {.m = m, .n = 2 * net->C, .k = BLOCK, .a_transposed = true, .accumulate = true};
    return block_product_new(&p, net->threads);
}

diffwave_bf16_slopes *diffwave_bf16_slopes_new(const diffwave_layer *l, int64_t T) {
    diffwave_bf16_slopes *s = NEW(diffwave_bf16_slopes);
    diffwave_bf16 *net = s->net = diffwave_bf16_new(l, 1);
    const int64_t C = net->C, M = net->M, whole = (T + BLOCK - 1) / BLOCK * BLOCK;
    s->l = l;
    s->T = T;
    s->segments = (T + SEGMENT - 1) / SEGMENT;
    s->turned = rows_by_weights(net, 2 * C, C, f32(l->output.weight), &s->w_turned);
    s->dilated = rows_by_weights(net, TAPS * 2 * C, C, dilated_turned(l, C), &s->w_dilated);
    if (M) s->mel = rows_by_weights(net, 2 * C, M, f32(l->mel.weight), &s->w_mel);
    s->inner = columns_by_rows(net, net->K);
    s->outer = columns_by_rows(net, C);
    s->scratches = NEW_ARRAY(scratch, net->threads);
    for (int i = 0; i < net->threads; i++)
        s->scratches[i] = (scratch){NEW_ARRAY(uint16_t, BLOCK * 2 * C), NEW_ARRAY(uint16_t, BLOCK * TAPS * 2 * C),
                                    NEW_ARRAY(float, BLOCK *(C > M ? C : M))};
    s->dwide = alloc((size_t) (whole * 2 * C) * sizeof *s->dwide);
    memset(s->dwide + T * 2 * C, 0, (size_t) ((whole - T) * 2 * C) * sizeof *s->dwide);
    s->parts = NEW_ARRAY(float, (s->segments + 1) * sums_size(net));
    return s;
}

/* --- the gate and what is around it --- */

/* result [n, 2C]: the gradient of the layer's result, its columns summed. next NULL after the last layer. */
CLONES static void take_result(const float *restrict next, const float *restrict skip, int64_t n, int64_t C,
                               uint16_t *restrict result, float *restrict sum) {
    const float factor = (float) M_SQRT1_2;
    for (int64_t i = 0; i < n; i++, skip += C, result += 2 * C) {
        for (int64_t c = 0; c < C; c++) {
            const float r = next ? next[i * C + c] * factor : 0.0f;
            result[c] = bf16_of(r);
            sum[c] += r;
        }
        for (int64_t c = 0; c < C; c++) {
            result[C + c] = bf16_of(skip[c]);
            sum[C + c] += skip[c];
        }
    }
}

/* Up to a whole block: rows that are not there add nothing to sums over rows. */
static void clear_behind(uint16_t *rows, int64_t n, int64_t width) {
    memset(rows + n * width, 0, (size_t) ((BLOCK - n) * width) * sizeof *rows);
}

/* The layer once more, its inside's gradient, and what rows t .. t + n - 1 add to the weights'. */
static void slopes_block(const diffwave_bf16_slopes *s, const bf16_kernel *k, const diffwave_gradients *g, int thread,
                         int64_t t, int64_t n, const sums *to) {
    const bf16_scratch *f = &k->net->scratches[thread];
    const scratch *own = &s->scratches[thread];
    const int64_t C = k->net->C;
    uint16_t *dwide = s->dwide + t * 2 * C;
    bf16_gather(k, t, n, f->narrow);
    block_product_run(k->net->inner, thread,
                      &(block_operands){.a = f->narrow, .w = k->l->inner, .bias = k->l->inner_bias, .y = f->wide});
    take_result(g->next ? g->next + t * C : NULL, g->skip + t * C, n, C, own->result, to->result);
    block_product_run(s->turned, thread, &(block_operands){.a = own->result, .w = s->w_turned, .y = own->y});
    bf16_gate_slope(f->wide, own->y, n, C, f->gated, dwide, to->gate);
    if (n < BLOCK) {
        clear_behind(f->narrow, n, k->net->K);
        clear_behind(f->gated, n, C);
        clear_behind(own->result, n, 2 * C);
    }
    block_product_run(s->inner, thread, &(block_operands){.a = f->narrow, .b = dwide, .y = to->inner});
    block_product_run(s->outer, thread, &(block_operands){.a = f->gated, .b = own->result, .y = to->outer});
}

/* --- the gradients of its inputs --- */

/* taps [n, TAPS 2C]: the gate's gradients of the rows that read rows t .. t + n - 1 by the last tap, the middle, the first. */
static void gather_slopes(const diffwave_bf16_slopes *s, int64_t t, int64_t n, uint16_t *taps) {
    const int64_t width = 2 * s->net->C;
    for (int64_t i = 0; i < n; i++)
        for (int64_t tap = 0; tap < TAPS; tap++, taps += width) {
            const int64_t at = t + i + (tap - 1) * s->l->dilation;
            if (at < 0 || at >= s->T) memset(taps, 0, (size_t) width * sizeof *taps);
            else memcpy(taps, s->dwide + at * width, (size_t) width * sizeof *taps);
        }
}

/* The gradient of x: that of x + d, which is summed too, and what goes past the layer. */
CLONES static void add_slopes(const float *restrict dx, const float *restrict next, int64_t n, int64_t C,
                              float *restrict x, float *restrict sum) {
    const float factor = (float) M_SQRT1_2;
    for (int64_t i = 0; i < n; i++, dx += C) {
        for (int64_t c = 0; c < C; c++) sum[c] += dx[c];
        if (!x) continue;
        for (int64_t c = 0; c < C; c++) x[i * C + c] += dx[c] + (next ? next[i * C + c] * factor : 0.0f);
    }
}

CLONES static void add_floats(float *restrict to, const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] += x[i];
}

static void inputs_block(const diffwave_bf16_slopes *s, const diffwave_gradients *g, int thread, int64_t t, int64_t n,
                         const sums *to) {
    const int64_t C = s->net->C, M = s->net->M;
    const scratch *own = &s->scratches[thread];
    if (g->x || g->d) {
        gather_slopes(s, t, n, own->taps);
        block_product_run(s->dilated, thread, &(block_operands){.a = own->taps, .w = s->w_dilated, .y = own->y});
        add_slopes(own->y, g->next ? g->next + t * C : NULL, n, C, g->x ? g->x + t * C : NULL, to->d);
    }
    if (!g->mel) return;
    block_product_run(s->mel, thread, &(block_operands){.a = s->dwide + t * 2 * C, .w = s->w_mel, .y = own->y});
    add_floats(g->mel + t * M, own->y, n * M);
}

/* --- a sound --- */

/* The segments' sums, in their order, to those of all sounds. */
static void add_segments(const diffwave_bf16_slopes *s) {
    const int64_t size = sums_size(s->net), run = 4096;
    float *all = s->parts + s->segments * size;
#pragma omp parallel for schedule(static) num_threads(s->net->threads)
    for (int64_t first = 0; first < size; first += run)
        for (int64_t i = 0; i < s->segments; i++)
            add_floats(all + first, s->parts + i * size + first, size - first < run ? size - first : run);
}

void diffwave_bf16_backward(diffwave_bf16_slopes *s, const diffwave_rows *r, const diffwave_gradients *g) {
    const bf16_kernel k = {s->net, &s->net->layers[0], s->T, r};
    const int64_t T = s->T, C = s->net->C;
    memset(s->parts, 0, (size_t) (s->segments * sums_size(s->net)) * sizeof(float));
#pragma omp parallel num_threads(s->net->threads)
    {
        const int thread = omp_get_thread_num();
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->segments; i++)
            for (int64_t t = i * SEGMENT; t < T && t < (i + 1) * SEGMENT; t += BLOCK) {
                const sums to = sums_at(s, i);
                slopes_block(s, &k, g, thread, t, T - t < BLOCK ? T - t : BLOCK, &to);
            }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->segments; i++)
            for (int64_t t = i * SEGMENT; t < T && t < (i + 1) * SEGMENT; t += BLOCK) {
                const sums to = sums_at(s, i);
                inputs_block(s, g, thread, t, T - t < BLOCK ? T - t : BLOCK, &to);
            }
    }
    block_product *const used[] = {s->net->inner, s->turned, s->inner, s->outer, s->dilated, s->mel};
    for (int i = 0; i < (s->mel ? 6 : 5); i++) block_product_check(used[i]);
    add_segments(s);
    if (!g->d) return;
    for (int64_t i = 0; i < s->segments; i++) add_floats(g->d, sums_at(s, i).d, C);
}

/* --- the weights --- */

static void add_bias(affine a, const float *sum) {
    bool more;
    float *db = gradient_sink(a.bias, &more);
    for (int64_t o = 0; db && o < a.weight->shape[0]; o++) db[o] += sum[o];
}

/* dw [O, I, taps] += sum [taps, I, O]. */
static void add_weights(affine a, int64_t taps, const float *sum) {
    bool more;
    const int64_t O = a.weight->shape[0], I = a.weight->shape[1];
    float *dw = gradient_sink(a.weight, &more);
    for (int64_t o = 0; dw && o < O; o++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t tap = 0; tap < taps; tap++) dw[(o * I + i) * taps + tap] += sum[(tap * I + i) * O + o];
}

void diffwave_bf16_slopes_end(const diffwave_bf16_slopes *s) {
    const sums all = sums_at(s, s->segments);
    add_bias(s->l->output, all.result);
    add_weights(s->l->output, 1, all.outer);
    add_bias(s->l->dilated, all.gate);
    add_weights(s->l->dilated, TAPS, all.inner);
    if (!s->net->M) return;
    add_bias(s->l->mel, all.gate);
    add_weights(s->l->mel, 1, all.inner + TAPS * s->net->C * 2 * s->net->C);
}
