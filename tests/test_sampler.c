/* Samplers on signals whose exact denoiser is known: Gaussian with standard deviation S. The way back from noise is then
 * x(sigma) = x(sigma0) sqrt((S^2 + sigma^2) / (S^2 + sigma0^2)), and with fresh noise the outcomes have deviation S. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "base/scope.h"
#include "diffusion/betas.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"

static const double S = 0.5, LEAST = 0.01, MOST = 20;
enum { POINTS = 20000 };
static uint64_t draws;

static estimate denoise(void *context, const tensor *x, double sigma) {
    (void) context;
    tensor *clean = tensor_new(F32, shape_of(x));
    for (int64_t i = 0; i < POINTS; i++) f32(clean)[i] = (float) (f32(x)[i] * S * S / (S * S + sigma * sigma));
    tensor *rest = tensor_zero(F32, shape_of(x)); /* at no noise its posterior mean is 0; else it follows */
    return (estimate){clean, sigma > 0 ? NULL : rest};
}

static void noise(void *context, double from, double to, float *z, int64_t n) {
    (void) context, (void) from, (void) to;
    random_normal((random_key){7, ++draws}, 0, z, (size_t) n);
}

/* The error at the first point (eta 0), or that of the deviation over all points. */
static double error_of(const sampler *s, int64_t steps) {
    double sum = 0;
    scope_begin();
    tensor *state = tensor_new(F32, SHAPE(1, POINTS));
    float *x = f32(state);
    levels l = levels_between(schedule_find("karras"), steps, LEAST, MOST, 0);
    random_normal((random_key){3, 1}, 0, x, POINTS);
    for (int64_t i = 0; i < POINTS; i++) x[i] *= (float) sqrt(S * S + MOST * MOST);
    double first = x[0], exact = first * S / sqrt(S * S + MOST * MOST);
    sampling how = {
        .denoise = {denoise, NULL},
        .sigmas = l.sigmas,
        .steps = steps,
        .noise = {noise, NULL},
        .options = {.eta = -1, .rtol = 8.0 / (double) (steps * steps), .atol = 1.0 / (double) (steps * steps)}};
    sampler_run(s, &how, state);
    for (int64_t i = 0; i < POINTS; i++) sum += (double) x[i] * x[i];
    double error = s->eta > 0 ? sqrt(sum / POINTS) - S : x[0] - exact;
    scope_end();
    return fabs(error) / (s->eta > 0 ? S : fabs(exact));
}

static void test_convergence(void **state) {
    (void) state;
    for (const sampler *s = SAMPLERS; s->name; s++) {
        if (s->clamp || s->distilled) continue; /* bounded as sounds are; made for other denoisers */
        double coarse = error_of(s, 20), fine = error_of(s, 160), bound = s->eta > 0 ? 0.04 : 0.02;
        if (!(fine < bound)) fail_msg("%s: error %g in 20 steps, %g in 160", s->name, coarse, fine);
        if (s->eta == 0 && !(fine < coarse * 0.3)) fail_msg("%s does not converge: %g, then %g", s->name, coarse, fine);
    }
}

/* Rectified flow's levels begin at a thousand times the signal and leap down from there: pseudo numerical methods, which take a mean of
 * what is believed at both ends of their first step, still end as near as Euler's steps do, in however few. */
static void test_leaps(void **state) {
    (void) state;
    static const char *const NAMES[] = {"euler", "plms", "prk", "rk4"};
    for (int64_t steps = 1; steps <= 8; steps++)
        for (size_t k = 0; k < sizeof NAMES / sizeof *NAMES; k++) {
            scope_begin();
            double *sigmas = NEW_ARRAY(double, steps + 1), sum = 0;
            for (int64_t i = 1; i < steps; i++) sigmas[i] = (double) (steps - i) / (double) i;
            sigmas[0] = 1000;
            tensor *x = tensor_new(F32, SHAPE(1, POINTS));
            random_normal((random_key){3, 1}, 0, f32(x), POINTS);
            for (int64_t i = 0; i < POINTS; i++) f32(x)[i] *= 1000;
            const sampling how = {.denoise = {denoise, NULL}, .sigmas = sigmas, .steps = steps, .options.eta = -1};
            sampler_run(sampler_find(NAMES[k]), &how, x);
            for (int64_t i = 0; i < POINTS; i++) sum += (double) f32(x)[i] * f32(x)[i];
            if (!(sqrt(sum / POINTS) < 2 * S))
                fail_msg("%s in %lld: %g", NAMES[k], (long long) steps, sqrt(sum / POINTS));
            scope_end();
        }
}

/* Memory at the end of a walk and at its most is that of a few states, whatever the steps. */
static void test_memory(void **state) {
    (void) state;
    size_t most[2];
    for (int i = 0; i < 2; i++) {
        memory_trim();
        memory_peak_reset();
        error_of(sampler_find("dpmpp-3m-sde"), i ? 200 : 10);
        most[i] = memory_peak();
    }
    assert_true(most[1] < most[0] + POINTS * sizeof(float));
}

static void test_levels(void **state) {
    (void) state;
    const double betas[] = {0.1, 0.2, 0.3};
    assert_true(fabs(vp_alpha_bar(vp_sigma(0.37)) - 0.37) < 1e-12);
    assert_true(fabs(training_step_at(betas, 3, 0.9 * 0.8) - 1) < 1e-9);
    assert_true(training_step_at(betas, 3, 0.99) == 0 && training_step_at(betas, 3, 0.01) == 2);
    assert_null(sampler_find("eulr"));
    for (const schedule *k = SCHEDULES; k->name; k++) {
        if (!k->at) continue;
        scope_begin();
        double *sigmas = levels_between(k, 10, 0.05, 12, 0).sigmas;
        assert_true(fabs(sigmas[0] - 12) < 1e-9 && fabs(sigmas[9] - 0.05) < 1e-9 && sigmas[10] == 0);
        for (int i = 0; i < 10; i++) assert_true(sigmas[i] > sigmas[i + 1]);
        scope_end();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_convergence), cmocka_unit_test(test_leaps),
                                       cmocka_unit_test(test_memory), cmocka_unit_test(test_levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
