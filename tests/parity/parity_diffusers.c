/* Parity of diffusers' schedulers and AudioLDM's samplers: runs, and the networks that see something else than the solver. */
#include "parity_diffusers.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/inpaint.h"
#include "diffusion/schedule.h"
#include "diffusion/weights.h"
#include "parity_inpainting.h"

/* --- networks that see something else than the solver --- */

typedef struct {
    const scheduler *s;
    objective predicts;
    int64_t step;
    tensor *start; /* of the step, before churn */
    bool fresh;
    double data; /* sigma_data */
} seen;

/* The network is called for the level the step goes to. */
static estimate answer_inverse(run *r, const tensor *x, double sigma) {
    seen *e = r->extra;
    mixing here = mixing_at(PROCESS_ROTATING, sigma), there = mixing_at(PROCESS_ROTATING, e->s->next[e->step]);
    tensor *own = scaled_by(x, here.a);
    tensor *out = prediction_of(e->predicts, there, mixture_estimate(own, there, NULL, 0));
    return estimate_of(e->predicts, here, own, out);
}

/* The network is told a whole step, which need not be the level exactly. */
static estimate answer_told(run *r, const tensor *x, double sigma) {
    seen *e = r->extra;
    mixing here = mixing_at(PROCESS_ROTATING, sigma),
           there = mixing_at(PROCESS_ROTATING, table_at(e->s, e->s->steps[r->calls - 1]));
    tensor *own = scaled_by(x, here.a);
    tensor *out = prediction_of(e->predicts, there, mixture_estimate(own, there, NULL, 0));
    return estimate_of(e->predicts, here, own, out);
}

/* D of F and x. */
static tensor *within(scalings s, const tensor *x, const tensor *F) { return mix((mixing){s.skip, s.out}, x, F); }
static tensor *raw(scalings s, const tensor *x, const tensor *clean) {
    return mix((mixing){1 / s.out, -s.skip / s.out}, clean, x);
}

static void clip(tensor *x, double bound) {
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] = (float) fmin(fmax((double) f32(x)[i], -bound), bound);
}

/* LCM: c_skip x + c_out x0 with x in its own scale. */
static estimate answer_lcm(run *r, const tensor *x, double sigma) {
    seen *e = r->extra;
    scalings s = scalings_lcm(e->s->steps[e->step], config_number(r->options, "timestep_scaling", 10, 0, 100), 0.5);
    tensor *clean = mixture_estimate(x, (mixing){1, sigma}, NULL, 0).clean;
    if (config_bool(r->options, "clip_sample", false))
        clip(clean, config_number(r->options, "clip_sample_range", 1, 0, 100));
    return (estimate){within(s, scaled_by(x, run_scale(r, sigma)), clean), NULL};
}

/* Raw output of an EDM network within the boundary's scalings. */
static estimate answer_consistency(run *r, const tensor *x, double sigma) {
    seen *e = r->extra;
    tensor *F = raw(scalings_edm(sigma, e->data), x, mixture_estimate(x, (mixing){1, sigma}, NULL, 0).clean);
    return (estimate){within(scalings_consistency(sigma, e->s->options.floor, e->data), x, F), NULL};
}

/* diffusers calls the network before it churns the state. */
static estimate answer_late(run *r, const tensor *x, double sigma) {
    seen *e = r->extra;
    double before = e->s->levels[e->step];
    if (!e->fresh) return mixture_estimate(x, (mixing){1, sigma}, NULL, 0);
    e->fresh = false;
    estimate then = mixture_estimate(e->start, (mixing){1, before}, NULL, 0);
    if (starts_with(e->s->name, "EDM")) {
        tensor *F = raw(scalings_edm(before, e->data), e->start, then.clean);
        return (estimate){within(scalings_edm(sigma, e->data), x, F), NULL};
    }
    if (e->s->process == PROCESS_STRAIGHT) {
        mixing at = mixing_at(PROCESS_STRAIGHT, sigma), was = mixing_at(PROCESS_STRAIGHT, before);
        tensor *flow = scaled_by(prediction_of(PREDICT_FLOW, was, then), was.b / at.b);
        return estimate_of(PREDICT_FLOW, at, scaled_by(x, at.a), flow);
    }
    return estimate_of(PREDICT_NOISE, (mixing){1, sigma}, x, then.noise);
}

/* sCM: states in units of sigma_data. */
static estimate answer_angle(run *r, const tensor *x, double sigma) {
    estimate e = mixture_estimate(scaled_by(x, r->unit), (mixing){1, r->unit * sigma}, NULL, 0);
    return (estimate){scaled_by(e.clean, 1 / r->unit), e.noise};
}

static void show_start(run *r, const tensor **x, double *sigma) {
    const seen *e = r->extra;
    if (e->fresh) *x = e->start, *sigma = e->s->levels[e->step];
}

/* Heun's second half draws noise too and drops it. */
static void draw_twice(void *context, double from, double to, float *z, int64_t n) {
    run *r = context;
    memset(z, 0, (size_t) n * sizeof(float));
    if (from == to) return;
    if (!r->noise || r->drawn + 2 > r->noise->shape[0])
        fail(HISS_ERROR_FORMAT, "%s: more noise drawn than given", r->name);
    memcpy(z, f32(r->noise) + r->drawn * n, (size_t) n * sizeof(float));
    r->drawn += 2;
}

static bool follow(void *context, moment when, int64_t step, double sigma, tensor *x) {
    run *r = context;
    seen *e = r->extra;
    (void) step, (void) sigma;
    if (when != AFTER_STEP) return false;
    e->step++;
    e->fresh = true;
    memcpy(e->start->data, x->data, tensor_bytes(x));
    return false;
}

static void look_through(run *r, const scheduler *s, const tensor *x) {
    seen *e = NEW(seen);
    static const objective OF[] = {PREDICT_NOISE, PREDICT_V, PREDICT_CLEAN, PREDICT_FLOW};
    const char *predicts = config_string(r->one, "predict", "eps");
    *e = (seen){.s = s, .predicts = OF[predicts[0] == 'v' ? 1 : predicts[0] == 'x' ? 2 : predicts[0] == 'f' ? 3 : 0]};
    e->data = config_number(r->options, "sigma_data", 0.5, 0, 100);
    e->start = scaled_by(x, 1 / run_scale(r, s->levels[0]));
    e->fresh = true;
    r->extra = e;
    r->s.touch = follow;
    r->s.toucher = r;
    if (!strcmp(s->name, "DDIMInverse")) r->answer = answer_inverse;
    if (s->told_whole) r->answer = answer_told;
    if (!strcmp(s->name, "LCM")) r->answer = answer_lcm;
    if (!strcmp(s->name, "CMStochasticIterative")) r->answer = answer_consistency;
    if (!strcmp(s->name, "SCM")) r->answer = answer_angle;
    if (s->options.churn > 0) {
        r->answer = answer_late;
        r->show = show_start;
        if (!strcmp(s->name, "FlowMatchHeunDiscrete")) r->s.noise = (noise_path){draw_twice, r};
    }
}

/* Steps that do not end where the next begins: one by one, the state taken as it is. */
void run_apart(run *r, const scheduler *s, tensor *x) {
    for (int64_t i = 0; i < s->n; i++) {
        double two[] = {s->levels[i], s->next[i]};
        r->s.sigmas = two;
        r->s.steps = 1;
        run_walk(r, s->kind, x);
    }
}

void run_diffusers(parity_case *c, config one) {
    run r = run_begin(c, one);
    scheduler s = scheduler_of(one);
    tensor *x = run_in(&r, "x");
    r.process = s.process;
    r.unit = s.unit;
    r.s.sigmas = s.levels;
    r.s.between = s.between;
    r.s.steps = s.n;
    r.s.options = s.options;
    look_through(&r, &s, x);
    inpaint_run(&r, s.n);
    if (s.next) run_apart(&r, &s, x);
    else run_walk(&r, s.kind, x);
    run_compare(&r, x);
    compare_numbers(c, run_name(&r, "timesteps"), s.told, (size_t) s.told_count);
    compare_numbers(c, run_name(&r, "sigmas"), s.listed, (size_t) s.listed_count);
}

/* AudioLDM: every T / n-th step and one more; the last step ends at the first level of training. */
void run_ldm(parity_case *c, config one) {
    run r = run_begin(c, one);
    config o = r.options;
    int64_t T = config_int(o, "num_train_timesteps", 1000, 1, 10000), every = T / config_need_int(one, "steps", 1, T);
    double start = config_number(o, "beta_start", 0.0015, 0, 1), end = config_number(o, "beta_end", 0.0195, 0, 1);
    double *bars = alpha_bars_of(betas_make(beta_schedule_find("scaled-linear"), (size_t) T, start, end), (size_t) T);
    int64_t n = (T + every - 1) / every;
    double *sigmas = NEW_ARRAY(double, n + 1), *times = NEW_ARRAY(double, n);
    if ((n - 1) * every + 1 >= T) fail(HISS_ERROR_ARGUMENT, "%s: the last step is beyond those of training", r.name);
    for (int64_t i = 0; i < n; i++) {
        times[i] = (double) (i * every + 1);
        sigmas[n - 1 - i] = vp_sigma(bars[i * every + 1]);
    }
    sigmas[n] = vp_sigma(bars[0]);
    r.s.options.eta = config_number(o, "eta", 0, 0, 10);
    r.process = PROCESS_ROTATING;
    tensor *x = run_in(&r, "x"), *init = run_in(&r, "init");
    int64_t kept = config_has(one, "strength")
                       ? strength_steps(config_need_int(one, "steps", 1, T), config_number(one, "strength", 1, 0, 1))
                       : n;
    if (kept < n) { /* noised for the level above the first that is run */
        mixing at = mixing_at(PROCESS_ROTATING, sigmas[n - 1 - kept]);
        x = mix(at, init, r.noise);
    }
    r.s.sigmas = sigmas + (n - kept);
    r.s.steps = kept;
    inpaint_run(&r, kept);
    bool plms = !strcmp(config_need_string(one, "sampler"), "ldm_plms");
    r.every = n > 100 ? 20 : 1;
    run_finish(&r, sampler_find(plms ? "plms" : "ddim"), x);
    compare_numbers(c, run_name(&r, "timesteps"), times, (size_t) n);
}
