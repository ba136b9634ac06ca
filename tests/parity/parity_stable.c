/* Parity of stable-audio-tools' and stable-audio-3's samplers and schedules. */
#include "parity_stable.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "base/torch_random.h"
#include "diffusion/brownian.h"
#include "diffusion/schedule.h"
#include "parity_inpainting.h"

time_shift shift_of(config o) {
    static const char *const KINDS[] = {"none", "flux", "full", "logsnr"};
    const char *kind = config_string(o, "type", "full");
    time_shift s = {.kind = SHIFT_NONE};
    for (int k = 0; k < 4; k++)
        if (!strcmp(kind, KINDS[k])) s.kind = (shift_kind) k;
    s.short_length = config_number(o, "min_length", 256, 0, 1e9);
    s.long_length = config_number(o, "max_length", 4096, 0, 1e9);
    s.short_alpha = s.kind == SHIFT_POWER ? log(config_number(o, "alpha_min", 1, 0, 1e9))
                                          : config_number(o, "base_shift", 0.5, -100, 100);
    s.long_alpha = s.kind == SHIFT_POWER ? log(config_number(o, "alpha_max", 1, 0, 1e9))
                                         : config_number(o, "max_shift", 1.15, -100, 100);
    s.sine = config_bool(o, "use_sine", false);
    s.anchor_length = config_number(o, "anchor_length", 2000, 0, 1e9);
    s.anchor = config_number(o, "anchor_logsnr", -6.2, -100, 100);
    s.rate = config_number(o, "rate", 1, -100, 100);
    s.end = config_number(o, "logsnr_end", 2, -100, 100);
    return s;
}

static tensor *first_state(run *r, const tensor *x, mixing at) {
    tensor *init = run_in(r, "init");
    return init ? mix(at, init, x) : scaled_by(x, 1);
}

/* k-diffusion's samplers on even log sigmas; states in units of the signal. */
static void run_sample_k(run *r, config one, const char *type) {
    double least = config_number(r->options, "sigma_min", 0.01, 0, 1e9),
           most = config_number(r->options, "sigma_max", 100, 0, 1e9),
           rho = config_number(r->options, "rho", 1, 0, 100);
    int64_t n = config_int(one, "steps", 10, 1, 1000);
    levels l = levels_between(schedule_find("polyexponential"), n, least, most, rho);
    r->s.sigmas = l.sigmas;
    r->s.steps = n;
    const char *name = starts_with(type, "k-") ? type + 2 : type;
    if (!strcmp(name, "dpmpp-2s-ancestral")) name = "dpmpp-2s-a";
    if (strstr(name, "fast") || strstr(name, "adaptive")) l.sigmas[n] = least;
    if (strstr(name, "fast")) l.sigmas[0] = most;
    r->s.options.rtol = r->s.options.atol = 0.01;
    r->shown = PROCESS_ROTATING; /* what the v network sees */
    r->shown_else = true;
    tensor *x = run_in(r, "x");
    inpaint_run(r, n);
    if (r->s.touch) inpaint_start(r, x, most);
    else x = run_in(r, "init") ? first_state(r, x, (mixing){1, most}) : scaled_by(x, most);
    run_finish(r, sampler_find(name), x);
}

/* DDIM in the angle, t from sigma_max without 0; the result is the last estimate. */
static void run_v_ddim(run *r, config one) {
    double most = fmin(config_number(r->options, "sigma_max", 1, 0, 1e9), 1);
    int64_t n = config_int(one, "steps", config_int(r->options, "steps", 10, 1, 1000), 1, 1000);
    double *angles = NEW_ARRAY(double, n + 1);
    for (int64_t i = 0; i < n; i++) {
        double t = most * (1 - (double) i / (double) n);
        if (config_has(r->options, "dist_shift")) {
            time_shift shift = shift_of(config_get(r->options, "dist_shift"));
            t = shift_time(&shift, t, (double) config_int(one, "length", 1, 1, 1000));
        }
        angles[i] = t * M_PI / 2;
    }
    r->process = PROCESS_ROTATING;
    levels l = levels_of_times(r->process, angles, n);
    r->s.sigmas = l.sigmas;
    r->s.steps = n;
    r->s.options.eta = config_number(r->options, "eta", 0, 0, 10);
    double angle = most * M_PI / 2;
    run_finish(r, sampler_find("ddim"), first_state(r, run_in(r, "x"), (mixing){cos(angle), sin(angle)}));
}

/* --- rectified flow --- */

static const sampler *flow_sampler(const char *type) {
    if (!strcmp(type, "pingpong")) return sampler_find("ping-pong");
    return sampler_find(!strcmp(type, "dpmpp") ? "dpmpp-2m" : type);
}

static void run_flow(run *r, const double *times, int64_t n, const char *type, tensor *x) {
    r->process = PROCESS_STRAIGHT;
    levels l = levels_of_times(r->process, times, n);
    r->s.sigmas = l.sigmas;
    r->s.steps = n;
    run_finish(r, flow_sampler(type), x);
}

static void run_sat_flow(run *r, config one, const char *type, bool as_called) {
    int64_t n = config_int(one, "steps", 10, 1, 1000), length = config_int(one, "length", 1, 1, 1000);
    double most = config_number(r->options, "sigma_max", 1, 0, 1e9);
    time_shift shift = {.kind = SHIFT_NONE};
    if (config_has(r->options, "dist_shift")) shift = shift_of(config_get(r->options, "dist_shift"));
    double *times = as_called && strcmp(type, "rk4") != 0 ? times_log_snr(most, n)
                                                          : times_shifted(&shift, most, n, (double) length);
    run_flow(r, times, n, type, first_state(r, run_in(r, "x"), (mixing){1 - most, most}));
}

/* rk4 never calls the network at 0. */
static estimate answer_above_zero(run *r, const tensor *x, double sigma) {
    static const double LEAST = 1e-5;
    if (sigma >= LEAST) return mixture_estimate(x, (mixing){1, sigma}, r->weights, 0);
    mixing at = {1 - LEAST, LEAST};
    return mixture_estimate(x, at, r->weights, 0);
}

/* A batch element by its own schedule: elements of a batch follow one another, each `length` points. */
static void run_sa3(run *r, config one) {
    config o = r->options;
    const char *type = config_need_string(o, "sampler_type");
    int64_t n = config_int(o, "steps", config_int(one, "steps", 10, 1, 1000), 1, 1000),
            batch = config_int(one, "batch", 1, 1, 64);
    double most = config_number(o, "init_noise_level", 1, 0, 1);
    time_shift shift = shift_of(config_get(o, "dist_shift"));
    size_t lengths = 0;
    double *each = config_has(o, "effective_seq_len") ? config_numbers(o, "effective_seq_len", 64, &lengths) : NULL,
           fallback = config_number(o, "fallback_seq_len", (double) config_int(one, "length", 1, 1, 1000), 0, 1e9);
    tensor *x = first_state(r, run_in(r, "x"), (mixing){1 - most, most}), *all = r->xs, *noise = r->noise;
    int64_t points = x->shape[0] / batch, part = points * D;
    if (!strcmp(type, "rk4")) r->answer = answer_above_zero;
    r->process = PROCESS_STRAIGHT;
    for (int64_t b = 0; b < batch; b++) {
        double *times = times_shifted(&shift, most, n, lengths ? each[b] : fallback);
        levels l = levels_of_times(r->process, times, n);
        if (l.sigmas[0] >= NO_SIGNAL) l.sigmas[0] = 1e10; /* its log-SNR is bounded there */
        r->s.sigmas = l.sigmas;
        r->s.steps = n;
        tensor *own = tensor_wrap(F32, SHAPE(points, D), f32(x) + b * part);
        r->watched = r->calls = r->drawn = 0;
        if (all) r->xs = tensor_new(F32, SHAPE(all->shape[0], points, D));
        if (noise) {
            r->noise = tensor_new(F32, SHAPE(noise->shape[0], points, D));
            for (int64_t k = 0; k < noise->shape[0]; k++)
                memcpy(f32(r->noise) + k * part, f32(noise) + (k * batch + b) * part, (size_t) part * sizeof(float));
        }
        run_walk(r, flow_sampler(type), own);
        for (int64_t k = 0; all && k < all->shape[0]; k++)
            memcpy(f32(all) + (k * batch + b) * part, f32(r->xs) + k * part, (size_t) part * sizeof(float));
    }
    r->xs = all;
    run_compare(r, x);
}

void run_stable(parity_case *c, config one) {
    run r = run_begin(c, one);
    const char *kind = config_need_string(one, "sampler"), *type = config_string(r.options, "sampler_type", "");
    if (!strcmp(kind, "sat_v_ddim") || starts_with(type, "v-ddim")) run_v_ddim(&r, one);
    else if (!strcmp(kind, "sat_sample_k")) run_sample_k(&r, one, type);
    else if (!strcmp(kind, "sat_rf")) run_sat_flow(&r, one, type, true);
    else if (starts_with(kind, "sat_flow_")) run_sat_flow(&r, one, kind + strlen("sat_flow_"), false);
    else if (!strcmp(kind, "sa3")) run_sa3(&r, one);
    else fail(HISS_ERROR_ARGUMENT, "sampler %s is not there", kind);
}

/* --- from a seed --- */

typedef struct {
    brownian path;
    tensor *draws; /* [steps - 1, 4, length], the original's order */
    int64_t drawn;
} seeded;

/* [4, length] -> [length, 4] */
static void transpose(const float *from, float *to, int64_t length) {
    for (int64_t k = 0; k < D; k++)
        for (int64_t t = 0; t < length; t++) to[t * D + k] = from[k * length + t];
}

static void draw_seeded(void *context, double from, double to, float *z, int64_t n) {
    seeded *s = context;
    float *draw = f32(s->draws) + n * s->drawn++;
    brownian_draw(&s->path, from, to, draw, n);
    transpose(draw, z, n / D);
}

/* The even schedule of log sigma as PyTorch rounds it: the path's times depend on it. */
static levels levels_in_f32(int64_t steps, double least, double most) {
    levels l = levels_between(schedule_find("polyexponential"), steps, least, most, 1);
    for (int64_t i = 0; i < steps; i++) {
        float step = -1.0f / (float) (steps - 1), back = (float) (steps - 1 - i);
        float ramp = i < steps / 2 ? fmaf(step, (float) i, 1) : -step * back;
        float product = ramp * (float) (log(most) - log(least));
        l.sigmas[i] = (double) expf(product + (float) log(least));
    }
    return l;
}

void run_seed(parity_case *c, config one) {
    run r = run_begin(c, one);
    int64_t length = config_need_int(one, "length", 1, 1000), steps = config_int(one, "steps", 10, 1, 1000);
    torch_random *g = NEW(torch_random);
    tensor *noise = tensor_new(F32, SHAPE(1, D, length)), *x = tensor_new(F32, SHAPE(length, D)),
           *back = tensor_new(F32, SHAPE(1, D, length)), *entropy = tensor_new(I64, SHAPE(1));
    torch_seed(g, (uint64_t) config_need_int(one, "seed", 0, INT64_MAX));
    torch_normal(g, f32(noise), (size_t) (D * length));
    *(int64_t *) entropy->data = torch_integer(g, 0, INT64_MAX);
    double least = config_number(r.options, "sigma_min", 0.3, 0, 1e9),
           most = config_number(r.options, "sigma_max", 500, 0, 1e9);
    levels l = levels_in_f32(steps, least, most);
    seeded s = {{(uint64_t) * (int64_t *) entropy->data, l.sigmas[steps - 1], l.sigmas[0], 0},
                tensor_zero(F32, SHAPE(steps - 1, D, length)),
                0};
    r.s.sigmas = l.sigmas;
    r.s.steps = steps;
    r.s.noise = (noise_path){draw_seeded, &s};
    transpose(f32(noise), f32(x), length);
    x = scaled_by(x, l.sigmas[0]);
    run_walk(&r, sampler_find(config_need_string(r.options, "sampler_type")), x);
    for (int64_t k = 0; k < D; k++)
        for (int64_t t = 0; t < length; t++) f32(back)[k * length + t] = f32(x)[t * D + k];
    parity_out(c, run_name(&r, "noise"), noise);
    parity_out(c, run_name(&r, "entropy"), entropy);
    parity_out(c, run_name(&r, "draws"), s.draws);
    parity_out(c, run_name(&r, "x"), back);
}
