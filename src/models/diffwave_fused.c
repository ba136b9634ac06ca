#include "models/diffwave_fused.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/parallel.h"
#include "models/diffwave_bf16.h"
#include "tensor/cpu/block_product.h"
#include "tensor/cpu/conv_f32.h"
#include "tensor/cpu/tile.h"
#include "tensor/node.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

/* Rows a core computes at a time, and for each thread those that go through all layers at a time. */
enum { BLOCK = 8 * TILE_ROWS, CHUNK_ROWS = 10 * BLOCK, CHUNK_BLOCKS_BF16 = 8, TAPS = 3 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

bool diffwave_fuses(void) { return operands() == F32 || block_products_exist(); }

/* --- one layer --- */

typedef struct {
    f32_weights dilated, mel, output;
    int64_t C, M, T, dilation;
    const diffwave_rows *r;
} kernel;

/* A thread's memory: the rows the taps read, the gate's result behind them, and wide rows before and after it. */
static size_t scratch_size(const kernel *k) { return (size_t) (BLOCK * k->C * (TAPS + 2)); }

/* taps [TAPS][n][C] = x + d around rows t .. t + n - 1, zero outside of the sound. */
CLONES static void gather(const kernel *k, int64_t t, int64_t n, float *restrict taps) {
    const int64_t C = k->C;
    const float *restrict d = k->r->d;
    for (int64_t tap = 0; tap < TAPS; tap++)
        for (int64_t i = 0; i < n; i++, taps += C) {
            const int64_t at = t + i + (tap - 1) * k->dilation;
            if (at < 0 || at >= k->T) {
                memset(taps, 0, (size_t) C * sizeof(float));
                continue;
            }
            const float *restrict x = k->r->x + (at - k->r->held) * C;
            for (int64_t c = 0; c < C; c++) taps[c] = x[c] + d[c];
        }
}

/* [n, 2C] -> [n, C]. */
CLONES static void gate(const float *restrict wide, int64_t n, int64_t C, float *restrict y) {
    for (int64_t i = 0; i < n; i++, wide += 2 * C, y += C)
        for (int64_t c = 0; c < C; c++) y[c] = fast_gate(wide[c], wide[C + c]);
}

CLONES static void add_halves(const kernel *k, int64_t t, int64_t n, const float *restrict wide) {
    const diffwave_rows *r = k->r;
    const int64_t C = k->C;
    const float factor = (float) M_SQRT1_2;
    for (int64_t i = 0; i < n; i++, wide += 2 * C) {
        const float *before = r->skip_before ? r->skip_before + (t + i) * C : NULL;
        float *skip = r->skip + (t + i) * C;
        if (before)
            for (int64_t c = 0; c < C; c++) skip[c] = before[c] + wide[C + c];
        else memcpy(skip, wide + C, (size_t) C * sizeof(float));
        if (!r->next) continue;
        const float *restrict x = r->x + (t + i - r->held) * C;
        float *restrict next = r->next + (t + i - r->first) * C;
        for (int64_t c = 0; c < C; c++) next[c] = (x[c] + wide[c]) * factor;
    }
}

static const float *mel_row(const kernel *k, int64_t t) { return (const float *) k->r->mel + t * k->M; }

static void block(const kernel *k, int64_t t, int64_t n, float *taps) {
    const int64_t C = k->C;
    float *wide = taps + TAPS * BLOCK * C;
    gather(k, t, n, taps);
    f32_rows(&k->dilated, taps, C, n * C, n, wide, false);
    if (k->r->mel) f32_rows(&k->mel, mel_row(k, t), k->M, 0, n, wide, true);
    gate(wide, n, C, taps);
    f32_rows(&k->output, taps, C, 0, n, wide, false);
    add_halves(k, t, n, wide);
}

static kernel kernel_of(const diffwave_layer *l, int64_t T, const diffwave_rows *r) {
    kernel k = {.dilated = f32_weights_of(l->dilated.weight, l->dilated.bias),
                .output = f32_weights_of(l->output.weight, l->output.bias),
                .C = l->output.weight->shape[1],
                .T = T,
                .dilation = l->dilation,
                .r = r};
    if (r->mel) {
        k.mel = f32_weights_of(l->mel.weight, l->mel.bias);
        k.M = k.mel.steps;
    }
    return k;
}

void diffwave_fused_rows(const diffwave_layer *l, int64_t T, const diffwave_rows *r) {
    scope_begin();
    const kernel k = kernel_of(l, T, r);
    const int64_t rows = r->end - r->first, blocks = (rows + BLOCK - 1) / BLOCK;
    const int threads = threads_get();
    float *scratch = alloc((size_t) threads * scratch_size(&k) * sizeof(float));
#pragma omp parallel for schedule(static) num_threads(threads) if (blocks > 1)
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t t = r->first + rows * i / blocks, next = r->first + rows * (i + 1) / blocks;
        block(&k, t, next - t, scratch + (size_t) omp_get_thread_num() * scratch_size(&k));
    }
    scope_end();
}

/* --- its gradients --- */

/* What a sound's second pass over a layer keeps of all rows: the dilated convolution's operand, the gate's result, and the
 * gradients of the gate's operands and of the layer's result. */
typedef struct {
    float *operand, *y;    /* [T, C] */
    float *dwide, *result; /* [T, 2C] */
    f32_weights output;    /* turned */
} trace;

CLONES static void take_result(const diffwave_gradients *g, int64_t t, int64_t n, int64_t C, float *restrict to) {
    const float factor = (float) M_SQRT1_2;
    for (int64_t i = 0; i < n; i++, to += 2 * C) {
        const float *next = g->next ? g->next + (t + i) * C : NULL;
        for (int64_t c = 0; c < C; c++) to[c] = next ? next[c] * factor : 0;
        memcpy(to + C, g->skip + (t + i) * C, (size_t) C * sizeof(float));
    }
}

/* wide [n, 2C], dy [n, C] the gradient of the gate's result. */
CLONES static void gate_slope(const float *restrict wide, const float *restrict dy, int64_t n, int64_t C,
                              float *restrict y, float *restrict dwide) {
    for (int64_t i = 0; i < n; i++, wide += 2 * C, dwide += 2 * C, y += C, dy += C)
        for (int64_t c = 0; c < C; c++) {
            const float s = fast_sigmoid(wide[c]), t = fast_tanh(wide[C + c]);
            y[c] = s * t;
            dwide[c] = dy[c] * t * s * (1.0f - s);
            dwide[C + c] = dy[c] * s * (1.0f - t * t);
        }
}

static void trace_block(const kernel *k, const diffwave_gradients *g, const trace *to, int64_t t, int64_t n,
                        float *taps) {
    const int64_t C = k->C;
    float *wide = taps + TAPS * BLOCK * C, *result = to->result + t * 2 * C;
    gather(k, t, n, taps);
    memcpy(to->operand + t * C, taps + n * C, (size_t) (n * C) * sizeof(float)); /* the middle tap */
    f32_rows(&k->dilated, taps, C, n * C, n, wide, false);
    if (k->r->mel) f32_rows(&k->mel, mel_row(k, t), k->M, 0, n, wide, true);
    take_result(g, t, n, C, result);
    f32_rows(&to->output, result, 2 * C, 0, n, taps, false);
    gate_slope(wide, taps, n, C, to->y + t * C, to->dwide + t * 2 * C);
}

/* A convolution of one sound's rows that keeps their number; the gradient of its input if dx, and of its weights. sums: of
 * dy's columns, the bias's gradient. */
static void convolution_backward(affine a, int64_t T, int dilation, const float *x, const float *dy, const float *sums,
                                 float *dx, bool add) {
    bool more;
    const int64_t kernel = a.weight->rank > 2 ? a.weight->shape[2] : 1;
    const conv1d_problem c = {.batch = 1,
                              .in_time = T,
                              .in_c = a.weight->shape[1],
                              .out_time = T,
                              .out_c = a.weight->shape[0],
                              .kernel = (int) kernel,
                              .stride = 1,
                              .dilation = dilation,
                              .pad_left = (int) (kernel / 2) * dilation,
                              .in = F32,
                              .out = F32};
    if (dx) conv1d_backward_data(&c, dy, a.weight, dx, add);
    float *dw = gradient_sink(a.weight, &more), *db = gradient_sink(a.bias, &more);
    if (dw) conv1d_backward_weights(&c, x, dy, dw, NULL);
    for (int64_t i = 0; db && i < c.out_c; i++) db[i] += sums[i];
}

CLONES static void add_slopes(float *restrict x, const float *restrict dx, const float *restrict next, int64_t n) {
    const float factor = (float) M_SQRT1_2;
#pragma omp parallel for simd schedule(static) if (n > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) x[i] += dx[i] + (next ? next[i] * factor : 0);
}

void diffwave_fused_backward(const diffwave_layer *l, int64_t T, const diffwave_rows *r, const diffwave_gradients *g) {
    scope_begin();
    const kernel k = kernel_of(l, T, r);
    const int64_t C = k.C, blocks = (T + BLOCK - 1) / BLOCK;
    const int threads = threads_get();
    const size_t narrow = (size_t) (T * C) * sizeof(float);
    const trace to = {alloc(narrow), alloc(narrow), alloc(2 * narrow), alloc(2 * narrow),
                      f32_weights_turned(l->output.weight)};
    float *scratch = alloc((size_t) threads * scratch_size(&k) * sizeof(float)), *dx = alloc(narrow);
#pragma omp parallel for schedule(static) num_threads(threads) if (blocks > 1)
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t t = T * i / blocks, next = T * (i + 1) / blocks;
        trace_block(&k, g, &to, t, next - t, scratch + (size_t) omp_get_thread_num() * scratch_size(&k));
    }
    float *sums = NEW_ARRAY(float, 4 * C);
    sum_rows_into(sums, to.result, T, 2 * C);
    sum_rows_into(sums + 2 * C, to.dwide, T, 2 * C);
    convolution_backward(l->output, T, 1, to.y, to.result, sums, NULL, false);
    if (r->mel) convolution_backward(l->mel, T, 1, r->mel, to.dwide, sums + 2 * C, g->mel, true);
    convolution_backward(l->dilated, T, l->dilation, to.operand, to.dwide, sums + 2 * C, g->x || g->d ? dx : NULL,
                         false);
    if (g->x) add_slopes(g->x, dx, g->next, T * C);
    if (g->d) sum_rows_into(g->d, dx, T, C);
    scope_end();
}

/* --- all layers --- */

/* What is held of a layer's x: rows held .. end - 1, the next of which goes to x + (end - held) C. Rows before `done` have
 * passed the layer; it reads `dilation` before and after. With bf16 operands x + d is held beside x. */
typedef struct {
    float *x;
    uint16_t *operand;
    int64_t held, end, done;
} station;

typedef struct {
    const diffwave_layer *l;
    const diffwave_bf16 *narrow; /* NULL: in f32 */
    const tensor *const *d;
    const tensor *mel;
    float *skip;
    int64_t b, layers, T, C, chunk, unit;
} passage;

/* Rows that a layer can do: all that have their neighbours, no more than a chunk; but for the last ones whole units. */
static int64_t can_do(const passage *p, const station *s, int64_t dilation) {
    if (s->end == p->T) return least(p->T, s->done + p->chunk);
    const int64_t rows = least(s->end - dilation - s->done, p->chunk);
    return rows > 0 ? s->done + rows / p->unit * p->unit : s->done;
}

/* Lets go the rows that no row to be done reads. */
static void let_go(station *s, int64_t dilation, int64_t C) {
    int64_t first = s->done - dilation;
    if (first <= s->held) return;
    const size_t count = (size_t) ((s->end - first) * C);
    memmove(s->x, s->x + (first - s->held) * C, count * sizeof *s->x);
    if (s->operand) memmove(s->operand, s->operand + (first - s->held) * C, count * sizeof *s->operand);
    s->held = first;
}

static const float *step_of(const passage *p, int64_t layer) { return f32(p->d[layer]) + p->b * p->C; }

/* What layer i does next; its results go to the station behind it. */
static diffwave_rows rows_to_do(const passage *p, station *stations, int64_t i) {
    const station *s = &stations[i], *to = i + 1 < p->layers ? s + 1 : NULL;
    const int64_t place = to ? (to->end - to->held) * p->C : 0;
    diffwave_rows r = {.x = s->x,
                       .held = s->held,
                       .first = s->done,
                       .end = can_do(p, s, p->l[i].dilation),
                       .d = step_of(p, i),
                       .skip_before = i ? p->skip : NULL,
                       .skip = p->skip,
                       .next = to ? to->x + place : NULL,
                       .operand = s->operand};
    if (p->mel)
        r.mel = (const char *) p->mel->data + (size_t) (p->b * p->T * p->mel->shape[2]) * dtype_size(p->mel->type);
    if (p->narrow && to) {
        r.next_operand = to->operand + place;
        r.next_d = step_of(p, i + 1);
    }
    return r;
}

/* One chunk's way through all layers; false when the last one has done all rows. */
static bool advance(const passage *p, station *stations) {
    stations[0].end = least(p->T, stations[0].end + p->chunk);
    for (int64_t i = 0; i < p->layers; i++) {
        station *s = &stations[i];
        const diffwave_rows r = rows_to_do(p, stations, i);
        if (r.first == r.end) continue;
        if (p->narrow) diffwave_bf16_rows(p->narrow, i, p->T, &r);
        else diffwave_fused_rows(&p->l[i], p->T, &r);
        s->done = r.end;
        if (i + 1 < p->layers) s[1].end = r.end;
        if (i) let_go(s, p->l[i].dilation, p->C);
    }
    return stations[p->layers - 1].done < p->T;
}

/* Stations with room for what they hold at most; the first one's x is that of the sound. */
static station *stations_new(const passage *p) {
    station *s = NEW_ARRAY(station, p->layers);
    for (int64_t i = 0; i < p->layers; i++) {
        const int64_t rows = least(p->T, i ? p->chunk + 2 * p->l[i].dilation + p->unit : p->T);
        if (i) s[i].x = alloc((size_t) (rows * p->C) * sizeof(float));
        if (p->narrow) s[i].operand = alloc((size_t) (rows * p->C) * sizeof(uint16_t));
    }
    return s;
}

tensor *diffwave_fused_layers(const diffwave_layer *l, int64_t layers, const tensor *const *d, const tensor *mel,
                              const tensor *x) {
    const int64_t T = x->shape[1], C = x->shape[2];
    tensor *skip = tensor_new(F32, shape_of(x));
    scope_begin();
    passage p = {
        .l = l, .d = d, .mel = mel, .layers = layers, .T = T, .C = C, .chunk = CHUNK_ROWS * threads_get(), .unit = 1};
    if (operands() == BF16) {
        p.narrow = diffwave_bf16_new(l, layers);
        p.chunk = (int64_t) threads_get() * CHUNK_BLOCKS_BF16 * DIFFWAVE_BF16_BLOCK;
        p.unit = DIFFWAVE_BF16_BLOCK;
    }
    station *stations = stations_new(&p);
    for (p.b = 0; p.b < x->shape[0]; p.b++) {
        p.skip = f32(skip) + p.b * T * C;
        for (int64_t i = 0; i < layers; i++) stations[i].held = stations[i].end = stations[i].done = 0;
        stations[0].x = f32(x) + p.b * T * C;
        if (p.narrow) diffwave_bf16_operand(stations[0].x, step_of(&p, 0), T, C, stations[0].operand);
        while (advance(&p, stations)) {
        }
    }
    scope_end();
    return skip;
}
