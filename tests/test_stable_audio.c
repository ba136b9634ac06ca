/* Stable Audio's system on small drawn models: conditions, edits, loops, long sounds. What lies in files is in test_stable_files.c;
 * that its parts compute what the originals do is shown by the parity cases. */
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/random.h"
#include "drawn_stable.h"
#include "signal/turn.h"
#include "systems/stable_audio.h"
#include "tensor/ops.h"

static void test_defaults(void **state) {
    (void) state;
    scope_begin();
    const model *m = model_open(write_model("conditioned", CONDITIONED));
    assert_string_equal(m->sampler, "dpmpp-3m-sde");
    assert_int_equal(m->latent->steps, 100);
    assert_true(m->latent->guidance == 7);
    assert_int_equal(m->channels, 2);
    sound_request r = sound_request_for(m);
    assert_int_equal(request_samples(m, &r), WINDOW * HOP);
    r.seconds = 0.02;
    r.steps = 3;
    made a = make(m, &r);
    assert_int_equal(a.frames, 160);
    assert_int_equal(a.channels, 2);
    const levels whole = m->latent->levels(m, 10, 1), part = m->latent->levels(m, 10, 0.5);
    assert_true((float) whole.sigmas[0] == 500.000061f && (float) whole.sigmas[9] == 0.299999982f);
    assert_true(whole.sigmas[10] == 0); /* rounded as PyTorch's */
    assert_true(fabs(part.sigmas[0] - 1) < 1e-9 && part.steps == 10);
    const model *plain = model_open(write_model("plain", PLAIN));
    assert_string_equal(plain->sampler, "euler");
    assert_true(plain->latent->guidance == 1);
    scope_end();
}

/* Each condition is heard; guidance of 1 is none; several sounds are those of their seeds. */
static void test_conditions(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const model *m = model_open(in_folder("conditioned"));
    sound_request r = quick(m);
    const made first = make(m, &r);
    assert_true(between(make(m, &r), first) == 0);
    sound_request other = r;
    other.start = 0.5;
    assert_true(between(make(m, &other), first) > 1e-4);
    other = r;
    other.set = "kind=2";
    assert_true(between(make(m, &other), first) > 1e-4);
    other.set = "kind=0";
    assert_true(between(make(m, &other), first) == 0);
    other = r;
    other.guidance = 1;
    assert_true(between(make(m, &other), first) > 1e-4);
    other = r;
    other.rescale = 0.7;
    assert_true(between(make(m, &other), first) > 1e-4);
    other = r;
    other.count = 2;
    other.seed = 2;
    made two[2];
    generate_sounds(m, &other, take, two);
    for (int k = 0; k < 2; k++) defer(free, two[k].samples);
    assert_true(between(two[1], first) == 0);
    scope_end();
}

static void test_refused_requests(void **state) {
    (void) state;
    scope_begin();
    asking a = {.m = model_open(in_folder("conditioned"))};
    a.r = quick(a.m);
    a.r.prompt = "rain";
    expect_failure(ask, &a, HISS_ERROR_ARGUMENT, "follows no prompts");
    a.r = quick(a.m);
    a.r.set = "kimd=1";
    expect_failure(ask, &a, HISS_ERROR_ARGUMENT, "'kind'");
    a.r.set = "kind=much";
    expect_failure(ask, &a, HISS_ERROR_ARGUMENT, "'much' is not a number");
    a.r = quick(a.m);
    a.r.blend = "snow";
    expect_failure(ask, &a, HISS_ERROR_ARGUMENT, "second prompt");
    scope_end();
}

/* --- edits --- */

/* Outside of the spans, and their fades, both channels are those of before. */
static void test_parts(void **state) {
    (void) state;
    scope_begin();
    const model *m = model_open(in_folder("conditioned"));
    sound_request r = quick(m);
    const audio *before = noise_sound(1600, 2);
    const time_span span = {0.1, 0.12};
    r.seconds = 0.2;
    r.init = before;
    r.remake = &span;
    r.remakes = 1;
    const made a = make(m, &r);
    assert_int_equal(a.frames, 1600);
    for (int64_t i = 0; i < 630 * 2; i++) assert_true(a.samples[i] == before->samples[i]);
    for (int64_t i = 1130 * 2; i < 1600 * 2; i++) assert_true(a.samples[i] == before->samples[i]);
    assert_true(distance(a.samples + 800 * 2, before->samples + 800 * 2, 160 * 2) > 0.1);
    scope_end();
}

/* Little strength stays near the sound started from, as the autoencoder has it. */
static void test_strength(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const model *m = model_open(in_folder("conditioned"));
    sound_request r = quick(m);
    r.init = noise_sound(160, 1);
    r.strength = 0.2;
    const made near = make(m, &r);
    r.strength = 0.21;
    assert_true(between(make(m, &r), near) < 0.2);
    r.strength = 1;
    assert_true(between(make(m, &r), near) > 0.2);
    scope_end();
}

/* Latents go over from one sound to another; on no part of the way it is the sound of --init alone. */
static void test_into(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const model *m = model_open(in_folder("conditioned"));
    sound_request r = quick(m);
    r.sampler = "dpmpp-2m";
    r.seconds = 0.2;
    r.init = noise_sound(1600, 1);
    r.strength = 0.2;
    const made alone = make(m, &r);
    audio *second = noise_sound(1600, 1);
    for (int64_t i = 0; i < second->frames; i++) second->samples[i] *= i % 2 ? -3 : 1;
    r.into = second;
    assert_true(between(make(m, &r), alone) == 0);
    r.blend_until = 1;
    const made way = make(m, &r);
    const int64_t part = 200 * 2, last = (1600 - 200) * 2;
    const double begin = distance(way.samples, alone.samples, part),
                 end = distance(way.samples + last, alone.samples + last, part);
    print_message("way: %.3f from the first sound at its beginning, %.3f at its end\n", begin, end);
    assert_true(begin < 0.5 * end);
    scope_end();
}

/* --- handed on while it is decoded --- */

typedef struct {
    float *to;
    int64_t frames;
    int pieces;
} streamed;

static void collect_stream(void *context, const float *samples, int64_t frames) {
    streamed *s = context;
    memcpy(s->to + s->frames * CHANNELS, samples, (size_t) (frames * CHANNELS) * sizeof(float));
    s->frames += frames;
    s->pieces++;
}

/* The same sound, in pieces, where the limiter has nothing to do; and no more than its ceiling where it has. */
static void test_stream(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const model *m = model_open(in_folder("conditioned"));
    sound_request r = quick(m);
    r.seconds = 0.5;
    assert_false(has_pieces(m, &r));
    const made whole = make(m, &r);
    r.stream = true;
    assert_true(has_pieces(m, &r));
    streamed s = {NEW_ARRAY(float, whole.frames *CHANNELS), 0, 0};
    generate_pieces(m, &r, 0, collect_stream, &s);
    assert_int_equal(s.frames, whole.frames);
    assert_true(s.pieces > 2);
    float peak = 0, most = 0;
    for (int64_t i = 0; i < whole.frames * CHANNELS; i++) {
        peak = fmaxf(peak, fabsf(whole.samples[i]));
        most = fmaxf(most, fabsf(s.to[i]));
    }
    assert_true(most <= 0.951f);
    assert_true(peak < 0.9f); /* drawn weights; so the limiter rests */
    assert_true(distance(s.to, whole.samples, whole.frames * CHANNELS) < 1e-6);
    /* Started from another sound, and with parts of it kept. */
    const time_span span = {0.1, 0.2};
    r.init = noise_sound(4000, 1);
    for (r.remakes = 0, r.remake = &span; r.remakes < 2; r.remakes++) {
        r.stream = false;
        const made from = make(m, &r);
        r.stream = true;
        s.frames = 0;
        generate_pieces(m, &r, 0, collect_stream, &s);
        assert_int_equal(s.frames, from.frames);
        assert_true(distance(s.to, from.samples, from.frames * CHANNELS) < 1e-6);
    }
    r.init = NULL;
    r.remakes = 0;
    const made joined = make(m, &r); /* the samples that are handed on, in one piece */
    s.frames = 0;
    generate_pieces(m, &r, 0, collect_stream, &s);
    assert_memory_equal(joined.samples, s.to, (size_t) (joined.frames * CHANNELS) * sizeof(float));
    r.loop = true;
    assert_false(has_pieces(m, &r));
    r.loop = r.stream = false;
    r.seconds = 61; /* long sounds are, without being asked */
    assert_true(has_pieces(m, &r));
    scope_end();
}

/* --- loops --- */

static tensor *rolled(const tensor *x, int64_t by) {
    const int64_t N = x->shape[1], L = x->shape[2];
    tensor *y = tensor_new(F32, shape_of(x));
    for (int64_t i = 0; i < N; i++) memcpy(f32(y) + (i + by) % N * L, f32(x) + i * L, (size_t) L * sizeof(float));
    return y;
}

/* Latents turned by some are sound turned by as many: the seam is a place like any other. */
static void test_loop(void **state) {
    (void) state;
    enum { N = 20, BY = 7 };
    scope_begin();
    precision_set(PRECISION_F32);
    const model *m = model_open(in_folder("conditioned"));
    tensor *z = tensor_new(F32, SHAPE(1, N, LATENT));
    random_normal((random_key){1, 1}, 0, f32(z), (size_t) count(z));
    const audio *a = m->latent->decode(m, NULL, z, N * HOP, 0, true),
                *b = m->latent->decode(m, NULL, rolled(z, BY), N * HOP, 0, true);
    const int64_t n = N * HOP * CHANNELS, shift = BY * HOP * CHANNELS;
    for (int64_t i = 0; i < n; i++) assert_true(fabsf(a->samples[i] - b->samples[(i + shift) % n]) < 1e-5f);
    /* Of a length that is not whole latents: nearly the same turn. */
    const audio *c = m->latent->decode(m, NULL, z, N * HOP + 3, 0, true);
    assert_int_equal(c->frames, N * HOP + 3);
    sound_request r = quick(m);
    r.loop = true;
    assert_int_equal(make(m, &r).frames, 160);
    scope_end();
}

/* A turn of a sine is a turn of a sine, to its last sample. */
static void test_fit_turn(void **state) {
    (void) state;
    enum { FROM = 1000, TO = 1003, WAVES = 20 };
    scope_begin();
    audio *turn = audio_new(FROM, 1, RATE), *to = audio_new(TO, 1, RATE);
    for (int i = 0; i < FROM; i++) turn->samples[i] = (float) sin(2 * M_PI * WAVES * i / FROM);
    fit_turn(turn, to);
    for (int i = 0; i < TO; i++) assert_true(fabs(to->samples[i] - sin(2 * M_PI * WAVES * i / TO)) < 1e-4);
    scope_end();
}

/* --- long sounds --- */

/* Windows are told where they begin, and memory does not grow with their number but for the sound itself. */
static void test_long(void **state) {
    (void) state;
    scope_begin();
    const model *m = model_open(in_folder("conditioned"));
    sound_request r = quick(m);
    size_t peaks[2];
    for (int i = 0; i < 2; i++) {
        scope_begin();
        r.seconds = i ? 2.4 : 0.6;
        make(m, &r);
        memory_peak_reset();
        const size_t before = memory_in_use();
        const made a = make(m, &r);
        peaks[i] = memory_peak() - before;
        assert_int_equal(a.frames, llround(r.seconds * RATE));
        scope_end();
    }
    const size_t sound = (size_t) (1.8 * RATE) * CHANNELS * sizeof(float),
                 latents = (size_t) (1.8 * RATE / HOP) * LATENT * sizeof(float);
    assert_true(peaks[1] < peaks[0] + sound + 16 * latents + peaks[0] / 10);
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_conditions), cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_parts),    cmocka_unit_test(test_strength),   cmocka_unit_test(test_into),
        cmocka_unit_test(test_stream),   cmocka_unit_test(test_loop),       cmocka_unit_test(test_fit_turn),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
