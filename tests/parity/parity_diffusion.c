/* Parity of samplers on the exact denoiser: k-diffusion's, lmnt's and AudioLDM's; those of other originals are in their files.
 * P points, D = 4. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/schedule.h"
#include "parity_diffusers.h"
#include "parity_guidance.h"
#include "parity_inpainting.h"
#include "parity_mixture.h"
#include "parity_objectives.h"
#include "parity_schedules.h"
#include "parity_stable.h"

static void run_denoiser(parity_case *c) {
    tensor *x = parity_in_f32(c, "x"), *a = parity_in_f32(c, "a"), *b = parity_in_f32(c, "b");
    static const char *const NAMES[] = {"x0", "eps", "v", "flow"};
    static const objective OF[] = {PREDICT_CLEAN, PREDICT_NOISE, PREDICT_V, PREDICT_FLOW};
    tensor *out[4];
    for (int o = 0; o < 4; o++) out[o] = tensor_new(F32, shape_of(x));
    for (int64_t p = 0; p < x->shape[0]; p++) {
        mixing at = {(double) f32(a)[p], (double) f32(b)[p]};
        tensor *point = tensor_wrap(F32, SHAPE(1, D), f32(x) + p * D);
        estimate e = mixture_estimate(point, at, NULL, 0);
        for (int o = 0; o < 4; o++) memcpy(f32(out[o]) + p * D, f32(prediction_of(OF[o], at, e)), D * sizeof(float));
    }
    for (int o = 0; o < 4; o++) parity_out(c, NAMES[o], out[o]);
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

static void run_k(parity_case *c, config one) {
    run r = run_begin(c, one);
    config o = r.options;
    r.by_step = true;
    tensor *sigmas = run_in(&r, "sigmas");
    r.s.steps = sigmas ? count(sigmas) - 1 : 0;
    if (sigmas) r.s.sigmas = numbers_of(sigmas);
    r.s.options = (sampler_options){.eta = config_number(o, "eta", -1, 0, 10),
                                    .noise = config_number(o, "s_noise", 1, 0, 10),
                                    .churn = config_number(o, "s_churn", 0, 0, 1000),
                                    .low = config_number(o, "s_tmin", 0, 0, 1e9),
                                    .high = config_number(o, "s_tmax", 0, 0, 1e9),
                                    .middle = config_number(o, "r", 0.5, 0, 1),
                                    .order = (int) config_int(o, "order", 0, 0, 4),
                                    .heun = !strcmp(config_string(o, "solver_type", "midpoint"), "heun"),
                                    .rtol = config_number(o, "rtol", 0, 0, 1),
                                    .atol = config_number(o, "atol", 0, 0, 1),
                                    .first = config_number(o, "h_init", 0, 0, 10),
                                    .safe = config_number(o, "accept_safety", 0, 0, 1),
                                    .p = config_number(o, "pcoeff", 0, 0, 1),
                                    .i = config_number(o, "icoeff", 0, 0, 1),
                                    .d = config_number(o, "dcoeff", 0, 0, 1)};
    if (!sigmas) { /* those that choose their own levels between two */
        int64_t n = config_int(o, "n", 1, 1, 1000);
        double *ends = NEW_ARRAY(double, n + 1);
        ends[0] = config_number(o, "sigma_max", 0, 0, 1e9);
        ends[n] = config_number(o, "sigma_min", 0, 0, 1e9);
        r.s.sigmas = ends;
        r.s.steps = n;
    }
    const sampler *kind = sampler_named(config_need_string(one, "sampler"));
    r.by_try = !strcmp(kind->name, "dpm-adaptive");
    run_finish(&r, kind, run_in(&r, "x"));
    double info[] = {(double) r.watched, (double) r.calls, (double) r.accepted, (double) (r.watched - r.accepted)};
    if (r.by_try) compare_numbers(c, run_name(&r, "info"), info, 4);
}

/* lmnt's loops: levels by the betas of their schedule, from the most noise to the least. */
static void run_lmnt(parity_case *c, config one, bool wavegrad) {
    run r = run_begin(c, one);
    config o = r.options;
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
    levels l = levels_of_betas(betas, n);
    double *told = NEW_ARRAY(double, n);
    for (size_t i = 0; i < n; i++) {
        double bar = vp_alpha_bar(l.sigmas[i]);
        told[i] = wavegrad ? sqrt(bar) : training_step_at(train, trained, bar);
    }
    r.s.sigmas = l.sigmas;
    r.s.steps = l.steps;
    r.process = PROCESS_ROTATING;
    r.by_step = true;
    r.thinned = r.s.steps;
    run_finish(&r, sampler_find("paper"), run_in(&r, "x"));
    compare_numbers(c, run_name(&r, wavegrad ? "level" : "t"), told, n);
}

static void run_sampler(parity_case *c) {
    config runs = config_get(parity_config(c), "runs");
    for (size_t i = 0; i < config_count(runs); i++) {
        config one = config_at(runs, i);
        const char *kind = config_string(one, "sampler", "");
        if (!strcmp(kind, "diffwave") || !strcmp(kind, "wavegrad")) run_lmnt(c, one, kind[0] == 'w');
        else if (starts_with(kind, "ldm_")) run_ldm(c, one);
        else if (starts_with(kind, "k_")) run_k(c, one);
        else if (!strcmp(kind, "diffusers")) run_diffusers(c, one);
        else if (config_has(one, "seed")) run_seed(c, one);
        else run_stable(c, one);
    }
}

const parity_row PARITY_DIFFUSION[] = {
    {"diffusion", "denoiser", run_denoiser},     {"diffusion", "sampler", run_sampler},
    {"diffusion", "schedule", run_schedule},     {"diffusion", "guidance", run_guidance},
    {"diffusion", "inpainting", run_inpainting}, {"diffusion", "objective", run_objective},
    {"diffusion", "loss", run_losses},           {0}};
