/* Sound files: every form there and back, odd and damaged input, writing that must not leave halves behind; edits and
 * loudness. */
#include "folder.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/scope.h"
#include "signal/audio.h"
#include "signal/edit.h"

static audio *sine(double hz, double amplitude, double seconds, int channels, int rate) {
    audio *a = audio_new((int64_t) (seconds * rate), channels, rate);
    for (int64_t t = 0; t < a->frames; t++)
        for (int c = 0; c < channels; c++)
            a->samples[t * channels + c] = (float) (amplitude * sin(2 * M_PI * hz * (double) t / rate));
    return a;
}

static double largest_difference(const audio *a, const audio *b) {
    assert_int_equal(a->frames, b->frames);
    assert_int_equal(a->channels, b->channels);
    assert_int_equal(a->rate, b->rate);
    double largest = 0;
    for (int64_t i = 0; i < a->frames * a->channels; i++)
        largest = fmax(largest, fabs((double) a->samples[i] - b->samples[i]));
    return largest;
}

static void test_round_trips(void **state) {
    (void) state;
    static const struct {
        const char *name;
        audio_encoding encoding;
        int channels;
        double tolerance;
    } forms[] = {
        {"a.wav", AUDIO_BY_NAME, 1, 0.5 / 32768},
        {"b.wav", AUDIO_PCM24, 2, 0.5 / 8388608},
        {"c.wav", AUDIO_FLOAT, 3, 0},
        {"d.flac", AUDIO_BY_NAME, 2, 0.5 / 32768},
        {"e.flac", AUDIO_PCM24, 1, 0.5 / 8388608},
        {"f.flac", AUDIO_FLOAT, 8, 0.5 / 8388608},
        {"g.AIFF", AUDIO_FLOAT, 1, 0},
        {"h.ogg", AUDIO_BY_NAME, 1, 0.2},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        scope_begin();
        const audio *a = sine(440, 0.7, 0.05, forms[i].channels, 22050);
        audio_write(in_folder(forms[i].name), a, forms[i].encoding);
        const audio *b = audio_read(in_folder(forms[i].name));
        const double difference = largest_difference(a, b);
        if (!(difference <= forms[i].tolerance)) print_error("%s: %g\n", forms[i].name, difference);
        assert_true(difference <= forms[i].tolerance);
        audio_write(in_folder("again.wav"), b, AUDIO_PCM24);
        if (forms[i].encoding == AUDIO_PCM24)
            assert_true(largest_difference(audio_read(in_folder("again.wav")), b) == 0); /* no loss the second time */
        scope_end();
    }
}

static void test_clipping(void **state) {
    (void) state;
    scope_begin();
    audio *a = audio_new(4, 1, 8000);
    const float values[4] = {3, -3, 1, -1};
    memcpy(a->samples, values, sizeof values);
    audio_write(in_folder("clip.wav"), a, AUDIO_PCM16);
    const audio *b = audio_read(in_folder("clip.wav"));
    assert_true(b->samples[0] == 32767.0f / 32768 && b->samples[2] == b->samples[0]);
    assert_true(b->samples[1] == -1 && b->samples[3] == -1);
    audio_write(in_folder("clip.wav"), a, AUDIO_FLOAT);
    assert_true(largest_difference(audio_read(in_folder("clip.wav")), a) == 0);
    scope_end();
}

static void test_stream(void **state) {
    (void) state;
    for (audio_encoding e = AUDIO_PCM16; e <= AUDIO_FLOAT; e++) {
        scope_begin();
        audio *a = sine(300, 0.5, 0.5, 1, 16000);
        a->frames -= 1; /* an odd number of bytes at 24 bit */
        audio_stream *s = audio_stream_open(in_folder("stream.wav"), a->frames, 1, a->rate, e);
        audio_stream_put(s, a->samples, 5000);
        audio_stream_put(s, a->samples + 5000, a->frames - 5000);
        audio_stream_close(s);
        audio_write(in_folder("whole.wav"), a, e);
        assert_true(largest_difference(audio_read(in_folder("stream.wav")), audio_read(in_folder("whole.wav"))) == 0);
        scope_end();
    }
}

static void read_named(void *name) { audio_read(in_folder(name)); }

static void write_named(void *name) { audio_write(in_folder(name), sine(100, 1, 0.1, 1, 8000), AUDIO_BY_NAME); }

static void write_nan(void *name) {
    audio *a = sine(100, 1, 0.1, 1, 8000);
    a->samples[3] = NAN;
    audio_write(in_folder(name), a, AUDIO_BY_NAME);
}

static void write_nine_channels(void *name) { audio_write(in_folder(name), sine(100, 1, 0.1, 9, 8000), AUDIO_BY_NAME); }

static void name_encoding(void *name) { audio_encoding_named(name); }

static void test_bad_input(void **state) {
    (void) state;
    scope_begin();
    file_write(in_folder("empty.wav"), "", 0);
    file_write(in_folder("text.wav"), "this is no sound at all, whatever it is called", 46);
    audio_write(in_folder("f.wav"), sine(100, 0.5, 0.1, 1, 8000), AUDIO_FLOAT);
    bytes f = file_read(in_folder("f.wav"), 1 << 20);
    const float bad[2] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        uint8_t *copy = alloc(f.size);
        memcpy(copy, f.data, f.size);
        memcpy(copy + f.size - 8, &bad[i], 4);
        file_write(in_folder(i ? "infinite.wav" : "nan.wav"), copy, f.size);
    }
    file_write(in_folder("header.wav"), f.data, 44);
    expect_failure(read_named, "missing.wav", HISS_ERROR_FILE, "missing.wav");
    expect_failure(read_named, "", HISS_ERROR_FILE, "folder");
    expect_failure(read_named, "empty.wav", HISS_ERROR_FORMAT, "empty");
    expect_failure(read_named, "text.wav", HISS_ERROR_FORMAT, "text.wav: not a sound file");
    expect_failure(read_named, "nan.wav", HISS_ERROR_FORMAT, "sample 798 of channel 0 is");
    expect_failure(read_named, "infinite.wav", HISS_ERROR_FORMAT, "is inf");
    expect_failure(read_named, "header.wav", HISS_ERROR_FORMAT, "header.wav");
    expect_failure(write_named, "x.mp9", HISS_ERROR_ARGUMENT, "must end in .wav");
    expect_failure(write_named, "no/such/x.wav", HISS_ERROR_FILE, "no/such");
    expect_failure(write_nan, "x.wav", HISS_ERROR_ARGUMENT, "sample 3 of channel 0");
    expect_failure(write_nine_channels, "x.flac", HISS_ERROR_ARGUMENT, "9 channels");
    expect_failure(name_encoding, "32", HISS_ERROR_ARGUMENT, "32");
    assert_false(file_exists(in_folder("x.wav")));
    assert_false(file_exists(in_folder("x.flac")));
    scope_end();
}

static void test_short_and_wide(void **state) {
    (void) state;
    scope_begin();
    audio_write(in_folder("three.wav"), audio_cut(sine(100, 0.5, 0.1, 1, 8000), 5, 3), AUDIO_BY_NAME);
    assert_int_equal(audio_read(in_folder("three.wav"))->frames, 3);
    audio_write(in_folder("eight.wav"), sine(100, 0.5, 0.1, 8, 8000), AUDIO_BY_NAME);
    const audio *a = audio_read(in_folder("eight.wav"));
    assert_int_equal(a->channels, 8);
    assert_true(largest_difference(audio_mix_down(a), audio_channel(a, 7)) < 1e-7);
    /* A file cut short gives what is there. */
    const bytes f = file_read(in_folder("eight.wav"), 1 << 20);
    const audio *cut = audio_read_memory(f.data, f.size - 16 * 100, "cut.wav");
    assert_int_equal(cut->frames, a->frames - 100);
    scope_end();
}

/* Whatever write fails, nothing appears under the final name and nothing is left beside it. */
static void test_failing_writes(void **state) {
    (void) state;
    scope_begin();
    folder_make(in_folder("full"));
    for (long n = 1; n < 100; n++) {
        hiss_error error;
        fault_after(FAULT_WRITE, n);
        const bool written = try_run(write_named, "full/a.flac", &error);
        fault_after(FAULT_WRITE, 0);
        if (written) {
            assert_true(n > 1);
            assert_int_equal(audio_read(in_folder("full/a.flac"))->frames, 800);
            scope_end();
            return;
        }
        assert_int_equal(error.code, HISS_ERROR_FILE);
        assert_null(folder_list(in_folder("full"))[0]);
    }
    assert_true(false);
}

static void test_resample(void **state) {
    (void) state;
    static const int rates[] = {22050, 48000, 16000, 44101};
    for (size_t i = 0; i < 4; i++) {
        scope_begin();
        const audio *b = audio_resample(sine(1000, 0.5, 0.5, 2, 44100), rates[i]);
        const audio *expected = sine(1000, 0.5, 0.5, 2, rates[i]);
        assert_int_equal(b->frames, (22050LL * rates[i] + 44099) / 44100);
        double worst = 0; /* away from the ends, where the sine begins and stops */
        for (int64_t k = b->frames / 4; k < b->frames / 4 * 3; k++)
            worst = fmax(worst, fabs((double) b->samples[2 * k] - expected->samples[2 * k]));
        assert_true(worst < 2e-5);
        scope_end();
    }
    scope_begin();
    assert_int_equal(audio_resample(audio_cut(sine(100, 1, 1, 1, 8000), 0, 3), 44100)->frames, 17);
    scope_end();
}

static void test_edits(void **state) {
    (void) state;
    scope_begin();
    const audio *a = pad_silence(sine(1000, 0.25, 0.1, 2, 10000), 2000, 3000);
    assert_int_equal(a->frames, 6000);
    const audio *t = trim_silence(a, 60, 0.01, 0.02);
    assert_true(llabs(t->frames - (1000 + 100 + 200)) <= 2);
    assert_true(t->samples[0] == 0);
    audio *silent = audio_cut(a, 0, 1000);
    assert_int_equal(trim_silence(silent, 60, 1, 1)->frames, 0);
    assert_true(normalise_peak(silent, -1) == 0 && normalise_loudness(silent, -20, -1) == 0);

    audio *b = audio_copy(t);
    normalise_peak(b, -6);
    assert_float_equal(audio_peak(b), 0.501187, 1e-5);
    for (int64_t i = 0; i < b->frames * 2; i++) b->samples[i] += 0.1f;
    remove_dc(b);
    double sum = 0;
    for (int64_t i = 0; i < b->frames; i++) sum += b->samples[2 * i];
    assert_true(fabs(sum / (double) b->frames) < 1e-6);

    audio *one = audio_new(1000, 1, 1000);
    for (int i = 0; i < 1000; i++) one->samples[i] = 1;
    fade(one, 0.1, 0.2);
    assert_float_equal(one->samples[0], 0, 1e-6);
    assert_float_equal(one->samples[50], 0.5, 1e-3);
    assert_float_equal(one->samples[500], 1, 0);
    assert_float_equal(one->samples[999], 0, 1e-6);
    fade(one, 5, 5); /* longer than the sound: shared */
    scope_end();
}

/* Sines of 5 s with linear fades of 0.1 s: loudness by libebur128, true peak of the underlying wave. */
static void test_loudness(void **state) {
    (void) state;
    static const struct {
        double hz, amplitude, degrees;
        int channels;
        double lufs, true_peak;
    } sines[] = {{997, 1, 0, 1, -3.0412, 1},
                 {997, 1, 0, 2, -0.0309, 1},
                 {997, 4, 0, 1, 9.0, 4},
                 {1000, 0.0707946, 0, 2, -23.0242, 0.0708},
                 {12000, 0.5, 45, 1, -5.7102, 0.5},
                 {8000, 0.5, 60, 1, -5.7134, 0.5},
                 {25, 0.5, 0, 1, -20.1454, 0.5},
                 {15000, 0.1, 0, 1, -19.6892, 0.1}};
    for (size_t i = 0; i < sizeof sines / sizeof *sines; i++) {
        scope_begin();
        const int channels = sines[i].channels, rate = 48000;
        audio *a = audio_new(5 * rate, channels, rate);
        for (int64_t t = 0; t < a->frames; t++) {
            const double edge = fmin(1, fmin((double) t, (double) (a->frames - 1 - t)) / (0.1 * rate));
            const double x = sin(2 * M_PI * sines[i].hz * (double) t / rate + sines[i].degrees * M_PI / 180);
            for (int c = 0; c < channels; c++) a->samples[t * channels + c] = (float) (sines[i].amplitude * edge * x);
        }
        assert_float_equal(loudness(a), sines[i].lufs, 0.02);
        const double over = 20 * log10(true_peak(a) / sines[i].true_peak);
        assert_true(over < 0.2 && over > -0.4);
        scope_end();
    }
    scope_begin();
    audio *click = sine(200, 0.5, 0.05, 1, 22050); /* shorter than a block: as if silence followed */
    assert_float_equal(loudness(click), loudness(pad_silence(click, 0, 22050 * 35 / 100)), 0.01);
    const double by = normalise_loudness(click, -10, -1);
    assert_true(by > 0 && audio_peak(click) <= 0.8913f);
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),    cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_stream),         cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_short_and_wide), cmocka_unit_test(test_failing_writes),
        cmocka_unit_test(test_resample),       cmocka_unit_test(test_edits),
        cmocka_unit_test(test_loudness),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
