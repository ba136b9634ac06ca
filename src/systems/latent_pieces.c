/* See latent_pieces.h. N positions, C channels, n positions of a window. */
#include "systems/latent_pieces.h"

#include <math.h>
#include <string.h>

#include "base/progress.h"
#include "systems/guard.h"
#include "systems/sample.h"

enum { MOST_LEVELS = 256, ROOM = 4 /* windows of rows a level may hold */ };
static const double CEILING = 0.95; /* the level of sounds in training */

/* The state at one level: rows first .. ready - 1 are known, behind them lie sums of the windows so far. */
typedef struct {
    float *rows;    /* [ROOM n, C] */
    float *weights; /* [ROOM n]: of the sums */
    int64_t first, ready;
    int64_t window; /* of this level: the next to be denoised */
} stage;

typedef struct {
    const model *m;
    const struct latent_row *row;
    const void *asked;
    const sampler *kind;
    levels levels;
    stage *stages; /* [levels.steps + 1] */
    int64_t N, C, n, step;
    random_key key;
    bool fresh; /* each step draws new noise (ping-pong), else goes straight on (euler) */
    int64_t done, before, all;
} pieces;

/* --- which requests --- */

bool latent_has_pieces(const model *m, const sound_request *r) {
    const struct latent_row *row = m->latent;
    if (!row || !row->voice_begin) return false;
    const char *kind = latent_sampler(m, r);
    return (double) request_samples(m, r) > LONG_SECONDS * m->rate && !r->init && !r->loop && r->noise == NOISE_HISS &&
           !r->vocoder && !r->watch && (!strcmp(kind, "euler") || !strcmp(kind, "ping-pong")) &&
           latent_levels(m, r).steps <= MOST_LEVELS;
}

/* --- rows --- */

static int64_t window_begin(const pieces *p, int64_t level, int64_t window) {
    return window_first(window, p->N, p->n, p->step, window_offset((uint64_t) level, p->step));
}

static float *row_at(const pieces *p, const stage *s, int64_t position) {
    require(position >= s->first && position < s->first + ROOM * p->n);
    return s->rows + (position - s->first) * p->C;
}

/* Rows before `position` are not needed any more. */
static void forget(const pieces *p, stage *s, int64_t position) {
    const int64_t gone = position - s->first, kept = ROOM * p->n - gone;
    if (gone <= 0) return;
    memmove(s->rows, s->rows + gone * p->C, (size_t) (kept * p->C) * sizeof(float));
    memset(s->rows + kept * p->C, 0, (size_t) (gone * p->C) * sizeof(float));
    memmove(s->weights, s->weights + gone, (size_t) kept * sizeof(float));
    memset(s->weights + kept, 0, (size_t) gone * sizeof(float));
    s->first = position;
}

/* n standard normals for rows from `position` on, the k-th draw of the walk. */
static void draw(const pieces *p, uint64_t k, int64_t position, float *z, int64_t n) {
    random_normal(random_child(p->key, k), (uint64_t) (position * p->C), z, (size_t) (n * p->C));
}

static void draw_first(pieces *p, int64_t until) {
    stage *s = p->stages;
    const int64_t n = until - s->ready;
    float *x = row_at(p, s, s->ready);
    draw(p, 0, s->ready, x, n);
    for (int64_t i = 0; i < n * p->C; i++) x[i] = (float) p->levels.sigmas[0] * x[i];
    s->ready = until;
}

/* Sums of the next level become its state, up to `until`. */
static void step_rows(pieces *p, int64_t level, int64_t until) {
    const stage *from = &p->stages[level];
    stage *to = &p->stages[level + 1];
    const int64_t C = p->C, n = until - to->ready;
    const double sigma = p->levels.sigmas[level], next = p->levels.sigmas[level + 1];
    float *y = row_at(p, to, to->ready);
    const float *x = row_at(p, from, to->ready), *weights = to->weights + (to->ready - to->first);
    float *z = NULL;
    if (p->fresh && next > 0) draw(p, (uint64_t) level + 1, to->ready, z = NEW_ARRAY(float, n *C), n);
    const double keep = p->fresh ? 0 : next / sigma;
    for (int64_t i = 0; i < n * C; i++) {
        const float clean = y[i] / weights[i / C];
        y[i] = (float) (keep * (double) x[i] + (1 - keep) * (double) clean);
        if (z) y[i] = (float) ((double) y[i] + next * (double) z[i]);
    }
    to->ready = until;
}

static void add_window(pieces *p, int64_t level, int64_t first) {
    const stage *from = &p->stages[level];
    stage *to = &p->stages[level + 1];
    const int64_t n = p->n, C = p->C;
    int64_t *at = NEW_ARRAY(int64_t, n);
    for (int64_t i = 0; i < n; i++) at[i] = first + i;
    const tensor *x = tensor_wrap(F32, SHAPE(1, n, C), row_at(p, from, first));
    const double end = latent_step_end(p->kind, &p->levels, level);
    const tensor *clean = p->row->denoise(p->m, p->asked, x, p->levels.sigmas[level], end, at, p->N).clean;
    float *sum = row_at(p, to, first);
    for (int64_t i = 0; i < n; i++) {
        const float weight = window_weight(i, n, p->row->overlap, first == 0, first + n == p->N);
        to->weights[first - to->first + i] += weight;
        for (int64_t c = 0; c < C; c++) sum[i * C + c] += weight * f32(clean)[i * C + c];
    }
}

/* Denoises the next window of a level, once the level has all its rows, and makes the rows of the next level that no later window
 * touches. The recursion goes as deep as there are levels. */
static void run_window(pieces *p, int64_t level) {
    stage *s = &p->stages[level];
    const int64_t first = window_begin(p, level, s->window), end = first + p->n;
    if (!level && s->ready < end) draw_first(p, end);
    while (s->ready < end) run_window(p, level - 1);
    scope_begin();
    add_window(p, level, first);
    const int64_t after = end == p->N ? p->N : window_begin(p, level, ++s->window);
    step_rows(p, level, after);
    scope_end();
    forget(p, s, after);
    const int64_t done = p->before + ++p->done;
    progress("denoising", done < p->all ? done : p->all, p->all);
    if (interrupted())
        fail(HISS_ERROR_INTERRUPTED, "stopped after %lld of %lld windows", (long long) p->done, (long long) p->all);
}

/* --- one sound --- */

static pieces pieces_of(const model *m, const sound_request *r, const void *asked, int64_t i) {
    const struct latent_row *row = m->latent;
    const shape s = row->state(m, request_samples(m, r), false);
    pieces p = {.m = m, .row = row, .asked = asked, .levels = latent_levels(m, r), .N = s.dims[0], .C = s.dims[1]};
    p.n = row->window < p.N ? row->window : p.N;
    p.step = p.n - row->overlap;
    p.key = sound_key(r->seed + (uint64_t) i);
    p.kind = sampler_find(latent_sampler(m, r));
    p.fresh = !strcmp(p.kind->name, "ping-pong");
    const int64_t about = (p.N / p.step + 1) * p.levels.steps; /* windows; a few more or less */
    p.before = i * about;
    p.all = r->count * about;
    p.stages = NEW_ARRAY(stage, p.levels.steps + 1);
    for (int64_t k = 0; k <= p.levels.steps; k++) {
        p.stages[k].rows = NEW_ARRAY(float, ROOM *p.n *p.C);
        p.stages[k].weights = NEW_ARRAY(float, ROOM *p.n);
    }
    return p;
}

void latent_pieces(const model *m, const sound_request *r, const void *asked, int64_t i, take_samples *take,
                   void *context) {
    scope_begin();
    pieces p = pieces_of(m, r, asked, i);
    guard *g = guard_begin(m->channels, m->rate, CEILING, take, context);
    void *voice = p.row->voice_begin(m, asked, request_samples(m, r), r->seed + (uint64_t) i, guard_put, g);
    stage *last = &p.stages[p.levels.steps];
    while (last->ready < p.N) {
        run_window(&p, p.levels.steps - 1);
        scope_begin();
        const int64_t n = last->ready - last->first;
        check_walked(m, r, last->rows, n * p.C);
        p.row->voice_put(voice, tensor_wrap(F32, SHAPE(1, n, p.C), last->rows));
        scope_end();
        forget(&p, last, last->ready);
    }
    p.row->voice_end(voice);
    guard_end(g);
    scope_end();
}
