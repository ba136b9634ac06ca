/* Makes every allocation, read and write of a piece of work fail in turn, as full memory, a broken or a full disk would:
 * each time the public function must say so, leave no memory behind, and leave nothing under the final name. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/scope.h"

static const char MODEL[] = TEST_DATA "/models/classes", VOCODER[] = TEST_DATA "/models/vocoder";

/* Under sanitizers, which are slow, a long piece of work fails at every seventh event only. */
#ifdef HISS_SANITIZE
enum { STEP = 7 };
#else
enum { STEP = 1 };
#endif

static char folder[64], sound_path[128], input_path[128];

static int set_up(void **state) {
    (void) state;
    strcpy(folder, "/tmp/hiss-test-faults-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(sound_path, sizeof sound_path, "%s/sound.wav", folder);
    snprintf(input_path, sizeof input_path, "%s.wav", folder);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    remove(sound_path);
    remove(input_path);
    return rmdir(folder);
}

static bool work_open(hiss_error *error) {
    hiss_model *model = hiss_open(VOCODER, error);
    bool fine = model != NULL;
    hiss_close(model);
    return fine;
}

static bool work_generate(hiss_error *error) {
    hiss_model *model = hiss_open(MODEL, error);
    hiss_request request = hiss_request_default();
    request.seconds = 0.005;
    request.steps = 1;
    request.sampler = "ddim";
    request.class_name = "kick";
    hiss_audio *sound = model ? hiss_generate(model, &request, error) : NULL;
    bool fine = sound && hiss_write(sound, sound_path, 16, error);
    hiss_audio_free(sound);
    hiss_close(model);
    return fine;
}

static bool work_mel(hiss_error *error) {
    hiss_audio *sound = hiss_read(input_path, error);
    hiss_mel *mel = sound ? hiss_mel_of(sound, "diffwave", error) : NULL;
    bool fine = mel != NULL;
    hiss_mel_free(mel);
    hiss_audio_free(sound);
    return fine;
}

static size_t files_left(void) {
    size_t n = 0;
    scope_begin();
    for (char **names = folder_list(folder); names[n]; n++) print_error("left: %s\n", names[n]);
    scope_end();
    return n;
}

static long check_kind(bool (*work)(hiss_error *error), fault_kind kind, hiss_code code) {
    hiss_error error = {0};
    fault_after(kind, 0);
    if (!work(&error)) print_error("%s\n", error.message);
    assert_int_equal(error.code, HISS_OK);
    long events = fault_count(kind);
    remove(sound_path);
    size_t before = memory_in_use();
    for (long n = 1; n <= events; n += n < 100 ? 1 : STEP) {
        error = (hiss_error){0};
        fault_after(kind, n);
        bool fine = work(&error);
        bool met = fault_count(kind) >= n;
        fault_after(kind, 0);
        if (fine && met)
            print_error("kind %d, event %ld of %ld was made to fail and nobody said so\n", (int) kind, n, events);
        assert_false(fine && met);
        if (!fine && error.code != code) print_error("event %ld of %ld: %s\n", n, events, error.message);
        if (!fine) assert_int_equal(error.code, code);
        if (!fine) assert_int_equal(files_left(), 0);
        remove(sound_path);
        if (memory_in_use() != before) print_error("kind %d, event %ld of %ld leaves memory\n", (int) kind, n, events);
        assert_int_equal(memory_in_use(), before);
    }
    return events;
}

static void check(bool (*work)(hiss_error *error), bool reads, bool writes) {
    hiss_error error;
    assert_true(work(&error)); /* fills what is kept between calls */
    size_t before = memory_in_use();
    assert_true(work(&error));
    assert_int_equal(memory_in_use(), before);
    assert_true(check_kind(work, FAULT_ALLOC, HISS_ERROR_MEMORY) > 10);
    assert_true(check_kind(work, FAULT_READ, HISS_ERROR_FILE) > 0 || !reads);
    assert_true(check_kind(work, FAULT_WRITE, HISS_ERROR_FILE) > 0 || !writes);
}

static void test_open(void **state) {
    (void) state;
    check(work_open, true, false);
}

static void test_generate(void **state) {
    (void) state;
    check(work_generate, true, true);
}

static void test_mel(void **state) {
    (void) state;
    float tone[1500];
    for (int i = 0; i < 1500; i++) tone[i] = (float) (i % 40) / 40 - 0.5f;
    hiss_error error;
    assert_true(hiss_write(&(hiss_audio){tone, 1500, 1, 16000}, input_path, 16, &error));
    check(work_mel, true, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_generate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mel, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
