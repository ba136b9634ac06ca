/* What is said of long sounds whose drift and repetition are known. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "base/scope.h"
#include "eval/steadiness.h"

enum { RATE = 44100, SECONDS = 60 };

/* Noise whose level and colour wander from second to second; turn: seconds after which all comes again, 0: never. */
static audio *wandering(int turn) {
    audio *a = audio_new(SECONDS * RATE, 1, RATE);
    float last = 0;
    for (int64_t i = 0; i < a->frames; i++) {
        const uint64_t at = (uint64_t) (turn ? i % ((int64_t) turn * RATE) : i), part = at / (RATE / 4);
        const float x = (float) (random_uniform((random_key){1, 0}, at) - 0.5);
        const float level = (float) pow(10, random_uniform((random_key){2, 0}, part) - 1);
        last += (0.02f + 0.9f * (float) random_uniform((random_key){3, 0}, part)) * (x - last);
        a->samples[i] = level * last;
    }
    return a;
}

static void test_steady(void **state) {
    (void) state;
    scope_begin();
    const steadiness s = steadiness_of(wandering(0));
    assert_int_equal(s.parts, 6);
    assert_true(fabs(s.level_drift_db) < 3 && s.level_low_db > -4 && s.level_high_db < 4);
    assert_true(s.spectrum_far_db < 3 && s.spectrum_drift_db < 3);
    assert_true(s.likeness < 0.4);
    scope_end();
}

static void test_repeats(void **state) {
    (void) state;
    scope_begin();
    const steadiness s = steadiness_of(wandering(11));
    assert_true(s.likeness > 0.9);
    assert_true(fabs(fmod(s.lag_seconds + 5.5, 11) - 5.5) < 0.2);
    scope_end();
}

static void test_drifts(void **state) {
    (void) state;
    scope_begin();
    audio *a = wandering(0);
    for (int64_t i = 0; i < a->frames; i++) a->samples[i] *= (float) pow(10, -1.0 * (double) i / (double) a->frames);
    const steadiness s =
        steadiness_of(a); /* 20 dB over its length, 16.7 between the middles of the first and last part */
    assert_true(fabs(s.level_drift_db + 16.7) < 3);
    assert_true(s.spectrum_drift_db > 10 && s.level_low_db < -8);
    scope_end();
}

static void short_sound(void *unused) {
    (void) unused;
    steadiness_of(audio_new(RATE, 1, RATE));
}

static void test_short(void **state) {
    (void) state;
    expect_failure(short_sound, NULL, HISS_ERROR_ARGUMENT, "30 s");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_drifts),
        cmocka_unit_test(test_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
