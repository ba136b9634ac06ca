/* Curricula, pairs of levels, and tangents of consistency training. */
#include "diffusion/consistency.h"

#include <math.h>

#include "diffusion/draws.h"
#include "diffusion/schedule.h"

int64_t curriculum_levels(int64_t k, int64_t K, int64_t s0, int64_t s1) {
    double stages = log2(floor((double) s1 / (double) s0)) + 1, stage = floor((double) K / stages);
    return (int64_t) fmin((double) s0 * exp2(floor((double) k / stage)), (double) s1) + 1;
}

int64_t curriculum_levels_first(int64_t k, int64_t K, int64_t s0, int64_t s1) {
    double from = (double) (s0 * s0), to = (double) ((s1 + 1) * (s1 + 1));
    return (int64_t) ceil(sqrt((double) k / (double) K * (to - from) + from) - 1) + 1;
}

double curriculum_decay(int64_t levels, int64_t s0, double mu0) {
    return exp((double) s0 * log(mu0) / (double) levels);
}

double *consistency_levels(size_t n, double least, double most) {
    double *falling = levels_between(schedule_find("karras"), (int64_t) n, least, most, 0).sigmas;
    double *rising = NEW_ARRAY(double, n);
    for (size_t i = 0; i < n; i++) rising[i] = falling[n - 1 - i];
    return rising;
}

double *pair_shares(const double *sigmas, size_t n, double mean, double std) {
    double *p = NEW_ARRAY(double, n), sum = 0;
    for (size_t i = 0; i + 1 < n; i++)
        sum += p[i] = normal_share((log(sigmas[i + 1]) - mean) / std) - normal_share((log(sigmas[i]) - mean) / std);
    for (size_t i = 0; i + 1 < n; i++) p[i] /= sum;
    return p;
}

estimate estimate_pushed(estimate cond, estimate uncond, double w) {
    mixing push = {1 + w, -w};
    return (estimate){mix(push, cond.clean, uncond.clean), mix(push, cond.noise, uncond.noise)};
}

void embed_guidance(double w, int64_t dims, double *out) {
    int64_t half = dims / 2;
    for (int64_t i = 0; i < half; i++) {
        double at = 1000 * w * exp(-log(10000) * (double) i / (double) (half - 1));
        out[i] = sin(at);
        out[half + i] = cos(at);
    }
}

void scm_tangent(double t, double data, double r, const double *x, const double *F, const double *path,
                 const double *dF, int64_t n, double *g) {
    double norm = 0;
    for (int64_t i = 0; i < n; i++) {
        g[i] = -cos(t) * cos(t) * (data * F[i] - path[i]) - r * (cos(t) * sin(t) * x[i] + data * dF[i]);
        norm += g[i] * g[i];
    }
    for (int64_t i = 0; i < n; i++) g[i] /= sqrt(norm) + 0.1;
}

double scm_weight(double t, double data) { return 1 / (data * tan(t)); }
