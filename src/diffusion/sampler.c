/* Samplers: see sampler.h. s and next are sigmas; t = -ln sigma, h the step in t (Lu et al. 2022). All states are [n]. */
#include "diffusion/sampler.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/scope.h"

static float *vector(const denoiser *d) { return alloc((size_t) d->n * sizeof(float)); }

static void swap(float **a, float **b) {
    float *kept = *a;
    *a = *b;
    *b = kept;
}

/* y <- a y + b u */
static void mix(const denoiser *d, float *y, double a, double b, const float *u) {
    float fa = (float) a, fb = (float) b;
#pragma omp simd
    for (int64_t i = 0; i < d->n; i++) y[i] = fa * y[i] + fb * u[i];
}

/* y <- y + b (u - v) */
static void add_difference(const denoiser *d, float *y, double b, const float *u, const float *v) {
    float fb = (float) b;
#pragma omp simd
    for (int64_t i = 0; i < d->n; i++) y[i] += fb * (u[i] - v[i]);
}

static void add_noise(const denoiser *d, float *x, double amount, float *z) {
    if (amount == 0) return;
    d->noise(d->context, z);
    mix(d, x, 1, amount, z);
}

static void stepped(const denoiser *d, int64_t i) {
    if (d->stepped) d->stepped(d->context, i);
}

/* The part of the next level that is fresh noise, and the level to walk down to before adding it. */
static double fresh_noise(double s, double next, double eta, double *down) {
    double up = fmin(next, eta * sqrt(next * next * (s * s - next * next) / (s * s)));
    *down = sqrt(fmax(next * next - up * up, 0));
    return up;
}

/* x <- x + (next - s) (x - clean) / s */
static void euler_step(const denoiser *d, float *x, const float *clean, double s, double next) {
    mix(d, x, next / s, 1 - next / s, clean);
}

static void euler_ancestral(const denoiser *d, float *x, const double *sigma, int64_t steps) {
    float *clean = vector(d), *z = vector(d);
    for (int64_t i = 0; i < steps; i++) {
        double down, up = fresh_noise(sigma[i], sigma[i + 1], d->eta, &down);
        d->denoise(d->context, x, sigma[i], clean);
        euler_step(d, x, clean, sigma[i], down);
        add_noise(d, x, up, z);
        stepped(d, i);
    }
}

/* Karras et al. 2022, algorithm 1. */
static void heun(const denoiser *d, float *x, const double *sigma, int64_t steps) {
    float *clean = vector(d), *there = vector(d), *second = vector(d);
    for (int64_t i = 0; i < steps; i++) {
        double s = sigma[i], next = sigma[i + 1], half = (next - s) / 2;
        d->denoise(d->context, x, s, clean);
        if (next == 0) {
            memcpy(x, clean, (size_t) d->n * sizeof(float));
        } else {
            memcpy(there, x, (size_t) d->n * sizeof(float));
            euler_step(d, there, clean, s, next);
            d->denoise(d->context, there, next, second);
            mix(d, x, 1 + half / s, -half / s, clean);
            add_difference(d, x, half / next, there, second);
        }
        stepped(d, i);
    }
}

/* DPM-Solver++ (2S) with ancestral noise: Lu et al. 2022, arXiv 2211.01095, algorithm 1. */
static void dpmpp_2s_ancestral(const denoiser *d, float *x, const double *sigma, int64_t steps) {
    float *clean = vector(d), *middle = vector(d), *z = vector(d);
    for (int64_t i = 0; i < steps; i++) {
        double s = sigma[i], down, up = fresh_noise(s, sigma[i + 1], d->eta, &down);
        d->denoise(d->context, x, s, clean);
        if (down == 0) {
            memcpy(x, clean, (size_t) d->n * sizeof(float));
        } else {
            double h = log(s / down), between = s * exp(-h / 2);
            memcpy(middle, x, (size_t) d->n * sizeof(float));
            mix(d, middle, between / s, -expm1(-h / 2), clean);
            d->denoise(d->context, middle, between, clean);
            mix(d, x, down / s, -expm1(-h), clean);
        }
        add_noise(d, x, up, z);
        stepped(d, i);
    }
}

/* DPM-Solver++ (2M): the same paper, algorithm 2; with fresh noise (eta > 0) SDE-DPM-Solver++ (2M), midpoint. */
static void dpmpp_2m(const denoiser *d, float *x, const double *sigma, int64_t steps) {
    float *clean = vector(d), *before = vector(d), *z = vector(d);
    double h_before = 0;
    for (int64_t i = 0; i < steps; i++) {
        double s = sigma[i], next = sigma[i + 1];
        d->denoise(d->context, x, s, clean);
        if (next == 0) {
            memcpy(x, clean, (size_t) d->n * sizeof(float));
        } else {
            double h = log(s / next), taken = -expm1(-h - d->eta * h);
            mix(d, x, next / s * exp(-d->eta * h), taken, clean);
            if (i > 0) add_difference(d, x, taken * h / (2 * h_before), clean, before);
            add_noise(d, x, next * sqrt(-expm1(-2 * d->eta * h)), z);
            h_before = h;
        }
        swap(&clean, &before);
        stepped(d, i);
    }
}

/* SDE-DPM-Solver++ (3M), as k-diffusion derives it from the exponential integrator's phi functions. */
static void dpmpp_3m_sde(const denoiser *d, float *x, const double *sigma, int64_t steps) {
    float *clean = vector(d), *one = vector(d), *two = vector(d), *z = vector(d);
    double h1 = 0, h2 = 0;
    for (int64_t i = 0; i < steps; i++) {
        double s = sigma[i], next = sigma[i + 1];
        d->denoise(d->context, x, s, clean);
        if (next == 0) {
            memcpy(x, clean, (size_t) d->n * sizeof(float));
        } else {
            double h = log(s / next), e = h * (d->eta + 1), phi2 = expm1(-e) / e + 1, phi3 = phi2 / e - 0.5;
            mix(d, x, exp(-e), -expm1(-e), clean);
            if (i > 1) {
                double r0 = h1 / h, r1 = h2 / h, sum = r0 + r1;
                /* phi2 d1 - phi3 d2; d1 = u + (u - v) r0 / sum, d2 = (u - v) / sum */
                double u = phi2 * (1 + r0 / sum) - phi3 / sum, v = -phi2 * r0 / sum + phi3 / sum;
                add_difference(d, x, u / r0, clean, one);
                add_difference(d, x, v / r1, one, two);
            } else if (i == 1) {
                add_difference(d, x, phi2 * h / h1, clean, one);
            }
            add_noise(d, x, next * sqrt(-expm1(-2 * h * d->eta)), z);
            h2 = h1;
            h1 = h;
        }
        swap(&one, &two);
        swap(&clean, &one);
        stepped(d, i);
    }
}

/* --- UniPC: Zhao et al. 2023, arXiv 2302.04867, B(h) = e^h - 1, order 2 --- */

typedef struct {
    float *start;       /* the corrected state the last step began at */
    float *zero, *one;  /* clean estimates at its start and one step earlier */
    double s, h, ratio; /* its sigma, its length in t, (t one earlier - t) / h: negative */
    int order;
} unipc_step;

/* The first-order step from `start`, and what an estimate's difference counts for. */
static void unipc_base(const denoiser *d, const unipc_step *u, double next, float *x) {
    memcpy(x, u->start, (size_t) d->n * sizeof(float));
    mix(d, x, next / u->s, -expm1(-u->h), u->zero);
}

static void unipc_correct(const denoiser *d, const unipc_step *u, double next, const float *clean, float *x) {
    double hh = -u->h, B = expm1(hh), phi = B / hh - 1, b1 = phi / B, b2 = (phi / hh - 0.5) * 2 / B;
    double earlier = u->order > 1 ? (b1 - b2) / (1 - u->ratio) : 0, latest = u->order > 1 ? b1 - earlier : 0.5;
    unipc_base(d, u, next, x);
    if (u->order > 1) add_difference(d, x, -B * earlier / u->ratio, u->one, u->zero);
    add_difference(d, x, -B * latest, clean, u->zero);
}

static void unipc(const denoiser *d, float *x, const double *sigma, int64_t steps) {
    unipc_step u = {.start = vector(d), .zero = vector(d), .one = vector(d)};
    float *clean = vector(d);
    for (int64_t i = 0; i < steps; i++) {
        double next = sigma[i + 1], h_before = u.h;
        d->denoise(d->context, x, sigma[i], clean);
        if (i > 0) unipc_correct(d, &u, sigma[i], clean, x);
        swap(&u.one, &u.zero);
        swap(&u.zero, &clean);
        memcpy(u.start, x, (size_t) d->n * sizeof(float));
        if (next == 0) {
            memcpy(x, u.zero, (size_t) d->n * sizeof(float));
        } else {
            u.s = sigma[i];
            u.h = log(sigma[i] / next);
            u.ratio = -h_before / u.h;
            u.order = i > 0 ? 2 : 1;
            unipc_base(d, &u, next, x);
            if (u.order > 1) add_difference(d, x, -expm1(-u.h) * 0.5 / u.ratio, u.one, u.zero);
        }
        stepped(d, i);
    }
}

const sampler SAMPLERS[] = {
    {"euler", "Karras et al. 2022, algorithm 2 without churn", 1, 0, euler_ancestral},
    {"euler-ancestral", "Song et al. 2021, k-diffusion", 1, 1, euler_ancestral},
    {"heun", "Karras et al. 2022, algorithm 1", 2, 0, heun},
    {"dpmpp-2s-a", "Lu et al. 2022, arXiv 2211.01095", 2, 1, dpmpp_2s_ancestral},
    {"dpmpp-2m", "Lu et al. 2022, arXiv 2211.01095", 1, 0, dpmpp_2m},
    {"dpmpp-2m-sde", "Lu et al. 2022, arXiv 2211.01095", 1, 1, dpmpp_2m},
    {"dpmpp-3m-sde", "k-diffusion", 1, 1, dpmpp_3m_sde},
    {"unipc", "Zhao et al. 2023, arXiv 2302.04867", 1, 0, unipc},
    {0},
};
