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
    {"paper", "DiffWave and WaveGrad: DDPM, clamped after every step", step_euler_ancestral, 1, 0, true},
    {"ddpm", "Ho et al. 2020, arXiv 2006.11239", step_euler_ancestral, 1, 0, false},
    {"ddim", "Song et al. 2021, arXiv 2010.02502", step_euler_ancestral, 0, 0, false},
    {"euler", KARRAS, step_euler, 0, 0, false},
    {"euler-ancestral", "Euler's step to a lower level, noise back up", step_euler_ancestral, 1, 0, false},
    {"heun", KARRAS, step_heun, 0, 0, false},
    {"dpm-2", DPM, step_dpm_2, 0, 0, false},
    {"dpm-2-ancestral", DPM, step_dpm_2_ancestral, 1, 0, false},
    {"lms", "linear multistep, Adams-Bashforth on uneven levels", step_lms, 0, 4, false},
    {"dpmpp-2s-a", DPMPP, step_dpmpp_2s_ancestral, 1, 0, false},
    {"dpmpp-sde", DPMPP, step_dpmpp_sde, 1, 0, false},
    {"dpmpp-2m", DPMPP, step_dpmpp_2m, 0, 1, false},
    {"dpmpp-2m-sde", DPMPP, step_dpmpp_2m_sde, 1, 1, false},
    {"dpmpp-3m-sde", DPMPP, step_dpmpp_3m_sde, 1, 2, false},
    {"unipc", "Zhao et al. 2023, arXiv 2302.04867", step_unipc, 0, 4, false},
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

tensor *denoised(walk *w, const tensor *x, double sigma) {
    if (!w->watched && w->s->watch) w->s->watch(w->s->watcher, w->step, sigma, x);
    w->watched = true;
    return w->s->denoise.call(w->s->denoise.context, x, sigma);
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

ancestral ancestral_levels(double sigma, double next, double eta) {
    double up = fmin(next, eta * next * sqrt(fmax(sigma * sigma - next * next, 0)) / sigma);
    return (ancestral){sqrt(fmax(next * next - up * up, 0)), up};
}

/* The bound of the papers' loops, on sqrt(alpha_bar) x. */
static void clamp_state(tensor *x, double sigma) {
    float bound = (float) sqrt(1 + sigma * sigma), *v = f32(x);
    for (int64_t i = 0, n = count(x); i < n; i++) v[i] = v[i] < -bound ? -bound : v[i] > bound ? bound : v[i];
}

void sampler_run(const sampler *kind, const sampling *s, tensor *x) {
    scope_begin();
    const sampler_options *o = &s->options;
    walk w = {
        .s = s, .kind = kind, .x = x, .noise = o->noise != 0 ? o->noise : 1, .eta = o->eta < 0 ? kind->eta : o->eta};
    for (int k = 0; k < kind->memory; k++) w.old[k] = like(x);
    if (kind->step == step_unipc) w.start = like(x);
    for (w.step = 0; w.step < s->steps; w.step++) {
        scope_begin();
        w.sigma = s->sigmas[w.step];
        w.next = s->sigmas[w.step + 1];
        w.watched = false;
        kind->step(&w);
        if (kind->clamp) clamp_state(x, w.next);
        scope_end();
        if (interrupted())
            fail(HISS_ERROR_INTERRUPTED, "stopped after %lld of %lld steps", (long long) w.step + 1,
                 (long long) s->steps);
        if (s->progress) s->progress(s->asked, w.step + 1, s->steps);
    }
    scope_end();
}
