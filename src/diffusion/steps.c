/* The steps of the samplers, in the form of k-diffusion: x = x0 + sigma n, dx / dsigma = (x - x0) / sigma. The exponential
 * integrators work in -ln sigma; for constant x0 their step is Euler's. */
#include <math.h>
#include <string.h>

#include "diffusion/walk.h"

/* x0 held constant. */
static void euler(tensor *out, const tensor *x, const tensor *x0, double from, double to) {
    double keep = to / from;
    MIX(out, {keep, x}, {1 - keep, x0});
}

/* Karras' churn: noise added to reach a higher level, which is returned. Drawn on every step where it is asked for at all, used
 * or not, as the original does. */
static double churned(walk *w) {
    const sampler_options *o = &w->s->options;
    if (o->churn <= 0) return w->sigma;
    bool inside = w->sigma >= o->low && (o->high <= 0 || w->sigma <= o->high);
    double gamma = inside ? fmin(o->churn / (double) w->s->steps, M_SQRT2 - 1) : 0, hat = w->sigma * (1 + gamma);
    tensor *z = like(w->x);
    w->s->noise.draw(w->s->noise.context, w->sigma, hat, f32(z), count(z));
    if (gamma > 0) MIX(w->x, {1, w->x}, {w->noise * sqrt(hat * hat - w->sigma * w->sigma), z});
    return hat;
}

void step_euler(walk *w) {
    double hat = churned(w);
    euler(w->x, w->x, denoised(w, w->x, hat), hat, w->next);
}

void step_euler_ancestral(walk *w) {
    ancestral a = ancestral_levels(w->sigma, w->next, w->eta);
    euler(w->x, w->x, denoised(w, w->x, w->sigma), w->sigma, a.down);
    add_noise_between(w, w->x, w->sigma, w->next, a.up);
}

void step_heun(walk *w) {
    tensor *x = w->x, *ahead = like(x);
    double hat = churned(w), step = w->next - hat;
    tensor *x0 = denoised(w, x, hat);
    euler(ahead, x, x0, hat, w->next);
    if (w->next == 0) {
        MIX(x, {1, ahead});
        return;
    }
    tensor *x1 = denoised(w, ahead, w->next);
    double first = step / (2 * hat), second = step / (2 * w->next);
    MIX(x, {1 + first, x}, {-first, x0}, {second, ahead}, {-second, x1});
}

/* To `to` by the slope at the geometric mean. */
static void middle_slope(walk *w, double from, double to) {
    tensor *x = w->x, *half = like(x), *x0 = denoised(w, x, from);
    if (to == 0) {
        euler(x, x, x0, from, 0);
        return;
    }
    double middle = sqrt(from * to), slope = (to - from) / middle;
    euler(half, x, x0, from, middle);
    MIX(x, {1, x}, {slope, half}, {-slope, denoised(w, half, middle)});
}

void step_dpm_2(walk *w) {
    double hat = churned(w);
    middle_slope(w, hat, w->next);
}

void step_dpm_2_ancestral(walk *w) {
    ancestral a = ancestral_levels(w->sigma, w->next, w->eta);
    middle_slope(w, w->sigma, a.down);
    add_noise_between(w, w->x, w->sigma, w->next, a.up);
}

/* Lagrange's polynomial of point j among the last `order` levels, at sigma. */
static double lagrange(const walk *w, int order, int j, double sigma) {
    double product = 1;
    for (int k = 0; k < order; k++)
        if (k != j) product *= (sigma - sigma_before(w, k)) / (sigma_before(w, j) - sigma_before(w, k));
    return product;
}

void step_lms(walk *w) {
    tensor *x = w->x, *d = like(x);
    int most = w->s->options.order ? w->s->options.order : WALK_MEMORY;
    MIX(d, {1 / w->sigma, x}, {-1 / w->sigma, denoised(w, x, w->sigma)});
    remember(w, d);
    int order = w->kept < most ? w->kept : most;
    term terms[WALK_MEMORY + 1] = {{1, x}};
    for (int j = 0; j < order; j++) { /* Simpson's rule is exact up to the third degree */
        double ends = lagrange(w, order, j, w->sigma) + lagrange(w, order, j, w->next);
        double middle = lagrange(w, order, j, (w->sigma + w->next) / 2);
        terms[j + 1] = (term){(w->next - w->sigma) / 6 * (ends + 4 * middle), w->old[j]};
    }
    add_terms(x, terms, order + 1);
}

void step_dpmpp_2s_ancestral(walk *w) {
    tensor *x = w->x, *half = like(x), *x0 = denoised(w, x, w->sigma);
    ancestral a = ancestral_levels(w->sigma, w->next, w->eta);
    if (a.down == 0) {
        euler(x, x, x0, w->sigma, 0);
    } else {
        double middle = sqrt(w->sigma * a.down);
        euler(half, x, x0, w->sigma, middle);
        euler(x, x, denoised(w, half, middle), w->sigma, a.down);
    }
    add_noise_between(w, x, w->sigma, w->next, a.up);
}

void step_dpmpp_sde(walk *w) {
    tensor *x = w->x, *half = like(x), *x0 = denoised(w, x, w->sigma);
    if (w->next == 0) {
        euler(x, x, x0, w->sigma, 0);
        return;
    }
    double r = w->s->options.middle > 0 ? w->s->options.middle : 0.5, share = 1 / (2 * r);
    double middle = w->sigma * pow(w->next / w->sigma, r);
    ancestral a = ancestral_levels(w->sigma, middle, w->eta), b = ancestral_levels(w->sigma, w->next, w->eta);
    euler(half, x, x0, w->sigma, a.down);
    add_noise_between(w, half, w->sigma, middle, a.up);
    tensor *x1 = denoised(w, half, middle);
    double keep = b.down / w->sigma;
    MIX(x, {keep, x}, {(1 - keep) * (1 - share), x0}, {(1 - keep) * share, x1});
    add_noise_between(w, x, w->sigma, w->next, b.up);
}

void step_dpmpp_2m(walk *w) {
    tensor *x = w->x, *x0 = denoised(w, x, w->sigma);
    double keep = w->next / w->sigma;
    if (w->kept == 0 || w->next == 0) {
        MIX(x, {keep, x}, {1 - keep, x0});
    } else {
        double c = log(w->sigma / w->next) / (2 * log(sigma_before(w, 1) / w->sigma)); /* h / (2 h before) */
        MIX(x, {keep, x}, {(1 - keep) * (1 + c), x0}, {-(1 - keep) * c, w->old[0]});
    }
    remember(w, x0);
}

void step_dpmpp_2m_sde(walk *w) {
    tensor *x = w->x, *x0 = denoised(w, x, w->sigma);
    if (w->next == 0) {
        MIX(x, {1, x0});
        return;
    }
    double h = log(w->sigma / w->next), all = h * (1 + w->eta), gain = -expm1(-all), c = 0;
    if (w->kept) c = (w->s->options.heun ? 1 - gain / all : gain / 2) * h / log(sigma_before(w, 1) / w->sigma);
    MIX(x, {exp(-all), x}, {gain + c, x0}, {-c, w->kept ? w->old[0] : x0});
    add_noise_between(w, x, w->sigma, w->next, w->next * sqrt(-expm1(-2 * w->eta * h)));
    remember(w, x0);
}

void step_dpmpp_3m_sde(walk *w) {
    tensor *x = w->x, *x0 = denoised(w, x, w->sigma);
    if (w->next == 0) {
        MIX(x, {1, x0});
        return;
    }
    double h = log(w->sigma / w->next), all = h * (1 + w->eta), gain = -expm1(-all);
    double phi2 = 1 - gain / all, phi3 = phi2 / all - 0.5;
    double r0 = w->kept > 0 ? log(sigma_before(w, 1) / w->sigma) / h : 1;
    double r1 = w->kept > 1 ? log(sigma_before(w, 2) / sigma_before(w, 1)) / h : 1;
    double a = w->kept > 0 ? phi2 : 0, b = 0; /* of the slope from the last output to this, and of the one before it */
    if (w->kept > 1) {
        a += (phi2 * r0 - phi3) / (r0 + r1);
        b = -(phi2 * r0 - phi3) / (r0 + r1);
    }
    const tensor *one = w->kept > 0 ? w->old[0] : x0, *two = w->kept > 1 ? w->old[1] : x0;
    MIX(x, {exp(-all), x}, {gain + a / r0, x0}, {-a / r0 + b / r1, one}, {-b / r1, two});
    add_noise_between(w, x, w->sigma, w->next, w->next * sqrt(-expm1(-2 * w->eta * h)));
    remember(w, x0);
}
