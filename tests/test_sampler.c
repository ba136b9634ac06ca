/* Samplers on signals whose exact denoiser is known: Gaussian with standard deviation S. The way back from noise is then
 * x(sigma) = x(sigma0) sqrt((S^2 + sigma^2) / (S^2 + sigma0^2)), and with fresh noise the outcomes have deviation S. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "base/scope.h"
#include "diffusion/sampler.h"

static const double S = 0.5, LEAST = 0.01, MOST = 20;
enum { POINTS = 20000, MOST_STEPS = 400 };
static uint64_t draws;

static void denoise(void *context, const float *x, double sigma, float *clean) {
    (void) context;
    for (int64_t i = 0; i < POINTS; i++) clean[i] = (float) (x[i] * S * S / (S * S + sigma * sigma));
}

static void noise(void *context, float *z) {
    (void) context;
    random_normal((random_key){7, ++draws}, 0, z, POINTS);
}

static void make_sigmas(double *sigma, int64_t steps) {
    for (int64_t i = 0; i < steps; i++) {
        double t = (double) i / (double) (steps - 1);
        sigma[i] = pow(pow(MOST, 1 / 7.0) + t * (pow(LEAST, 1 / 7.0) - pow(MOST, 1 / 7.0)), 7);
    }
    sigma[steps] = 0;
}

/* The error at the first point (eta 0), or that of the deviation over all points. */
static double error_of(const sampler *s, int64_t steps) {
    double sigma[MOST_STEPS + 1], sum = 0;
    scope_begin();
    float *x = alloc(POINTS * sizeof(float));
    make_sigmas(sigma, steps);
    random_normal((random_key){3, 1}, 0, x, POINTS);
    for (int64_t i = 0; i < POINTS; i++) x[i] *= (float) sqrt(S * S + MOST * MOST);
    double first = x[0], exact = first * S / sqrt(S * S + MOST * MOST);
    denoiser d = {denoise, noise, NULL, NULL, POINTS, s->eta};
    s->run(&d, x, sigma, steps);
    for (int64_t i = 0; i < POINTS; i++) sum += (double) x[i] * x[i];
    double error = s->eta > 0 ? sqrt(sum / POINTS) - S : x[0] - exact;
    scope_end();
    return fabs(error) / (s->eta > 0 ? S : fabs(exact));
}

static void test_convergence(void **state) {
    (void) state;
    for (const sampler *s = SAMPLERS; s->name; s++) {
        double coarse = error_of(s, 20), fine = error_of(s, 160), bound = strstr(s->name, "euler") ? 0.03 : 0.02;
        if (!(fine < bound)) fail_msg("%s: error %g in 20 steps, %g in 160", s->name, coarse, fine);
        if (s->eta == 0 && !(fine < coarse * 0.3)) fail_msg("%s does not converge: %g, then %g", s->name, coarse, fine);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_convergence)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
