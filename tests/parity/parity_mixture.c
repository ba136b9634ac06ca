/* Exact denoisers and runs of samplers on them. */
#include "parity_mixture.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/guidance.h"
#include "parity_guidance.h"

static const double MEANS[COMPONENTS][D] = {{0.9, -0.5, 0.2, 0.7}, {-0.7, 0.8, -0.6, 0.3}, {0.1, -0.9, 0.6, -0.8}};

void mixture_point(const double x[D], mixing at, const double *weights, double std, double x0[D], double eps[D]) {
    double V = at.a * at.a * std * std + at.b * at.b, weight[COMPONENTS], sum = 0, most = -INFINITY;
    for (int i = 0; i < COMPONENTS; i++) {
        weight[i] = weights ? log(weights[i]) : 0;
        for (int k = 0; k < D; k++) weight[i] -= pow(x[k] - at.a * MEANS[i][k], 2) / (2 * V);
        most = fmax(most, weight[i]);
    }
    for (int i = 0; i < COMPONENTS; i++) sum += weight[i] = exp(weight[i] - most);
    for (int k = 0; k < D; k++) {
        x0[k] = eps[k] = 0;
        for (int i = 0; i < COMPONENTS; i++) {
            double d = x[k] - at.a * MEANS[i][k];
            x0[k] += weight[i] / sum * (MEANS[i][k] + at.a * std * std / V * d);
            eps[k] += weight[i] / sum * at.b / V * d;
        }
    }
}

estimate mixture_estimate(const tensor *x, mixing at, const double *weights, double std) {
    estimate e = {tensor_new(F32, shape_of(x)), tensor_new(F32, shape_of(x))};
    for (int64_t p = 0; p < count(x) / D; p++) {
        double point[D], x0[D], eps[D];
        for (int k = 0; k < D; k++) point[k] = (double) f32(x)[p * D + k];
        mixture_point(point, at, weights, std > 0 ? std : 0.25, x0, eps);
        for (int k = 0; k < D; k++) {
            f32(e.clean)[p * D + k] = (float) x0[k];
            f32(e.noise)[p * D + k] = (float) eps[k];
        }
    }
    return e;
}

/* --- runs --- */

char *run_name(const run *r, const char *name) { return format("%s.%s", r->name, name); }

tensor *run_in(const run *r, const char *name) {
    return parity_has_in(r->c, run_name(r, name)) ? parity_in_f32(r->c, run_name(r, name)) : NULL;
}

double run_scale(const run *r, double sigma) {
    if (sigma >= NO_SIGNAL && r->process != PROCESS_EXPLODING) return r->unit / NO_SIGNAL;
    return r->unit * mixing_at(r->process, sigma).a;
}

tensor *scaled_by(const tensor *x, double factor) {
    tensor *y = tensor_new(F32, shape_of(x));
    for (int64_t i = 0; i < count(x); i++) f32(y)[i] = (float) ((double) f32(x)[i] * factor);
    return y;
}

static void record(run *r, const tensor *x, double sigma, int64_t number) {
    int64_t n = count(x);
    double scale = r->shown_else ? mixing_at(r->shown, sigma).a : run_scale(r, sigma);
    if (!r->xs || number % r->every || (r->watched + 1) * n > count(r->xs)) return;
    for (int64_t i = 0; i < n; i++) f32(r->xs)[r->watched * n + i] = (float) ((double) f32(x)[i] * scale);
    r->watched++;
}

static estimate call(void *context, const tensor *x, double sigma) {
    run *r = context;
    const tensor *seen = x;
    double level = sigma;
    if (r->show) r->show(r, &seen, &level);
    if (!r->by_step) record(r, seen, level, r->calls);
    r->calls++;
    if (r->guided) {
        tensor *state = tensor_wrap(F32, shape_of(x), x->data);
        if (state->rank == 2)
            state->rank = 3, state->shape[2] = state->shape[1], state->shape[1] = state->shape[0], state->shape[0] = 1;
        return guided_call(r->guided, state, sigma);
    }
    return r->answer ? r->answer(r, x, sigma) : mixture_estimate(x, (mixing){1, sigma}, r->weights, 0);
}

static void watch(void *context, int64_t step, double sigma, const tensor *x) {
    run *r = context;
    if (r->by_try && r->watched == 0 && r->reached == 0) {
        r->reached = sigma; /* before the first */
        return;
    }
    if (r->by_try && sigma < r->reached) r->accepted++, r->reached = sigma;
    if (r->by_step) record(r, x, sigma, r->by_try ? 0 : step);
}

static void draw_given(void *context, double from, double to, float *z, int64_t n) {
    run *r = context;
    if (from == to) { /* diffusers draws no noise that it does not use */
        memset(z, 0, (size_t) n * sizeof(float));
        r->drawn += !strncmp(config_string(r->one, "sampler", ""), "k_", 2);
        return;
    }
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

run run_begin(parity_case *c, config one) {
    run r = {.c = c, .one = one, .name = config_need_string(one, "name"), .unit = 1, .every = 1};
    r.options = config_has(one, "options") ? config_get(one, "options") : one;
    r.noise = run_in(&r, "noise");
    r.times = run_in(&r, "times");
    r.path = run_in(&r, "path");
    r.s.options.eta = -1;
    char *xs = run_name(&r, "xs");
    if (parity_has_out(c, xs)) r.xs = tensor_new(F32, shape_of(parity_expected(c, xs)));
    return r;
}

void run_walk(run *r, const sampler *kind, tensor *x) {
    if (!r->guided) guide_run(r, x);
    if (r->xs && r->thinned) r->every = (r->thinned + r->xs->shape[0] - 1) / r->xs->shape[0];
    double first = 1 / run_scale(r, r->s.sigmas[0]), last = run_scale(r, r->s.sigmas[r->s.steps]);
    if (!r->s.denoise.call) r->s.denoise = (denoiser){call, r};
    if (!r->s.noise.draw) r->s.noise = (noise_path){r->path ? draw_path : draw_given, r};
    r->s.watch = watch;
    r->s.watcher = r;
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] = (float) ((double) f32(x)[i] * first);
    sampler_run(kind, &r->s, x);
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] = (float) ((double) f32(x)[i] * last);
}

void run_compare(run *r, const tensor *x) {
    parity_out(r->c, run_name(r, "x"), x);
    if (r->xs) parity_out(r->c, run_name(r, "xs"), r->xs);
}

void run_finish(run *r, const sampler *kind, tensor *x) {
    run_walk(r, kind, x);
    run_compare(r, x);
}

double *numbers_of(const tensor *t) {
    double *v = NEW_ARRAY(double, count(t));
    const tensor *all = tensor_convert(t, F64);
    memcpy(v, all->data, (size_t) count(t) * sizeof *v);
    return v;
}

void compare_numbers(parity_case *c, const char *name, const double *values, size_t n) {
    if (!parity_has_out(c, name)) return;
    dtype type = parity_expected(c, name)->type;
    tensor *t = tensor_new(F64, SHAPE((int64_t) n));
    memcpy(t->data, values, n * sizeof(double));
    parity_out(c, name, type == I64 ? tensor_convert(t, I64) : t);
}
