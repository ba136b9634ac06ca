/* Parity of inpainting: masks, blending at three moments, RePaint, and starts from a sound. */
#include "parity_inpainting.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/inpaint.h"
#include "diffusion/schedule.h"
#include "parity_diffusers.h"
#include "parity_stable.h"

static void compare_floats(parity_case *c, const char *name, const float *values, int64_t n) {
    double *all = NEW_ARRAY(double, n);
    for (int64_t i = 0; i < n; i++) all[i] = (double) values[i];
    compare_numbers(c, name, all, (size_t) n);
}

/* --- masks --- */

static void run_mask(parity_case *c, config one) {
    config o = config_get(one, "options");
    const char *name = config_need_string(one, "name");
    if (starts_with(name, "soft")) {
        int64_t n = config_need_int(o, "sample_size", 1, 10000);
        float *mask = soft_mask(n, config_number(o, "maskstart", 0, 0, 100), config_number(o, "maskend", 0, 0, 100),
                                config_number(o, "softnessL", 0, 0, 100), config_number(o, "softnessR", 0, 0, 100),
                                config_number(o, "marination", 0, 0, 1)),
              *steps = NEW_ARRAY(float, 5 * n);
        for (int64_t i = 0; i < 5; i++) harden(mask, n, i, 5, steps + i * n);
        compare_floats(c, name, mask, n);
        compare_floats(c, format("%s.steps", name), steps, 5 * n);
        return;
    }
    size_t spans, ends, totals;
    int64_t samples = config_need_int(o, "audio_sample_size", 1, 100000),
            frames = config_need_int(o, "latent_sample_size", 1, 100000);
    double *from = config_numbers(o, "starts", 100, &spans), *to = config_numbers(o, "ends", 100, &ends),
           *total = config_numbers(o, "seconds_total", 100, &totals), longest = 0;
    for (size_t i = 0; i < totals; i++) longest = fmax(longest, total[i]);
    float *mask = keep_mask(samples, config_need_int(o, "sample_rate", 1, 1000000), from, to, spans, longest);
    compare_floats(c, format("%s.audio", name), mask, samples);
    compare_floats(c, format("%s.latent", name), latent_mask(mask, samples, frames), frames);
}

/* --- blending --- */

typedef struct {
    run *r;
    tensor *noise;
    int64_t drawn;
} drawer;

static void draw_mask(void *context, double from, double to, float *z, int64_t n) {
    drawer *d = context;
    (void) from, (void) to;
    if (d->drawn >= d->noise->shape[0]) fail(HISS_ERROR_FORMAT, "%s: more mask noise drawn than given", d->r->name);
    memcpy(z, f32(d->noise) + n * d->drawn++, (size_t) n * sizeof(float));
}

/* diffusers keeps the clean signal itself at the end, not divided by the last level's share. */
static bool blend_after(void *context, moment when, int64_t step, double sigma, tensor *x) {
    inpainting *p = context;
    (void) step;
    if (when != AFTER_STEP) return false;
    p->steps--;
    mixing at = p->steps ? (mixing){1, sigma} : (mixing){1 / mixing_at(PROCESS_ROTATING, sigma).a, 0};
    blend(x, p->keep, p->channels, at, p->init, p->fixed);
    return true;
}

void inpaint_run(run *r, int64_t steps) {
    tensor *init = run_in(r, "init"), *noise = run_in(r, "mask_noise"), *x = run_in(r, "x");
    if (!parity_has_in(r->c, "mask")) return;
    tensor *mask = parity_in_f32(r->c, "mask");
    inpainting *p = NEW(inpainting);
    *p = (inpainting){.init = init, .keep = f32(mask), .channels = D, .steps = steps, .fixed = noise ? NULL : x};
    r->s.toucher = p;
    if (!noise) {
        r->s.touch = blend_after;
        return;
    }
    drawer *d = NEW(drawer);
    *d = (drawer){r, noise, 0};
    p->noise = (noise_path){draw_mask, d};
    p->soft = starts_with(config_need_string(r->one, "sampler"), "sat");
    p->when = p->soft ? AFTER_CALL : BEFORE_CALL;
    if (p->soft) { /* [length], the same for every element */
        int64_t all = x->shape[0], length = count(mask);
        float *each = NEW_ARRAY(float, all);
        for (int64_t i = 0; i < all; i++) each[i] = f32(mask)[i % length];
        p->keep = each;
    }
    r->s.touch = inpaint_touch;
}

void inpaint_start(run *r, tensor *x, double most) {
    inpainting *p = r->s.toucher;
    if (r->s.touch != inpaint_touch || !p->soft) return;
    float *keep = NEW_ARRAY(float, x->shape[0]);
    harden(p->keep, x->shape[0], 0, p->steps, keep);
    tensor *noise = scaled_by(x, most);
    memcpy(x->data, noise->data, tensor_bytes(x));
    blend(x, keep, D, (mixing){1, 1}, p->init, noise);
}

/* --- RePaint --- */

static void run_repaint(parity_case *c, config one) {
    run r = run_begin(c, one);
    config o = r.options;
    size_t T = 0, n;
    double *betas = betas_of(o, "", &T), *bars = alpha_bars_of(betas, T);
    int64_t steps = config_need_int(one, "steps", 1, 1000), stride = (int64_t) T / steps;
    int64_t *order = repaint_order(steps, config_need_int(o, "jump_length", 1, 100),
                                   config_need_int(o, "jump_n_sample", 1, 100), &n);
    tensor *x = run_in(&r, "x"), *init = run_in(&r, "init"), *mask = parity_in_f32(c, "mask");
    double *told = NEW_ARRAY(double, n);
    r.process = PROCESS_ROTATING;
    r.s.options = (sampler_options){.eta = config_number(o, "eta", 0, 0, 10), .clip = 1};
    int64_t last = steps;
    for (size_t i = 0; i < n; i++) {
        int64_t t = order[i] * stride, to = t - stride;
        told[i] = (double) t;
        if (order[i] < last) {
            double bar = to >= 0 ? bars[to] : 1, levels[] = {vp_sigma(bars[t]), vp_sigma(bar)};
            r.s.sigmas = levels;
            r.s.steps = 1;
            int64_t drawn = r.drawn;
            run_walk(&r, sampler_find("ddim"), x);
            r.drawn = drawn + 1; /* one draw, for the new part and the kept one */
            tensor *noise = tensor_wrap(F32, shape_of(x), f32(r.noise) + drawn * count(x));
            blend(x, f32(mask), D, (mixing){sqrt(bar), sqrt(1 - bar)}, init, noise);
        } else { /* the step before is undone */
            for (int64_t k = 0; k < stride; k++, r.drawn++) {
                double beta = betas[last * stride + k];
                tensor *noise = tensor_wrap(F32, shape_of(x), f32(r.noise) + r.drawn * count(x));
                x = mix((mixing){sqrt(1 - beta), sqrt(beta)}, x, noise);
            }
        }
        last = order[i];
    }
    run_compare(&r, x);
    compare_numbers(c, run_name(&r, "timesteps"), told, n);
}

/* --- from a sound --- */

/* diffusers' PNDM, begun in the middle, calls its second step's level once only: the state goes on a level further. */
static bool skip_level(void *context, moment when, int64_t step, double sigma, tensor *x) {
    run *r = context;
    double *levels = r->extra;
    if (when != AFTER_STEP || step > 0) return false;
    double factor = mixing_at(PROCESS_ROTATING, sigma).a / mixing_at(PROCESS_ROTATING, levels[0]).a;
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] = (float) ((double) f32(x)[i] * factor);
    ((double *) r->s.sigmas)[1] = levels[0];
    return true;
}

static void run_strength(parity_case *c, config one) {
    run r = run_begin(c, one);
    scheduler s = scheduler_of(one);
    int64_t kept = strength_steps(s.n, config_number(one, "strength", 1, 0, 1)), skipped = s.n - kept;
    bool pndm = !strcmp(s.name, "PNDM"), heun = !strcmp(s.name, "HeunDiscrete");
    int64_t told = heun ? 2 * skipped : skipped;
    r.process = s.process;
    if (pndm) skipped--;
    double *levels = s.levels + skipped;
    r.s.sigmas = levels;
    r.s.steps = s.n - skipped;
    r.s.options = s.options;
    tensor *init = run_in(&r, "init"), *noise = r.noise;
    double scale = run_scale(&r, levels[0]);
    tensor *x = mix((mixing){scale, scale * levels[0]}, init, noise);
    if (pndm && skipped > 0) { /* levels 0, 1, then 3, 4, ... */
        double *fewer = NEW_ARRAY(double, r.s.steps), *left = NEW_ARRAY(double, 1);
        fewer[0] = levels[0];
        fewer[1] = levels[1];
        left[0] = levels[2];
        for (int64_t i = 2; i < r.s.steps; i++) fewer[i] = levels[i + 1];
        r.s.sigmas = fewer;
        r.s.steps--;
        r.extra = left;
        r.s.touch = skip_level;
        r.s.toucher = &r;
    }
    if (s.next) {
        s.levels += skipped, s.next += skipped, s.n -= skipped;
        run_apart(&r, &s, x);
    } else {
        run_walk(&r, s.kind, x);
    }
    run_compare(&r, x);
    compare_numbers(c, run_name(&r, "timesteps"), s.told + told, (size_t) (s.told_count - told));
}

void run_inpainting(parity_case *c) {
    config runs = config_get(parity_config(c), "runs");
    for (size_t i = 0; i < config_count(runs); i++) {
        config one = config_at(runs, i);
        const char *kind = config_string(one, "sampler", "");
        if (!kind[0]) run_mask(c, one);
        else if (!strcmp(kind, "repaint")) run_repaint(c, one);
        else if (starts_with(kind, "ldm_")) run_ldm(c, one);
        else if (starts_with(kind, "sat_")) run_stable(c, one);
        else if (config_has(one, "strength")) run_strength(c, one);
        else run_diffusers(c, one);
    }
}
