/* Parity of noise schedules. */
#include "parity_schedules.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/schedule.h"

static void compare(parity_case *c, const char *name, const double *values, size_t n) {
    tensor *t = tensor_new(F64, SHAPE((int64_t) n));
    memcpy(t->data, values, n * sizeof(double));
    parity_out(c, name, t);
}

/* The originals' names of a kind. */
static const char *own_name(const char *name, bool latent) {
    static const char *const NAMES[][2] = {
        {"scaled_linear", "scaled-linear"}, {"squaredcos_cap_v2", "cosine"}, {"sqrt_linear", "linear"}};
    if (latent && !strcmp(name, "linear")) return "scaled-linear";
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (!strcmp(NAMES[i][0], name)) return NAMES[i][1];
    return name;
}

static double *betas_of(config o, const char *name, size_t *n) {
    bool latent = starts_with(name, "ldm_");
    double *given = config_numbers(o, "betas", 10000, n);
    if (*n) return given;
    *n = 50;
    if (!strcmp(name, "diffwave")) return betas_make(beta_schedule_find("linear"), *n, 1e-4, 0.05);
    if (!strcmp(name, "diffwave_fast")) {
        static const double FAST[] = {0.0001, 0.001, 0.01, 0.05, 0.2, 0.5};
        *n = 6;
        return memcpy(NEW_ARRAY(double, 6), FAST, sizeof FAST);
    }
    if (!strcmp(name, "wavegrad")) {
        *n = 1000;
        return betas_make(beta_schedule_find("linear"), *n, 1e-6, 0.01);
    }
    const char *kind = config_string(o, "beta_schedule",
                                     config_string(o, "schedule", config_string(o, "alpha_transform_type", "linear")));
    *n = (size_t) config_int(
        o, "num_train_timesteps",
        config_int(o, "n_timestep", config_int(o, "num_diffusion_timesteps", 1000, 1, 10000), 1, 10000), 1, 10000);
    double start = config_number(o, "beta_start", config_number(o, "linear_start", 1e-4, 0, 1), 0, 1);
    double end = config_number(o, "beta_end", config_number(o, "linear_end", 0.02, 0, 1), 0, 1);
    double *betas = betas_make(beta_schedule_find(own_name(kind, latent)), *n, start, end);
    if (config_bool(o, "rescale_betas_zero_snr", false)) betas_end_in_noise(betas, *n);
    return betas;
}

static void run_betas(parity_case *c) {
    config runs = config_get(parity_config(c), "runs");
    for (size_t i = 0; i < config_count(runs); i++) {
        const char *name = config_need_string(config_at(runs, i), "name");
        size_t n = 0;
        double *betas = betas_of(config_get(config_at(runs, i), "options"), name, &n);
        char *bars = format("%s.alphas_cumprod", name), *own = format("%s.betas", name);
        if (parity_has_out(c, own)) compare(c, own, betas, n);
        if (parity_has_out(c, bars)) compare(c, bars, alpha_bars_of(betas, n), n);
    }
}

static void run_discrete(parity_case *c, config o, const char *name) {
    size_t n = 0;
    double *betas = betas_of(o, name, &n), *bars = alpha_bars_of(betas, n), *sigmas = NEW_ARRAY(double, n);
    for (size_t i = 0; i < n; i++) sigmas[i] = vp_sigma(bars[i]);
    tensor *sigma = parity_in_f32(c, format("%s.sigma", name)), *t = parity_in_f32(c, format("%s.t", name));
    double *steps = NEW_ARRAY(double, count(sigma)), *levels = NEW_ARRAY(double, count(t));
    tensor *nearest = tensor_zero(I64, SHAPE(count(sigma)));
    for (int64_t i = 0; i < count(sigma); i++) {
        double s = (double) f32(sigma)[i];
        steps[i] = step_of_sigma(sigmas, n, s);
        int64_t *best = (int64_t *) nearest->data + i;
        for (size_t k = 0; k < n; k++)
            if (fabs(log(s / sigmas[k])) < fabs(log(s / sigmas[*best]))) *best = (int64_t) k;
    }
    for (int64_t i = 0; i < count(t); i++) levels[i] = sigma_of_step(sigmas, n, (double) f32(t)[i]);
    compare(c, format("%s.sigma_to_t", name), steps, (size_t) count(sigma));
    parity_out(c, format("%s.sigma_to_t_quantized", name), nearest);
    compare(c, format("%s.t_to_sigma", name), levels, (size_t) count(t));
    for (size_t k = 1; k <= 100; k++) {
        char *out = format("%s.sigmas_%zu", name, k);
        double *values = NEW_ARRAY(double, k + 1);
        if (!parity_has_out(c, out)) continue;
        for (size_t i = 0; i < k; i++)
            values[i] = sigma_of_step(
                sigmas, n, k > 1 ? (double) (n - 1) * (1 - (double) i / (double) (k - 1)) : (double) (n - 1));
        compare(c, out, values, k + 1);
    }
}

static void run_sigmas(parity_case *c) {
    config runs = config_get(parity_config(c), "runs");
    for (size_t i = 0; i < config_count(runs); i++) {
        config one = config_at(runs, i), o = config_get(one, "options");
        const char *name = config_need_string(one, "name"),
                   *original = strstr(config_need_string(one, "original"), "get_sigmas_");
        if (!original) {
            run_discrete(c, o, name);
            continue;
        }
        int64_t n = config_need_int(o, "n", 1, 10000);
        const schedule *kind = schedule_find(original + strlen("get_sigmas_"));
        levels l = kind ? levels_between(kind, n, config_number(o, "sigma_min", 0.1, 0, 1e9),
                                         config_number(o, "sigma_max", 10, 0, 1e9), config_number(o, "rho", 0, 0, 100))
                        : levels_vp(n, config_number(o, "beta_d", 19.9, 0, 1e3),
                                    config_number(o, "beta_min", 0.1, 0, 1e3), config_number(o, "eps_s", 1e-3, 0, 1));
        compare(c, name, l.sigmas, (size_t) n + 1);
    }
}

void run_schedule(parity_case *c) {
    config first = config_at(config_get(parity_config(c), "runs"), 0);
    const char *name = config_need_string(first, "name"), *original = config_string(first, "original", "");
    if (starts_with(original, "k_diffusion")) run_sigmas(c);
    else if (parity_has_out(c, format("%s.alphas_cumprod", name))) run_betas(c);
    else fail(HISS_ERROR_ARGUMENT, "schedule %s is not there", original);
}
