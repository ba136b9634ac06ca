/* Parity of samplers, on the exact denoiser of a mixture of three Gaussians in four dimensions in place of a network:
 * x = a x0 + b n gives the posterior means of x0, eps, v and flow. P points, D = 4. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"
#include "parity.h"
#include "parity_schedules.h"

enum { D = 4, COMPONENTS = 3 };
static const double MEANS[COMPONENTS][D] = {{0.9, -0.5, 0.2, 0.7}, {-0.7, 0.8, -0.6, 0.3}, {0.1, -0.9, 0.6, -0.8}};
static const double STD = 0.25;

/* Of one point: x0 and eps. */
static void mixture(const float x[D], double a, double b, double x0[D], double eps[D]) {
    double V = a * a * STD * STD + b * b, weight[COMPONENTS], sum = 0, most = -INFINITY;
    for (int i = 0; i < COMPONENTS; i++) {
        weight[i] = 0;
        for (int k = 0; k < D; k++) weight[i] -= pow((double) x[k] - a * MEANS[i][k], 2) / (2 * V);
        most = fmax(most, weight[i]);
    }
    for (int i = 0; i < COMPONENTS; i++) sum += weight[i] = exp(weight[i] - most);
    for (int k = 0; k < D; k++) {
        x0[k] = eps[k] = 0;
        for (int i = 0; i < COMPONENTS; i++) {
            double d = (double) x[k] - a * MEANS[i][k];
            x0[k] += weight[i] / sum * (MEANS[i][k] + a * STD * STD / V * d);
            eps[k] += weight[i] / sum * b / V * d;
        }
    }
}

static void run_denoiser(parity_case *c) {
    tensor *x = parity_in_f32(c, "x"), *a = parity_in_f32(c, "a"), *b = parity_in_f32(c, "b");
    static const char *const NAMES[] = {"x0", "eps", "v", "flow"};
    tensor *out[4];
    for (int k = 0; k < 4; k++) out[k] = tensor_new(F32, shape_of(x));
    for (int64_t p = 0; p < x->shape[0]; p++) {
        double x0[D], eps[D], A = (double) f32(a)[p], B = (double) f32(b)[p];
        mixture(f32(x) + p * D, A, B, x0, eps);
        for (int k = 0; k < D; k++) {
            double all[] = {x0[k], eps[k], A * eps[k] - B * x0[k], eps[k] - x0[k]};
            for (int o = 0; o < 4; o++) f32(out[o])[p * D + k] = (float) all[o];
        }
    }
    for (int k = 0; k < 4; k++) parity_out(c, NAMES[k], out[k]);
}

/* --- runs --- */

typedef struct {
    parity_case *c;
    const char *name;
    sampling s;
    tensor *noise, *times, *path; /* given draws, or a Brownian path at times */
    int64_t drawn, watched;
    tensor *xs;    /* states on the way, or NULL */
    int64_t every; /* one of so many is kept */
    bool vp;       /* states are told in the variance preserving form */
} run;

static char *under(const run *r, const char *name) { return format("%s.%s", r->name, name); }
static tensor *given(const run *r, const char *name) {
    return parity_has_in(r->c, under(r, name)) ? parity_in_f32(r->c, under(r, name)) : NULL;
}

/* x0 at (1, sigma). */
static estimate ideal(void *context, const tensor *x, double sigma) {
    (void) context;
    estimate e = {tensor_new(F32, shape_of(x)), tensor_new(F32, shape_of(x))};
    for (int64_t p = 0; p < count(x) / D; p++) {
        double x0[D], eps[D];
        mixture(f32(x) + p * D, 1, sigma, x0, eps);
        for (int k = 0; k < D; k++) f32(e.clean)[p * D + k] = (float) x0[k], f32(e.noise)[p * D + k] = (float) eps[k];
    }
    return e;
}

static void draw_given(void *context, double from, double to, float *z, int64_t n) {
    run *r = context;
    (void) from, (void) to;
    if (!r->noise || r->drawn >= r->noise->shape[0])
        fail(HISS_ERROR_FORMAT, "%s: more noise drawn than given", r->name);
    memcpy(z, f32(r->noise) + r->drawn++ * n, (size_t) n * sizeof(float));
}

static int64_t nearest(const tensor *times, double sigma) {
    int64_t best = 0;
    for (int64_t i = 1; i < count(times); i++)
        if (fabs((double) f32(times)[i] - sigma) < fabs((double) f32(times)[best] - sigma)) best = i;
    return best;
}

static void draw_path(void *context, double from, double to, float *z, int64_t n) {
    run *r = context;
    const float *a = f32(r->path) + nearest(r->times, from) * n, *b = f32(r->path) + nearest(r->times, to) * n;
    for (int64_t i = 0; i < n; i++) z[i] = (float) (((double) b[i] - (double) a[i]) / sqrt(fabs(to - from)));
}

static void watch(void *context, int64_t step, double sigma, const tensor *x) {
    run *r = context;
    int64_t n = count(x);
    double factor = r->vp ? sqrt(vp_alpha_bar(sigma)) : 1;
    if (step % r->every || !r->xs || (r->watched + 1) * n > count(r->xs)) return;
    for (int64_t i = 0; i < n; i++) f32(r->xs)[r->watched * n + i] = (float) ((double) f32(x)[i] * factor);
    r->watched++;
}

static run begin_run(parity_case *c, const char *name) {
    run r = {.c = c, .name = name};
    r.noise = given(&r, "noise");
    r.times = given(&r, "times");
    r.path = given(&r, "path");
    if (parity_has_out(c, under(&r, "xs"))) r.xs = tensor_new(F32, shape_of(parity_expected(c, under(&r, "xs"))));
    return r;
}

static void finish_run(run *r, const sampler *kind, tensor *x) {
    r->s.denoise = (denoiser){ideal, r};
    r->s.noise = (noise_path){r->path ? draw_path : draw_given, r};
    r->s.watch = watch;
    r->s.watcher = r;
    if (r->xs) r->every = (r->s.steps + r->xs->shape[0] - 1) / r->xs->shape[0]; /* long walks are thinned out */
    sampler_run(kind, &r->s, x);
    double last = r->vp ? sqrt(vp_alpha_bar(r->s.sigmas[r->s.steps])) : 1;
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] = (float) ((double) f32(x)[i] * last);
    parity_out(r->c, under(r, "x"), x);
    if (r->xs) parity_out(r->c, under(r, "xs"), r->xs);
}

static double *as_levels(const tensor *t) {
    double *v = NEW_ARRAY(double, count(t));
    for (int64_t i = 0; i < count(t); i++) v[i] = (double) f32(t)[i];
    return v;
}

/* k_dpmpp_2m_sde -> dpmpp-2m-sde */
static const sampler *sampler_named(const char *name) {
    char *words = copy_string(starts_with(name, "k_") ? name + 2 : name);
    for (char *at = words; *at; at++)
        if (*at == '_') *at = '-';
    const sampler *s = sampler_find(strcmp(words, "dpmpp-2s-ancestral") ? words : "dpmpp-2s-a");
    if (!s) fail(HISS_ERROR_ARGUMENT, "no sampler %s", words);
    return s;
}

static void run_k(parity_case *c, config given_run) {
    run r = begin_run(c, config_need_string(given_run, "name"));
    config o = config_get(given_run, "options");
    tensor *sigmas = given(&r, "sigmas");
    if (!sigmas) fail(HISS_ERROR_ARGUMENT, "%s: samplers that choose their own steps are not there", r.name);
    r.s.sigmas = as_levels(sigmas);
    r.s.steps = count(sigmas) - 1;
    r.s.options = (sampler_options){.eta = config_number(o, "eta", -1, 0, 10),
                                    .noise = config_number(o, "s_noise", 1, 0, 10),
                                    .churn = config_number(o, "s_churn", 0, 0, 1000),
                                    .low = config_number(o, "s_tmin", 0, 0, 1e9),
                                    .high = config_number(o, "s_tmax", 0, 0, 1e9),
                                    .middle = config_number(o, "r", 0.5, 0, 1),
                                    .order = (int) config_int(o, "order", 0, 0, 4),
                                    .heun = !strcmp(config_string(o, "solver_type", "midpoint"), "heun")};
    finish_run(&r, sampler_named(config_need_string(given_run, "sampler")), given(&r, "x"));
}

/* lmnt's loops: levels by the betas of their schedule, from the most noise to the least. */
static void run_lmnt(parity_case *c, config given_run, bool wavegrad) {
    run r = begin_run(c, config_need_string(given_run, "name"));
    config o = config_get(given_run, "options");
    size_t n, trained;
    double *train = NULL, *betas = NULL, default_train[50];
    for (int i = 0; i < 50; i++) default_train[i] = 1e-4 + (0.05 - 1e-4) * i / 49;
    if (wavegrad && json_is_string(config_get(o, "noise_schedule").value)) {
        n = 1000;
        betas = NEW_ARRAY(double, n);
        for (size_t i = 0; i < n; i++) betas[i] = 1e-6 + (0.01 - 1e-6) * (double) i / 999;
    } else {
        train = config_numbers(o, "noise_schedule", 10000, &trained);
        if (!trained) train = default_train, trained = 50;
        betas = train, n = trained;
        if (!wavegrad && config_bool(o, "fast_sampling", false)) {
            static double fast[] = {0.0001, 0.001, 0.01, 0.05, 0.2, 0.5};
            betas = config_numbers(o, "inference_noise_schedule", 1000, &n);
            if (!n) betas = fast, n = 6;
        }
    }
    double *sigmas = NEW_ARRAY(double, n + 1), bar = 1;
    tensor *level = tensor_new(F32, SHAPE((int64_t) n)), *x = given(&r, "x");
    for (size_t i = 0; i < n; i++) {
        bar *= 1 - betas[i];
        sigmas[n - 1 - i] = vp_sigma(bar);
        if (wavegrad) f32(level)[n - 1 - i] = (float) sqrt(bar);
        else f32(level)[n - 1 - i] = (float) training_step_at(train, trained, bar);
    }
    r.s.sigmas = sigmas;
    r.s.steps = (int64_t) n;
    r.s.options.eta = -1;
    r.vp = true;
    double up = sqrt(1 + sigmas[0] * sigmas[0]);
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] = (float) ((double) f32(x)[i] * up);
    finish_run(&r, sampler_find("paper"), x);
    const char *told = wavegrad ? "level" : "t";
    if (parity_has_out(c, under(&r, told))) parity_out(c, under(&r, told), level);
}

/* AudioLDM's DDIM: every T / n-th step and one more; the last step ends at the first level of training. */
static void run_ldm_ddim(parity_case *c, config given_run) {
    run r = begin_run(c, config_need_string(given_run, "name"));
    config o = config_get(given_run, "options");
    int64_t T = config_int(o, "num_train_timesteps", 1000, 1, 10000),
            every = T / config_need_int(given_run, "steps", 1, T);
    double start = config_number(o, "beta_start", 0.0015, 0, 1), end = config_number(o, "beta_end", 0.0195, 0, 1);
    double *bars = alpha_bars_of(betas_make(beta_schedule_find("scaled-linear"), (size_t) T, start, end), (size_t) T);
    int64_t n = (T + every - 1) / every;
    double *sigmas = NEW_ARRAY(double, n + 1);
    tensor *times = tensor_new(I64, SHAPE(n)), *x = given(&r, "x");
    if ((n - 1) * every + 1 >= T) fail(HISS_ERROR_ARGUMENT, "%s: the last step is beyond those of training", r.name);
    for (int64_t i = 0; i < n; i++) {
        ((int64_t *) times->data)[i] = i * every + 1;
        sigmas[n - 1 - i] = vp_sigma(bars[i * every + 1]);
    }
    sigmas[n] = vp_sigma(bars[0]);
    r.s = (sampling){.sigmas = sigmas, .steps = n, .options.eta = config_number(o, "eta", 0, 0, 10)};
    r.vp = true;
    double up = 1 / sqrt(vp_alpha_bar(sigmas[0]));
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] = (float) ((double) f32(x)[i] * up);
    finish_run(&r, sampler_find("ddim"), x);
    parity_out(c, under(&r, "timesteps"), times);
}

static void run_sampler(parity_case *c) {
    config runs = config_get(parity_config(c), "runs");
    for (size_t i = 0; i < config_count(runs); i++) {
        config one = config_at(runs, i);
        const char *kind = config_string(one, "sampler", "");
        if (!strcmp(kind, "diffwave") || !strcmp(kind, "wavegrad")) run_lmnt(c, one, kind[0] == 'w');
        else if (!strcmp(kind, "ldm_ddim")) run_ldm_ddim(c, one);
        else if (starts_with(kind, "k_") || parity_has_in(c, format("%s.sigmas", config_need_string(one, "name"))))
            run_k(c, one);
        else fail(HISS_ERROR_ARGUMENT, "sampler %s is not there", kind);
    }
}

const parity_row PARITY_DIFFUSION[] = {{"diffusion", "denoiser", run_denoiser},
                                       {"diffusion", "sampler", run_sampler},
                                       {"diffusion", "schedule", run_schedule},
                                       {0}};
