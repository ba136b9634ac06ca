/* Long sounds piece by piece: the same samples as of the whole walk, with memory that does not grow; and what is not made so. The
 * system is made up: a window's answer depends on all of its state and places. */
#include "test.h"

#include <math.h>
#include <stdlib.h>

#include "systems/latent_pieces.h"

enum { WINDOW = 10, OVERLAP = 4, CHANNELS = 3, RATE = 1000 };

static void *prepare(const model *m, const sound_request *r, int64_t samples) {
    (void) m, (void) r, (void) samples;
    return NEW(int);
}

static shape state(const model *m, int64_t samples, bool loop) {
    (void) m, (void) loop;
    return SHAPE(samples, CHANNELS);
}

/* Between the state and a course of its own, moved by the mean of the window and by where the step ends. */
static estimate denoise(const model *m, const void *asked, const tensor *x, double sigma, double to, const int64_t *at,
                        int64_t whole) {
    (void) m, (void) asked, (void) whole;
    const int64_t n = x->shape[1];
    tensor *y = tensor_new(F32, shape_of(x));
    const float near = (float) (1 / (1 + sigma)), end = (float) (1 / (1 + to));
    float mean = 0;
    for (int64_t i = 0; i < n * CHANNELS; i++) mean += f32(x)[i] / (float) (n * CHANNELS);
    for (int64_t i = 0; i < n * CHANNELS; i++)
        f32(y)[i] = 0.3f * near * (f32(x)[i] + mean) + (0.1f + 0.1f * end) * sinf(0.02f * (float) at[i / CHANNELS]);
    return (estimate){y, NULL};
}

static audio *decode(const model *m, const void *asked, const tensor *x, int64_t samples, uint64_t seed, bool loop) {
    (void) asked, (void) seed, (void) loop;
    audio *a = audio_new(samples, 1, m->rate);
    for (int64_t i = 0; i < samples; i++) a->samples[i] = f32(x)[i * CHANNELS + 1];
    return a;
}

typedef struct {
    take_samples *take;
    void *context;
    int64_t puts;
} voice;

static void *voice_begin(const model *m, const void *asked, int64_t samples, uint64_t seed, take_samples *take,
                         void *context) {
    (void) m, (void) asked, (void) samples, (void) seed;
    voice *v = NEW(voice);
    *v = (voice){take, context, 0};
    return v;
}

static void voice_put(void *to, const tensor *rows) {
    voice *v = to;
    float *samples = NEW_ARRAY(float, rows->shape[1]);
    for (int64_t i = 0; i < rows->shape[1]; i++) samples[i] = f32(rows)[i * CHANNELS + 1];
    v->puts++;
    v->take(v->context, samples, rows->shape[1]);
}

static void voice_end(void *to) { assert_true(((voice *) to)->puts > 100); }

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
                                         .decode = decode,
                                         .voice_begin = voice_begin,
                                         .voice_put = voice_put,
                                         .voice_end = voice_end};
static const system_row SYSTEM = {.name = "made-up", .sampler = "euler", .latent = &LATENT};
static const model MODEL = {
    .system = &SYSTEM, .latent = &LATENT, .sampler = "euler", .channels = 1, .path = "made-up", .rate = RATE, .hop = 1};

static sound_request request(double seconds) {
    sound_request r = sound_request_for(&MODEL);
    r.seconds = seconds;
    r.seed = 11;
    return r;
}

typedef struct {
    float *samples;
    int64_t n;
} collected;

static void collect(void *context, const float *samples, int64_t n) {
    collected *c = context;
    if (c->samples) memcpy(c->samples + c->n, samples, (size_t) n * sizeof(float));
    c->n += n;
}

static void compare(double seconds, const char *sampler, const char *schedule) {
    scope_begin();
    sound_request r = request(seconds);
    r.sampler = sampler;
    r.schedule = schedule;
    assert_true(has_pieces(&MODEL, &r));
    const audio *whole = latent_sound(&MODEL, &r, prepare(&MODEL, &r, 0), 0);
    collected c = {NEW_ARRAY(float, whole->frames), 0};
    generate_pieces(&MODEL, &r, 0, collect, &c);
    assert_int_equal(c.n, whole->frames);
    double most = 0;
    for (int64_t i = 0; i < c.n; i++) {
        most = fmax(most, fabs((double) c.samples[i]));
        if (fabsf(c.samples[i] - whole->samples[i]) > 1e-5f)
            fail_msg("%s, sample %lld: %g of pieces, %g of the whole", sampler ? sampler : "own", (long long) i,
                     (double) c.samples[i], (double) whole->samples[i]);
    }
    assert_true(most > 0.05 && most < 0.9); /* the limiter had nothing to do */
    scope_end();
}

/* Windows that fit, and a last one that overlaps the ones before it by more. */
static void test_equal(void **unused) {
    (void) unused;
    compare(60.004, NULL, NULL);
    compare(60.001, NULL, NULL);
    compare(60.003, "euler", "karras");
    compare(60.005, "ping-pong", NULL);
}

static void test_begins_alike(void **unused) {
    (void) unused;
    scope_begin();
    const sound_request r = request(61), longer = request(90);
    collected a = {NEW_ARRAY(float, 61000), 0}, b = {NEW_ARRAY(float, 90000), 0};
    generate_pieces(&MODEL, &r, 0, collect, &a);
    generate_pieces(&MODEL, &longer, 0, collect, &b);
    assert_memory_equal(a.samples, b.samples, 60000 * sizeof(float));
    scope_end();
}

static size_t peak_of(double seconds) {
    const sound_request r = request(seconds);
    collected c = {0};
    memory_peak_reset();
    generate_pieces(&MODEL, &r, 0, collect, &c);
    assert_int_equal(c.n, llround(seconds * RATE));
    return memory_peak();
}

static void test_memory(void **unused) {
    (void) unused;
    peak_of(61);
    const size_t shorter = peak_of(61), longer = peak_of(900);
    print_message("peak memory: %zu KiB for 61 s, %zu KiB for 900 s\n", shorter >> 10, longer >> 10);
    assert_true(longer <= shorter + 65536);
}

/* What looks at more than one level, or needs the whole sound, is made whole. */
static void test_whole(void **unused) {
    (void) unused;
    scope_begin();
    sound_request r = request(60);
    assert_false(has_pieces(&MODEL, &r));
    r = request(61);
    assert_true(has_pieces(&MODEL, &r));
    r.sampler = "dpmpp-2m";
    assert_false(has_pieces(&MODEL, &r));
    r = request(61);
    r.loop = true;
    assert_false(has_pieces(&MODEL, &r));
    r = request(61);
    r.noise = NOISE_TORCH;
    assert_false(has_pieces(&MODEL, &r));
    r = request(61);
    r.steps = 10000;
    assert_false(has_pieces(&MODEL, &r));
    scope_end();
}

/* Peaks stay below full scale, the length is exact. */
static void loud(void *context, const float *samples, int64_t n) {
    for (int64_t i = 0; i < n; i++) assert_true(fabsf(samples[i]) <= 0.96f);
    *(int64_t *) context += n;
}

static void test_peaks(void **unused) {
    (void) unused;
    scope_begin();
    sound_request r = request(61);
    r.steps = 1; /* noise of 1000 comes through */
    int64_t n = 0;
    generate_pieces(&MODEL, &r, 0, loud, &n);
    assert_int_equal(n, 61000);
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal), cmocka_unit_test(test_begins_alike), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_whole), cmocka_unit_test(test_peaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
