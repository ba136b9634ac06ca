/* Parity of guidance: formulas on given predictions, and whole runs between mixtures of other weights. */
#include "parity_guidance.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/guidance.h"
#include "parity_diffusers.h"
#include "parity_stable.h"

/* --- formulas --- */

static bool from(config one, const char *original) { return starts_with(config_string(one, "original", ""), original); }

static guidance guidance_of(config o, bool three, bool stable) {
    guidance g = {
        .scale = config_number(
            o, "cfg_scale", config_number(o, "guidance_scale", config_number(o, "scale", 1, 0, 100), 0, 100), 0, 100)};
    size_t ends = 0;
    double *interval = config_numbers(o, "cfg_interval", 2, &ends);
    if (ends == 2) g.low = interval[0], g.high = interval[1];
    g.rescale = config_number(o, "scale_phi", config_number(o, "guidance_rescale", 0, 0, 1), 0, 1);
    g.each_position = stable;
    g.most_norm = config_number(o, "cfg_norm_threshold", config_number(o, "norm_threshold", 0, 0, 1e9), 0, 1e9);
    if (!three) return g;
    g.of_clean = g.from_cond = true;
    g.parallel = 1 - config_number(o, "apg_scale", 1, 0, 1);
    g.projected = g.parallel < 1;
    return g;
}

typedef struct {
    tensor *x, *cond, *uncond, *third, *mask; /* channels last */
    double *t;
} given;

static tensor *row(const tensor *t, int64_t b) {
    int64_t n = count(t) / t->shape[0];
    shape s = shape_of(t);
    s.dims[0] = 1;
    return t ? tensor_wrap(F32, s, f32(t) + b * n) : NULL;
}

/* stable-audio-tools tests the interval on the first element only; stable-audio-3 too. */
static tensor *stable_formula(const given *in, config one) {
    config o = config_get(one, "options");
    bool v = !strcmp(config_need_string(one, "objective"), "v");
    guidance g = guidance_of(o, from(one, "stable_audio_3"), true);
    process kind = v ? PROCESS_ROTATING : PROCESS_STRAIGHT;
    double first = v ? sin(in->t[0] * M_PI / 2) : in->t[0];
    if (!guides_at(&g, first)) return in->cond;
    tensor *out = tensor_new(F32, shape_of(in->x));
    for (int64_t b = 0; b < in->x->shape[0]; b++) {
        mixing at = mixing_at(kind, sigma_at(kind, v ? in->t[b] * M_PI / 2 : in->t[b]));
        tensor *mask = config_bool(o, "padding_mask", false) ? row(in->mask, b) : NULL;
        tensor *one_of = guide_prediction(&g, v ? PREDICT_V : PREDICT_FLOW, at, row(in->x, b), row(in->cond, b),
                                          row(in->uncond, b), mask);
        memcpy(f32(out) + b * count(one_of), one_of->data, tensor_bytes(one_of));
    }
    return out;
}

static tensor *apg_formula(const given *in, config o) {
    guidance g = guidance_of(o, false, false);
    g.projected = true;
    g.parallel = config_number(o, "eta", 1, 0, 1);
    if (config_bool(o, "use_original_formulation", false)) g.from_cond = true, g.scale += 1;
    if (!config_has(o, "momentum")) return guide(&g, in->cond, in->uncond, NULL, NULL);
    g.momentum = config_number(o, "momentum", 0, -1, 1);
    guidance_memory memory = {NULL};
    int64_t n = count(in->cond);
    tensor *all = tensor_new(F32, SHAPE(3, in->cond->shape[0], in->cond->shape[1], in->cond->shape[2]));
    for (int k = 0; k < 3; k++) {
        tensor *cond = scaled_by(in->cond, 1 + 0.3 * k), *uncond = mix((mixing){1, 0.2 * k}, in->uncond, in->third);
        memcpy(f32(all) + k * n, swap_last_two(guide(&g, cond, uncond, NULL, &memory))->data,
               (size_t) n * sizeof(float));
    }
    return all;
}

static tensor *formula(const given *in, config one) {
    config o = config_get(one, "options");
    const char *name = config_need_string(one, "name");
    if (from(one, "stable_audio")) return stable_formula(in, one);
    if (starts_with(name, "apg")) return apg_formula(in, o);
    if (starts_with(name, "dual"))
        return guide_twice(config_number(o, "s1", 1, 0, 100), config_number(o, "s2", 1, 0, 100), in->uncond, in->cond,
                           in->third, !strcmp(name, "dual_nested"));
    guidance g = guidance_of(o, false, false);
    g.matched = !strcmp(name, "cfg_zero_star");
    return guide(&g, in->cond, in->uncond, NULL, NULL);
}

static void run_formulas(parity_case *c, config runs) {
    given in = {swap_last_two(parity_in_f32(c, "x")),
                swap_last_two(parity_in_f32(c, "cond")),
                swap_last_two(parity_in_f32(c, "uncond")),
                swap_last_two(parity_in_f32(c, "third")),
                parity_in_f32(c, "mask"),
                numbers_of(parity_in(c, "t"))};
    for (size_t i = 0; i < config_count(runs); i++) {
        config one = config_at(runs, i);
        tensor *out = formula(&in, one);
        parity_out(c, config_need_string(one, "name"), out->rank == 3 ? swap_last_two(out) : out);
    }
}

/* --- runs --- */

typedef struct {
    guided d;
    guidance g;
    double *weights[2]; /* of the condition and of what is guided away from; NULL: equal */
} weighted;

static estimate with_weights(void *context, const tensor *x, double sigma) {
    return mixture_estimate(x, (mixing){1, sigma}, context, 0);
}

void guide_run(run *r, tensor *x) {
    if (!config_has(r->one, "guidance")) return;
    config o = config_get(r->one, "guidance"), all = parity_config(r->c);
    const char *kind = config_need_string(r->one, "sampler"), *type = config_string(r->options, "sampler_type", "");
    bool three = !strcmp(kind, "sa3"), stable = three || starts_with(kind, "sat");
    size_t n;
    weighted *w = NEW(weighted);
    w->g = guidance_of(o, three, stable);
    w->g.plus = !strcmp(type, "v-ddim-cfgpp");
    w->weights[0] = config_numbers(all, "cond", COMPONENTS, &n);
    w->weights[1] = config_bool(o, "negative", false) ? config_numbers(all, "negative", COMPONENTS, &n) : NULL;
    bool flow = three || !strcmp(kind, "sat_rf");
    w->d = (guided){.cond = {with_weights, w->weights[0]},
                    .uncond = {with_weights, w->weights[1]},
                    .g = &w->g,
                    .of = flow     ? PREDICT_FLOW
                          : stable ? PREDICT_V
                                   : PREDICT_NOISE,
                    .process = flow ? PROCESS_STRAIGHT : PROCESS_ROTATING};
    r->guided = &w->d;
    int64_t batch = config_int(r->one, "batch", 1, 1, 64);
    int64_t each = count(x) / batch;
    if (three) return; /* whose elements walk alone: [points, 4] is one */
    x->rank = 3;
    x->shape[0] = batch;
    x->shape[1] = each / D;
    x->shape[2] = D;
}

void run_guidance(parity_case *c) {
    config runs = config_get(parity_config(c), "runs");
    if (parity_has_in(c, "cond")) {
        run_formulas(c, runs);
        return;
    }
    for (size_t i = 0; i < config_count(runs); i++) {
        config one = config_at(runs, i);
        const char *kind = config_need_string(one, "sampler");
        if (!strcmp(kind, "diffusers")) run_diffusers(c, one);
        else if (starts_with(kind, "ldm_")) run_ldm(c, one);
        else run_stable(c, one);
    }
}
