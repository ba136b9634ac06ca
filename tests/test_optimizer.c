/* The optimiser: its updates against the formulas, gradients that are not finite, rates over a run. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "train/optimizer.h"

static params *two_params(void) {
    params *p = NEW(params);
    p->home = scope_current();
    p->count = 2;
    p->items = NEW_ARRAY(param *, 2);
    for (int i = 0; i < 2; i++) {
        int64_t n = i ? 5 : 20001; /* more than one run */
        p->items[i] = NEW(param);
        *p->items[i] =
            (param){.name = i ? "b" : "a", .value = tensor_new(F32, SHAPE(n)), .trainable = true, .version = 1};
        random_normal((random_key){1, (uint64_t) i}, 0, f32(p->items[i]->value), (size_t) n);
        p->items[i]->value->param = p->items[i];
    }
    params_zero_grad(p);
    return p;
}

/* Against the formulas in double. */
static void check_updates(bool decoupled, double decay, double clip) {
    scope_begin();
    params *p = two_params();
    optimizer_settings s = optimizer_default();
    s.decoupled = decoupled;
    s.weight_decay = decay;
    s.clip = clip;
    s.average = 0.9;
    optimizer *o = optimizer_new(&s, p);
    const double rate = 0.01;
    double w = f32(p->items[0]->value)[7], m = 0, v = 0, average = w;
    for (int step = 1; step <= 5; step++) {
        double sum = 0;
        for (int i = 0; i < 2; i++)
            for (int64_t k = 0; k < count(p->items[i]->value); k++) {
                float g = (float) sin((double) (k + step * 13 + i));
                p->items[i]->grad[k] = g;
                sum += (double) g * g;
            }
        double g = sin(7.0 + step * 13), scale = clip > 0 ? clip / (sqrt(sum) + 1e-6) : 1;
        if (scale < 1) g *= scale;
        if (decoupled) w *= 1 - rate * decay;
        else g += decay * w;
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        w -= rate / (1 - pow(0.9, step)) * m / (sqrt(v) / sqrt(1 - pow(0.999, step)) + 1e-8);
        double d = fmin(0.9, (1.0 + step) / (10.0 + step));
        average += (1 - d) * (w - average);
        double norm = optimizer_step(o, rate);
        assert_true(fabs(norm - sqrt(sum)) < 1e-5 * sqrt(sum));
        assert_true(fabs(f32(p->items[0]->value)[7] - w) < 2e-6);
        optimizer_swap_average(o);
        assert_true(fabs(f32(p->items[0]->value)[7] - average) < 2e-6);
        optimizer_swap_average(o);
    }
    assert_int_equal(optimizer_updates(o), 5);
    scope_end();
}

static void test_updates(void **state) {
    (void) state;
    check_updates(false, 0, 0);
    check_updates(false, 0.1, 1);
    check_updates(true, 0.1, 0);
}

static void test_infinite_gradient(void **state) {
    (void) state;
    scope_begin();
    params *p = two_params();
    optimizer_settings s = optimizer_default();
    optimizer *o = optimizer_new(&s, p);
    float before = f32(p->items[0]->value)[0];
    p->items[1]->grad[0] = NAN;
    assert_false(isfinite(optimizer_step(o, 0.1)));
    assert_true(f32(p->items[0]->value)[0] == before);
    assert_int_equal(optimizer_updates(o), 0);
    scope_end();
}

static void test_rates(void **state) {
    (void) state;
    optimizer_settings s = optimizer_default();
    s.rate = 1;
    s.warmup = 10;
    assert_true(fabs(optimizer_rate(&s, 0, 110) - 0.1) < 1e-12);
    assert_true(optimizer_rate(&s, 10, 110) == 1);
    s.decay = DECAY_LINEAR;
    assert_true(fabs(optimizer_rate(&s, 60, 110) - 0.5) < 1e-12);
    s.decay = DECAY_COSINE;
    s.final = 0.1;
    assert_true(fabs(optimizer_rate(&s, 60, 110) - 0.55) < 1e-12);
    assert_true(fabs(optimizer_rate(&s, 110, 110) - 0.1) < 1e-12);
}

/* Numbers of stable-audio-tools' formula, worked out beside it. */
static void test_inverse_rate(void **state) {
    (void) state;
    scope_begin();
    static const char words[] = "{\"optimizer\": {\"learning_rate\": 0.5, \"decay\": \"inverse\", \"gamma\": 300, "
                                "\"power\": 0.5, \"warm\": 0.9}, \"average\": {\"decay\": 0.99, \"power\": 0.75}}";
    const optimizer_settings s = optimizer_settings_read(config_parse(words, sizeof words - 1, "test"));
    assert_true(fabs(optimizer_rate(&s, 0, 10) - 0.05) < 1e-12);
    assert_true(fabs(optimizer_rate(&s, 1, 10) - 0.5 * 0.19 / sqrt(301.0 / 300)) < 1e-12);
    assert_true(fabs(optimizer_rate(&s, 900, 10) - 0.25) < 1e-12);
    params *p = two_params();
    optimizer *o = optimizer_new(&s, p);
    const float before = f32(p->items[0]->value)[0];
    p->items[0]->grad[0] = 1;
    optimizer_step(o, 0.1); /* of update 1 the average keeps 1 - 2^-0.75 */
    const float after = f32(p->items[0]->value)[0];
    optimizer_swap_average(o);
    const double kept = 1 - pow(2, -0.75), average = f32(p->items[0]->value)[0];
    assert_true(fabs(average - (kept * before + (1 - kept) * after)) < 1e-6);
    assert_true(fabs(before - after) > 0.01);
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_updates), cmocka_unit_test(test_infinite_gradient),
                                       cmocka_unit_test(test_rates), cmocka_unit_test(test_inverse_rate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
