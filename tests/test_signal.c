/* STFT and mel front ends at the edges, and phases by rounds; the parity cases of signal/ compare them with the originals. */
#include "test.h"

#include <math.h>

#include "base/parallel.h"
#include "base/random.h"
#include "base/scope.h"
#include "signal/griffin_lim.h"
#include "signal/mel.h"
#include "signal/stft.h"

/* What is left to do of a sound's magnitudes: how far those of the sound that was found are off. */
static double inconsistency(const stft_shape *s, const tensor *magnitude, const tensor *sound) {
    const float *spectrum = f32(stft(s, f32(sound), count(sound)));
    double off = 0, size = 0;
    for (int64_t i = 0; i < count(magnitude); i++) {
        const double wanted = f32(magnitude)[i];
        off += pow(hypot(spectrum[2 * i], spectrum[2 * i + 1]) - wanted, 2);
        size += wanted * wanted;
    }
    return sqrt(off / size);
}

/* Rounds bring the magnitudes nearer, with momentum still more; with the true phases the sound is there at once. */
static void test_griffin_lim(void **state) {
    (void) state;
    enum { SAMPLES = 4096 };
    scope_begin();
    const stft_shape s = {256, 256, 64, STFT_CENTRED, false};
    float sound[SAMPLES];
    random_normal((random_key){5, 1}, 0, sound, SAMPLES);
    for (int i = 0; i < SAMPLES; i++) sound[i] = 0.1f * sound[i] + sinf(0.05f * (float) i) * expf(-1e-3f * (float) i);
    const tensor *spectrum = stft(&s, sound, SAMPLES);
    const int64_t F = spectrum->shape[0], K = spectrum->shape[1];
    tensor *magnitude = tensor_new(F32, SHAPE(F, K)), *phases = tensor_new(F32, SHAPE(F, K, 2));
    tensor *random = tensor_new(F32, SHAPE(F, K, 2));
    for (int64_t i = 0; i < F * K; i++) {
        const float *bin = f32(spectrum) + 2 * i;
        f32(magnitude)[i] = hypotf(bin[0], bin[1]);
        for (int p = 0; p < 2; p++) f32(phases)[2 * i + p] = bin[p] / fmaxf(f32(magnitude)[i], 1e-20f);
        const double turn = 2 * M_PI * random_uniform((random_key){6, 1}, (uint64_t) i);
        f32(random)[2 * i] = (float) cos(turn);
        f32(random)[2 * i + 1] = (float) sin(turn);
    }
    const float *back = f32(griffin_lim(&s, magnitude, phases, 0, 0, SAMPLES));
    for (int i = 0; i < SAMPLES; i++) assert_float_equal(back[i], sound[i], 1e-5);
    const double first = inconsistency(&s, magnitude, griffin_lim(&s, magnitude, random, 0, 0, SAMPLES));
    const double plain = inconsistency(&s, magnitude, griffin_lim(&s, magnitude, random, 32, 0, SAMPLES));
    const double fast = inconsistency(&s, magnitude, griffin_lim(&s, magnitude, random, 32, 0.99f, SAMPLES));
    assert_true(plain < 0.6 * first && fast < 0.9 * plain);
    scope_end();
}

/* Sounds of any length give at least one frame of finite numbers, as many as announced. */
static void test_short_sounds(void **state) {
    (void) state;
    static const int64_t lengths[] = {1, 3, 255, 256, 511, 512, 513, 769, 1024, 1025, 2000};
    float sound[2000];
    random_normal((random_key){5, 0}, 0, sound, 2000);
    for (const char *const *name = mel_front_names(); *name; name++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            scope_begin();
            const mel_front f = mel_front_named(*name);
            const tensor *mel = mel_compute(&f, sound, lengths[i]);
            assert_int_equal(mel->shape[0], mel_frames(&f, lengths[i]));
            assert_true(mel->shape[0] >= 1);
            if (f.stft.padding == STFT_CENTRED) assert_int_equal(mel->shape[0], 1 + lengths[i] / f.stft.hop);
            for (int64_t k = 0; k < count(mel); k++) assert_true(isfinite(f32(mel)[k]));
            scope_end();
        }
}

static void test_threads_do_not_matter(void **state) {
    (void) state;
    scope_begin();
    float *sound = NEW_ARRAY(float, 30001);
    random_normal((random_key){7, 1}, 0, sound, 30001);
    const mel_front f = mel_front_named("hiss");
    const int before = threads_get();
    threads_set(1);
    const tensor *one = mel_compute(&f, sound, 30001);
    threads_set(3);
    const tensor *three = mel_compute(&f, sound, 30001);
    threads_set(before);
    assert_memory_equal(one->data, three->data, tensor_bytes(one));
    scope_end();
}

static void bad_name(void *argument) {
    (void) argument;
    mel_front_named("difwave");
}

static void bad_shape(void *argument) {
    const stft_shape *s = argument;
    const float sound[8] = {0};
    stft(s, sound, 8);
}

static void bad_bands(void *argument) { mel_bank_new(MEL_HTK, false, 16000, 512, *(int *) argument, 0, 8000); }

static void test_bad_settings(void **state) {
    (void) state;
    expect_failure(bad_name, NULL, HISS_ERROR_ARGUMENT, "diffwave");
    stft_shape shapes[] = {{0, 1, 1, STFT_CENTRED, false},
                           {64, 65, 16, STFT_CENTRED, false},
                           {64, 64, 0, STFT_CENTRED, false},
                           {1 << 20, 64, 16, STFT_CENTRED, false}};
    for (size_t i = 0; i < 4; i++) expect_failure(bad_shape, &shapes[i], HISS_ERROR_ARGUMENT, "n_fft");
    int bands[] = {0, -3, 1 << 30};
    for (size_t i = 0; i < 3; i++) expect_failure(bad_bands, &bands[i], HISS_ERROR_ARGUMENT, "mel bands");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_griffin_lim),
        cmocka_unit_test(test_short_sounds),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
