/* Sampling: a model, a row of the table of samplers (src/diffusion) and one of the table of schedules. A schedule is an array
 * of betas (Ho et al. 2020); alpha_bar is the cumulative product of 1 - beta. x [1, T]. */
#include "systems/sample.h"

#include <math.h>
#include <string.h>

#include "base/progress.h"
#include "base/text.h"
#include "base/torch_random.h"
#include "diffusion/sampler.h"

/* --- schedules: betas from the least noise to the most --- */

typedef struct {
    double *beta;
    int64_t steps;
} schedule;

static schedule from_list(const double *betas, size_t count) { return (schedule){(double *) betas, (int64_t) count}; }

/* Betas that jump between these cumulative alphas. */
static schedule from_alpha_bars(const double *alpha_bar, int64_t steps) {
    schedule s = {NEW_ARRAY(double, steps), steps};
    double before = 1;
    for (int64_t i = 0; i < steps; i++) {
        s.beta[i] = fmin(fmax(1 - alpha_bar[i] / before, 1e-12), 0.9999);
        before = alpha_bar[i];
    }
    return s;
}

/* Steps of training at equal distances, the last one included. */
static schedule linear(const model *m, int64_t steps) {
    if (steps == 0 || steps == (int64_t) m->beta_count) return from_list(m->betas, m->beta_count);
    double *bars = NEW_ARRAY(double, steps);
    for (int64_t i = 0; i < steps; i++)
        bars[i] = alpha_bar_at(m->betas, m->beta_count, (double) (i + 1) / (double) steps);
    return from_alpha_bars(bars, steps);
}

/* The short list the model comes with; for another number of steps its noise levels are interpolated in log-SNR. */
static schedule paper(const model *m, int64_t steps) {
    int64_t own = (int64_t) m->fast_count;
    if (steps == 0 || steps == own) return from_list(m->fast, m->fast_count);
    if (steps == (int64_t) m->beta_count) return from_list(m->betas, m->beta_count);
    double *log_snr = NEW_ARRAY(double, own), *bars = NEW_ARRAY(double, steps), bar = 1;
    for (int64_t i = 0; i < own; i++) {
        bar *= 1 - m->fast[i];
        log_snr[i] = log(bar / (1 - bar));
    }
    for (int64_t i = 0; i < steps; i++) {
        double at = steps > 1 ? (double) i * (double) (own - 1) / (double) (steps - 1) : (double) (own - 1);
        int64_t low = (int64_t) at < own - 1 ? (int64_t) at : own - 1, high = low + 1 < own ? low + 1 : low;
        double l = log_snr[low] + (log_snr[high] - log_snr[low]) * (at - (double) low);
        bars[i] = 1 / (1 + exp(-l));
    }
    return from_alpha_bars(bars, steps);
}

/* Nichol and Dhariwal 2021, arXiv 2102.09672, within the noise levels of training. */
static schedule cosine(const model *m, int64_t steps) {
    if (!steps) steps = (int64_t) m->fast_count;
    double least = alpha_bar_at(m->betas, m->beta_count, 1), first = pow(cos(0.008 / 1.008 * M_PI / 2), 2);
    double *bars = NEW_ARRAY(double, steps);
    for (int64_t i = 0; i < steps; i++) {
        double t = (double) (i + 1) / (double) steps;
        bars[i] = fmax(pow(cos((t + 0.008) / 1.008 * M_PI / 2), 2) / first, least * (1 - 1e-9 * (double) i));
    }
    return from_alpha_bars(bars, steps);
}

/* Sigmas (noise over signal) from the training's last to its first; Karras et al. 2022, arXiv 2206.00364, eq. 5. */
static schedule by_sigma(const model *m, int64_t steps, double rho) {
    if (!steps) steps = (int64_t) m->fast_count;
    double a = alpha_bar_at(m->betas, m->beta_count, 1), b = 1 - m->betas[0];
    double most = sqrt((1 - a) / a), least = sqrt((1 - b) / b), *bars = NEW_ARRAY(double, steps);
    for (int64_t i = 0; i < steps; i++) {
        double t = steps > 1 ? (double) i / (double) (steps - 1) : 1, sigma;
        if (rho == 0) sigma = least * pow(most / least, t);
        else sigma = pow(pow(least, 1 / rho) + t * (pow(most, 1 / rho) - pow(least, 1 / rho)), rho);
        bars[i] = 1 / (1 + sigma * sigma);
    }
    return from_alpha_bars(bars, steps);
}
static schedule karras(const model *m, int64_t steps) { return by_sigma(m, steps, 7); }
static schedule exponential(const model *m, int64_t steps) { return by_sigma(m, steps, 0); }

static const struct {
    const char *name;
    schedule (*make)(const model *m, int64_t steps);
} SCHEDULES[] = {
    {"paper", paper}, {"linear", linear}, {"cosine", cosine}, {"karras", karras}, {"exponential", exponential}};
enum { SCHEDULE_COUNT = sizeof SCHEDULES / sizeof *SCHEDULES };

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

/* That of sound i of a request. */
static noise_source noise_of(const sound_request *r, int64_t i) {
    uint64_t seed = r->seed + (uint64_t) i;
    if (r->torch_noise) {
        torch_random *g = NEW(torch_random);
        torch_seed(g, seed);
        return (noise_source){draw_torch, g};
    }
    seeded *s = NEW(seeded);
    s->key = sound_key(seed);
    return (noise_source){draw_seeded, s};
}

/* --- samplers: src/diffusion --- */

enum { MOST_SAMPLERS = 32 };

const char *const *sampler_names(void) {
    static const char *names[MOST_SAMPLERS + 1];
    for (int i = 0; SAMPLERS[i].name && i < MOST_SAMPLERS; i++) names[i] = SAMPLERS[i].name;
    return names;
}

const char *const *schedule_names(void) {
    static const char *names[SCHEDULE_COUNT + 1];
    for (int i = 0; i < SCHEDULE_COUNT; i++) names[i] = SCHEDULES[i].name;
    return names;
}

static int find(const char *what, const char *name, const char *const *names) {
    size_t count = 0;
    if (!name) return 0;
    for (; names[count]; count++)
        if (!strcmp(names[count], name)) return (int) count;
    fail(HISS_ERROR_ARGUMENT, "--%s %s: no such %s: %s", what, name, what, suggest(name, names, count));
}

void sample_check(const model *m, const sound_request *r) {
    (void) m;
    find("sampler", r->sampler, sampler_names());
    find("schedule", r->schedule, schedule_names());
}

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

static tensor *clean_at(void *context, const tensor *x, double sigma) {
    const walker *w = context;
    tensor *clean = tensor_new(F32, shape_of(x));
    scope_begin();
    double alpha_bar = vp_alpha_bar(sigma);
    const float *eps = f32(predict_noise(w->c, scaled(x, sqrt(alpha_bar)), alpha_bar));
    const float s = (float) sigma;
    for (int64_t i = 0, n = count(x); i < n; i++) { /* not a number stays so */
        float value = f32(x)[i] - s * eps[i];
        f32(clean)[i] = value < -w->limit ? -w->limit : value > w->limit ? w->limit : value;
    }
    scope_end();
    return clean;
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
    scope_begin();
    double *sigmas = NEW_ARRAY(double, p->steps + 1), bar = 1;
    for (int64_t n = 0; n < p->steps; n++) {
        bar *= 1 - p->betas[n];
        sigmas[p->steps - 1 - n] = vp_sigma(bar);
    }
    walker w = {c, p, kind->clamp ? INFINITY : c->m->limit};
    sampling s = {.denoise = {clean_at, &w},
                  .sigmas = sigmas,
                  .steps = p->steps,
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
    int64_t before, all;
} counter;

static void report(void *context, int64_t pass, double alpha_bar, const tensor *x) {
    const counter *k = context;
    (void) alpha_bar, (void) x;
    progress("denoising", k->before + pass + 1, k->all);
}

tensor *sample(const condition *c, const sound_request *r, int64_t i, int64_t T) {
    schedule s = SCHEDULES[find("schedule", r->schedule, schedule_names())].make(c->m, r->steps);
    noise_source source = noise_of(r, i);
    counter k = {i * s.steps, r->count * s.steps};
    sample_plan p = {r->sampler ? r->sampler : c->m->system->sampler, s.beta, s.steps, r->eta, source, report, &k};
    tensor *x = tensor_new(F32, SHAPE(1, T));
    source.draw(source.context, f32(x), T);
    sample_walk(c, &p, x);
    if (c->m->system->finish) c->m->system->finish(c->m, x, c->classes);
    for (int64_t t = 0; t < T; t++)
        if (!isfinite(f32(x)[t]))
            fail(HISS_ERROR_FORMAT, "%s: the network gave values that are not numbers: are its weights damaged?",
                 c->m->path);
    return x;
}
