/* The generators of recipes/sound: finite sound of bounded length and level, the same for a seed, with captions; words that
 * are measured (high, low, fast); clips cut as said. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"
#include "clip.h"
#include "synth_rooms.h"

enum { SEEDS = 1, ENOUGH = 4 };

static bool in_classes(const char *table, const char *class) {
    const char *row = strstr(table, format("\n%s\t", class));
    return row != NULL;
}

static void check_sound(const sound *s, const generator *g) {
    float peak = 0;
    double power = 0;
    if (s->n < hz_rate / 10 || s->n > 12 * hz_rate) fail_msg("%s lasts %d samples", g->class, s->n);
    for (int i = 0; i < s->n; i++) {
        if (!isfinite(s->x[i])) fail_msg("%s: sample %d is not finite", g->class, i);
        peak = fmaxf(peak, fabsf(s->x[i]));
        power += (double) s->x[i] * s->x[i];
    }
    if (!(fabsf(peak - 0.95f) < 1e-3f)) fail_msg("%s: peak %g", g->class, peak);
    if (!(power / s->n > 1e-6)) fail_msg("%s: nearly silent, %g", g->class, power / s->n);
    if (!*s->caption || strpbrk(s->caption, "\t\n%") || strlen(s->caption) > 1000)
        fail_msg("%s: caption '%s'", g->class, s->caption);
    if (strstr(s->caption, "  ") || strstr(s->caption, "| |")) fail_msg("%s: caption '%s'", g->class, s->caption);
}

static void test_all(void **state) {
    (void) state;
    scope_begin();
    bytes file = file_read("recipes/sound/classes.tsv", 1 << 20);
    const char *table = format("%.*s", (int) file.size, (const char *) file.data);
    for (int k = 0; k < generator_count; k++) {
        if (!in_classes(table, generators[k].class)) fail_msg("%s is not in classes.tsv", generators[k].class);
        for (int seed = 0; seed < SEEDS; seed++) {
            sound s;
            synth_make(&s, &generators[k], (uint64_t) seed);
            check_sound(&s, &generators[k]);
            synth_end(&s);
        }
    }
    scope_end();
}

static void test_seeds(void **state) {
    (void) state;
    for (int k = 0; k < generator_count; k += 9) {
        sound a, b, c;
        synth_make(&a, &generators[k], 11);
        synth_make(&b, &generators[k], 11);
        synth_make(&c, &generators[k], 12);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.x, b.x, (size_t) a.n * sizeof *a.x);
        assert_string_equal(a.caption, b.caption);
        assert_true(a.n != c.n || memcmp(a.x, c.x, (size_t) a.n * sizeof *a.x));
        synth_end(&a), synth_end(&b), synth_end(&c);
    }
}

/* Zero crossings a second: twice the frequency of a tone. */
static double crossings(const sound *s) {
    int n = 0;
    for (int i = 1; i < s->n; i++) n += (s->x[i] < 0) != (s->x[i - 1] < 0);
    return (double) n / s->n * hz_rate;
}

/* Mean of a generator's measure over sounds whose caption has a word. */
static double mean_of(make *which, const char *word, double (*measure)(const sound *)) {
    double sum = 0;
    int n = 0;
    for (int seed = 0; n < ENOUGH && seed < 60; seed++) {
        sound s;
        synth_make(&s, generator_named(which), (uint64_t) seed);
        if (strstr(s.caption, word)) sum += measure(&s), n++;
        synth_end(&s);
    }
    if (n < ENOUGH) fail_msg("only %d of 60 captions have '%s'", n, word);
    return sum / n;
}

static double roughness(const sound *s) { /* power of the difference over power: high where treble is strong */
    double d = 0, p = 0;
    for (int i = 1; i < s->n; i++) d += pow(s->x[i] - s->x[i - 1], 2), p += pow(s->x[i], 2);
    return d / p;
}

static void test_words(void **state) {
    (void) state;
    assert_true(mean_of(beep, "high", crossings) > 1.5 * mean_of(beep, "medium", crossings));
    assert_true(mean_of(beep, "medium", crossings) > 1.5 * mean_of(beep, "low", crossings));
    assert_true(mean_of(thunder, "close", roughness) > 1.5 * mean_of(thunder, "distant", roughness));
    assert_true(mean_of(gunshot, "pistol", roughness) > 1.5 * mean_of(gunshot, "distant", roughness));
    assert_true(mean_of(explosion, "large", roughness) > 1.5 * mean_of(explosion, "distant", roughness));
}

static void test_clean(void **state) {
    (void) state;
    static float x[20000];
    for (int i = 8000; i < 12000; i++) x[i] = i % 2 ? 0.2f : -0.2f;
    size_t n = clean(x, 20000);
    assert_int_equal(n, 200 + 4000 + 2000);
    float peak = 0;
    for (size_t i = 0; i < n; i++) peak = fmaxf(peak, fabsf(x[i]));
    assert_true(fabsf(peak - 0.95f) < 1e-4f);
    assert_true(fabsf(x[200]) > 0.9f && fabsf(x[100]) < 1e-3f && fabsf(x[n - 1]) < 1e-3f);
    memset(x, 0, sizeof x);
    assert_int_equal(clean(x, 20000), 0);
    for (int i = 0; i < 20000; i++) x[i] = 0.7f; /* a constant is no sound */
    assert_int_equal(clean(x, 20000), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_seeds),
                                       cmocka_unit_test(test_words), cmocka_unit_test(test_clean)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
