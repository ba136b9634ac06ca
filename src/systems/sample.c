/* Sampling by the papers' loops, over a table of samplers and one of schedules. A schedule is an array of betas (Ho et al. 2020);
 * alpha_bar is the cumulative product of 1 - beta. x [1, T]. */
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
    for (int64_t i = 0; i < steps; i++) bars[i] = alpha_bar_at(m->betas, m->beta_count, (double) (i + 1) / (double) steps);
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
} SCHEDULES[] = {{"paper", paper}, {"linear", linear}, {"cosine", cosine}, {"karras", karras}, {"exponential", exponential}};
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

/* --- samplers --- */

typedef struct {
    const double *beta, *alpha_bar;
    noise_source noise;
    double eta; /* below 0: the sampler's own */
    const condition *c;
    const sample_plan *plan;
    tensor *x; /* the state, where a loop keeps it */
} walk;

static double bar_before(const walk *w, int64_t n) { return n > 0 ? w->alpha_bar[n - 1] : 1; }

/* x <- keep x + remove eps + fresh z, then +-1 if clamped. */
static void combine(const walk *w, float *x, const float *eps, int64_t T, const double k[3], bool clamp) {
    float keep = (float) k[0], remove = (float) k[1], fresh = (float) k[2];
    float *z = fresh != 0 ? alloc((size_t) T * sizeof(float)) : NULL;
    if (z) w->noise.draw(w->noise.context, z, T);
    for (int64_t i = 0; i < T; i++) {
        float value = keep * x[i] + remove * eps[i] + (z ? fresh * z[i] : 0);
        x[i] = clamp ? fminf(fmaxf(value, -1), 1) : value;
    }
}

/* Ho et al. 2020, algorithm 2; lmnt's loops clamp after every step. */
static void step_ancestral(const walk *w, float *x, const float *eps, int64_t T, int64_t n, bool clamp) {
    double beta = w->beta[n], a = w->alpha_bar[n], root = sqrt(1 - beta);
    double sigma = n > 0 ? sqrt((1 - bar_before(w, n)) / (1 - a) * beta) : 0;
    combine(w, x, eps, T, (double[]){1 / root, -beta / sqrt(1 - a) / root, w->eta < 0 ? sigma : w->eta * sigma}, clamp);
}
static void step_paper(const walk *w, float *x, const float *eps, int64_t T, int64_t n) {
    step_ancestral(w, x, eps, T, n, true);
}
static void step_ddpm(const walk *w, float *x, const float *eps, int64_t T, int64_t n) {
    step_ancestral(w, x, eps, T, n, false);
}

/* Song et al. 2021, arXiv 2010.02502, eq. 12. */
static void step_ddim(const walk *w, float *x, const float *eps, int64_t T, int64_t n) {
    double a = w->alpha_bar[n], before = bar_before(w, n), eta = w->eta < 0 ? 0 : w->eta;
    double sigma = eta * sqrt((1 - before) / (1 - a) * (1 - a / before)), left = sqrt(fmax(1 - before - sigma * sigma, 0));
    double keep = sqrt(before / a);
    combine(w, x, eps, T, (double[]){keep, left - keep * sqrt(1 - a), n > 0 ? sigma : 0}, false);
}

/* The papers' loops, in steps over betas; all others are loops over sigma (src/diffusion). */
static const struct {
    const char *name;
    void (*step)(const walk *w, float *x, const float *eps, int64_t T, int64_t n);
} LOOPS[] = {{"paper", step_paper}, {"ddpm", step_ddpm}, {"ddim", step_ddim}};
enum { LOOP_COUNT = sizeof LOOPS / sizeof *LOOPS, MOST_SAMPLERS = 32 };

const char *const *sampler_names(void) {
    static const char *names[MOST_SAMPLERS + 1];
    int count = 0;
    for (; count < LOOP_COUNT; count++) names[count] = LOOPS[count].name;
    for (const sampler *s = SAMPLERS; s->name && count < MOST_SAMPLERS; s++) names[count++] = s->name;
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

static void run_loop(const walk *w, int loop, tensor *x) {
    const sample_plan *p = w->plan;
    for (int64_t n = p->steps - 1; n >= 0; n--) {
        if (p->watch) p->watch(p->context, p->steps - 1 - n, w->alpha_bar[n], x);
        scope_begin();
        LOOPS[loop].step(w, f32(x), f32(predict_noise(w->c, x, w->alpha_bar[n])), count(x), n);
        scope_end();
    }
}

/* --- over sigma: x / sqrt(alpha_bar) is the clean sound plus sigma times noise --- */

/* eps of a state in units of the clean sound. */
static void denoise_at(void *context, const float *x, double sigma, float *clean) {
    const walk *w = context;
    int64_t n = count(w->x);
    scope_begin();
    tensor *scaled = tensor_new(F32, shape_of(w->x));
    float factor = (float) (1 / sqrt(1 + sigma * sigma)), s = (float) sigma;
    float limit = w->c->m->limit;
    for (int64_t i = 0; i < n; i++) f32(scaled)[i] = factor * x[i];
    const float *eps = f32(predict_noise(w->c, scaled, 1 / (1 + sigma * sigma)));
    for (int64_t i = 0; i < n; i++) clean[i] = fminf(fmaxf(x[i] - s * eps[i], -limit), limit);
    scope_end();
}

static void draw_next(void *context, float *z) {
    const walk *w = context;
    w->noise.draw(w->noise.context, z, count(w->x));
}

static void tell_step(void *context, int64_t i) {
    const walk *w = context;
    const sample_plan *p = w->plan;
    if (p->watch) p->watch(p->context, i, w->alpha_bar[p->steps - 1 - i], w->x);
}

static void run_sampler(walk *w, const sampler *how, tensor *x) {
    int64_t steps = w->plan->steps;
    double *sigma = NEW_ARRAY(double, steps + 1);
    for (int64_t i = 0; i < steps; i++) sigma[i] = sqrt((1 - w->alpha_bar[steps - 1 - i]) / w->alpha_bar[steps - 1 - i]);
    float start = (float) sqrt(1 + sigma[0] * sigma[0]);
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] *= start;
    denoiser d = {denoise_at, draw_next, tell_step, w, count(x), w->eta < 0 ? how->eta : w->eta};
    how->run(&d, f32(x), sigma, steps);
}

void sample_walk(const condition *c, const sample_plan *p, tensor *x) {
    int chosen = find("sampler", p->sampler, sampler_names());
    scope_begin();
    double *alpha_bar = NEW_ARRAY(double, p->steps), bar = 1;
    for (int64_t n = 0; n < p->steps; n++) alpha_bar[n] = bar *= 1 - p->betas[n];
    walk w = {p->betas, alpha_bar, p->noise, p->eta, c, p, x};
    if (chosen < LOOP_COUNT) run_loop(&w, chosen, x);
    else run_sampler(&w, &SAMPLERS[chosen - LOOP_COUNT], x);
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
            fail(HISS_ERROR_FORMAT, "%s: the network gave values that are not numbers: are its weights damaged?", c->m->path);
    return x;
}
