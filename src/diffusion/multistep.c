/* Steps that use the outputs of earlier levels. The exponential integrators work in the fall of ln sigma. */
#include <math.h>
#include <stdlib.h>

#include "diffusion/walk.h"

/* --- exponential integrators: DPM-Solver (arXiv 2206.00927) and DPM-Solver++ (2211.01095), with and without fresh noise --- */

exponential exponential_step(double sigma, double next, double eta, bool of_noise) {
    double h = fall(sigma, next), all = h * (1 + eta);
    if (of_noise) { /* x' = x - (sigma - next) n for constant n */
        double kept = next * (1 + eta), whole = next > 0 ? (sigma - next) * (1 + eta) : sigma;
        double slope = kept - whole / h, fresh = eta > 0 ? next * sqrt(expm1(2 * eta * h)) : 0;
        return (exponential){1, -whole, slope, -whole / 2, slope / h + kept / 2, fresh};
    }
    double gain = -expm1(-all), phi2 = 1 - gain / all, phi3 = phi2 / all - 0.5;
    double keep = next / sigma * (eta > 0 ? exp(-eta * h) : 1); /* of no signal too: all of its noise */
    return (exponential){keep, gain, phi2, gain / 2, -phi3, eta > 0 ? next * sqrt(-expm1(-2 * eta * h)) : 0};
}

void step_multistep(walk *w) {
    tensor *x = w->x, *m = predicted(w, x, w->sigma);
    exponential e = exponential_step(w->sigma, w->next, w->eta, w->of_noise);
    if (w->s->options.skewed) e.curve -= 1;
    int order = order_now(w) < 3 ? order_now(w) : 3;
    double h = fall(w->sigma, w->next), d[3] = {e.value}; /* of this output and those before it */
    if (order > 1) {
        double r = h / fall(sigma_before(w, 1), w->sigma), first = w->heun || order > 2 ? e.slope : e.middle;
        d[0] += first * r;
        d[1] -= first * r;
        if (order > 2) { /* the slope here by extrapolation, and the curvature */
            double q = h / fall(sigma_before(w, 2), sigma_before(w, 1)), share = q / (r + q);
            double bend = e.slope * share + e.curve * r * share; /* of (D1 - D1 before) */
            d[0] += bend * r;
            d[1] -= bend * (r + q);
            d[2] += bend * q;
        }
    }
    term terms[4] = {{e.keep, x}, {d[0], m}};
    for (int k = 1; k < order; k++) terms[k + 1] = (term){d[k], w->old[k - 1]};
    add_terms(x, terms, order + 1);
    add_noise_between(w, x, w->sigma, w->next, e.fresh);
    remember(w, m);
}

/* --- linear multistep: a polynomial through the last slopes, integrated --- */

static double as_sigma(double sigma) { return sigma; }

/* Integral from sigma to next of Lagrange's polynomial of point j among the last `order` levels, in `in(sigma)`. */
static double lagrange_integral(const walk *w, int order, int j, double (*in)(double)) {
    static const double NODE[] = {0, 0.5384693101056831, 0.9061798459386640},
                        WEIGHT[] = {0.5688888888888889, 0.4786286704993665, 0.2369268850561891};
    enum { PIECES = 16 };
    double sum = 0, piece = (w->next - w->sigma) / PIECES;
    for (int p = 0; p < PIECES; p++)
        for (int k = -2; k <= 2; k++) { /* Gauss and Legendre, five nodes */
            double at = w->sigma + piece * (p + 0.5 + (k < 0 ? -NODE[-k] : NODE[k]) / 2), product = 1;
            for (int i = 0; i < order; i++)
                if (i != j)
                    product *= (in(at) -in(sigma_before(w, i))) / (in(sigma_before(w, j)) - in(sigma_before(w, i)));
            sum += WEIGHT[abs(k)] / 2 * piece * product;
        }
    return sum;
}

static void step_adams(walk *w, double (*in)(double)) {
    tensor *x = w->x, *noise = estimated(w, x, w->sigma).noise;
    int order = in == as_sigma && w->next == 0 ? w->kept + 1 : order_now(w);
    int most = w->s->options.order ? w->s->options.order : w->kind->order;
    if (order > most) order = most;
    if (order > w->kind->memory) order = w->kind->memory;
    remember(w, noise);
    term terms[WALK_MEMORY + 1] = {{1, x}};
    for (int j = 0; j < order; j++) terms[j + 1] = (term){lagrange_integral(w, order, j, in), w->old[j]};
    add_terms(x, terms, order + 1);
}

void step_lms(walk *w) { step_adams(w, as_sigma); }
void step_deis(walk *w) { step_adams(w, log); }

/* --- pseudo numerical methods: even steps assumed, whatever the levels --- */

/* What the network says, as the mean is taken of: the noise, or what options.averaged names. */
static tensor *said(walk *w, tensor *x, double sigma) {
    return prediction_of(w->s->options.averaged, mixing_at(PROCESS_ROTATING, sigma), estimated(w, x, sigma));
}

/* From `start`, a step along the mean of what was said, last and before. */
static void along(walk *w, const tensor *start, tensor *last, const double *share, int earlier) {
    double step = w->next - w->sigma;
    term terms[4] = {{share[0], last}};
    for (int k = 0; k < earlier; k++) terms[k + 1] = (term){share[k + 1], w->old[k]};
    tensor *mean = like(last), *noise = mean;
    add_terms(mean, terms, earlier + 1);
    if (w->s->options.averaged != PREDICT_NOISE) {
        mixing at = mixing_at(PROCESS_ROTATING, w->sigma);
        tensor *own = like(start);
        MIX(own, {at.a, start});
        noise = estimate_of(w->s->options.averaged, at, own, mean).noise;
    }
    MIX(w->x, {1, start}, {step, noise});
}

/* From hardly any signal to a good part of it (rectified flow begins at 1000 times the signal), or to no noise at all. What is believed
 * of the noise at such ends says nothing of one another, and a mean of it, times the step, runs away. */
static bool leaps(const walk *w) {
    enum { FAR = 100 };
    return w->next * FAR < w->sigma;
}

void step_plms(walk *w) {
    static const double ADAMS[4][4] = {
        {0.5, 0.5}, {1.5, -0.5}, {23 / 12.0, -16 / 12.0, 5 / 12.0}, {55 / 24.0, -59 / 24.0, 37 / 24.0, -9 / 24.0}};
    tensor *x = w->x, *last = said(w, x, w->sigma);
    if (w->kept == 0 && leaps(w)) { /* Euler's step, not to be remembered */
        along(w, x, last, (double[]){1}, 0);
        return;
    }
    if (w->kept == 0) { /* twice: the second time with the mean of both ends */
        MIX(w->start, {1, x});
        along(w, w->start, last, (double[]){1}, 0);
        remember(w, last);
        along(w, w->start, said(w, x, w->next), ADAMS[0], 1);
        return;
    }
    along(w, x, last, ADAMS[w->kept], w->kept);
    remember(w, last);
}

void step_prk(walk *w) {
    if (w->step >= 3 || leaps(w)) {
        step_plms(w);
        return;
    }
    double half = w->s->between ? w->s->between[w->step] : sqrt(w->sigma * w->next), middle = half - w->sigma;
    tensor *x = w->x, *at = like(x), *k1 = estimated(w, x, w->sigma).noise;
    MIX(at, {1, x}, {middle, k1});
    tensor *k2 = estimated(w, at, half).noise;
    MIX(at, {1, x}, {middle, k2});
    tensor *k3 = estimated(w, at, half).noise;
    double step = w->next - w->sigma;
    MIX(at, {1, x}, {step, k3});
    tensor *k4 = estimated(w, at, w->next).noise;
    MIX(x, {1, x}, {step / 6, k1}, {step / 3, k2}, {step / 3, k3}, {step / 6, k4});
    remember(w, k1);
}
