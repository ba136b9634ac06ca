/* How diffusers' schedulers (0.42.1) lay out their levels, and which of hiss's samplers each is. */
#include "parity_diffusers.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/schedule.h"
#include "diffusion/shift.h"
#include "parity_schedules.h"

/* --- what the layouts share --- */

static double *spaced(config o, const char *otherwise, int64_t trained, int64_t n, bool whole) {
    const char *word = config_string(o, "timestep_spacing", otherwise);
    spacing kind = word[0] == 't' ? SPACING_TRAILING : word[1] == 'e' ? SPACING_LEADING : SPACING_LINSPACE;
    double *steps = spaced_steps(kind, trained, n, config_int(o, "steps_offset", 0, 0, 100), whole);
    return steps;
}

/* Linear in sigma between steps. */
double table_at(const scheduler *s, double step) {
    size_t low = (size_t) step, high = low + 1 < s->trained ? low + 1 : low;
    double w = step - (double) low;
    return (1 - w) * s->table[low] + (w > 0 ? w * s->table[high] : 0);
}

/* The sigmas between the ends of `from` by a schedule of that name, or false. */
static bool respaced(scheduler *s, config o, double most, double least) {
    static const char *const BY[][2] = {{"use_karras_sigmas", "karras"},
                                        {"use_exponential_sigmas", "exponential"},
                                        {"use_beta_sigmas", "beta"},
                                        {"use_lu_lambdas", "exponential"}};
    for (size_t i = 0; i < sizeof BY / sizeof *BY; i++)
        if (config_bool(o, BY[i][0], false)) {
            levels l = levels_between(schedule_find(BY[i][1]), s->n, least, most, 0);
            memcpy(s->levels, l.sigmas, (size_t) s->n * sizeof(double));
            return true;
        }
    return false;
}

static void list_as_they_are(scheduler *s) {
    s->told = s->steps;
    s->told_count = s->n;
    s->listed = s->own ? s->own : s->levels;
    s->listed_count = s->n + 1;
}

static double *doubled(const double *values, int64_t n) { /* all but the first twice */
    double *twice = NEW_ARRAY(double, 2 * n);
    twice[0] = values[0];
    for (int64_t i = 1; i < n; i++) twice[2 * i - 1] = twice[2 * i] = values[i];
    return twice;
}

/* --- layouts --- */

/* DDPM: every level is followed by the next of the list. */
static void lay_chain(scheduler *s, config o, config set) {
    size_t own = 0;
    double *given = config_has(set, "timesteps") ? config_numbers(set, "timesteps", 1000, &own) : NULL;
    if (own) s->n = (int64_t) own;
    s->steps = own ? given : spaced(o, "leading", (int64_t) s->trained, s->n, true);
    s->levels = NEW_ARRAY(double, s->n + 1);
    for (int64_t i = 0; i < s->n; i++) s->levels[i] = s->table[(size_t) s->steps[i]];
    list_as_they_are(s);
    s->options.wide = says(o, "variance_type", "fixed_large");
}

/* DDIM, PNDM: every level is followed by that T / n steps of training on, whatever the list says. */
static void lay_strides(scheduler *s, config o, config set) {
    (void) set;
    int64_t stride = (int64_t) s->trained / s->n;
    s->steps = spaced(o, "leading", (int64_t) s->trained, s->n, true);
    s->levels = NEW_ARRAY(double, s->n + 1);
    s->next = NEW_ARRAY(double, s->n);
    s->between = NEW_ARRAY(double, s->n);
    bool one = config_bool(o, "set_alpha_to_one", strcmp(s->name, "PNDM") != 0);
    double last = one ? 0 : s->table[0];
    for (int64_t i = 0; i < s->n; i++) {
        int64_t t = (int64_t) s->steps[i], to = t - stride, half = t - stride / 2;
        s->levels[i] = s->table[t];
        s->next[i] = to >= 0 ? s->table[to] : last;
        s->between[i] = half >= 0 ? s->table[half] : last;
    }
    s->levels[s->n] = s->next[s->n - 1];
    list_as_they_are(s);
}

static void lay_pndm(scheduler *s, config o, config set) {
    lay_strides(s, o, set);
    s->next = NULL;
    bool skip = config_bool(o, "skip_prk_steps", false);
    if (skip) { /* the second step is told twice */
        s->told_count = s->n + 1;
        s->told = NEW_ARRAY(double, s->told_count);
        for (int64_t i = 0; i <= s->n; i++) s->told[i] = s->steps[i < 2 ? i : i - 1];
        return;
    }
    s->kind = sampler_find("prk");
    double half = (double) ((int64_t) s->trained / s->n / 2);
    s->told_count = s->n + 9;
    s->told = NEW_ARRAY(double, s->told_count);
    for (int64_t i = 0; i < 3; i++) {
        double t = s->steps[i + 1];
        double four[] = {s->steps[i], t + half, t + half, t};
        memcpy(s->told + 4 * i, four, sizeof four);
    }
    for (int64_t i = 3; i < s->n; i++) s->told[9 + i] = s->steps[i];
}

static void lay_inverse(scheduler *s, config o, config set) {
    lay_strides(s, o, set);
    double *steps = NEW_ARRAY(double, s->n), *next = NEW_ARRAY(double, s->n);
    for (int64_t i = 0; i < s->n; i++) {
        int64_t t = (int64_t) s->steps[s->n - 1 - i], from = t - (int64_t) s->trained / s->n;
        steps[i] = (double) t;
        s->levels[i] = from >= 0 ? s->table[from] : config_bool(o, "set_alpha_to_one", true) ? 0 : s->table[0];
        next[i] = s->table[t];
    }
    s->steps = s->told = steps;
    s->next = next;
    s->levels[s->n] = next[s->n - 1];
}

/* Euler, LMS, Heun, DPM2: in sigma. */
static void lay_sigmas(scheduler *s, config o, config set) {
    (void) set;
    const char *spacing_word = config_string(o, "timestep_spacing", "linspace");
    s->steps = spaced(o, "linspace", (int64_t) s->trained, s->n, false);
    for (int64_t i = 0; i < s->n; i++) s->steps[i] = (double) (float) s->steps[i];
    s->levels = NEW_ARRAY(double, s->n + 1);
    for (int64_t i = 0; i < s->n; i++) s->levels[i] = table_at(s, s->steps[i]);
    bool whole = starts_with(s->name, "KDPM2");
    if (says(o, "interpolation_type", "log_linear"))
        for (int64_t i = 0; i <= s->n; i++)
            s->levels[i] =
                s->table[s->trained - 1] * pow(s->table[0] / s->table[s->trained - 1], (double) i / (double) s->n);
    if (respaced(s, o, s->levels[0], s->levels[s->n - 1]))
        for (int64_t i = 0; i < s->n; i++) {
            s->steps[i] = step_of_sigma(s->table, s->trained, s->levels[i]);
            if (whole && config_bool(o, "use_karras_sigmas", false)) s->steps[i] = rint(s->steps[i]);
        }
    s->levels[s->n] = 0;
    s->process = PROCESS_EXPLODING;
    s->first_std = strcmp(spacing_word, "leading") ? s->levels[0] : hypot(s->levels[0], 1);
    list_as_they_are(s);
    if (says(o, "interpolation_type", "log_linear")) { /* it lists the end of the table before the 0 */
        s->listed = NEW_ARRAY(double, s->n + 2);
        for (int64_t i = 0; i <= s->n; i++)
            s->listed[i] =
                s->table[s->trained - 1] * pow(s->table[0] / s->table[s->trained - 1], (double) i / (double) s->n);
        s->listed_count = s->n + 2;
    }
}

/* Two calls a step, the last one with a single one; these levels are listed. */
static void tell_twice(scheduler *s, const double *levels) {
    s->told = doubled(s->steps, s->n);
    s->told_count = 2 * s->n - 1;
    s->listed = doubled(levels, s->n);
    s->listed[2 * s->n - 1] = 0;
    s->listed_count = 2 * s->n;
}

static void lay_heun(scheduler *s, config o, config set) {
    lay_sigmas(s, o, set);
    tell_twice(s, s->levels);
}

/* A call at the level and one inside the step. */
static void lay_two_calls(scheduler *s, config o, config set) {
    lay_sigmas(s, o, set);
    bool noisy = !strcmp(s->name, "KDPM2AncestralDiscrete");
    s->told_count = 2 * s->n - 1;
    s->told = NEW_ARRAY(double, s->told_count);
    for (int64_t i = 0; i < s->n; i++) {
        double from = s->levels[i], to = s->levels[i + 1];
        if (noisy) to = to * to / from; /* the deterministic part's end, eta 1 */
        s->told[2 * i] = s->steps[i];
        if (i + 1 < s->n) s->told[2 * i + 1] = step_of_sigma(s->table, s->trained, sqrt(from * to));
    }
    s->listed = NEW_ARRAY(double, 2 * s->n + 2);
    memcpy(s->listed, doubled(s->levels, s->n), (size_t) (2 * s->n - 1) * sizeof(double));
    s->listed_count = 2 * s->n + 2;
}

/* DPM-Solver, UniPC, DEIS. */
static void lay_log_snr(scheduler *s, config o, config set) {
    (void) set;
    double lowest = config_number(o, "lambda_min_clipped", -INFINITY, -INFINITY, 1e9);
    int64_t last = (int64_t) s->trained;
    while (last > 1 && -log(s->table[last - 1]) < lowest) last--;
    s->levels = NEW_ARRAY(double, s->n + 1);
    bool zero = !says(o, "final_sigmas_type", "sigma_min") && !starts_with(s->name, "DEIS"),
         trailing = says(o, "timestep_spacing", "trailing");
    bool unipc = starts_with(s->name, "UniPC");
    if (config_bool(o, "use_flow_sigmas", false)) {
        s->process = PROCESS_STRAIGHT;
        s->own = NEW_ARRAY(double, s->n + 1);
        s->steps = NEW_ARRAY(double, s->n);
        for (int64_t i = 0; i < s->n; i++) {
            double T = (double) s->trained, t = 1 - (1 - 1 / T) * (double) i / (double) s->n;
            if (!unipc) t -= 1 / T; /* 1 - linspace(1, 1 / T), reversed: (1 - 1 / T) (n - i) / n */
            if (!unipc) t = (1 - 1 / T) * (double) (s->n - i) / (double) s->n;
            t = shift_odds(t, config_number(o, "flow_shift", 1, 0, 1000));
            if (unipc && fabs(t - 1) < 1e-6) t -= 1e-6;
            s->own[i] = t;
            s->steps[i] = t * T;
            s->levels[i] = sigma_at(PROCESS_STRAIGHT, t);
        }
        list_as_they_are(s);
        return;
    }
    s->steps =
        trailing ? spaced_steps(SPACING_TRAILING, last, s->n, 0, true) : spaced(o, "linspace", last, s->n + 1, true);
    for (int64_t i = 0; i < s->n; i++) s->levels[i] = table_at(s, s->steps[i]);
    bool cosine = says(o, "beta_schedule", "squaredcos_cap_v2");
    s->told_whole = respaced(s, o, s->table[s->trained - 1], s->table[0]);
    if (s->told_whole)
        for (int64_t i = 0; i < s->n; i++) {
            s->steps[i] = step_of_sigma(s->table, s->trained, s->levels[i]);
            bool rounds = config_bool(o, "use_karras_sigmas", false) || config_bool(o, "use_lu_lambdas", false);
            s->steps[i] = rounds && !cosine ? rint(s->steps[i]) : trunc(s->steps[i]);
        }
    s->levels[s->n] = zero ? 0 : s->table[0];
    list_as_they_are(s);
}

static void lay_edm(scheduler *s, config o, config set) {
    (void) set;
    bool cosine = starts_with(s->name, "Cosine");
    double least = config_number(o, "sigma_min", cosine ? 0.3 : 0.002, 0, 1e9);
    double most = config_number(o, "sigma_max", cosine ? 500 : 80, 0, 1e9);
    const char *by = config_string(o, "sigma_schedule", cosine ? "exponential" : "karras");
    s->levels = levels_between(schedule_find(by), s->n, least, most, 0).sigmas;
    if (says(o, "final_sigmas_type", "sigma_min")) s->levels[s->n] = least;
    s->steps = NEW_ARRAY(double, s->n);
    for (int64_t i = 0; i < s->n; i++) s->steps[i] = cosine ? atan(s->levels[i]) / M_PI * 2 : log(s->levels[i]) / 4;
    s->process = PROCESS_EXPLODING;
    s->first_std = hypot(most, 1);
    list_as_they_are(s);
}

static void lay_flow(scheduler *s, config o, config set) {
    double T = (double) s->trained, shift = config_number(o, "shift", 1, 0, 1000),
           mu = config_number(set, "mu", 0, -100, 100);
    bool moving = config_bool(o, "use_dynamic_shifting", false), heun = !strcmp(s->name, "FlowMatchHeunDiscrete");
    size_t own = 0;
    double *given = config_numbers(set, "sigmas", 1000, &own);
    if (own) s->n = (int64_t) own;
    double first = 1, last = moving ? 1 / T : shift_odds(1 / T, shift);
    s->own = NEW_ARRAY(double, s->n + 1);
    s->levels = NEW_ARRAY(double, s->n + 1);
    for (int64_t i = 0; i < s->n; i++) {
        double t = own ? given[i] : first + (last - first) * (s->n > 1 ? (double) i / (double) (s->n - 1) : 0);
        if (moving) t = shift_odds(t, says(o, "time_shift_type", "linear") ? mu : exp(mu));
        else t = shift_odds(t, shift);
        s->own[i] = t;
    }
    double terminal = config_number(o, "shift_terminal", 0, 0, 1);
    if (terminal > 0) {
        double scale = (1 - s->own[s->n - 1]) / (1 - terminal);
        for (int64_t i = 0; i < s->n; i++) s->own[i] = 1 - (1 - s->own[i]) / scale;
    }
    if (respaced(s, o, s->own[0], s->own[s->n - 1])) memcpy(s->own, s->levels, (size_t) s->n * sizeof(double));
    if (config_bool(o, "invert_sigmas", false)) {
        for (int64_t i = 0; i < s->n; i++) s->own[i] = 1 - s->own[i];
        s->own[s->n] = 1;
    }
    s->steps = NEW_ARRAY(double, s->n);
    for (int64_t i = 0; i < s->n; i++) s->steps[i] = s->own[i] * T;
    for (int64_t i = 0; i <= s->n; i++) s->levels[i] = sigma_at(PROCESS_STRAIGHT, s->own[i]);
    s->process = PROCESS_STRAIGHT;
    list_as_they_are(s);
    if (config_bool(o, "stochastic_sampling", false)) s->kind = sampler_find("ping-pong");
    s->options.slopes = PROCESS_STRAIGHT;
    if (!heun) return;
    tell_twice(s, s->own);
}

/* LCM, TCD: some of the steps that were distilled. */
static void lay_few(scheduler *s, config o, config set) {
    int64_t T = (int64_t) s->trained, original = config_int(o, "original_inference_steps", 50, 1, T);
    bool tcd = !strcmp(s->name, "TCD");
    int64_t every = T / original, count = (int64_t) ((double) original * config_number(set, "strength", 1, 0, 1));
    if (tcd && config_has(set, "original_inference_steps")) every = 1, count = T;
    s->steps = NEW_ARRAY(double, s->n);
    s->levels = NEW_ARRAY(double, s->n + 1);
    s->between = NEW_ARRAY(double, s->n);
    for (int64_t i = 0; i < s->n; i++) {
        int64_t index = (int64_t) floor((double) i * (double) count / (double) s->n);
        s->steps[i] = (double) ((count - index) * every - 1);
        if (tcd && every == 1) s->steps[i] = (double) (count - 1 - index);
        s->levels[i] = s->table[(size_t) s->steps[i]];
    }
    list_as_they_are(s);
    if (!tcd) return;
    s->levels[s->n] = s->table[0];
}

static void lay_consistency(scheduler *s, config o, config set) {
    (void) set;
    int64_t T = config_int(o, "num_train_timesteps", 40, 1, 10000);
    double least = config_number(o, "sigma_min", 0.002, 0, 1e9), most = config_number(o, "sigma_max", 80, 0, 1e9);
    s->levels = NEW_ARRAY(double, s->n + 1);
    s->steps = NEW_ARRAY(double, s->n);
    for (int64_t i = 0; i < s->n; i++) {
        double ramp = (double) (i * (T / s->n)) / (double) (T - 1);
        s->levels[i] = schedule_find("karras")->at(ramp, least, most, 7);
        s->steps[i] = 250 * log(s->levels[i] + 1e-44);
    }
    s->levels[s->n] = least;
    s->process = PROCESS_EXPLODING;
    s->first_std = most;
    s->options.floor = least;
    s->options.noise = config_number(o, "s_noise", 1, 0, 10);
    list_as_they_are(s);
}

static void lay_decoder(scheduler *s, config o, config set) {
    (void) set, (void) o;
    static const double STEPS[] = {1008, 512};
    s->steps = memcpy(NEW_ARRAY(double, 2), STEPS, sizeof STEPS);
    s->levels = NEW_ARRAY(double, 3);
    for (int i = 0; i < 2; i++) s->levels[i] = s->table[(size_t) STEPS[i]];
    s->first_std = mixing_at(PROCESS_ROTATING, s->levels[0]).b;
    list_as_they_are(s);
}

static void lay_angles(scheduler *s, config o, config set) {
    size_t own = 0;
    double *given = config_has(set, "timesteps") ? config_numbers(set, "timesteps", 100, &own) : NULL;
    double most = config_number(set, "max_timesteps", 1.5708, 0, 2);
    bool named = json_object_get(set.value, "intermediate_timesteps") != NULL;
    s->steps = NEW_ARRAY(double, s->n + 1);
    for (int64_t i = 0; i <= s->n; i++) s->steps[i] = most * (1 - (double) i / (double) s->n);
    if (!named && s->n == 2) s->steps[1] = 1.3;
    if (own) memcpy(s->steps, given, own * sizeof(double));
    s->levels = NEW_ARRAY(double, s->n + 1);
    for (int64_t i = 0; i <= s->n; i++) s->levels[i] = sigma_at(PROCESS_ROTATING, s->steps[i]);
    s->unit = config_number(o, "sigma_data", 0.5, 0, 100);
    list_as_they_are(s);
    s->told_count = s->n + 1;
}

/* --- the table --- */

static const scheduler_row SCHEDULERS[] = {{"DDPM", lay_chain, "ddpm"},
                                           {"DDIM", lay_strides, "ddim"},
                                           {"DDIMInverse", lay_inverse, "ddim"},
                                           {"PNDM", lay_pndm, "plms"},
                                           {"LMSDiscrete", lay_sigmas, "lms"},
                                           {"EulerDiscrete", lay_sigmas, "euler"},
                                           {"EulerAncestralDiscrete", lay_sigmas, "euler-ancestral"},
                                           {"HeunDiscrete", lay_heun, "heun"},
                                           {"KDPM2Discrete", lay_two_calls, "dpm-2"},
                                           {"KDPM2AncestralDiscrete", lay_two_calls, "dpm-2-ancestral"},
                                           {"DPMSolverMultistep", lay_log_snr, "dpmpp-2m"},
                                           {"DPMSolverSinglestep", lay_log_snr, "dpmpp-2s"},
                                           {"UniPCMultistep", lay_log_snr, "unipc"},
                                           {"DEISMultistep", lay_log_snr, "deis"},
                                           {"EDMEuler", lay_edm, "euler"},
                                           {"EDMDPMSolverMultistep", lay_edm, "dpmpp-2m"},
                                           {"CosineDPMSolverMultistep", lay_edm, "dpmpp-2m"},
                                           {"FlowMatchEulerDiscrete", lay_flow, "euler"},
                                           {"FlowMatchHeunDiscrete", lay_flow, "heun"},
                                           {"FlowMatchLCM", lay_flow, "ping-pong"},
                                           {"LCM", lay_few, "ping-pong"},
                                           {"TCD", lay_few, "tcd"},
                                           {"CMStochasticIterative", lay_consistency, "ping-pong"},
                                           {"ConsistencyDecoder", lay_decoder, "ping-pong"},
                                           {"SCM", lay_angles, "ping-pong"}};

const scheduler_row *scheduler_row_of(const char *name) {
    for (size_t i = 0; i < sizeof SCHEDULERS / sizeof *SCHEDULERS; i++)
        if (!strcmp(SCHEDULERS[i].name, name)) return &SCHEDULERS[i];
    fail(HISS_ERROR_ARGUMENT, "diffusers' %s is not there", name);
}
