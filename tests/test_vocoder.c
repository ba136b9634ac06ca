/* The vocoder and what it stands on: overlap-add and back, integrated phases, resynthesis that does not depend on how its
 * frames come, the network in windows, a model trained and sung with. */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "eval/closeness.h"
#include "folder.h"
#include "models/rician.h"
#include "signal/envelope.h"
#include "signal/overlap.h"
#include "signal/phase.h"
#include "systems/generate.h"
#include "systems/vocoder.h"
#include "train/loop.h"

enum { HOP = 512, BANDS = 128, BINS = 1025 };
static const double RATE = 44100;

static double distance(const float *a, const float *b, int64_t n) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        size += (double) a[i] * a[i];
    }
    return sqrt(difference / size);
}

/* A tone with partials, a little noise and a hit. */
static float *test_sound(int64_t n) {
    float *x = NEW_ARRAY(float, n);
    random_normal((random_key){3, 0}, 0, x, (size_t) n);
    for (int64_t i = 0; i < n; i++) {
        const double t = (double) i / RATE, hit = t > 0.1 ? exp(-(t - 0.1) / 0.02) : 0;
        x[i] = (float) ((0.003 + 0.1 * hit) * x[i]);
        for (int k = 1; k < 6; k++) x[i] += (float) (0.2 / k * sin(2 * M_PI * 330 * k * t + k));
    }
    return x;
}

/* --- overlap-add --- */

static void check_there_and_back(int64_t frames) {
    scope_begin();
    const stft_shape s = mel_front_named("hiss").stft;
    const int64_t n = frames * HOP;
    const float *x = test_sound(n);
    const tensor *spectra = stft(&s, x, n);
    assert_int_equal(spectra->shape[0], frames);
    const int rest = s.n_fft / s.hop - 1;
    float *padded = NEW_ARRAY(float, (frames + rest) * HOP);
    overlap *o = overlap_new(&s);
    framer *f = framer_new(&s);
    int64_t seen = 0;
    double worst = 0;
    for (int64_t i = 0; i < frames + rest; i++) {
        const float *block = i < frames ? overlap_push(o, f32(spectra) + i * BINS * 2) : overlap_drain(o);
        memcpy(padded + i * HOP, block, HOP * sizeof(float));
        const float *spectrum = framer_push(f, block, i < frames ? -1 : frames);
        if (!spectrum) continue;
        worst = fmax(worst, distance(f32(spectra) + seen++ * BINS * 2, spectrum, 2 * BINS));
    }
    assert_int_equal(seen, frames);
    assert_true(distance(x, padded + (s.n_fft - s.hop) / 2, n) < 1e-5);
    if (frames >= 4 && !(worst < 1e-4)) print_error("%d frames: %g\n", (int) frames, worst);
    assert_true(frames < 4 || worst < 1e-4); /* the front end continues shorter sounds by zeros */
    scope_end();
}

static void test_there_and_back(void **state) {
    (void) state;
    static const int64_t lengths[] = {4, 5, 6, 9, 40};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) check_there_and_back(lengths[i]);
}

/* --- phases --- */

typedef struct {
    float *samples;
    int64_t count;
} taken;

static void take(void *context, const float *samples, int64_t n) {
    taken *t = context;
    memcpy(t->samples + t->count, samples, (size_t) n * sizeof(float));
    t->count += n;
}

/* The true magnitudes of x, all steady, without any re-gain. */
static float *from_magnitudes(const float *x, int64_t frames, uint64_t seed) {
    resynthesis_settings s = {mel_front_named("hiss"), 0.85, 1, 0, {seed, 0}};
    const tensor *spectra = stft(&s.front.stft, x, frames * HOP);
    taken t = {NEW_ARRAY(float, frames *HOP), 0};
    resynthesis *r = resynthesis_new(&s, take, &t);
    float steady[BINS], nothing[BINS] = {0}, mel[BANDS] = {0};
    for (int64_t i = 0; i < frames; i++) {
        for (int k = 0; k < BINS; k++)
            steady[k] = hypotf(f32(spectra)[2 * (i * BINS + k)], f32(spectra)[2 * (i * BINS + k) + 1]);
        resynthesis_push(r, mel, steady, nothing);
    }
    resynthesis_finish(r);
    assert_int_equal(t.count, frames * HOP);
    return t.samples;
}

static float *with_random_phases(const float *x, int64_t frames) {
    const stft_shape shape = mel_front_named("hiss").stft;
    tensor *spectra = stft(&shape, x, frames * HOP);
    for (int64_t i = 0; i < frames * BINS; i++) {
        float *c = f32(spectra) + 2 * i;
        const double phase = 2 * M_PI * random_uniform((random_key){8, 0}, (uint64_t) i), size = hypotf(c[0], c[1]);
        c[0] = (float) (size * cos(phase));
        c[1] = (float) (size * sin(phase));
    }
    return f32(stft_inverse(&shape, spectra, frames * HOP));
}

static void test_phases(void **state) {
    (void) state;
    scope_begin();
    enum { FRAMES = 120 };
    const mel_front f = mel_front_named("hiss");
    const float *x = test_sound(FRAMES * HOP), *y = from_magnitudes(x, FRAMES, 1);
    const closeness good = closeness_of(&f, x, y, FRAMES * HOP);
    const closeness bad = closeness_of(&f, x, with_random_phases(x, FRAMES), FRAMES * HOP);
    print_message("integrated %g %g, random %g %g\n", good.multi_resolution, good.log_mel, bad.multi_resolution,
                  bad.log_mel);
    assert_true(good.multi_resolution < 0.6 * bad.multi_resolution && good.log_mel < 0.4 * bad.log_mel);
    const float *again = from_magnitudes(x, FRAMES, 1), *other = from_magnitudes(x, FRAMES, 2);
    assert_memory_equal(y, again, FRAMES * HOP * sizeof(float));
    assert_true(memcmp(y, other, FRAMES * HOP * sizeof(float)) != 0);
    scope_end();
}

/* A steady sine advances by its frequency from frame to frame. */
static void test_advance(void **state) {
    (void) state;
    scope_begin();
    const double bin = 100.3;
    float level[BINS], phase[2][BINS];
    for (int k = 0; k < BINS; k++)
        level[k] = (float) (-M_PI * 0.25645 * (k - bin) * (k - bin)); /* a Gaussian window's */
    phase_integrator *p = phase_integrator_new(2048, HOP, (random_key){1, 0});
    for (int i = 0; i < 9; i++) phase_next(p, level, level, phase[i % 2]);
    const double expected = 2 * M_PI * bin * HOP / 2048, got = phase[0][100] - phase[1][100];
    const double turns = (got - expected) / (2 * M_PI);
    if (!(fabs(turns - round(turns)) < 0.02)) print_error("off by %g turns\n", turns - round(turns));
    assert_true(fabs(turns - round(turns)) < 0.02);
    scope_end();
}

/* Equal magnitudes everywhere, zeros everywhere: numbers all the same. */
static void test_flat_levels(void **state) {
    (void) state;
    scope_begin();
    float level[BINS], phase[BINS];
    static const float LEVELS[] = {0, -30, 1e6f};
    for (int v = 0; v < 3; v++) {
        phase_integrator *p = phase_integrator_new(2048, HOP, (random_key){1, 0});
        for (int k = 0; k < BINS; k++) level[k] = LEVELS[v];
        for (int i = 0; i < 3; i++) {
            phase_next(p, level, level, phase);
            for (int k = 0; k < BINS; k++) assert_true(isfinite(phase[k]) && fabsf(phase[k]) < 7);
        }
    }
    scope_end();
}

/* --- the envelope --- */

static void test_envelope(void **state) {
    (void) state;
    scope_begin();
    const mel_front f = mel_front_named("hiss");
    const mel_envelope *e = mel_envelope_new(&f);
    const mel_bank *bank = mel_front_bank(&f);
    float flat[BINS], mel[BANDS], back[BINS];
    for (int k = 0; k < BINS; k++) flat[k] = 3;
    mel_of_magnitudes(&f, bank, flat, mel);
    mel_envelope_of(e, mel, back);
    for (int k = 0; k < BINS; k++) assert_float_equal(back[k], 0.8 * 3, 1e-4);
    float rising[BANDS];
    for (int m = 0; m < BANDS; m++) rising[m] = (float) m;
    mel_envelope_spread(e, rising, back);
    assert_float_equal(back[0], 0, 0.7);
    assert_float_equal(back[BINS - 1], BANDS - 1, 0);
    for (int k = 1; k < BINS; k++) assert_true(back[k] >= back[k - 1]);
    scope_end();
}

/* --- the network and the stream --- */

static vocoder *small_network(void) {
    const config c = config_parse("{\"channels\": 12, \"blocks\": 3}", 29, "test");
    const vocoder_config sizes = vocoder_config_read(c);
    binder *b = binder_new((random_key){5, 0});
    vocoder *net = vocoder_bind(&sizes, b);
    params *p = binder_finish(b, true);
    tensor *out = params_find(p, "out.weight")->value; /* larger than it starts, so that it matters */
    for (int64_t i = 0; i < count(out); i++) f32(out)[i] *= 10;
    return net;
}

static float *stream(const vocoder *net, const tensor *mel, int64_t frames, int64_t piece) {
    const resynthesis_settings settings = {.noise_from = 0.5, .noise_to = 1, .regains = 2, .key = {9, 1}};
    taken t = {NEW_ARRAY(float, frames *HOP), 0};
    vocoder_stream *s = vocoder_stream_new(net, settings, take, &t);
    for (int64_t i = 0; i < frames; i += piece)
        vocoder_stream_push(s, f32(mel) + i * BANDS, frames - i < piece ? frames - i : piece);
    vocoder_stream_finish(s);
    assert_int_equal(t.count, frames * HOP);
    for (int64_t i = 0; i < t.count; i++) assert_true(isfinite(t.samples[i]));
    return t.samples;
}

static void test_chunks(void **state) {
    (void) state;
    scope_begin();
    enum { MOST = 430 };
    const mel_front f = mel_front_named("hiss");
    const vocoder *net = small_network();
    const tensor *mel = mel_compute(&f, test_sound(MOST * HOP), MOST * HOP);
    static const int64_t lengths[] = {1, 2, 3, 4, 7, 191, 192, 193, 215, MOST}, pieces[] = {1, 7, 100};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        scope_begin();
        const float *whole = stream(net, mel, lengths[i], lengths[i]);
        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++)
            assert_memory_equal(whole, stream(net, mel, lengths[i], pieces[p]),
                                (size_t) (lengths[i] * HOP) * sizeof(float));
        scope_end();
    }
    scope_end();
}

/* What the network says of a frame depends on the frames within its halo and on no other. In f32: bf16 would round away what
 * the outermost one changes. */
static void test_halo(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    enum { FRAMES = 90 };
    const vocoder *net = small_network();
    const int64_t halo = vocoder_halo(net); /* 3 (1 + 2 + 1) */
    assert_int_equal(halo, 12);
    tensor *mel = tensor_new(F32, SHAPE(1, FRAMES, BANDS));
    random_normal((random_key){1, 1}, 0, f32(mel), (size_t) count(mel));
    const tensor *whole = vocoder_forward(net, mel);
    const int64_t first = 30, n = 20;
    const tensor *part = tensor_wrap(F32, SHAPE(1, n + 2 * halo, BANDS), f32(mel) + (first - halo) * BANDS);
    const tensor *seen = vocoder_forward(net, part);
    assert_true(distance(f32(whole) + first * 2 * BINS, f32(seen) + halo * 2 * BINS, n * 2 * BINS) < 1e-6);
    assert_true(distance(f32(whole) + (first - 1) * 2 * BINS, f32(seen) + (halo - 1) * 2 * BINS, 2 * BINS) > 1e-6);
    precision_set(PRECISION_AUTO);
    scope_end();
}

static void test_memory(void **state) {
    (void) state;
    scope_begin();
    enum { MOST = 2000 };
    const mel_front f = mel_front_named("hiss");
    const vocoder *net = small_network();
    const tensor *mel = mel_compute(&f, test_sound(MOST * HOP), MOST * HOP);
    size_t peak[2];
    for (int i = 0; i < 2; i++) {
        scope_begin();
        memory_peak_reset();
        const size_t before = memory_in_use();
        const int64_t frames = i ? MOST : 400;
        stream(net, mel, frames, 50);
        peak[i] = memory_peak() - before - (size_t) (frames * HOP) * sizeof(float); /* without the samples themselves */
        scope_end();
    }
    if (peak[1] > peak[0] * 1.3) print_error("%zu and %zu bytes\n", peak[0], peak[1]);
    assert_true(peak[1] <= peak[0] * 1.3); /* the pool's size classes */
    scope_end();
}

/* --- outputs and likelihood --- */

static void test_rician(void **state) {
    (void) state;
    scope_begin();
    const float o[2] = {0.5f, -0.25f};
    float a, s;
    rician_read(o, 1, 1, &a, &s);
    assert_float_equal(a, log1p(exp(4 * 0.5 + 0.3)), 1e-5);
    assert_float_equal(s, exp(4 * -0.25 - 0.3), 1e-5);
    /* against the density, I0 by its integral */
    for (double r = 0.01; r < 10; r *= 1.9) {
        double i0e = 0;
        const double z = r * a / (s * s), n = 20000;
        for (int i = 0; i < n; i++) i0e += exp(z * (cos(M_PI * (i + 0.5) / n) - 1)) / n;
        const double expected = fmin((r - a) * (r - a) / (2 * s * s) - log(i0e) + 2 * log(s), 50);
        const float value = (float) r, one = 1;
        const tensor *loss =
            rician_loss(tensor_from(o, SHAPE(1, 2)), tensor_from(&value, SHAPE(1, 1)), tensor_from(&one, SHAPE(1, 1)));
        assert_float_equal(*f32(loss), expected, 1e-4 * (1 + fabs(expected)));
    }
    scope_end();
}

/* --- trained and sung with --- */

static const char RECIPE[] =
    "{\"system\": \"vocoder\", \"network\": {\"channels\": 16, \"blocks\": 2},"
    " \"data\": {\"sample_rate\": 44100, \"frames\": 9728, \"by_length\": true, \"held_out\": 0.4,"
    "            \"augment\": {\"mix\": 0.5, \"rate\": 0.5, \"peak_db\": [-12, -1]}},"
    " \"training\": {\"batch\": 3, \"steps\": 40, \"seed\": 2},"
    " \"optimizer\": {\"kind\": \"adamw\", \"learning_rate\": 0.01},"
    " \"every\": {\"log\": 4, \"held_out\": 6, \"sounds\": 0, \"checkpoint\": 20}}";

typedef struct {
    double first, last, held_out;
} losses;

static void watch(const train_report *r, void *context) {
    losses *l = context;
    if (r->event == TRAIN_STEP && r->step == 4) l->first = r->loss;
    if (r->event == TRAIN_STEP) l->last = r->loss;
    if (r->event == TRAIN_HELD_OUT) l->held_out = r->held_out;
}

static void test_training(void **state) {
    (void) state;
    scope_begin();
    const char *sounds = in_folder("sounds"), *recipe = write_in_folder("recipe.json", RECIPE);
    folder_make(sounds);
    for (int i = 0; i < 6; i++) {
        audio a = {test_sound(30000) + 1000 * i, 30000 - 1000 * i, 1, (int) RATE};
        audio_write(path_join(sounds, format("%d.wav", i)), &a, AUDIO_PCM16);
    }
    losses l = {0};
    const train_options options = {
        .recipe = recipe, .data = sounds, .out = in_folder("model"), .watch = watch, .context = &l};
    train_run(&options);
    print_message("loss %g, %g, held out %g\n", l.first, l.last, l.held_out);
    assert_true(l.last < l.first - 0.1 && l.held_out > 0 && l.held_out < l.first);

    const model *m = model_open(options.out);
    assert_string_equal(m->system->name, "vocoder");
    const mel_front f = model_front(m);
    enum { FRAMES = 50 };
    const float *x = test_sound(FRAMES * HOP);
    sound_request r = sound_request_default();
    const audio *y = vocode_mel(m, &r, mel_compute(&f, x, FRAMES * HOP));
    assert_int_equal(y->frames, FRAMES * HOP);
    assert_int_equal(y->rate, (int) RATE);
    const closeness c = closeness_of(&f, x, y->samples, FRAMES * HOP); /* the re-gains bring levels near in any case */
    if (!(c.log_mel < 0.6)) print_error("%g\n", c.log_mel);
    assert_true(c.log_mel < 0.6);
    scope_end();
}

static void read_configuration(void *text) {
    const config c = config_parse(text, strlen(text), "config.json");
    vocoder_config_read(c);
    vocoder_settings_read(c);
}

static void test_configuration(void **state) {
    (void) state;
    read_configuration("{}");
    expect_failure(read_configuration, "{\"kernel\": 4}", HISS_ERROR_FORMAT, "kernel 4");
    expect_failure(read_configuration, "{\"dilations\": [0.5]}", HISS_ERROR_FORMAT, "dilation 0.5");
    expect_failure(read_configuration, "{\"noise_from\": 0.9, \"noise_to\": 0.5}", HISS_ERROR_FORMAT, "noise_from");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_advance),       cmocka_unit_test(test_phases),
        cmocka_unit_test(test_flat_levels),    cmocka_unit_test(test_envelope),      cmocka_unit_test(test_rician),
        cmocka_unit_test(test_halo),           cmocka_unit_test(test_chunks),        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_training),       cmocka_unit_test(test_configuration),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
