/* Conversions between predictions, guidance, Brownian paths, masks and schedules, where the answer is known. */
#include "test.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "diffusion/brownian.h"
#include "diffusion/draws.h"
#include "diffusion/guidance.h"
#include "diffusion/inpaint.h"
#include "diffusion/schedule.h"

enum { B = 2, T = 5, C = 3, N = B * T * C };

static tensor *normals(uint64_t seed) {
    tensor *t = tensor_new(F32, SHAPE(B, T, C));
    random_normal((random_key){seed, 0}, 0, f32(t), N);
    return t;
}

static double distance(const tensor *a, const tensor *b) {
    double most = 0;
    for (int i = 0; i < N; i++) most = fmax(most, fabs((double) f32(a)[i] - (double) f32(b)[i]));
    return most;
}

/* Every prediction gives back both halves, at the ends of the processes too where it determines them. */
static void test_objectives(void **state) {
    (void) state;
    scope_begin();
    tensor *clean = normals(1), *noise = normals(2);
    for (int kind = PROCESS_EXPLODING; kind <= PROCESS_STRAIGHT; kind++)
        for (int of = 0; of < OBJECTIVES; of++) {
            static const double SIGMAS[] = {0, 0.03, 1, 7, NO_SIGNAL};
            for (int i = 0; i < 5; i++) {
                mixing at = mixing_at((process) kind, SIGMAS[i]), y = objective_mixing((objective) of, at);
                if (fabs(at.a * y.b - at.b * y.a) < 1e-3 || at.b > 10)
                    continue; /* one unknown says nothing of the other */
                tensor *x = mix(at, clean, noise);
                estimate e = estimate_of((objective) of, at, x, target_of((objective) of, at, clean, noise));
                assert_true(distance(e.clean, clean) < 1e-3 && distance(e.noise, noise) < 1e-3);
            }
        }
    for (int kind = PROCESS_ROTATING; kind <= PROCESS_STRAIGHT; kind++)
        for (int i = -4; i <= 4; i++) {
            double sigma = pow(3, i);
            assert_true(fabs(sigma_at((process) kind, time_of((process) kind, sigma)) / sigma - 1) < 1e-9);
        }
    assert_true(sigma_at(PROCESS_STRAIGHT, 1) == NO_SIGNAL && time_of(PROCESS_STRAIGHT, NO_SIGNAL) == 1);
    scope_end();
}

static void test_guidance(void **state) {
    (void) state;
    scope_begin();
    tensor *cond = normals(3), *uncond = normals(4), *x = normals(5);
    guidance plain = {.scale = 1}, bounded = {.scale = 5, .most_norm = 1e-6},
             apg = {.scale = 4, .projected = true, .from_cond = true};
    assert_true(distance(guide(&plain, cond, uncond, NULL, NULL), cond) < 1e-6);
    assert_true(distance(guide(&bounded, cond, uncond, NULL, NULL), uncond) < 1e-5);
    tensor *pushed = guide(&apg, cond, uncond, NULL, NULL);
    for (int b = 0; b < B; b++) { /* what was added is orthogonal to the prediction of its element */
        double dot = 0, size = 0;
        for (int i = b * T * C; i < (b + 1) * T * C; i++) {
            dot += ((double) f32(pushed)[i] - (double) f32(cond)[i]) * (double) f32(cond)[i];
            size += (double) f32(cond)[i] * (double) f32(cond)[i];
        }
        assert_true(fabs(dot) < 1e-5 * size);
    }
    guidance by_clean = {.scale = 3, .of_clean = true}; /* linear, so that it is the same for every objective */
    for (int of = 0; of < OBJECTIVES; of++) {
        mixing at = mixing_at(PROCESS_ROTATING, 0.8);
        tensor *direct = guide(&(guidance){.scale = 3}, cond, uncond, NULL, NULL);
        assert_true(distance(guide_prediction(&by_clean, (objective) of, at, x, cond, uncond, NULL), direct) < 1e-4);
    }
    assert_true(guides_at(&(guidance){.scale = 2, .low = 0.2, .high = 0.8}, 0.2));
    assert_false(guides_at(&(guidance){.scale = 2, .low = 0.2, .high = 0.8}, 0.81));
    assert_false(guides_at(&plain, 0.5));
    scope_end();
}

/* Increments of neighbouring intervals add up, whichever way they are asked for, and have variance 1 over their root. */
static void test_brownian(void **state) {
    (void) state;
    scope_begin();
    enum { POINTS = 4000 };
    brownian path = {12345, 0.1, 50, 0};
    float *a = NEW_ARRAY(float, POINTS), *b = NEW_ARRAY(float, POINTS), *all = NEW_ARRAY(float, POINTS);
    brownian_draw(&path, 20, 7, a, POINTS);
    brownian_draw(&path, 7, 1.5, b, POINTS);
    brownian_draw(&path, 20, 1.5, all, POINTS);
    double squares = 0;
    for (int i = 0; i < POINTS; i++) {
        double sum = (double) a[i] * sqrt(13) + (double) b[i] * sqrt(5.5);
        assert_true(fabs(sum - (double) all[i] * sqrt(18.5)) < 1e-4);
        squares += (double) a[i] * (double) a[i] / POINTS;
    }
    assert_true(fabs(squares - 1) < 0.1);
    brownian_draw(&path, 7, 20, b, POINTS);
    assert_true(fabs((double) a[3] + (double) b[3]) < 1e-6);
    brownian_draw(&path, 7, 7, b, POINTS);
    assert_true(b[0] == 0);
    scope_end();
}

static void test_masks(void **state) {
    (void) state;
    scope_begin();
    tensor *x = normals(6), *init = normals(7), *noise = normals(8), *before = normals(6);
    float keep[B * T] = {1, 0, 1};
    blend(x, keep, C, (mixing){1, 2}, init, noise);
    for (int i = 0; i < N; i++) {
        double kept = (double) f32(init)[i] + 2 * (double) f32(noise)[i];
        assert_true(fabs((double) f32(x)[i] - (keep[i / C] > 0 ? kept : (double) f32(before)[i])) < 1e-5);
    }
    for (int64_t steps = 1; steps < 30; steps++)
        for (int64_t jump = 1; jump < 12; jump++)
            for (int64_t times = 1; times < 4; times++) {
                size_t count;
                int64_t *order = repaint_order(steps, jump, times, &count), last = steps;
                for (size_t i = 0; i < count; last = order[i++])
                    assert_true(order[i] >= 0 && order[i] < steps && llabs(order[i] - last) == 1);
                assert_int_equal(order[count - 1], 0);
            }
    float starts_early = keep_mask(100, 10, (double[]){2}, (double[]){500}, 1, 0)[19];
    assert_true(starts_early == 1 && strength_steps(10, 0.35) == 3 && strength_steps(10, 7) == 10);
    scope_end();
}

/* Every schedule falls from at most the most noise to 0, for laws of betas and of flow. */
static void test_schedules(void **state) {
    (void) state;
    scope_begin();
    double betas[50];
    for (int i = 0; i < 50; i++) betas[i] = 1e-4 + (0.05 - 1e-4) * i / 49;
    noise_law laws[] = {law_of_betas(betas, 50, betas, 6),
                        {.least = 0.01, .most = NO_SIGNAL, .process = PROCESS_STRAIGHT},
                        {.least = 0.05, .most = 80, .process = PROCESS_ROTATING}};
    for (int i = 0; i < 3; i++)
        for (const schedule *s = SCHEDULES; s->name; s++)
            for (int64_t steps = 1; steps <= 50; steps += 7) {
                levels l = schedule_make(s, &laws[i], steps);
                assert_int_equal(l.steps, steps);
                assert_true(l.sigmas[0] <= laws[i].most * (1 + 1e-9) && l.sigmas[steps] == 0);
                for (int64_t k = 0; k < steps; k++)
                    if (!(l.sigmas[k] > l.sigmas[k + 1]))
                        fail_msg("%s, %lld steps: level %lld", s->name, (long long) steps, (long long) k);
            }
    for (int i = 1; i < 60; i++) {
        double p = pow(0.75, i);
        assert_true(fabs(normal_share(normal_quantile(p)) / p - 1) < 1e-9);
    }
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_objectives), cmocka_unit_test(test_guidance),
                                       cmocka_unit_test(test_brownian), cmocka_unit_test(test_masks),
                                       cmocka_unit_test(test_schedules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
