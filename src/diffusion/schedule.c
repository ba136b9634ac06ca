/* Schedules of sigma: Karras et al. 2022 (arXiv 2206.00364, eq. 5), even steps in log sigma, and in a power of it. */
#include "diffusion/schedule.h"

#include <math.h>
#include <string.h>

#include "base/scope.h"

static double karras(double t, double least, double most, double rho) {
    double high = pow(most, 1 / rho), low = pow(least, 1 / rho);
    return pow(high + t * (low - high), rho);
}
static double exponential(double t, double least, double most, double rho) {
    (void) rho;
    return exp(log(most) + t * (log(least) - log(most)));
}
static double polyexponential(double t, double least, double most, double rho) {
    return exp(pow(1 - t, rho) * (log(most) - log(least)) + log(least));
}
static double linear(double t, double least, double most, double rho) {
    (void) rho;
    return most + t * (least - most);
}

const sigma_schedule SIGMA_SCHEDULES[] = {{"karras", "arXiv 2206.00364", karras, 7},
                                          {"exponential", "even in log sigma", exponential, 1},
                                          {"polyexponential", "a power of even steps in log sigma", polyexponential, 1},
                                          {"linear-sigma", "even in sigma", linear, 1},
                                          {0}};

const sigma_schedule *sigma_schedule_find(const char *name) {
    for (const sigma_schedule *s = SIGMA_SCHEDULES; s->name; s++)
        if (!strcmp(s->name, name)) return s;
    return NULL;
}

double *sigmas_make(const sigma_schedule *kind, size_t n, double least, double most, double rho) {
    double *sigmas = NEW_ARRAY(double, n + 1);
    for (size_t i = 0; i < n; i++)
        sigmas[i] = kind->at(n > 1 ? (double) i / (double) (n - 1) : 0, least, most, rho > 0 ? rho : kind->rho);
    return sigmas;
}

double training_step_at(const double *betas, size_t count, double alpha_bar) {
    double bar = count ? 1 - betas[0] : 1, root = sqrt(alpha_bar);
    if (alpha_bar >= bar) return 0;
    for (size_t t = 0; t + 1 < count; t++) {
        double next = bar * (1 - betas[t + 1]);
        if (alpha_bar >= next) return (double) t + (sqrt(bar) - root) / (sqrt(bar) - sqrt(next));
        bar = next;
    }
    return count ? (double) count - 1 : 0;
}
