/* The public functions, as a program outside sees them. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "tiny_sound.h"
#include "tiny_stable.h"

static const char MODEL[] = TEST_DATA "/models/classes", VOCODER[] = TEST_DATA "/models/vocoder";

static int stop_at_two(void *context, const char *what, int64_t done, int64_t total) {
    (void) what, (void) total;
    ++*(int *) context;
    return done >= 2;
}

static void test_generate(void **state) {
    (void) state;
    hiss_error error;
    hiss_model *model = hiss_open(MODEL, &error);
    assert_non_null(model);
    assert_int_equal(hiss_model_classes(model), 3);
    assert_string_equal(hiss_model_class(model, 1), "snare");
    assert_null(hiss_model_class(model, 3));
    assert_int_equal(hiss_model_rate(model), 22050);
    assert_true(hiss_model_parameters(model) > 1000);
    hiss_request request = hiss_request_default();
    request.seconds = 0.05;
    request.class_name = "kick";
    hiss_audio *a = hiss_generate(model, &request, &error), *b = hiss_generate(model, &request, NULL);
    assert_true(a && b && a->frames == 1103 && a->channels == 1);
    assert_memory_equal(a->samples, b->samples, 1103 * sizeof(float));
    hiss_audio_free(a);
    hiss_audio_free(b);
    int calls = 0;
    request.progress = stop_at_two;
    request.context = &calls;
    assert_null(hiss_generate(model, &request, &error));
    assert_int_equal(error.code, HISS_ERROR_INTERRUPTED);
    assert_int_equal(calls, 2);
    request.progress = NULL;
    request.class_name = "kik";
    assert_null(hiss_generate(model, &request, &error));
    assert_int_equal(error.code, HISS_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "'kick'"));
    hiss_close(model);
}

static void test_vocode(void **state) {
    (void) state;
    hiss_error error;
    float tone[2000];
    for (int i = 0; i < 2000; i++) tone[i] = (float) (i % 40) / 40 - 0.5f;
    hiss_audio sound = {tone, 2000, 1, 22050};
    hiss_model *model = hiss_open(VOCODER, &error);
    assert_non_null(model);
    hiss_mel *mel = hiss_model_mel(model, &sound, &error);
    assert_true(mel && mel->bands == 10 && mel->frames == 8);
    hiss_audio *sung = hiss_vocode(model, mel, NULL, &error);
    assert_true(sung && sung->frames == 8 * 256);
    assert_false(hiss_write(sung, "/nowhere/at/all.wav", 16, &error));
    assert_false(hiss_write(sung, "sound.wav", 17, &error));
    hiss_audio *noisy = hiss_noise(&sound, 1, 0, &error);
    assert_memory_equal(noisy->samples, tone, sizeof tone);
    hiss_audio_free(noisy);
    hiss_audio_free(sung);
    hiss_mel_free(mel);
    hiss_close(model);
}

static void test_errors(void **state) {
    (void) state;
    hiss_error error;
    assert_null(hiss_open("/nowhere", &error));
    assert_int_equal(error.code, HISS_ERROR_FILE);
    assert_null(hiss_open("/nowhere", NULL));
    assert_null(hiss_read("/nowhere", &error));
    hiss_model *model = hiss_open(MODEL, &error);
    assert_false(hiss_adapt(model, "/nowhere:0.5", &error));
    assert_int_equal(error.code, HISS_ERROR_FILE);
    assert_false(hiss_adapt(model, TEST_DATA "/models/classes/weights.safetensors", &error)); /* no adapters in it */
    assert_int_equal(error.code, HISS_ERROR_FORMAT);
    hiss_close(model);
    hiss_close(NULL);
    hiss_audio_free(NULL);
    hiss_mel_free(NULL);
}

static void test_device(void **state) {
    (void) state;
    hiss_error error = {0};
    assert_true(hiss_device("cpu", &error));
    assert_false(hiss_device("tpu", &error));
    assert_int_equal(error.code, HISS_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "tpu"));
}

/* --- models of words and latents --- */

static int set_up(void **state) {
    if (make_folder(state)) return 1;
    scope_begin();
    tiny_sound_write(in_folder("sound"));
    tiny_stable_write(in_folder("stable"));
    scope_end();
    return 0;
}

static hiss_model *open_made(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    hiss_error error;
    hiss_model *m = hiss_open(path, &error);
    if (!m) fail_msg("%s", error.message);
    return m;
}

static hiss_audio *made(hiss_model *m, const hiss_request *r) {
    hiss_error error;
    hiss_audio *a = hiss_generate(m, r, &error);
    if (!a) fail_msg("%s", error.message);
    return a;
}

static bool same(const hiss_audio *a, const hiss_audio *b) {
    return a->frames == b->frames && !memcmp(a->samples, b->samples, (size_t) a->frames * sizeof(float));
}

/* Each field acts: the sound is not the one without it. */
static void test_handles(void **state) {
    (void) state;
    hiss_model *m = open_made("sound");
    hiss_request plain = hiss_request_default();
    plain.seconds = 1.5;
    plain.steps = 2;
    hiss_audio *before = made(m, &plain), *again = made(m, &plain);
    assert_true(same(before, again));
    hiss_audio_free(again);
    hiss_mel *mel = hiss_mel_of(before, "hiss", NULL);
    const hiss_span middle = {0.5, 1};
    hiss_request asked[9];
    for (size_t i = 0; i < 9; i++) asked[i] = plain;
    asked[0].prompt = "rain";
    asked[1].class_name = "bell";
    asked[2].reference = before;
    asked[3].mel = mel;
    asked[4].init = before;
    asked[5].loop = true;
    asked[6].init = before, asked[6].remake = &middle, asked[6].remakes = 1;
    asked[7].prompt = "rain", asked[7].blend = "thunder", asked[7].blend_part = 1;
    asked[8].prompt = "rain", asked[8].text_guidance = 9;
    hiss_audio *rain = NULL;
    for (size_t i = 0; i < 9; i++) {
        hiss_audio *a = made(m, &asked[i]);
        assert_int_equal(a->frames, 66150);
        assert_false(same(a, i < 7 ? before : rain));
        if (i == 6) assert_memory_equal(a->samples, before->samples, 20000 * sizeof(float)); /* 0.45 s */
        if (i) hiss_audio_free(a);
        else rain = a;
    }
    hiss_audio_free(rain);
    hiss_mel_free(mel);
    hiss_audio_free(before);
    hiss_close(m);
}

static void test_requests_refused(void **state) {
    (void) state;
    hiss_model *m = open_made("sound"), *drums = hiss_open(MODEL, NULL);
    hiss_audio nothing = {0};
    const hiss_span backwards = {1, 0.5};
    const hiss_request plain = hiss_request_default();
    hiss_request bad[7];
    for (size_t i = 0; i < 7; i++) bad[i] = plain;
    bad[0].strength = 1.5;
    bad[1].seconds = -1;
    bad[2].init = &nothing;
    bad[3].remake = &backwards, bad[3].remakes = 1;
    bad[4].mel = &(hiss_mel){0};
    bad[5].seed_like = "numpy";
    bad[6].guidance = 1000;
    for (size_t i = 0; i < 7; i++) {
        hiss_error error;
        assert_null(hiss_generate(m, &bad[i], &error));
        assert_int_equal(error.code, HISS_ERROR_ARGUMENT);
    }
    hiss_error error;
    hiss_request words = plain;
    words.prompt = "rain";
    assert_null(hiss_generate(drums, &words, &error));
    assert_non_null(strstr(error.message, "prompt"));
    hiss_close(drums);
    hiss_close(m);
}

typedef struct {
    float *samples;
    int64_t frames, pieces, most;
} taken;

static int take_stereo(void *context, const float *samples, int64_t frames) {
    taken *t = context;
    t->samples = realloc(t->samples, (size_t) (t->frames + frames) * 2 * sizeof(float));
    memcpy(t->samples + 2 * t->frames, samples, (size_t) frames * 2 * sizeof(float));
    t->frames += frames;
    return ++t->pieces == t->most;
}

/* Both channels, whole and in pieces, which are the same where no peak is turned down. */
static void test_stereo(void **state) {
    (void) state;
    hiss_model *m = open_made("stable");
    assert_int_equal(hiss_model_channels(m), TINY_STABLE_CHANNELS);
    hiss_request r = hiss_request_default();
    r.prompt = "rain";
    r.steps = 2;
    r.seconds = 0.02;
    hiss_audio *whole = made(m, &r);
    assert_int_equal(whole->frames, 160);
    assert_int_equal(whole->channels, 2);
    double apart = 0, loud = 0;
    for (int64_t i = 0; i < whole->frames; i++)
        apart += whole->samples[2 * i] != whole->samples[2 * i + 1], loud += whole->samples[2 * i + 1] != 0;
    assert_true(apart > 100 && loud > 100);
    taken t = {.most = -1}, stopped = {.most = 1};
    hiss_error error;
    assert_true(hiss_stream(m, &r, take_stereo, &t, &error));
    assert_int_equal(t.frames, whole->frames);
    for (int64_t i = 0; i < 2 * t.frames; i++) assert_true(t.samples[i] >= -1 && t.samples[i] <= 1);
    assert_false(hiss_stream(m, &r, take_stereo, &stopped, &error));
    assert_int_equal(error.code, HISS_ERROR_INTERRUPTED);
    free(t.samples);
    free(stopped.samples);
    hiss_audio_free(whole);
    hiss_close(m);
}

static void test_codec(void **state) {
    (void) state;
    char path[128];
    snprintf(path, sizeof path, "%s/stable", folder);
    hiss_error error;
    float tone[400];
    for (int i = 0; i < 400; i++) tone[i] = (float) (i % 20) / 20 - 0.5f;
    const hiss_audio sound = {tone, 200, TINY_STABLE_CHANNELS, TINY_STABLE_RATE};
    hiss_codec *c = hiss_codec_open(path, &error);
    if (!c) fail_msg("%s", error.message);
    hiss_latents *z = hiss_encode(c, &sound, NULL, &error);
    assert_non_null(z);
    assert_int_equal(z->count, 200 / TINY_STABLE_HOP);
    assert_int_equal(z->numbers, TINY_STABLE_LATENT);
    const uint64_t seed = 1;
    hiss_latents *drawn = hiss_encode(c, &sound, &seed, &error);
    assert_memory_not_equal(drawn->values, z->values, sizeof(float) * (size_t) (z->count * z->numbers));
    hiss_audio *back = hiss_decode(c, z, &error);
    assert_true(back && back->frames >= 200 && back->channels == TINY_STABLE_CHANNELS);
    z->numbers = 3;
    assert_null(hiss_decode(c, z, &error));
    assert_int_equal(error.code, HISS_ERROR_ARGUMENT);
    hiss_audio_free(back);
    hiss_latents_free(drawn);
    hiss_latents_free(z);
    hiss_codec_close(c);
    assert_null(hiss_codec_open("/nowhere", &error));
    hiss_codec_close(NULL);
    hiss_latents_free(NULL);
}

static void test_scene(void **state) {
    (void) state;
    char path[128], *cues = NULL;
    snprintf(path, sizeof path, "%s/sound", folder);
    hiss_error error;
    hiss_scene_request r = {.scene = "a harbour: waves, distant bell", .model = path, .seconds = 2};
    hiss_audio *a = hiss_scene(&r, &cues, &error);
    if (!a) fail_msg("%s", error.message);
    assert_int_equal(a->frames, 2 * a->rate);
    assert_int_equal(a->channels, 2);
    assert_non_null(strstr(cues, "bell"));
    free(cues);
    r.has_seed = true;
    r.seed = 99;
    hiss_audio *other = hiss_scene(&r, NULL, &error);
    assert_false(same(a, other));
    hiss_audio_free(other);
    hiss_audio_free(a);
    r.seconds = -1;
    assert_null(hiss_scene(&r, &cues, &error));
    assert_int_equal(error.code, HISS_ERROR_ARGUMENT);
    assert_null(cues);
}

static void test_train(void **state) {
    (void) state;
    hiss_error error;
    assert_false(hiss_train(&(hiss_training){.recipe = "/nowhere.json", .out = folder}, &error));
    assert_int_equal(error.code, HISS_ERROR_FILE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_generate), cmocka_unit_test(test_vocode),
                                       cmocka_unit_test(test_errors),   cmocka_unit_test(test_device),
                                       cmocka_unit_test(test_handles),  cmocka_unit_test(test_requests_refused),
                                       cmocka_unit_test(test_stereo),   cmocka_unit_test(test_codec),
                                       cmocka_unit_test(test_scene),    cmocka_unit_test(test_train)};
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
