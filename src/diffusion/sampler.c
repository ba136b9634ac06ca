/* The table of samplers, and the loop that all of them share. */
#include "diffusion/sampler.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "diffusion/walk.h"

#define KARRAS "Karras et al. 2022, arXiv 2206.00364"
#define DPM "Lu et al. 2022, arXiv 2206.00927"
#define DPMPP "Lu et al. 2022, arXiv 2211.01095"

const sampler SAMPLERS[] = {
    {"paper", "DiffWave and WaveGrad: DDPM, clamped after every step", step_euler_ancestral, .eta = 1, .clamp = true},
    {"ddpm", "Ho et al. 2020, arXiv 2006.11239", step_ddpm, .eta = 1},
    {"ddim", "Song et al. 2021, arXiv 2010.02502", step_ddim, .eta = 0},
    {"plms", "Liu et al. 2022, arXiv 2202.09778: pseudo linear multistep", step_plms, .eta = 0, .memory = 3},
    {"prk", "the same, its first three steps by Runge and Kutta", step_prk, .eta = 0, .memory = 3},
    {"euler", KARRAS, step_euler, .eta = 0},
    {"euler-ancestral", "Euler's step to a lower level, noise back up", step_euler_ancestral, .eta = 1},
    {"heun", KARRAS, step_heun, .eta = 0},
    {"rk4", "Runge and Kutta, fourth order, in the time of rectified flow", step_rk4, .eta = 0,
     .slopes = PROCESS_STRAIGHT},
    {"dpm-2", DPM, step_dpm_2, .eta = 0},
    {"dpm-2-ancestral", DPM, step_dpm_2_ancestral, .eta = 1},
    {"dpm-fast", DPM ", steps of order 3", step_dpm_fast, .eta = 0},
    {"dpm-adaptive", DPM ", steps as long as the error allows", step_dpm_adaptive, .eta = 0, .order = 3},
    {"lms", "linear multistep, Adams-Bashforth on uneven levels", step_lms, .eta = 0, .memory = 4, .order = 4},
    {"deis", "Zhang and Chen 2023, arXiv 2204.13902", step_deis, .eta = 0, .memory = 3, .order = 2},
    {"dpmpp-2s", DPMPP, step_singlestep, .eta = 0, .order = 2, .taper = TAPER_ALL},
    {"dpmpp-3s", DPMPP, step_singlestep, .eta = 0, .order = 3, .taper = TAPER_ALL},
    {"dpmpp-2s-a", DPMPP, step_dpmpp_2s_ancestral, .eta = 1},
    {"dpmpp-sde", DPMPP, step_dpmpp_sde, .eta = 1, .path = true},
    {"dpmpp-2m", DPMPP, step_multistep, .eta = 0, .memory = 2, .order = 2},
    {"dpmpp-3m", DPMPP, step_multistep, .eta = 0, .memory = 2, .order = 3},
    {"dpmpp-2m-sde", DPMPP, step_multistep, .eta = 1, .memory = 2, .order = 2, .path = true},
    {"dpmpp-3m-sde", DPMPP, step_multistep, .eta = 1, .memory = 2, .order = 3, .heun = true, .path = true},
    {"unipc", "Zhao et al. 2023, arXiv 2302.04867", step_unipc, .eta = 0, .memory = 4, .order = 2, .taper = TAPER_ALL},
    {"ping-pong", "Song et al. 2023, arXiv 2303.01469", step_ping_pong, .eta = 1, .distilled = true},
    {"tcd", "Zheng et al. 2024, arXiv 2402.19159", step_tcd, .eta = 0.3, .distilled = true},
    {0}};

const sampler *sampler_find(const char *name) {
    for (const sampler *s = SAMPLERS; s->name; s++)
        if (!strcmp(s->name, name)) return s;
    return NULL;
}

/* --- what the steps share --- */

tensor *like(const tensor *x) { return tensor_new(F32, shape_of(x)); }

static void sum_terms(float *out, const float *const *of, const double *factor, int terms, int64_t n) {
#pragma omp parallel for simd if (n > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < terms; k++) sum += factor[k] * (double) of[k][i];
        out[i] = (float) sum;
    }
}

void add_terms(tensor *out, const term *terms, int terms_count) {
    const float *of[8];
    double factor[8];
    require(terms_count <= 8);
    for (int k = 0; k < terms_count; k++) {
        of[k] = f32(terms[k].of);
        factor[k] = terms[k].factor;
    }
    sum_terms(f32(out), of, factor, terms_count, count(out));
}

static void clip(tensor *x, double bound) {
    float most = (float) bound, *v = f32(x);
    for (int64_t i = 0, n = count(x); i < n; i++) v[i] = v[i] < -most ? -most : v[i] > most ? most : v[i];
}

static void touch(walk *w, moment when, double sigma, tensor *x) {
    if (w->s->touch && w->s->touch(w->s->toucher, when, w->step, sigma, x)) w->touched = true;
}

static tensor *noise_in(const tensor *x, const tensor *clean, double sigma) {
    tensor *noise = like(x);
    double share = sigma > 0 ? 1 / sigma : 0;
    MIX(noise, {share, x}, {-share, clean});
    return noise;
}

static estimate believed(walk *w, tensor *x, double sigma) {
    bool first = !w->watched;
    if (first) touch(w, BEFORE_CALL, sigma, x);
    if (first && w->s->watch) w->s->watch(w->s->watcher, w->step, sigma, x);
    w->watched = true;
    estimate e = w->s->denoise.call(w->s->denoise.context, x, sigma);
    if (first && w->s->touch) { /* slopes are those of the state before it is changed */
        if (!e.noise) e.noise = noise_in(x, e.clean, sigma);
        touch(w, AFTER_CALL, sigma, x);
    }
    return e;
}

estimate estimated(walk *w, tensor *x, double sigma) {
    const sampler_options *o = &w->s->options;
    estimate e = believed(w, x, sigma);
    if (o->clip > 0 && o->clip_noise) clip(e.clean, o->clip), e.noise = NULL;
    if (!e.noise) e.noise = noise_in(x, e.clean, sigma);
    if (o->clip > 0) clip(e.clean, o->clip);
    return e;
}

tensor *denoised(walk *w, tensor *x, double sigma) {
    estimate e = believed(w, x, sigma);
    if (w->s->options.clip > 0) clip(e.clean, w->s->options.clip);
    return e.clean;
}

tensor *predicted(walk *w, tensor *x, double sigma) {
    return w->of_noise ? estimated(w, x, sigma).noise : denoised(w, x, sigma);
}

void add_noise_between(walk *w, tensor *x, double from, double to, double factor) {
    if (factor == 0) return;
    tensor *z = like(x);
    w->s->noise.draw(w->s->noise.context, from, to, f32(z), count(z));
    MIX(x, {1, x}, {factor * w->noise, z});
}

void remember(walk *w, const tensor *t) {
    int memory = w->kind->memory;
    tensor *oldest = w->old[memory - 1];
    for (int k = memory - 1; k > 0; k--) w->old[k] = w->old[k - 1];
    w->old[0] = oldest;
    memcpy(oldest->data, t->data, tensor_bytes(t));
    if (w->kept < memory) w->kept++;
}

double sigma_before(const walk *w, int64_t steps) { return w->s->sigmas[w->step - steps]; }

double fall(double from, double to) { return from >= NO_SIGNAL || to == 0 ? INFINITY : log(from / to); }

int order_now(const walk *w) {
    const sampler_options *o = &w->s->options;
    int order = o->order ? o->order : w->kind->order;
    taper end = o->taper ? o->taper : w->kind->taper;
    int64_t left = w->s->steps - w->step;
    if (order > w->kept + 1) order = w->kept + 1;
    if ((end == TAPER_ALL && left < order) || (end == TAPER_LAST && left == 1)) order = (int) left;
    if (w->next == 0) order = 1; /* nothing is left of the noise */
    for (int back = 1; back < order; back++)
        if (sigma_before(w, back) >= NO_SIGNAL) order = back; /* infinitely far away */
    return order < 1 ? 1 : order;
}

ancestral ancestral_levels(double sigma, double next, double eta) {
    if (eta == 0 || sigma <= next) return (ancestral){next, 0};
    double up = fmin(next, eta * next * sqrt(fmax(sigma * sigma - next * next, 0)) / sigma);
    return (ancestral){sqrt(fmax(next * next - up * up, 0)), up};
}

void sampler_run(const sampler *kind, const sampling *s, tensor *x) {
    scope_begin();
    const sampler_options *o = &s->options;
    walk w = {.s = s,
              .kind = kind,
              .x = x,
              .noise = o->noise != 0 ? o->noise : 1,
              .eta = o->eta < 0 ? kind->eta : o->eta,
              .heun = o->heun || kind->heun,
              .of_noise = o->of_noise,
              .slopes = o->slopes ? o->slopes : kind->slopes};
    for (int k = 0; k < kind->memory; k++) w.old[k] = like(x);
    w.start = like(x);
    for (w.step = 0; w.step < s->steps; w.step += w.used) {
        scope_begin();
        w.sigma = s->sigmas[w.step];
        w.next = s->sigmas[w.step + 1];
        w.used = 1;
        w.watched = w.touched = false;
        kind->step(&w);
        double reached = s->sigmas[w.step + w.used];
        if (kind->clamp) clip(x, hypot(1, reached)); /* the bound of the papers' loops, on sqrt(alpha_bar) x */
        touch(&w, AFTER_STEP, reached, x);
        scope_end();
        if (interrupted())
            fail(HISS_ERROR_INTERRUPTED, "stopped after %lld of %lld steps", (long long) (w.step + w.used),
                 (long long) s->steps);
        if (s->progress) s->progress(s->asked, w.step + w.used, s->steps);
    }
    scope_end();
}
