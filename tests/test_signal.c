/* STFT, filter banks and mel front ends against the originals' values, and what happens at the edges. */
#include "test.h"

#include <math.h>

#include "base/parallel.h"
#include "base/random.h"
#include "base/scope.h"
#include "signal/mel.h"
#include "signal/stft.h"
#include "store/store.h"

static double relative_error(const float *got, const float *expected, int64_t n) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double) got[i] - expected[i]) * ((double) got[i] - expected[i]);
        size += (double) expected[i] * expected[i];
    }
    return sqrt(difference / (size > 0 ? size : 1));
}

static store *open_case(const char *name) { return store_open(format(TEST_DATA "/signal/%s/io.safetensors", name)); }

static tensor *read_f32(const store *s, const char *name) { return tensor_to_f32(store_read(s, name)); }

static void test_banks(void **state) {
    (void) state;
    static const struct {
        const char *name;
        mel_scale scale;
        bool area;
        int rate, n_fft, bands;
        double low, high, tolerance;
    } banks[] = {
        {"hifigan_22k", MEL_SLANEY, true, 22050, 1024, 80, 0, 8000, 1e-5},
        {"librosa_htk", MEL_HTK, false, 16000, 400, 40, 50, 7600, 1e-5},
        {"diffwave_22k", MEL_HTK, false, 22050, 1024, 80, 20, 11025, 1e-4},
        {"wavegrad_22k", MEL_HTK, false, 22050, 2048, 128, 20, 11025, 1e-4},
        {"torchaudio_slaney", MEL_SLANEY, true, 16000, 512, 40, 0, 8000, 1e-4},
        {"clap_fusion_48k", MEL_HTK, false, 48000, 1024, 64, 50, 14000, 1e-5},
        {"panns_16k", MEL_SLANEY, true, 16000, 512, 64, 50, 8000, 1e-5},
    };
    for (size_t i = 0; i < sizeof banks / sizeof *banks; i++) {
        scope_begin();
        const store *s = open_case("signal-mel-filters");
        const mel_bank *b = mel_bank_new(banks[i].scale, banks[i].area, banks[i].rate, banks[i].n_fft, banks[i].bands,
                                         banks[i].low, banks[i].high);
        const tensor *first = read_f32(s, format("out.%s_start", banks[i].name));
        const tensor *number = read_f32(s, format("out.%s_count", banks[i].name));
        const tensor *values = read_f32(s, format("out.%s_values", banks[i].name));
        int64_t total = 0;
        for (int m = 0; m < b->bands; m++) {
            assert_int_equal(b->first[m], (int) f32(first)[m]);
            assert_int_equal(b->count[m], (int) f32(number)[m]);
            total += b->count[m];
        }
        assert_int_equal(total, count(values));
        assert_true(relative_error(b->values, f32(values), total) <= banks[i].tolerance);
        scope_end();
    }
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
        cmocka_unit_test(test_banks),
        cmocka_unit_test(test_short_sounds),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
