/* Sampling: a model, a row of the table of samplers and one of the table of schedules, both of src/diffusion. x [1, T]. */
#include "systems/sample.h"

#include <math.h>
#include <string.h>

#include "base/progress.h"
#include "base/text.h"
#include "base/torch_random.h"
#include "diffusion/betas.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"

/* --- noise of a seed --- */

random_key sound_key(uint64_t seed) { return random_child((random_key){seed, 0}, 0); }

typedef struct {
    random_key key;
    uint64_t draws;
} seeded;

static void draw_seeded(void *context, float *z, int64_t n) {
    seeded *s = context;
    random_normal(random_child(s->key, s->draws++), 0, z, (size_t) n);
}

static void draw_torch(void *context, float *z, int64_t n) { torch_normal(context, z, (size_t) n); }

/* Multiprocessors times threads of each: what an H100 runs at once. */
static const uint64_t H100_WAVE = 132 * 2048;

static void draw_torch_cuda(void *context, float *z, int64_t n) { torch_cuda_normal(context, z, (size_t) n); }

const char *const NOISE_NAMES[] = {"hiss", "torch", "torch-cuda", NULL};

noise_source sound_noise(const sound_request *r, int64_t i) {
    uint64_t seed = r->seed + (uint64_t) i;
    if (r->noise == NOISE_TORCH_CUDA) {
        torch_cuda_random *g = NEW(torch_cuda_random);
        *g = (torch_cuda_random){seed, 0, H100_WAVE};
        return (noise_source){draw_torch_cuda, g};
    }
    if (r->noise == NOISE_TORCH) {
        torch_random *g = NEW(torch_random);
        torch_seed(g, seed);
        return (noise_source){draw_torch, g};
    }
    seeded *s = NEW(seeded);
    s->key = sound_key(seed);
    return (noise_source){draw_seeded, s};
}

/* --- the layout and the paths of programs in Python --- */

void rows_of_torch(const float *from, float *to, int64_t n, int64_t channels) {
    const int64_t rows = n / channels;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < rows; i++) to[i * channels + c] = from[c * rows + i];
}

typedef struct {
    noise_source of;
    int64_t channels;
} transposing;

static void draw_rows(void *context, float *z, int64_t n) {
    const transposing *t = context;
    scope_begin();
    float *drawn = alloc((size_t) n * sizeof(float));
    t->of.draw(t->of.context, drawn, n);
    rows_of_torch(drawn, z, n, t->channels);
    scope_end();
}

noise_source noise_of_rows(const sound_request *r, noise_source s, int64_t channels) {
    if (r->noise == NOISE_HISS) return s;
    transposing *t = NEW(transposing);
    *t = (transposing){s, channels};
    return (noise_source){draw_rows, t};
}

brownian *noise_path_of(const sound_request *r, int64_t i, noise_source s, bool of_seed, double least, double most) {
    const uint64_t seed = r->seed + (uint64_t) i;
    if (r->noise == NOISE_HISS) return NULL;
    brownian *path = NEW(brownian);
    *path = (brownian){seed, least, most, r->noise == NOISE_TORCH_CUDA ? H100_WAVE : 0};
    if (of_seed) return path;
    torch_random *g = r->noise == NOISE_TORCH ? s.context : NEW(torch_random);
    if (r->noise != NOISE_TORCH) torch_seed(g, seed); /* whose normals come from the GPU's generator */
    path->entropy = (uint64_t) torch_integer(g, 0, INT64_MAX);
    return path;
}

/* --- samplers and schedules: src/diffusion --- */

enum { MOST_NAMES = 64 };

const char *const *sampler_names(void) {
    static const char *names[MOST_NAMES + 1];
    for (int i = 0; SAMPLERS[i].name && i < MOST_NAMES; i++) names[i] = SAMPLERS[i].name;
    return names;
}

const char *const *schedule_names(void) {
    static const char *names[MOST_NAMES + 1];
    for (int i = 0; SCHEDULES[i].name && i < MOST_NAMES; i++) names[i] = SCHEDULES[i].name;
    return names;
}

static int find(const char *what, const char *name, const char *const *names) {
    size_t count = 0;
    if (!name) return 0;
    for (; names[count]; count++)
        if (!strcmp(names[count], name)) return (int) count;
    fail(HISS_ERROR_ARGUMENT, "--%s %s: no such %s: %s", what, name, what, suggest(name, names, count));
}

bool betas_within(const model *m, const double *betas, size_t n) {
    double bar = 1, most = 1 - m->betas[0], least = 1;
    if (m->system->noise_is_level) return true;
    for (size_t i = 0; i < m->beta_count; i++) least *= 1 - m->betas[i];
    for (size_t i = 0; i < n; i++) {
        bar *= 1 - betas[i];
        if (!(bar >= least * (1 - 1e-9) && bar <= most * (1 + 1e-9))) return false;
    }
    return true;
}

void sample_check(const model *m, const sound_request *r) {
    if (r->betas && !m->beta_count)
        fail(HISS_ERROR_ARGUMENT, "--betas: %s was not trained on a table of noise: give --schedule", m->path);
    if (r->betas && !betas_within(m, r->betas, r->beta_count))
        fail(HISS_ERROR_ARGUMENT,
             "--betas: noise outside that of %s's training: the first beta at least %g, the cumulative alpha "
             "at least %.4g",
             m->path, m->betas[0], alpha_bar_at(m->betas, m->beta_count, 1));
    find("sampler", r->sampler, sampler_names());
    find("schedule", r->schedule, schedule_names());
}

static noise_law model_noise(const model *m) { return law_of_betas(m->betas, m->beta_count, m->fast, m->fast_count); }

/* A walk: the state in units of the clean sound, x = clean + sigma noise, and what the network sees, sqrt(alpha_bar) x. */
typedef struct {
    const condition *c;
    const sample_plan *plan;
    float limit; /* of estimates of the clean sound */
} walker;

static tensor *scaled(const tensor *x, double factor) {
    tensor *y = tensor_new(F32, shape_of(x));
    for (int64_t i = 0, n = count(x); i < n; i++) f32(y)[i] = (float) factor * f32(x)[i];
    return y;
}

static estimate clean_at(void *context, const tensor *x, double sigma) {
    const walker *w = context;
    estimate e = {tensor_new(F32, shape_of(x)), NULL};
    if (sigma == 0) e.noise = tensor_new(F32, shape_of(x)); /* which then does not follow from the clean signal */
    scope_begin();
    double alpha_bar = vp_alpha_bar(sigma);
    const float *eps = f32(predict_noise(w->c, scaled(x, sqrt(alpha_bar)), alpha_bar));
    const float s = (float) sigma;
    for (int64_t i = 0, n = count(x); i < n; i++) { /* not a number stays so */
        float value = f32(x)[i] - s * eps[i];
        f32(e.clean)[i] = value < -w->limit ? -w->limit : value > w->limit ? w->limit : value;
    }
    if (e.noise) memcpy(e.noise->data, eps, tensor_bytes(e.noise));
    scope_end();
    return e;
}

static void draw_next(void *context, double from, double to, float *z, int64_t n) {
    const walker *w = context;
    (void) from, (void) to;
    w->plan->noise.draw(w->plan->noise.context, z, n);
}

static void tell_step(void *context, int64_t step, double sigma, const tensor *x) {
    const walker *w = context;
    const sample_plan *p = w->plan;
    if (!p->watch) return;
    scope_begin();
    p->watch(p->context, step, vp_alpha_bar(sigma), scaled(x, sqrt(vp_alpha_bar(sigma))));
    scope_end();
}

void sample_walk(const condition *c, const sample_plan *p, tensor *x) {
    const sampler *kind = &SAMPLERS[find("sampler", p->sampler, sampler_names())];
    const double *sigmas = p->levels.sigmas;
    scope_begin();
    walker w = {c, p, kind->clamp ? INFINITY : c->m->limit};
    sampling s = {.denoise = {clean_at, &w},
                  .sigmas = sigmas,
                  .steps = p->levels.steps,
                  .noise = {draw_next, &w},
                  .options.eta = p->eta,
                  .watch = tell_step,
                  .watcher = &w};
    tensor *start = scaled(x, sqrt(1 + sigmas[0] * sigmas[0]));
    sampler_run(kind, &s, start);
    memcpy(x->data, start->data, tensor_bytes(x));
    scope_end();
}

typedef struct {
    const sound_request *request;
    int64_t steps, before, all;
    int rate;
} counter;

static void report(void *context, int64_t pass, double alpha_bar, const tensor *x) {
    const counter *k = context;
    int64_t done = k->before + pass + 1; /* an adaptive walk may take more */
    progress("denoising", done < k->all ? done : k->all, k->all);
    if (!request_watches(k->request, pass, k->steps)) return;
    const audio state = {.samples = f32(x), .frames = x->shape[1], .channels = 1, .rate = k->rate};
    k->request->watch(k->request->watcher, pass, sqrt((1 - alpha_bar) / alpha_bar), &state);
}

/* Far beyond states of sounds, which are of the size of 1: a walk whose steps overshoot more with each. */
static const float FAR_OFF = 1e4f;

void check_walked(const model *m, const sound_request *r, const float *x, int64_t n) {
    int64_t i = 0;
    while (i < n && fabsf(x[i]) < FAR_OFF) i++; /* not a number is not below */
    if (i == n) return;
    if (!isnan(x[i]) && (r->sampler || r->schedule || r->steps || r->betas))
        fail(HISS_ERROR_ARGUMENT,
             "%s: the walk ran away from all sounds with these steps: take more of them, or another --sampler or "
             "--schedule",
             m->path);
    fail(HISS_ERROR_FORMAT, "%s: the network gave values that are not numbers: are its weights damaged?", m->path);
}

tensor *sample(const condition *c, const sound_request *r, int64_t i, int64_t T) {
    noise_law law = model_noise(c->m);
    levels l = r->betas ? levels_of_betas(r->betas, r->beta_count)
                        : schedule_make(&SCHEDULES[find("schedule", r->schedule, schedule_names())], &law, r->steps);
    noise_source source = sound_noise(r, i);
    counter k = {r, l.steps, i * l.steps, r->count * l.steps, c->m->rate};
    sample_plan p = {r->sampler ? r->sampler : c->m->sampler, l, r->eta, source, report, &k};
    tensor *x = tensor_new(F32, SHAPE(1, T));
    source.draw(source.context, f32(x), T);
    sample_walk(c, &p, x);
    if (c->m->system->finish) c->m->system->finish(c->m, x, c->classes);
    check_walked(c->m, r, f32(x), T);
    return x;
}
