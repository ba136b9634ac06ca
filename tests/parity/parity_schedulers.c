/* diffusers' schedulers (0.42.1) from their options: a layout of levels (parity_layouts.c) and a row of hiss's samplers with options. */
#include "parity_diffusers.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/schedule.h"

static const char *class_of(config one) {
    const char *original = config_need_string(one, "original"), *at = original + strlen("diffusers ");
    if (!starts_with(original, "diffusers ")) return original;
    const char *with = strstr(at, "with ");
    if (with) at = with + 5;
    const char *end = strstr(at, "Scheduler");
    return format("%.*s", end ? (int) (end - at) : (int) strlen(at), at);
}

static void read_table(scheduler *s, config o) {
    bool few = !strcmp(s->name, "LCM") || !strcmp(s->name, "TCD");
    double *betas;
    if (!strcmp(s->name, "ConsistencyDecoder")) {
        s->trained = 1024;
        betas = betas_make(beta_schedule_find("cosine"), s->trained, 0, 0);
    } else if (few && !config_has(o, "beta_schedule")) {
        s->trained = 1000;
        betas = betas_make(beta_schedule_find("scaled-linear"), s->trained, 0.00085, 0.012);
    } else {
        betas = betas_of(o, "", &s->trained);
    }
    s->bars = alpha_bars_of(betas, s->trained);
    s->table = NEW_ARRAY(double, s->trained);
    bool infinite = !strcmp(s->name, "DDPM") || starts_with(s->name, "DDIM") || !strcmp(s->name, "LCM");
    for (size_t i = 0; i < s->trained; i++) s->table[i] = fmin(vp_sigma(s->bars[i]), NO_SIGNAL);
    if (config_bool(o, "rescale_betas_zero_snr", false))
        s->table[s->trained - 1] = infinite ? NO_SIGNAL : vp_sigma(0x1p-24);
}

static void read_solver(scheduler *s, config o, config step) {
    sampler_options *p = &s->options;
    const char *algorithm = config_string(o, "algorithm_type", "dpmsolver++");
    p->eta = config_number(step, "eta", -1, 0, 10);
    if (starts_with(algorithm, "sde") || starts_with(s->name, "Cosine")) p->eta = 1;
    p->noise = config_number(step, "s_noise", p->noise != 0 ? p->noise : 1, 0, 10);
    p->churn = config_number(step, "s_churn", 0, 0, 1000);
    if (!strcmp(s->name, "FlowMatchHeunDiscrete")) p->churn *= (double) s->n / (double) (2 * s->n - 1);
    p->low = config_number(step, "s_tmin", 0, 0, 1e9);
    p->high = config_number(step, "s_tmax", 0, 0, 1e9);
    bool multi = strstr(s->name, "Multistep") || strstr(s->name, "Singlestep");
    p->order = (int) config_int(o, "solver_order", config_int(step, "order", multi ? 2 : 0, 0, 4), 0, 4);
    p->heun = says(o, "solver_type", "heun");
    p->plain = says(o, "solver_type", "bh1");
    p->of_noise =
        !strcmp(algorithm, "dpmsolver") || !strcmp(algorithm, "sde-dpmsolver") || !config_bool(o, "predict_x0", true);
    bool lower = config_bool(o, "lower_order_final", !strstr(s->name, "Singlestep")), short_run = s->n < 15;
    if (multi)
        p->taper = lower && (short_run || starts_with(s->name, "UniPC") || strstr(s->name, "Singlestep")) ? TAPER_ALL
                   : config_bool(o, "euler_at_final", false)                                              ? TAPER_LAST
                                                                                                          : TAPER_NONE;
    p->averaged = says(o, "prediction_type", "v_prediction") ? PREDICT_V : PREDICT_NOISE;
    p->skewed = p->eta == 1 && !strcmp(s->name, "DPMSolverMultistep");
    size_t count = 0;
    double *off = config_numbers(o, "disable_corrector", 64, &count);
    for (size_t i = 0; i < count; i++) p->uncorrected |= UINT64_C(1) << (int) off[i];
    bool clips = !strcmp(s->name, "DDIM") || !strcmp(s->name, "DDPM");
    if (config_bool(o, "clip_sample", clips) ||
        config_bool(o, "clip_denoised", !strcmp(s->name, "CMStochasticIterative")))
        p->clip = config_number(o, "clip_sample_range", 1, 0, 100);
    p->clip_noise = config_bool(step, "use_clipped_model_output", false);
}

/* TCD: where the noise of each step begins. */
static void read_gamma(scheduler *s, config step) {
    if (strcmp(s->name, "TCD") != 0) return;
    double eta = config_number(step, "eta", 0.3, 0, 1);
    for (int64_t i = 0; i < s->n; i++) {
        double next = i + 1 < s->n ? s->steps[i + 1] : 0;
        s->between[i] = s->table[(size_t) floor((1 - eta) * next)];
    }
}

static config part(config one, const char *key) {
    return config_has(one, key) ? config_get(one, key) : config_parse("{}", 2, key);
}

scheduler scheduler_of(config one) {
    scheduler s = {.name = class_of(one), .process = PROCESS_ROTATING, .unit = 1, .first_std = 1};
    config o = part(one, "options"), set = part(one, "set_timesteps"), step = part(one, "step_options");
    s.n = config_int(one, "steps", config_int(set, "num_inference_steps", 1, 1, 10000), 1, 10000);
    const scheduler_row *row = scheduler_row_of(s.name);
    s.kind = sampler_find(row->sampler);
    read_table(&s, o);
    row->lay(&s, o, set);
    read_solver(&s, o, step);
    read_gamma(&s, step);
    return s;
}
