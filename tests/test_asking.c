/* What can be asked of a sound model beside its handles (test_handles.c), on a tiny one: scenes, variations, the reverse process, other
 * vocoders, long sounds, and what is refused. */
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "scene/render.h"
#include "scene/source.h"
#include "signal/audio.h"
#include "systems/generate.h"
#include "tiny_sound.h"

enum { RATE = 44100 };
static char root[] = "/tmp/hiss-asking-XXXXXX";
static const char *tiny;

/* --- scenes --- */

static audio *layer_sound(const char *layer, size_t which) {
    const char *text = format("{\"seconds\": 4, \"steps\": 2, \"model\": \"tiny\", \"layers\": [%s]}", layer);
    const scene *s = scene_parse(text, strlen(text), "s.json", root);
    return source_sound(sources_open(s), 0, (int64_t) which);
}

/* Over the largest step between its samples, the step over the seam. */
static double seam_of(const audio *a) {
    double most = 0;
    for (int64_t i = 1; i < a->frames; i++) most = fmax(most, fabs((double) a->samples[i] - a->samples[i - 1]));
    return fabs((double) a->samples[0] - a->samples[a->frames - 1]) / most;
}

static bool equal(const audio *a, const audio *b) {
    return a->frames == b->frames && !memcmp(a->samples, b->samples, (size_t) a->frames * sizeof(float));
}

static void test_scene(void **state) {
    (void) state;
    scope_begin();
    const audio *bed = layer_sound("{\"prompt\": \"steady rain\", \"kind\": \"bed\"}", 0);
    assert_int_equal(bed->frames, 12 * RATE);
    assert_true(seam_of(bed) < 1);
    const char *event = "{\"prompt\": \"a bell\", \"at\": [1], \"seconds\": 1}";
    const audio *first = layer_sound(event, 0), *second = layer_sound(event, 1), *again = layer_sound(event, 0);
    assert_true(first->frames <= RATE);
    assert_true(equal(first, again) && !equal(first, second));
    const audio *other = layer_sound("{\"name\": \"a bell\", \"prompt\": \"a dog\", \"at\": [1], \"seconds\": 1}", 0);
    assert_false(equal(first, other));
    layer_sound("{\"class\": \"rain\", \"at\": [1], \"seconds\": 0.5}", 0);
    scope_end();
}

static void ask_unknown_class(void *unused) {
    (void) unused;
    layer_sound("{\"class\": \"xylophone\", \"at\": [1]}", 0);
}

static void test_scene_errors(void **state) {
    (void) state;
    expect_failure(ask_unknown_class, NULL, HISS_ERROR_ARGUMENT, "xylophone");
}

int main(void) {
    if (!mkdtemp(root)) return 1;
    scope_begin();
    tiny = path_join(root, "tiny");
    tiny_sound_write(tiny);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scene),
        cmocka_unit_test(test_scene_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
