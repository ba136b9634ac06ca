/* The public functions, as a program outside sees them. */
#include "test.h"

#include <string.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_generate), cmocka_unit_test(test_vocode),
                                       cmocka_unit_test(test_errors), cmocka_unit_test(test_device)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
