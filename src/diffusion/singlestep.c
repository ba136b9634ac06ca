/* Singlestep solvers: a step of order k goes down k levels and calls the network at each; DPM-Solver (arXiv 2206.00927) and
 * DPM-Solver++ (2211.01095). */
#include <math.h>

#include "diffusion/walk.h"

enum { MOST = 3 };

/* A step begun at levels[0]: outputs m at its first levels. */
typedef struct {
    const tensor *x;
    const double *levels;
    tensor *m[MOST];
    double eta;
} single;

/* From the start to `to` with the outputs there are; `heun`: of second order by phi2, of third with the curvature. */
static double single_to(const walk *w, tensor *out, const single *s, double to, int order, bool heun) {
    const double *l = s->levels;
    exponential e = exponential_step(l[0], to, s->eta, w->of_noise);
    double h = fall(l[0], to), d[MOST] = {e.value};
    if (order > 1 && (order == 2 || !heun)) { /* the slope to the latest output */
        double share = (order == 2 && !heun ? e.middle : e.slope) * h / fall(l[0], l[order - 1]);
        d[0] -= share;
        d[order - 1] += share;
    } else if (order == 3) {
        double r1 = fall(l[0], l[1]) / h, r0 = fall(l[0], l[2]) / h;
        double near = (e.slope * -r1 + 2 * e.curve) / (r0 - r1), far = (e.slope * r0 - 2 * e.curve) / (r0 - r1);
        d[0] = e.value - near / r0 - far / r1; /* of (m2 - m0) / r0 and (m1 - m0) / r1 */
        d[1] = far / r1;
        d[2] = near / r0;
    }
    term terms[MOST + 1] = {{e.keep, s->x}};
    for (int k = 0; k < order; k++) terms[k + 1] = (term){d[k], s->m[k]};
    add_terms(out, terms, order + 1);
    return e.fresh;
}

/* Levels of the step that starts with `left` to go: full ones, the last two lower when nothing would remain, or as many as
 * there are. */
static int64_t group(int order, int64_t left, bool lower) {
    if (left < order || order == 1) return left < order ? left : 1;
    if (left == order && lower) return order - 1;
    return order;
}

void step_singlestep(walk *w) {
    tensor *x = w->x, *start = w->start;
    const double *levels = w->s->sigmas + w->step;
    int order = w->s->options.order ? w->s->options.order : w->kind->order;
    int64_t left = w->s->steps - w->step;
    taper end = w->s->options.taper ? w->s->options.taper : w->kind->taper;
    if (order > MOST) order = MOST;
    order = (int) group(order, left, end == TAPER_ALL || w->s->sigmas[w->s->steps] == 0);
    single s = {start, levels, {0}, w->eta};
    MIX(start, {1, x});
    for (int k = 0; k < order; k++) {
        s.m[k] = predicted(w, x, levels[k]);
        int now = levels[k + 1] == 0 ? 1 : k + 1;
        if (now == 1 && k > 0) s = (single){x, levels + k, {s.m[k]}, w->eta};
        double fresh = single_to(w, x, &s, levels[k + 1], now, w->heun);
        add_noise_between(w, x, s.levels[0], levels[k + 1], fresh);
    }
    w->used = order;
}

/* --- k-diffusion's, on levels of their own --- */

/* One step of `order` from `from` to `to` in even steps of ln sigma; low: the result of one order less with the same outputs. */
static void even_step(walk *w, tensor *out, tensor *low, double from, double to, int order) {
    double levels[MOST + 1];
    for (int k = 0; k <= order; k++) levels[k] = from * pow(to / from, (double) k / order);
    tensor *at = like(out);
    single s = {w->x, levels, {0}, 0};
    for (int k = 0; k < order; k++) {
        s.m[k] = estimated(w, k ? at : w->x, levels[k]).noise;
        if (k + 1 < order) single_to(w, at, &s, levels[k + 1], k + 1, true);
    }
    if (low) single_to(w, low, &s, to, order - 1, false);
    single_to(w, out, &s, to, order, false);
}

/* The deterministic part of a step goes no lower than `least`, which the walk ends at. */
static ancestral bounded(double from, double to, double eta, double least) {
    if (eta == 0) return (ancestral){to, 0};
    double down = fmax(ancestral_levels(from, to, eta).down, least);
    return (ancestral){down, sqrt(fmax(to * to - down * down, 0))};
}

/* Where the walk by ln sigma ends: a last level of 0 takes one more step, of the first order. */
static int64_t last_level(const walk *w) { return w->s->steps - (w->s->sigmas[w->s->steps] == 0); }

static void step_down(walk *w) { MIX(w->x, {1, denoised(w, w->x, w->sigma)}); }

/* n calls in m = n / 3 + 1 even steps: of order 3, and at the end 2 and 1, or what is left. */
void step_dpm_fast(walk *w) {
    int64_t n = last_level(w), m = n / 3 + 1, i = w->step / 3 + (w->step % 3 != 0);
    if (w->step >= n) {
        step_down(w);
        return;
    }
    double most = w->s->sigmas[0], least = w->s->sigmas[n];
    double from = most * pow(least / most, (double) i / (double) m),
           to = most * pow(least / most, (double) (i + 1) / (double) m);
    int64_t left = n - w->step, order = left > 3 ? 3 : left == 3 && n % 3 == 0 ? 2 : left;
    w->of_noise = true;
    ancestral a = bounded(from, to, w->eta, least);
    even_step(w, w->x, NULL, from, a.down, (int) order);
    add_noise_between(w, w->x, from, to, a.up);
    w->used = order;
}

/* RMS of the difference over what is tolerated. */
static double error_of(const tensor *low, const tensor *high, const tensor *before, double atol, double rtol) {
    const float *l = f32(low), *h = f32(high), *b = f32(before);
    double sum = 0;
    int64_t n = count(low);
    for (int64_t i = 0; i < n; i++) {
        double bound = fmax(atol, rtol * fmax(fabs((double) l[i]), fabs((double) b[i])));
        double e = ((double) l[i] - (double) h[i]) / bound;
        sum += e * e;
    }
    return sqrt(sum / (double) n);
}

/* Steps of ln sigma as long as a controller finds fit; the whole walk. */
void step_dpm_adaptive(walk *w) {
    const sampler_options *o = &w->s->options;
    int64_t last = last_level(w);
    if (w->step >= last) {
        step_down(w);
        return;
    }
    int order = o->order == 2 ? 2 : 3;
    double rtol = o->rtol > 0 ? o->rtol : 0.05, atol = o->atol > 0 ? o->atol : 0.0078,
           h = o->first > 0 ? o->first : 0.05;
    double safe = o->safe > 0 ? o->safe : 0.81, p = o->p, i = o->i, d = o->d, error[3] = {0};
    if (p == 0 && i == 0 && d == 0) i = 1;
    double slower = w->eta > 0 ? 1.5 : order, least = w->s->sigmas[last], at = w->sigma;
    w->of_noise = true;
    MIX(w->start, {1, w->x}); /* the last accepted result of the lower order */
    for (int64_t tries = 0; log(at / least) > 1e-5; tries++) {
        enum { MOST_TRIES = 100000 };
        if (tries == MOST_TRIES) fail(HISS_ERROR_ARGUMENT, "dpm-adaptive: the error stays too large: allow more of it");
        scope_begin();
        double to = fmax(at * exp(-h), least);
        ancestral a = bounded(at, to, w->eta, least);
        tensor *low = like(w->x), *high = like(w->x);
        even_step(w, high, low, at, a.down, order);
        double inverse = 1 / (error_of(low, high, w->start, atol, rtol) + 1e-8);
        if (tries == 0) error[1] = error[2] = inverse;
        error[0] = inverse;
        double factor =
            pow(error[0], (p + i + d) / slower) * pow(error[1], -(p + 2 * d) / slower) * pow(error[2], d / slower);
        factor = 1 + atan(factor - 1);
        h *= factor;
        if (factor >= safe) {
            error[2] = error[1];
            error[1] = error[0];
            MIX(w->start, {1, low});
            MIX(w->x, {1, high});
            add_noise_between(w, w->x, at, to, a.up);
            at = to;
        }
        if (w->s->watch) w->s->watch(w->s->watcher, tries + 1, at, w->x);
        scope_end();
        if (interrupted()) fail(HISS_ERROR_INTERRUPTED, "stopped at sigma %g of %g", at, least);
    }
    w->used = last - w->step;
}
