#include "systems/latent.h"

#include <math.h>
#include <string.h>

#include "base/progress.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"
#include "signal/edit.h"
#include "systems/guard.h"
#include "systems/latent_start.h"
#include "systems/sample.h"

typedef struct {
    const model *m;
    const struct latent_row *row;
    const void *asked;
    const latent_start *start; /* NULL: noise alone */
    bool circular;
    uint64_t pass; /* calls so far: by how much windows begin earlier */
    uint64_t turn; /* calls so far: where a loop is cut open */
    const sampler *kind;
    levels levels;
    double to; /* sigma at which the step ends */
    noise_source noise;
    brownian *path; /* of the sampler's noise; NULL: noise */
    int64_t channels;
    int64_t before, all; /* steps, for the progress */
    const sound_request *request;
    int64_t samples;
} walk_context;

/* --- the network over all positions --- */

float window_weight(int64_t i, int64_t n, int64_t overlap, bool first, bool last) {
    float up = first ? 1 : (float) (i + 1) / (float) (overlap + 1),
          down = last ? 1 : (float) (n - i) / (float) (overlap + 1);
    return fminf(1, fminf(up, down));
}

/* Adds weight times rows of a window, of the noise too where it is known. */
static void add_window(walk_context *w, const tensor *x, double sigma, const int64_t *at, int64_t first, int64_t n,
                       estimate sums, float *weights) {
    int64_t N = x->shape[1], C = x->shape[2];
    scope_begin();
    const tensor *part = tensor_wrap(F32, SHAPE(1, n, C), f32(x) + first * C);
    const estimate e = w->row->denoise(w->m, w->asked, part, sigma, w->to, at + first, N);
    const tensor *parts[] = {e.clean, e.noise}, *to[] = {sums.clean, sums.noise};
    for (int64_t i = 0; i < n; i++) {
        float weight = window_weight(i, n, w->row->overlap, first == 0, first + n == N);
        weights[first + i] += weight;
        for (int k = 0; k < 2; k++)
            for (int64_t c = 0; to[k] && parts[k] && c < C; c++)
                f32(to[k])[(first + i) * C + c] += weight * f32(parts[k])[i * C + c];
    }
    scope_end();
}

int64_t window_offset(uint64_t pass, int64_t step) {
    enum { STRIDE = 19 }; /* passes that follow each other begin far apart */
    return step < 2 ? 0 : (int64_t) (pass * STRIDE % (uint64_t) step); /* short states are a window alone */
}

int64_t window_first(int64_t k, int64_t N, int64_t n, int64_t step, int64_t offset) {
    const int64_t first = k ? k * step - offset : 0;
    return first + n > N ? N - n : first;
}

/* Longer states than the network was trained on: windows that overlap, their results mixed (Bar-Tal et al. 2023,
 * arXiv 2302.08113), that begin elsewhere in each pass, so that no place is always at their border. */
static estimate denoise_windows(walk_context *w, const tensor *x, double sigma, const int64_t *at) {
    int64_t N = x->shape[1], C = x->shape[2], n = w->row->window < N ? w->row->window : N, step = n - w->row->overlap;
    estimate sums = {tensor_zero(F32, shape_of(x)), sigma == 0 ? tensor_zero(F32, shape_of(x)) : NULL};
    scope_begin();
    float *weights = NEW_ARRAY(float, N);
    const int64_t offset = window_offset(w->pass++, step);
    for (int64_t k = 0, first = 0;; first = window_first(++k, N, n, step, offset)) {
        add_window(w, x, sigma, at, first, n, sums, weights);
        if (first + n == N) break;
    }
    for (int64_t i = 0; i < N * C; i++) {
        f32(sums.clean)[i] /= weights[i / C];
        if (sums.noise) f32(sums.noise)[i] /= weights[i / C];
    }
    scope_end();
    return sums;
}

/* Rows by `shift` positions later, around the end. */
static tensor *rolled(const tensor *x, int64_t shift) {
    int64_t N = x->shape[1], C = x->shape[2];
    tensor *y = tensor_new(F32, shape_of(x));
    for (int64_t i = 0; i < N; i++) memcpy(f32(y) + (i + shift) % N * C, f32(x) + i * C, (size_t) C * sizeof(float));
    return y;
}

/* The network over x turned by `shift` positions around the end, turned back. */
static estimate denoise_turned(walk_context *w, const tensor *x, double sigma, int64_t shift) {
    int64_t N = x->shape[1];
    scope_begin();
    int64_t *at = NEW_ARRAY(int64_t, N);
    for (int64_t i = 0; i < N; i++) at[(i + shift) % N] = i;
    estimate e = denoise_windows(w, shift ? rolled(x, shift) : x, sigma, at);
    if (shift) e.clean = rolled(e.clean, N - shift);
    if (shift && e.noise) e.noise = rolled(e.noise, N - shift);
    if (e.noise) SCOPE_END_KEEP(&e.clean, &e.noise);
    else e.clean = scope_end_keep(e.clean);
    return e;
}

/* Adds y to x, of each position as much as it is the farther from the cut that y was seen from. */
static void mix_cuts(tensor *x, const tensor *y, int64_t shift, int64_t other) {
    const int64_t N = x->shape[1], C = x->shape[2];
    for (int64_t i = 0; i < N; i++) {
        const int64_t a = (i + shift) % N, b = (i + other) % N;
        const float near = (float) (a + 1 < N - a ? a + 1 : N - a), far = (float) (b + 1 < N - b ? b + 1 : N - b),
                    part = far / (near + far);
        for (int64_t c = 0; c < C; c++) f32(x)[i * C + c] += part * (f32(y)[i * C + c] - f32(x)[i * C + c]);
    }
}

/* A loop is cut open elsewhere in each call, so that every seam is the middle of most passes. Where sounds are learned to begin with
 * their window, a loop is seen from two cuts at once: else its first call would let it begin at one. */
static estimate denoise_all(walk_context *w, const tensor *x, double sigma) {
    int64_t N = x->shape[1], shift = w->circular ? (int64_t) (w->turn++ * 37 % (uint64_t) N) : 0;
    const estimate e = denoise_turned(w, x, sigma, shift);
    if (!w->circular || !w->row->begins_with_window || e.noise) return e;
    const int64_t other = (shift + N / 2) % N;
    scope_begin();
    mix_cuts(e.clean, denoise_turned(w, x, sigma, other).clean, shift, other);
    scope_end();
    return e;
}

static estimate clean_at(void *context, const tensor *x, double sigma) {
    walk_context *w = context;
    estimate e = denoise_all(w, x, sigma);
    int64_t N = x->shape[1], C = x->shape[2];
    const float *free_below = w->start ? w->start->free_below : NULL;
    for (int64_t i = 0; free_below && i < N; i++)
        if (sigma > free_below[i])
            memcpy(f32(e.clean) + i * C, f32(w->start->clean) + i * C, (size_t) C * sizeof(float));
    return e;
}

/* --- levels --- */

/* sigma of t uniform from 0 to 1, z = t clean + (1 - t) noise. */
static levels flow_levels(int64_t steps, double most) {
    levels l = {NEW_ARRAY(double, steps + 1), steps};
    for (int64_t k = 0; k <= steps; k++) {
        double t = (double) k / (double) steps;
        l.sigmas[k] = k ? (1 - t) / t : most;
    }
    return l;
}

/* From the level at which t is 1 - strength. */
static levels from_strength(levels l, double strength) {
    double first = strength / (1 - strength);
    levels cut = {NEW_ARRAY(double, l.steps + 2), 0};
    cut.sigmas[0] = first;
    for (int64_t k = 0; k <= l.steps; k++)
        if (l.sigmas[k] < first) cut.sigmas[++cut.steps] = l.sigmas[k];
    return cut;
}

const char *latent_sampler(const model *m, const sound_request *r) { return r->sampler ? r->sampler : m->sampler; }

levels latent_levels(const model *m, const sound_request *r) {
    const struct latent_row *row = m->latent;
    const double strength = start_strength(m, r);
    const bool part = r->init && !r->remakes && strength < 1;
    int64_t steps = r->steps ? r->steps : row->steps;
    levels l;
    if (r->schedule) {
        noise_law law = {.least = row->least, .most = row->most, .process = row->process};
        l = schedule_make(schedule_find(r->schedule), &law, steps);
    } else if (row->levels) {
        return row->levels(m, steps, part ? strength : 1);
    } else {
        l = flow_levels(steps, row->most);
    }
    return part ? from_strength(l, strength) : l;
}

double latent_step_end(const sampler *kind, const levels *l, int64_t step) {
    if (kind->distilled) return 0;
    if (step >= l->steps) return l->sigmas[l->steps];
    return l->sigmas[strcmp(kind->name, "euler") != 0 ? step : step + 1];
}

/* --- what samplers ask --- */

static void draw_next(void *context, double from, double to, float *z, int64_t n) {
    const walk_context *w = context;
    if (!w->path) {
        w->noise.draw(w->noise.context, z, n);
        return;
    }
    scope_begin();
    float *drawn = alloc((size_t) n * sizeof(float));
    brownian_draw(w->path, from, to, drawn, n);
    rows_of_torch(drawn, z, n, w->row->channels_first ? w->channels : 1);
    scope_end();
}

/* Of k-diffusion's samplers, whose networks all turn signal into noise. */
static brownian *path_of(const walk_context *w, noise_source source, int64_t i) {
    const struct latent_row *row = w->row;
    const levels *l = &w->levels;
    if (!w->kind->path || row->process != PROCESS_ROTATING) return NULL;
    const int64_t last = l->sigmas[l->steps] > 0 ? l->steps : l->steps - 1;
    const double least = row->path_of_seed ? row->least : l->sigmas[last],
                 most = row->path_of_seed ? row->most : l->sigmas[0];
    return noise_path_of(w->request, i, source, row->path_of_seed, least, most);
}

/* Notes where the step ends; the state in the network's own scale as sound. */
static void begin_step(void *context, int64_t step, double sigma, const tensor *x) {
    walk_context *w = context;
    const sound_request *r = w->request;
    w->to = latent_step_end(w->kind, &w->levels, step);
    if (!request_watches(r, step, w->levels.steps)) return;
    scope_begin();
    tensor *z = tensor_to_f32(x);
    for (int64_t k = 0, n = count(z); k < n; k++) f32(z)[k] *= (float) state_scale(w->row->process, sigma);
    r->watch(r->watcher, step, sigma, w->row->decode(w->m, w->asked, z, w->samples, r->seed, r->loop));
    scope_end();
}

static void tell_progress(void *context, int64_t done, int64_t total) {
    const walk_context *w = context;
    (void) total;
    progress("denoising", w->before + done, w->all);
}

/* --- one sound --- */

static const float FULL_PEAK = 0.95f; /* where the level of training is not known */

/* Guided networks overshoot: what exceeds full scale is brought to the level of training. */
static void hold_peak(const model *m, audio *a) {
    float peak = audio_peak(a), to = m->latent->peak ? m->latent->peak : FULL_PEAK;
    for (int64_t i = 0; peak > 1 && i < a->frames * a->channels; i++) a->samples[i] *= to / peak;
}

/* Noise at the first level around `clean`, or around nothing; x holds noise. */
static void set_first_state(tensor *x, double sigma, const tensor *clean) {
    for (int64_t k = 0, n = count(x); k < n; k++) f32(x)[k] = (clean ? f32(clean)[k] : 0) + (float) sigma * f32(x)[k];
}

/* The clean state that the walk ends on; *start is what it started from, NULL: noise alone. */
static tensor *walk_state(const model *m, const sound_request *r, const void *asked, int64_t i,
                          const latent_start **start) {
    const struct latent_row *row = m->latent;
    int64_t samples = request_samples(m, r);
    shape s = row->state(m, samples, r->loop);
    levels l = latent_levels(m, r);
    walk_context w = {.m = m,
                      .row = row,
                      .asked = asked,
                      .kind = sampler_find(latent_sampler(m, r)),
                      .levels = l,
                      .circular = r->loop,
                      .channels = s.dims[1],
                      .before = i * l.steps,
                      .all = r->count * l.steps,
                      .request = r,
                      .samples = samples};
    tensor *x = tensor_new(F32, SHAPE(1, s.dims[0], s.dims[1]));
    const noise_source source = sound_noise(r, i);
    w.noise = row->channels_first ? noise_of_rows(r, source, w.channels) : source;
    w.noise.draw(w.noise.context, f32(x), count(x)); /* before any other */
    w.start = *start = start_from(m, r, s.dims[0], w.noise);
    if (w.start && w.start->keep && row->keep) row->keep(asked, w.start->clean, w.start->keep);
    w.path = path_of(&w, source, i);
    set_first_state(x, l.sigmas[0], w.start ? w.start->clean : NULL);
    sampling run = {.denoise = {clean_at, &w},
                    .sigmas = l.sigmas,
                    .steps = l.steps,
                    .noise = {draw_next, &w},
                    .options.eta = r->eta,
                    .watch = begin_step,
                    .watcher = &w,
                    .progress = tell_progress,
                    .asked = &w};
    sampler_run(w.kind, &run, x);
    check_walked(m, r, f32(x), count(x));
    return x;
}

audio *latent_sound(const model *m, const sound_request *r, const void *asked, int64_t i) {
    const latent_start *start;
    const tensor *x = walk_state(m, r, asked, i, &start);
    audio *a = m->latent->decode(m, asked, x, request_samples(m, r), r->seed + (uint64_t) i, r->loop);
    if (start) start_finish(m, r, start, a, 0);
    if (start && !start->keep) start_limit(a);
    if (!start) hold_peak(m, a);
    return a;
}

bool latent_streams(const model *m, const sound_request *r) {
    const struct latent_row *row = m->latent;
    return row && row->decode_pieces && (!r->loop || row->loops_in_pieces) && !r->watch && !r->vocoder;
}

typedef struct {
    const model *m;
    const sound_request *request;
    const latent_start *start;
    int64_t done;
    take_samples *take;
    void *context;
} finishing;

static void finish_piece(void *context, const float *samples, int64_t n) {
    finishing *f = context;
    scope_begin();
    audio *piece = audio_new(n, f->m->channels, f->m->rate);
    memcpy(piece->samples, samples, (size_t) (n * piece->channels) * sizeof(float));
    start_finish(f->m, f->request, f->start, piece, f->done);
    f->take(f->context, piece->samples, n);
    f->done += n;
    scope_end();
}

void latent_stream(const model *m, const sound_request *r, const void *asked, int64_t i, take_samples *take,
                   void *context) {
    scope_begin();
    const latent_start *start;
    const tensor *x = walk_state(m, r, asked, i, &start);
    const bool kept = start && start->keep;
    guard *g =
        kept ? NULL : guard_begin(m->channels, m->rate, m->latent->peak ? m->latent->peak : FULL_PEAK, take, context);
    finishing f = {m, r, start, 0, g ? guard_put : take, g ? g : context};
    m->latent->decode_pieces(m, asked, x, request_samples(m, r), r->seed + (uint64_t) i, r->loop,
                             start ? finish_piece : f.take, start ? &f : f.context);
    if (g) guard_end(g);
    scope_end();
}
