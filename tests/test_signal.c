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

static void check_mel(const char *folder, const char *front, double tolerance) {
    scope_begin();
    const store *s = open_case(folder);
    const tensor *sound = read_f32(s, "in.audio"), *expected = read_f32(s, "out.mel"); /* [(1,) M, F] */
    const mel_front f = mel_front_named(front);
    const tensor *got = mel_compute(&f, f32(sound), count(sound));
    const int64_t frames = got->shape[0], bands = got->shape[1];
    assert_int_equal(expected->shape[expected->rank - 1], frames);
    assert_int_equal(expected->shape[expected->rank - 2], bands);
    float *turned = NEW_ARRAY(float, count(got));
    for (int64_t m = 0; m < bands; m++)
        for (int64_t i = 0; i < frames; i++) turned[m * frames + i] = f32(got)[i * bands + m];
    const double error = relative_error(turned, f32(expected), count(got));
    if (!(error <= tolerance)) print_error("%s: %g\n", folder, error);
    assert_true(error <= tolerance);
    scope_end();
}

static void test_front_ends(void **state) {
    (void) state;
    check_mel("diffwave-mel_clip", "diffwave", 2e-4);
    check_mel("wavegrad-mel_clip", "wavegrad", 2e-4);
    check_mel("bigvgan-mel_short", "hiss", 2e-5);
}

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

static const struct {
    stft_shape shape;
    double scale; /* torch's normalized */
} transforms[] = {
    {{64, 64, 16, STFT_CENTRED, false}, 1},
    {{64, 50, 20, STFT_CENTRED, false}, 1},
    {{45, 45, 11, STFT_CENTRED, true}, 1},
    {{128, 128, 32, STFT_UNPADDED, false}, 1},
    {{96, 96, 24, STFT_CENTRED, false}, 0.10206207261596577},
};

/* The case has [1, bins, frames, 2]. */
static tensor *turn_spectrum(const tensor *t, double scale) {
    const int64_t bins = t->shape[1], frames = t->shape[2];
    tensor *out = tensor_new(F32, SHAPE(frames, bins, 2));
    for (int64_t k = 0; k < bins; k++)
        for (int64_t i = 0; i < 2 * frames; i++)
            f32(out)[(i / 2 * bins + k) * 2 + i % 2] = (float) (f32(t)[k * 2 * frames + i] * scale);
    return out;
}

static void check_inverse(const store *s, int i, const tensor *spectrum, const char *name, int64_t samples, int batch) {
    const tensor *expected = read_f32(s, format("out.%s_%d", name, i));
    const int64_t n = expected->shape[expected->rank - 1];
    const tensor *got = stft_inverse(&transforms[i].shape, spectrum, samples < 0 ? -1 : n);
    assert_int_equal(count(got), n);
    const double error = relative_error(f32(got), f32(expected) + batch * n, n);
    if (!(error <= 1e-5)) print_error("%s %d: %g\n", name, i, error);
    assert_true(error <= 1e-5);
}

static void test_stft(void **state) {
    (void) state;
    for (int i = 0; i < 5; i++) {
        scope_begin();
        const store *s = open_case("signal-stft");
        const tensor *x = read_f32(s, "in.x"), *expected = read_f32(s, format("out.stft_%d", i));
        const int64_t size = count(expected) / 2;
        for (int b = 0; b < 2; b++) {
            const tensor *got = stft(&transforms[i].shape, f32(x) + b * x->shape[1], x->shape[1]);
            const tensor half = {.type = F32,
                                 .rank = 4,
                                 .shape = {1, expected->shape[1], expected->shape[2], 2},
                                 .data = f32(expected) + b * size};
            const tensor *wanted = turn_spectrum(&half, 1 / transforms[i].scale);
            assert_int_equal(count(got), count(wanted));
            assert_true(relative_error(f32(got), f32(wanted), size) <= 1e-5);
            if (i != 3) check_inverse(s, i, got, "back", 0, b);
        }
        if (i != 3) { /* a Hann window that is not padded leaves its first sample under no window */
            const tensor *any = turn_spectrum(read_f32(s, format("in.spectrum_%d", i)), 1 / transforms[i].scale);
            check_inverse(s, i, any, "istft", -1, 0);
            check_inverse(s, i, any, "istft_long", 0, 0);
        }
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
        cmocka_unit_test(test_front_ends),
        cmocka_unit_test(test_banks),
        cmocka_unit_test(test_stft),
        cmocka_unit_test(test_short_sounds),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
