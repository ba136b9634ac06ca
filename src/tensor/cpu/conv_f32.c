/* How a convolution becomes tiles. Forward: a tile is up to 14 rows of y by 32 output channels; its sums run over taps
 * and input channels. The gradient of the input is a forward convolution of dy with turned weights. The gradient of the
 * weights: a tile is 14 input by 32 output channels of one tap, its sums run over rows. Every element is the sum of the
 * same numbers in the same order for any number of threads. */
#include "tensor/cpu/conv_f32.h"

#include <omp.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/cpu/panels.h"
#include "tensor/cpu/tile.h"

/* Bytes of x that one core works on at a time, of its second-level cache; and rows a sum over rows takes at a time. */
enum { BLOCK_BYTES = 1 << 18, BLOCK_ROWS_LEAST = 2 * TILE_ROWS, GRADIENT_ROWS = 128 };
/* Products smaller than this are not worth waking threads for. */
enum { PARALLEL_PRODUCT = 1 << 18 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t parts_of(int64_t n, int64_t part) { return (n + part - 1) / part; }

/* --- forward --- */

/* A forward problem as tiles see it: y [batch, rows, columns], x [batch, in_rows, steps]. */
typedef struct {
    f32_weights by;
    const float *x;
    float *y;
    int64_t batch, rows, in_rows;
    int64_t stride, dilation, pad;
    int64_t y_row; /* from one row of y to the next */
    bool add;
} walk;

/* Where tap k of row t reads. */
static int64_t source(const walk *w, int64_t t, int64_t k) { return t * w->stride + k * w->dilation - w->pad; }

/* The taps that n rows from t on read inside x lie in [*from, *to); true if they read nothing outside of it. */
static bool taps_inside(const walk *w, int64_t t, int64_t n, int64_t *from, int64_t *to) {
    int64_t first = 0, end = w->by.taps;
    while (first < end && source(w, t + n - 1, first) < 0) first++;
    while (end > first && source(w, t, end - 1) >= w->in_rows) end--;
    *from = first;
    *to = end;
    return first == end || (source(w, t, first) >= 0 && source(w, t + n - 1, end - 1) < w->in_rows);
}

/* The rows of x that a tile at an edge reads, [taps][n][steps], zero outside. */
static void copy_edge(const walk *w, const float *x, int64_t t, int64_t n, int64_t from, int64_t to, float *edge) {
    size_t size = (size_t) w->by.steps * sizeof(float);
    for (int64_t k = from; k < to; k++)
        for (int64_t r = 0; r < n; r++, edge += w->by.steps) {
            int64_t at = source(w, t + r, k);
            if (at < 0 || at >= w->in_rows) memset(edge, 0, size);
            else memcpy(edge, x + at * w->by.steps, size);
        }
}

/* Computes a tile that is narrower than a vector's columns: its last ones exist in `wide` only. */
static void compute_narrow(const tile *t, int rows, int columns) {
    float wide[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64))), *c = t->c;
    tile u = *t;
    u.c = wide;
    u.c_row = TILE_COLUMNS;
    u.add = false;
    tile_compute(&u, rows, columns <= TILE_HALF ? TILE_HALF : TILE_COLUMNS);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j++)
            c[r * t->c_row + j] = wide[r * TILE_COLUMNS + j] + (t->add ? c[r * t->c_row + j] : 0.0f);
}

static void compute(const tile *t, int rows, int columns) {
    if (columns == TILE_COLUMNS || columns == TILE_HALF) tile_compute(t, rows, columns);
    else compute_narrow(t, rows, columns);
}

/* Rows of one panel of y [.., columns]; of the tile, what of a is read, by which taps. */
static void panel_tile(const f32_weights *w, const tile *of, int rows, int64_t panel, float *y, int64_t y_row) {
    int64_t first = panel * TILE_COLUMNS;
    tile u = *of;
    int columns = (int) least(w->columns - first, TILE_COLUMNS);
    float bias[TILE_COLUMNS] __attribute__((aligned(64)));
    u.step = 1;
    u.steps = w->steps;
    u.b = w->panels + (panel * w->taps + u.first_tap) * w->steps * TILE_COLUMNS;
    u.b_step = TILE_COLUMNS;
    u.c = y + first;
    u.c_row = y_row;
    if (w->bias) {
        u.bias = w->bias + first;
        if (columns < TILE_COLUMNS) u.bias = memcpy(bias, u.bias, (size_t) columns * sizeof(float));
    }
    compute(&u, rows, columns);
}

void f32_rows(const f32_weights *w, const float *x, int64_t row, int64_t tap, int64_t rows, float *y, bool add) {
    int64_t tiles = parts_of(rows, TILE_ROWS);
    for (int64_t panel = 0; panel < parts_of(w->columns, TILE_COLUMNS); panel++)
        for (int64_t i = 0; i < tiles; i++) {
            int64_t r = rows * i / tiles, next = rows * (i + 1) / tiles;
            tile u = {.a = x + r * row, .row = row, .tap = tap, .taps = w->taps, .add = add};
            panel_tile(w, &u, (int) (next - r), panel, y + r * w->columns, w->columns);
        }
}

f32_weights f32_weights_of(const tensor *w, const tensor *bias) {
    int64_t taps = w->rank > 2 ? w->shape[2] : 1;
    return (f32_weights){.panels =
                             panels_of(w, w->shape[0], w->shape[1], (int) taps, (panels_key){.order = PANELS_FORWARD}),
                         .bias = bias ? f32(bias) : NULL,
                         .taps = taps,
                         .steps = w->shape[1],
                         .columns = w->shape[0]};
}

f32_weights f32_weights_turned(const tensor *w) {
    int64_t out_c = w->shape[0], in_c = w->shape[1];
    require(count(w) == out_c * in_c);
    return (f32_weights){.panels = panels_of(w, out_c, in_c, 1, (panels_key){.order = PANELS_BACKWARD}),
                         .taps = 1,
                         .steps = out_c,
                         .columns = in_c};
}

/* Rows t .. t + n - 1 of item b, columns of one panel. */
static void forward_tile(const walk *w, int64_t b, int64_t t, int n, int64_t panel, float *edge) {
    int64_t from, to, steps = w->by.steps;
    const float *x = w->x + b * w->in_rows * steps;
    bool inside = taps_inside(w, t, n, &from, &to);
    if (from == to) from = 0, to = 1, inside = false; /* zeros only: one tap of them */
    tile u = {
        .row = w->stride * steps, .tap = w->dilation * steps, .taps = to - from, .first_tap = from, .add = w->add};
    if (inside) u.a = x + source(w, t, from) * steps;
    else {
        copy_edge(w, x, t, n, from, to, edge);
        u.a = edge;
        u.row = steps;
        u.tap = n * steps;
    }
    panel_tile(&w->by, &u, n, panel, w->y + (b * w->rows + t) * w->y_row, w->y_row);
}

/* A run of tiles of one item that shares a panel while that is in the cache. */
static void forward_run(const walk *w, int64_t b, int64_t first, int64_t end, int64_t panel, float *edge) {
    int64_t tiles = parts_of(end - first, TILE_ROWS);
    for (int64_t i = 0; i < tiles; i++) {
        int64_t t = first + (end - first) * i / tiles, next = first + (end - first) * (i + 1) / tiles;
        forward_tile(w, b, t, (int) (next - t), panel, edge);
    }
}

static void walk_forward(const walk *w) {
    int64_t block = BLOCK_BYTES / (int64_t) sizeof(float) / w->by.steps / TILE_ROWS * TILE_ROWS;
    if (block < BLOCK_ROWS_LEAST) block = BLOCK_ROWS_LEAST;
    int64_t panels = parts_of(w->by.columns, TILE_COLUMNS), blocks = parts_of(w->rows, block);
    int64_t weights = w->by.columns * w->by.taps * w->by.steps;
    int threads = w->batch * w->rows * weights > PARALLEL_PRODUCT ? threads_get() : 1;
    /* Threads share out rows, which the operations before and after do too, unless the weights are the larger part. */
    if (w->batch == 1 && w->rows * w->by.steps > weights) blocks = parts_of(blocks, threads) * threads;
    block =
        parts_of(parts_of(w->rows, blocks), TILE_ROWS) * TILE_ROWS; /* alike: a thread with a small rest would wait */
    blocks = parts_of(w->rows, block);
    scope_begin();
    size_t edge = (size_t) (w->by.taps * TILE_ROWS * w->by.steps);
    float *edges = alloc((size_t) threads * edge * sizeof(float));
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t i = 0; i < w->batch * blocks * panels; i++) {
        int64_t b = i / panels / blocks, first = i / panels % blocks * block;
        forward_run(w, b, first, least(first + block, w->rows), i % panels,
                    edges + (size_t) omp_get_thread_num() * edge);
    }
    scope_end();
}

/* Rows of all items are alike to a kernel of 1. */
static void join_items(walk *w) {
    if (w->by.taps != 1 || w->stride != 1 || w->pad || w->rows != w->in_rows) return;
    w->rows = w->in_rows = w->batch * w->rows;
    w->batch = 1;
}

void conv_f32_forward(const conv1d_problem *c, const float *x, const tensor *w, const float *bias, float *y, bool add) {
    scope_begin();
    walk f = {.by = {.panels = panels_of(w, c->out_c, c->in_c, c->kernel, (panels_key){.order = PANELS_FORWARD}),
                     .bias = c->bias ? bias : NULL,
                     .taps = c->kernel,
                     .steps = c->in_c,
                     .columns = c->out_c},
              .x = x,
              .y = y,
              .batch = c->batch,
              .rows = c->out_time,
              .in_rows = c->in_time,
              .stride = c->stride,
              .dilation = c->dilation,
              .pad = c->pad_left,
              .y_row = c->out_c,
              .add = add};
    join_items(&f);
    walk_forward(&f);
    scope_end();
}

void conv_f32_backward_data(const conv1d_problem *c, const float *dy, const tensor *w, float *dx, bool add) {
    require(c->stride == 1);
    scope_begin();
    walk f = {.by = {.panels = panels_of(w, c->out_c, c->in_c, c->kernel, (panels_key){.order = PANELS_BACKWARD}),
                     .taps = c->kernel,
                     .steps = c->out_c,
                     .columns = c->in_c},
              .x = dy,
              .y = dx,
              .batch = c->batch,
              .rows = c->in_time,
              .in_rows = c->out_time,
              .stride = 1,
              .dilation = c->dilation,
              .pad = (c->kernel - 1) * c->dilation - c->pad_left,
              .y_row = c->in_c,
              .add = add};
    join_items(&f);
    walk_forward(&f);
    scope_end();
}

/* --- of repeated rows --- */

/* n rows, `distance` from each other, become those just before them. */
static void copy_rows_before(float *y, int64_t n, int64_t distance, int64_t C) {
#pragma omp parallel for schedule(static) if (n * C > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) memcpy(y + i * distance, y + i * distance - C, (size_t) C * sizeof(float));
}

void conv_f32_repeated(const repeated_problem *c, const float *x, const tensor *w, const float *bias, float *y) {
    scope_begin();
    const int f = c->factor;
    for (int phase = 0; phase < f; phase++) {
        const panels_key key = {PANELS_REPEATED, f, c->dilation, phase};
        /* Rows f q + phase of all that are wanted: q from `first` on. */
        const int64_t first = parts_of(c->first - phase, f), rows = parts_of(c->end - phase, f) - first;
        float *to = y + (f * first + phase - c->first) * c->out_c;
        if (rows <= 0) continue;
        if (f * first + phase > c->first && repeated_like_before(c->kernel, key)) {
            copy_rows_before(to, rows, f * c->out_c, c->out_c);
            continue;
        }
        const panels_reach reach = repeated_reach(c->kernel, key);
        const walk v = {.by = {.panels = panels_of(w, c->out_c, c->in_c, c->kernel, key),
                               .bias = bias,
                               .taps = reach.taps,
                               .steps = c->in_c,
                               .columns = c->out_c},
                        .x = x,
                        .y = to,
                        .batch = 1,
                        .rows = rows,
                        .in_rows = c->in_time,
                        .stride = 1,
                        .dilation = 1,
                        .pad = -(first + reach.first),
                        .y_row = f * c->out_c};
        walk_forward(&v);
    }
    scope_end();
}

/* --- the gradient of the weights --- */

/* taps [K][in_c][wide]: wide is out_c rounded up to whole vectors. dy of rows of a block, as wide. */
typedef struct {
    const conv1d_problem *c;
    const float *x, *dy;
    float *taps;
    int64_t wide;
} gradient;

/* Adds rows first .. end - 1 of item b to one tile: input channels from i on, one panel of output channels, tap k. */
static void gradient_tile(const gradient *g, int64_t b, int64_t first, int64_t end, int k, int64_t i, int rows,
                          int64_t panel) {
    const conv1d_problem *c = g->c;
    int64_t shift = (int64_t) k * c->dilation - c->pad_left, column = panel * TILE_COLUMNS;
    if (first + shift < 0) first = -shift;
    if (end + shift > c->in_time) end = c->in_time - shift;
    if (first >= end) return;
    tile t = {.a = g->x + (b * c->in_time + first + shift) * c->in_c + i,
              .row = 1,
              .step = c->in_c,
              .b = g->dy + (b * c->out_time + first) * g->wide + column,
              .b_step = g->wide,
              .taps = 1,
              .steps = end - first,
              .c = g->taps + (k * c->in_c + i) * g->wide + column,
              .c_row = g->wide,
              .add = true};
    tile_compute(&t, rows, (int) least(g->wide - column, TILE_COLUMNS));
}

/* Each thread keeps to its tiles through all blocks of rows. */
static void gradient_blocks(const gradient *g) {
    const conv1d_problem *c = g->c;
    int64_t tiles = parts_of(c->in_c, TILE_ROWS), panels = parts_of(g->wide, TILE_COLUMNS);
    int64_t units = tiles * c->kernel * panels;
    int threads = c->batch * c->out_time * c->in_c * c->out_c > PARALLEL_PRODUCT ? threads_get() : 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t first = 0; first < c->out_time; first += GRADIENT_ROWS) {
            int64_t end = least(first + GRADIENT_ROWS, c->out_time);
#pragma omp for schedule(static) nowait
            for (int64_t u = 0; u < units; u++) {
                int64_t n = u / panels / c->kernel, i = c->in_c * n / tiles, next = c->in_c * (n + 1) / tiles;
                gradient_tile(g, b, first, end, (int) (u / panels % c->kernel), i, (int) (next - i), u % panels);
            }
        }
}

/* Rows with `wide` columns, zero behind the first C: whole vectors can be read of them. */
static const float *widened_rows(const float *x, int64_t rows, int64_t C, int64_t wide) {
    if (wide == C) return x;
    float *y = alloc((size_t) (rows * wide) * sizeof(float));
#pragma omp parallel for schedule(static) if (rows * wide > PARALLEL_MIN)
    for (int64_t r = 0; r < rows; r++) {
        memcpy(y + r * wide, x + r * C, (size_t) C * sizeof(float));
        memset(y + r * wide + C, 0, (size_t) (wide - C) * sizeof(float));
    }
    return y;
}

void conv_f32_backward_weights(const conv1d_problem *c, const float *x, const float *dy, float *dw) {
    require(c->stride == 1);
    scope_begin();
    conv1d_problem one = *c; /* rows of all items are alike to a kernel of 1 */
    if (c->kernel == 1 && !c->pad_left && c->in_time == c->out_time)
        one.batch = 1, one.in_time = one.out_time = c->batch * c->in_time;
    int64_t wide = parts_of(c->out_c, TILE_HALF) * TILE_HALF, I = c->in_c, K = c->kernel;
    gradient g = {&one, x, widened_rows(dy, c->batch * c->out_time, c->out_c, wide), NULL, wide};
    g.taps = NEW_ARRAY(float, K *I *wide);
    gradient_blocks(&g);
#pragma omp parallel for schedule(static) if (K * I * wide > PARALLEL_MIN)
    for (int64_t o = 0; o < c->out_c; o++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t k = 0; k < K; k++) dw[(o * I + i) * K + k] += g.taps[(k * I + i) * wide + o];
    scope_end();
}
