/* Parity of noise schedules. */
#include "parity_schedules.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/schedule.h"
#include "parity_diffusers.h"
#include "parity_stable.h"

static void compare(parity_case *c, const char *name, const double *values, size_t n) {
    compare_numbers(c, name, values, n);
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

double *betas_of(config o, const char *name, size_t *n) {
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

/* --- diffusers --- */

static void run_scheduler(parity_case *c, config one) {
    const char *name = config_need_string(one, "name");
    scheduler s = scheduler_of(one);
    compare_numbers(c, format("%s.timesteps", name), s.told, (size_t) s.told_count);
    compare_numbers(c, format("%s.sigmas", name), s.listed, (size_t) s.listed_count);
    compare_numbers(c, format("%s.init_noise_sigma", name), &s.first_std, 1);
}

/* --- stable-audio --- */

static void run_length(parity_case *c, config o, const char *name) {
    size_t n;
    double *seconds = config_numbers(o, "seconds_total", 100, &n), *frames = NEW_ARRAY(double, n);
    for (size_t i = 0; i < n; i++)
        frames[i] = (double) latent_frames(seconds[i], config_need_int(o, "sample_rate", 1, 1000000),
                                           config_need_int(o, "downsampling_ratio", 1, 1000000));
    compare(c, name, frames, n);
}

/* shift of a linspace, rising or falling */
static void run_shift(parity_case *c, config o, const char *name, bool three) {
    bool falling = config_need_string(o, "t")[9] == '1';
    int n = three ? 9 : 11;
    time_shift s = shift_of(config_has(o, "dist_shift") ? config_get(o, "dist_shift") : o);
    double *times = NEW_ARRAY(double, n);
    for (int i = 0; i < n; i++) {
        double t = (double) i / (n - 1);
        times[i] = shift_time(&s, falling ? 1 - t : t, config_number(o, "seq_len", 1, 0, 1e9));
    }
    compare(c, name, times, (size_t) n);
}

static void run_build(parity_case *c, config o, const char *name) {
    size_t own = 0;
    bool each = json_is_array(json_object_get(o.value, "effective_seq_len"));
    double *lengths = each ? config_numbers(o, "effective_seq_len", 64, &own) : NULL;
    double fallback = config_number(o, "fallback_seq_len", 1, 0, 1e9),
           length = each ? 0 : config_number(o, "effective_seq_len", fallback, 0, 1e9);
    int64_t n = config_need_int(o, "steps", 1, 1000), kept = n + config_bool(o, "include_endpoint", true);
    time_shift s = shift_of(config_get(o, "dist_shift"));
    size_t rows = each && s.kind != SHIFT_NONE ? own : 1;
    double *all = NEW_ARRAY(double, rows *(size_t) kept);
    for (size_t b = 0; b < rows; b++)
        memcpy(all + b * (size_t) kept,
               times_shifted(&s, config_number(o, "sigma_max", 1, 0, 1), n, each ? lengths[b] : length),
               (size_t) kept * sizeof(double));
    compare(c, name, all, rows * (size_t) kept);
}

static void run_conversions(parity_case *c) {
    tensor *t = parity_in_f32(c, "t"), *sigma = parity_in_f32(c, "sigma");
    int64_t n = count(t), m = count(sigma);
    double *out[3], *back = NEW_ARRAY(double, n), *scale[4];
    for (int k = 0; k < 3; k++) out[k] = NEW_ARRAY(double, n);
    for (int k = 0; k < 4; k++) scale[k] = NEW_ARRAY(double, m);
    for (int64_t i = 0; i < n; i++) {
        double angle = (double) f32(t)[i] * M_PI / 2, s = sigma_at(PROCESS_ROTATING, angle);
        mixing at = mixing_at(PROCESS_ROTATING, s);
        double all[] = {at.a, at.b, time_of(PROCESS_ROTATING, s) * 2 / M_PI};
        for (int k = 0; k < 3; k++) out[k][i] = all[k];
        back[i] = s;
    }
    for (int64_t i = 0; i < m; i++) { /* the network's v at (a, b) = a (1, sigma): x0 = a x' - b v of x' = a x */
        double s = (double) f32(sigma)[i];
        mixing at = mixing_at(PROCESS_ROTATING, s);
        double all[] = {time_of(PROCESS_ROTATING, s) * 2 / M_PI, at.a * at.a, -at.b, at.a};
        for (int k = 0; k < 4; k++) scale[k][i] = all[k];
    }
    static const char *const NAMES[] = {"alpha", "sigma", "t_again"}, *const SCALES[] = {"v.sigma_to_t", "v.c_skip",
                                                                                         "v.c_out", "v.c_in"};
    for (int k = 0; k < 3; k++) compare(c, NAMES[k], out[k], (size_t) n);
    for (int k = 0; k < 4; k++) compare(c, SCALES[k], scale[k], (size_t) m);
    compare(c, "v.t_to_sigma", back, (size_t) n - 1);
}

static void run_one(parity_case *c, config one) {
    const char *name = config_need_string(one, "name"), *original = config_string(one, "original", "");
    config o = config_has(one, "options") ? config_get(one, "options") : one;
    if (starts_with(original, "diffusers ")) run_scheduler(c, one);
    else if (strstr(original, "sample_rf")) {
        int64_t n = config_need_int(o, "steps", 1, 1000);
        compare(c, name, times_log_snr(config_number(o, "sigma_max", 1, 0, 1), n), (size_t) n + 1);
    } else if (strstr(original, "time_shift")) run_shift(c, o, name, false);
    else if (!strcmp(original, "shift()")) run_shift(c, o, name, true);
    else if (strstr(original, "build_schedule")) run_build(c, o, name);
    else if (starts_with(original, "compute_effective")) run_length(c, o, name);
    else fail(HISS_ERROR_ARGUMENT, "schedule %s is not there", original);
}

void run_schedule(parity_case *c) {
    config runs = config_get(parity_config(c), "runs"), first = config_at(runs, 0);
    const char *name = config_need_string(first, "name"), *original = config_string(first, "original", "");
    if (starts_with(original, "k_diffusion")) run_sigmas(c);
    else if (parity_has_out(c, format("%s.alphas_cumprod", name))) run_betas(c);
    else
        for (size_t i = 0; i < config_count(runs); i++) run_one(c, config_at(runs, i));
    if (parity_has_out(c, "t_again")) run_conversions(c);
}
