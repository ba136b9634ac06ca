/* Walks over states that are not sound, with a made-up system whose clean state is known: windows, loops, sounds started from, parts kept,
 * levels; and pictures read as rough spectrograms. What the shipped model makes of its handles is measured by test_handles.c. */
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "folder.h"
#include "signal/canvas.h"
#include "signal/image.h"
#include "systems/latent.h"
#include "systems/rough.h"

/* --- a system with one sample to a position and a known answer --- */

enum { WINDOW = 10, OVERLAP = 4, CHANNELS = 2, LENGTH = 37 };

static int64_t calls, widest;
static double first_sigma;

static void *prepare(const model *m, const sound_request *r, int64_t samples) {
    (void) m, (void) r, (void) samples;
    calls = widest = 0;
    first_sigma = 0;
    return NEW(int);
}

static shape state(const model *m, int64_t samples, bool loop) {
    (void) m, (void) loop;
    return SHAPE(samples, CHANNELS);
}

static float answer(int64_t position) { return 0.5f * sinf(0.3f * (float) position); }

/* Says the answer for each place, whatever x is. */
static estimate denoise(const model *m, const void *asked, const tensor *x, double sigma, double to, const int64_t *at,
                        int64_t whole) {
    (void) m, (void) asked, (void) to;
    if (!calls++) first_sigma = sigma;
    int64_t n = x->shape[1];
    widest = n > widest ? n : widest;
    assert_int_equal(whole, LENGTH);
    tensor *y = tensor_new(F32, shape_of(x));
    for (int64_t i = 0; i < n * CHANNELS; i++) f32(y)[i] = answer(at[i / CHANNELS]);
    return (estimate){y, NULL};
}

static tensor *encode(const model *m, const audio *sound, int64_t positions, noise_source noise) {
    (void) m, (void) noise;
    tensor *y = tensor_zero(F32, SHAPE(1, positions, CHANNELS));
    for (int64_t i = 0; i < positions && i < sound->frames; i++)
        for (int c = 0; c < CHANNELS; c++) f32(y)[i * CHANNELS + c] = sound->samples[i];
    return y;
}

static audio *decode(const model *m, const void *asked, const tensor *x, int64_t samples, uint64_t seed, bool loop) {
    (void) asked, (void) seed, (void) loop;
    audio *a = audio_new(samples, 1, m->rate);
    for (int64_t i = 0; i < samples; i++) a->samples[i] = f32(x)[i * CHANNELS];
    return a;
}

static const struct latent_row LATENT = {.window = WINDOW,
                                         .overlap = OVERLAP,
                                         .steps = 6,
                                         .guidance = 2,
                                         .least = 0.02,
                                         .most = 1000,
                                         .process = PROCESS_STRAIGHT,
                                         .peak = 0.95f,
                                         .prepare = prepare,
                                         .state = state,
                                         .denoise = denoise,
                                         .encode = encode,
                                         .decode = decode};
static const system_row SYSTEM = {.name = "known", .sampler = "euler", .latent = &LATENT};
/* A thousand samples a second, so that nothing is resampled. */
static const model MODEL = {
    .system = &SYSTEM, .latent = &LATENT, .sampler = "euler", .channels = 1, .path = "known", .rate = 1000, .hop = 1};

static float made[LENGTH];
static void take(void *context, int64_t i, const audio *sound) {
    (void) context, (void) i;
    assert_int_equal(sound->frames, LENGTH);
    memcpy(made, sound->samples, sizeof made);
}

static sound_request request(void) {
    sound_request r = sound_request_for(&MODEL);
    r.seconds = LENGTH / 1000.0;
    return r;
}

static void expect_answer(int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) assert_true(fabsf(made[i] - answer(i)) < 1e-5f);
}

/* Every sampler ends on what the network says; windows and cuts of a loop leave no trace, each place is asked for by its name. */
static void test_windows(void **unused) {
    (void) unused;
    scope_begin();
    sound_request r = request();
    generate_sounds(&MODEL, &r, take, NULL);
    expect_answer(0, LENGTH);
    assert_int_equal(widest, WINDOW);
    assert_int_equal(calls, 4 * 6 + 2 * 7); /* windows at 0, 6, 12, 18, 24, 27; then all but the first 1 .. 5 earlier */
    r.loop = true;
    generate_sounds(&MODEL, &r, take, NULL);
    expect_answer(0, LENGTH);
    r.sampler = "dpmpp-2m";
    r.schedule = "karras";
    generate_sounds(&MODEL, &r, take, NULL);
    expect_answer(0, LENGTH);
    scope_end();
}

static audio *ramp_sound(void) {
    audio *a = audio_new(LENGTH, 1, 1000);
    for (int i = 0; i < LENGTH; i++)
        a->samples[i] = 0.95f * (float) (i + 1) / LENGTH; /* the peak of training: gain 1 */
    return a;
}

/* Strength says at which level the walk begins: t = 1 - strength. */
static void test_strength(void **unused) {
    (void) unused;
    scope_begin();
    sound_request r = request();
    r.init = ramp_sound();
    r.strength = 0.25;
    generate_sounds(&MODEL, &r, take, NULL);
    assert_true(fabs(first_sigma - 0.25 / 0.75) < 1e-6);
    assert_int_equal(calls, 2 * 6); /* the levels 1/3 and t = 5/6 */
    r.strength = 1;
    generate_sounds(&MODEL, &r, take, NULL);
    assert_true(first_sigma == 1000);
    scope_end();
}

/* Samples outside of the spans are those of before; inside is the answer; the level of the sound started from is kept. */
static void test_parts(void **unused) {
    (void) unused;
    scope_begin();
    sound_request r = request();
    audio *before = ramp_sound();
    for (int i = 0; i < LENGTH; i++) before->samples[i] *= 0.5f;
    r.init = before;
    time_span span = {0.030, 0.036};
    r.remake = &span;
    r.remakes = 1;
    generate_sounds(&MODEL, &r, take, NULL);
    for (int i = 0; i < 10; i++) assert_true(fabsf(made[i] - before->samples[i]) < 1e-6f);
    for (int i = 30; i < 36; i++) assert_true(fabsf(made[i] - 0.5f * answer(i)) < 1e-5f);
    scope_end();
}

/* Two sounds that do not meet: at hardly any strength both are as they were, at their places and levels, and what lies between is the
 * network's; where they meet, rows and levels go over. */
static void test_into(void **unused) {
    (void) unused;
    scope_begin();
    sound_request r = request();
    audio *first = ramp_sound(), *second = ramp_sound();
    first->frames = 10;
    second->frames = 12;
    for (int i = 0; i < LENGTH; i++)
        first->samples[i] = i % 2 ? 0.4f : 0.2f, second->samples[i] = i % 2 ? -0.1f : 0.05f;
    r.init = first;
    r.into = second;
    r.blend_until = 1;
    r.strength = 0.01;
    generate_sounds(&MODEL, &r, take, NULL);
    for (int i = 0; i < 10; i++) assert_true(fabsf(made[i] - first->samples[i]) < 1e-5f);
    for (int i = 0; i < 12; i++) assert_true(fabsf(made[LENGTH - 12 + i] - second->samples[i]) < 1e-5f);
    for (int i = 10; i < 25; i++) {
        const double way = 0.5 - 0.5 * cos(M_PI * (i - 10) / 15.0), gain = 0.4 / 0.95 * pow(0.25, way);
        assert_true(fabs(made[i] - gain * (double) answer(i)) < 1e-5);
    }
    first->frames = second->frames = LENGTH;
    r.strength = 0.5;
    generate_sounds(&MODEL, &r, take, NULL);
    assert_true(fabs(first_sigma - 1) < 1e-6);
    for (int i = 0; i < LENGTH; i++) {
        const double way = 0.5 - 0.5 * cos(M_PI * i / LENGTH), gain = 0.4 / 0.95 * pow(0.25, way);
        assert_true(fabs(made[i] - gain * (double) answer(i)) < 1e-5);
    }
    scope_end();
}

static void ask_silent(void *argument) {
    (void) argument;
    sound_request r = request();
    audio *a = ramp_sound();
    memset(a->samples, 0, LENGTH * sizeof(float));
    r.init = a;
    generate_sounds(&MODEL, &r, take, NULL);
}

static void test_silent(void **unused) {
    (void) unused;
    expect_failure(ask_silent, NULL, HISS_ERROR_ARGUMENT, "silent");
}

/* --- seeds of PyTorch --- */

enum { ROWS = 10, WIDTH = 4 };
static float walked[ROWS * WIDTH];

static shape rows_state(const model *m, int64_t samples, bool loop) {
    (void) m, (void) loop;
    return SHAPE(samples, WIDTH);
}

static estimate shrink(const model *m, const void *asked, const tensor *x, double sigma, double to, const int64_t *at,
                       int64_t whole) {
    (void) m, (void) asked, (void) to, (void) at, (void) whole;
    tensor *y = tensor_new(F32, shape_of(x));
    for (int64_t i = 0; i < count(x); i++) f32(y)[i] = 0.9f * f32(x)[i] / (float) (1 + sigma * sigma);
    return (estimate){y, NULL};
}

static audio *keep_rows(const model *m, const void *asked, const tensor *x, int64_t samples, uint64_t seed, bool loop) {
    (void) asked, (void) seed, (void) loop;
    memcpy(walked, f32(x), sizeof walked);
    return audio_new(samples, 1, m->rate);
}

/* Eight levels from 500 to 0.3 of k-diffusion's get_sigmas_polyexponential, and as diffusers rounds them. */
static levels eight_levels(const model *m, int64_t steps, double strength) {
    static const double SIGMAS[2][9] = {
        {500.000061, 173.263046, 60.0401573, 20.8054676, 7.20964193, 2.49832821, 0.865735769, 0.299999982, 0},
        {500.000061, 173.263046, 60.0401573, 20.805479, 7.20964003, 2.49832821, 0.865735769, 0.299999982, 0}};
    (void) strength;
    assert_int_equal(steps, 8);
    levels l = {NEW_ARRAY(double, 9), 8};
    memcpy(l.sigmas, SIGMAS[m->latent->path_of_seed], sizeof SIGMAS[0]);
    return l;
}

static void ignore_sound(void *context, int64_t i, const audio *sound) { (void) context, (void) i, (void) sound; }

/* Seed 7 in k-diffusion 0.1.1 and torchsde 0.2.6 on the CPU: torch.manual_seed, torch.randn([1, 4, 10]) times the first sigma, the sampler
 * with its own noise; and with the path that diffusers begins with the seed itself, from 0.3 to 500. */
static void test_torch_paths(void **unused) {
    (void) unused;
    static const struct {
        const char *sampler;
        bool of_seed;
        double at[6]; /* of [4, 10]: 0, 1, 9, 10, 25, 39 */
    } RUNS[] = {
        {"dpmpp-3m-sde", false, {-0.885444, 0.389352, 0.064597, 0.318536, -1.051685, 0.10686}},
        {"dpmpp-2m-sde", false, {-0.870644, 0.370416, 0.046575, 0.235269, -0.85202, 0.092828}},
        {"dpmpp-sde", false, {-0.950668, 0.373946, -0.066937, 0.272955, -0.852181, -0.22645}},
        {"dpmpp-2m-sde", true, {0.802929, 0.35767, 1.147927, -0.074409, -0.317141, 0.200119}},
    };
    static const int AT[] = {0, 1, 9, 10, 25, 39};
    scope_begin();
    for (size_t k = 0; k < sizeof RUNS / sizeof *RUNS; k++) {
        struct latent_row row = LATENT;
        row.window = ROWS;
        row.steps = 8;
        row.least = 0.3;
        row.most = 500;
        row.process = PROCESS_ROTATING;
        row.channels_first = true;
        row.path_of_seed = RUNS[k].of_seed;
        row.levels = eight_levels;
        row.state = rows_state;
        row.denoise = shrink;
        row.decode = keep_rows;
        model m = MODEL;
        m.latent = &row;
        sound_request r = sound_request_for(&m);
        r.seconds = ROWS / 1000.0;
        r.noise = NOISE_TORCH;
        r.seed = 7;
        r.sampler = RUNS[k].sampler;
        generate_sounds(&m, &r, ignore_sound, NULL);
        for (int i = 0; i < 6; i++) {
            const double got = walked[AT[i] % ROWS * WIDTH + AT[i] / ROWS];
            if (fabs(got - RUNS[k].at[i]) > 2e-5)
                fail_msg("%s at %d: %f, not %f", r.sampler, AT[i], got, RUNS[k].at[i]);
        }
    }
    scope_end();
}

/* --- walks that run away --- */

static void check_far(void *request) {
    const model m = {.path = "some-model"};
    check_walked(&m, request, (float[]){0.5f, -2e5f}, 2);
}

static void check_endless(void *request) {
    const model m = {.path = "some-model"};
    check_walked(&m, request, (float[]){0.5f, INFINITY}, 2);
}

static void check_no_number(void *request) {
    const model m = {.path = "some-model"};
    check_walked(&m, request, (float[]){0.5f, NAN}, 2);
}

/* Steps that overshoot end far away; damaged weights say what is not a number. */
static void test_runaway(void **unused) {
    (void) unused;
    sound_request own = {.steps = 0}, asked = {.steps = 1, .sampler = "prk"};
    const model m = {.path = "some-model"};
    check_walked(&m, &asked, (float[]){9, -30}, 2);
    expect_failure(check_far, &asked, HISS_ERROR_ARGUMENT, "some-model: the walk ran away");
    expect_failure(check_endless, &asked, HISS_ERROR_ARGUMENT, "another --sampler");
    expect_failure(check_no_number, &asked, HISS_ERROR_FORMAT, "damaged");
    expect_failure(check_no_number, &own, HISS_ERROR_FORMAT, "damaged");
}

/* --- pictures --- */

static void read_broken(void *path) { image_read_grey(path); }

static void test_pictures(void **unused) {
    (void) unused;
    scope_begin();
    const char *path = in_folder("a.png");
    canvas *c = canvas_new(40, 30, (colour){0, 0, 0});
    canvas_fill(c, (box){20, 0, 20, 15}, (colour){255, 255, 255}, 1); /* right half, upper half: late and high */
    canvas_write(c, path);
    tensor *grey = image_read_grey(path);
    assert_int_equal(grey->shape[0], 30);
    assert_true(f32(grey)[0] == 0 && f32(grey)[39] == 1 && f32(grey)[29 * 40 + 39] == 0);
    tensor *small = image_resize(grey, 3, 4), *large = image_resize(grey, 60, 80);
    assert_true(f32(small)[3] > 0.9f && f32(small)[0] < 0.1f && f32(small)[11] < 0.1f);
    assert_true(f32(large)[70] > 0.99f && f32(large)[59 * 80 + 70] < 0.01f);
    tensor *mel = rough_mel(path, 1);
    assert_int_equal(mel->shape[0], 87);
    assert_int_equal(mel->shape[1], 128);
    assert_true(f32(mel)[80 * 128 + 120] > 1.4f && f32(mel)[80 * 128 + 5] < -11.4f && f32(mel)[5 * 128 + 120] < -11.4f);
    for (int64_t i = 0; i < count(mel); i++) f32(mel)[i] = -11.4f + 0.0011f * (float) i;
    const char *drawn = in_folder("drawn.png"); /* written as it is read, within half a level of grey */
    rough_draw(drawn, mel);
    const tensor *again = rough_mel(drawn, 1);
    assert_int_equal(count(again), count(mel));
    for (int64_t i = 0; i < count(mel); i++)
        assert_true(fabsf(f32(again)[i] - f32(mel)[i]) < 0.03f || f32(mel)[i] > 1.5f);
    bytes whole = file_read(path, 1 << 20);
    for (size_t cut = 0; cut < whole.size * 3 / 4;
         cut += 7) { /* cut in the pixels or before: an error, never a crash */
        char *part = in_folder("b.png");
        file_write(part, whole.data, cut);
        expect_failure(read_broken, part, HISS_ERROR_FORMAT, "PNG");
    }
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows), cmocka_unit_test(test_strength), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_silent),  cmocka_unit_test(test_into),     cmocka_unit_test(test_torch_paths),
        cmocka_unit_test(test_runaway), cmocka_unit_test(test_pictures),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
