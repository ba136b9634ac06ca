/* Evaluation: distances whose value is known, how sounds begin and end, and a judge that learns a toy set and is asked about sounds
 * it has not heard. */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/random.h"
#include "eval/class_measures.h"
#include "eval/frechet.h"
#include "eval/judging.h"
#include "eval/music.h"
#include "eval/onset.h"
#include "eval/signal_distance.h"
#include "folder.h"
#include "signal/audio.h"
#include "train/loop.h"

/* --- distances --- */

static tensor *normal_rows(int64_t n, int64_t d, double spread_by, double shift, uint64_t stream) {
    tensor *x = tensor_new(F32, SHAPE(n, d));
    random_normal((random_key){5, stream}, 0, f32(x), (size_t) (n * d));
    for (int64_t i = 0; i < n * d; i++) f32(x)[i] = (float) (spread_by * f32(x)[i] + shift);
    return x;
}

/* Moved by a vector: its square. Scaled by s about the mean: (s - 1)^2 Tr C. */
static void test_frechet(void **state) {
    (void) state;
    scope_begin();
    tensor *x = normal_rows(300, 5, 1, 0, 1), *moved = tensor_to_f32(x), *wide = tensor_to_f32(x);
    statistics *a = statistics_of(x, "x");
    double trace = 0;
    for (int64_t i = 0; i < 5; i++) trace += a->covariance[i * 5 + i];
    for (int64_t i = 0; i < 300 * 5; i++) {
        f32(moved)[i] += 0.5f;
        f32(wide)[i] = (float) (a->mean[i % 5] + 3 * (f32(x)[i] - a->mean[i % 5]));
    }
    assert_true(fabs(frechet_distance(a, statistics_of(moved, "moved")) - 5 * 0.25) < 1e-5);
    assert_true(fabs(frechet_distance(a, statistics_of(wide, "wide")) - 4 * trace) < 1e-4);
    assert_true(fabs(frechet_distance(a, a)) < 1e-9);
    scope_end();
}

/* Distances that are exactly 2 + 30 / n. */
static void test_line(void **state) {
    (void) state;
    double sizes[3] = {10, 20, 50}, distances[3] = {5, 3.5, 2.6};
    extrapolation e = frechet_line(sizes, distances, 3);
    assert_true(fabs(e.distance - 2) < 1e-9 && fabs(e.slope - 30) < 1e-9 && fabs(e.r_squared - 1) < 1e-9);
}

static void one_row(void *unused) {
    (void) unused;
    statistics_of(normal_rows(1, 3, 1, 0, 1), "lonely");
}

static void not_a_number(void *unused) {
    (void) unused;
    tensor *x = normal_rows(4, 3, 1, 0, 1);
    f32(x)[7] = NAN;
    statistics_of(x, "odd");
}

static void two_widths(void *unused) {
    (void) unused;
    frechet_distance(statistics_of(normal_rows(9, 3, 1, 0, 1), "a"), statistics_of(normal_rows(9, 4, 1, 0, 1), "b"));
}

static void test_bad_sets(void **state) {
    (void) state;
    expect_failure(one_row, NULL, HISS_ERROR_ARGUMENT, "lonely: [1, 3]");
    expect_failure(not_a_number, NULL, HISS_ERROR_FORMAT, "odd: feature 1 of vector 2");
    expect_failure(two_widths, NULL, HISS_ERROR_ARGUMENT, "3 features cannot be compared with one of 4");
}

static void test_tops(void **state) {
    (void) state;
    scope_begin();
    float logits[12] = {3, 2, 1, 0, 0, 1, 2, 3, 1, 0, 3, 2};
    tensor *x = tensor_from(logits, SHAPE(3, 4));
    int64_t asked;
    int32_t labels[3] = {0, 1, -1};
    assert_int_equal(right_in_top(x, labels, 1, &asked), 1);
    assert_int_equal(asked, 2);
    assert_int_equal(right_in_top(x, labels, 2, NULL), 1);
    assert_int_equal(right_in_top(x, labels, 3, NULL), 2);
    scope_end();
}

/* SI-SDR of a signal and 0.1 of another, orthogonal to it, of the same energy: 20 dB, at any level. */
static void test_sdr(void **state) {
    (void) state;
    enum { N = 1000 };
    float x[N], y[N];
    for (int i = 0; i < N; i++) {
        x[i] = (float) sin(2 * M_PI * 10 * i / N);
        y[i] = 0.3f * (x[i] + 0.1f * (float) cos(2 * M_PI * 10 * i / N));
    }
    const sound_pair p = {x, y, 1, N, 8000};
    assert_true(fabs(si_sdr(&p, 0, false, 1e-9) - 20) < 1e-3);
}

/* --- onsets --- */

/* Silence, a straight rise, a straight fall to a thousandth. */
static void test_onset(void **state) {
    (void) state;
    enum { RATE = 20000, START = 2000, RISE = 1000, N = 22000 };
    scope_begin();
    audio *a = audio_new(N, 1, RATE);
    for (int i = 0; i < N; i++) {
        double up = (double) (i - START) / RISE, level = i < START ? 0 : up < 1 ? up : 0.001;
        a->samples[i] = (float) (i % 2 ? level : -level);
    }
    assert_true(fabs(rise_ms(a) - 40) <= 1.5); /* 0.8 of 50 ms */
    assert_true(fabs(tail_db(a) + 60) < 0.1);
    double values[5] = {4, NAN, 1, 2, 9};
    assert_true(median_of(values, 5) == 3);
    assert_true(isnan(median_of(values, 0)));
    scope_end();
}

/* --- a judge of tones, noises and clicks --- */

enum { RATE = 8000, FRAMES = 4000, KINDS = 3, EACH = 16 };
static const char *const KIND_NAMES[KINDS] = {"tone", "noise", "low click"};

static void write_sound(const char *path, int kind, int index) {
    scope_begin();
    audio *a = audio_new(FRAMES, 1, RATE);
    for (int i = 0; i < FRAMES; i++) {
        double t = (double) i / RATE, noise = 2 * random_uniform((random_key){(uint64_t) index, 7}, (uint64_t) i) - 1;
        double sound = kind == 0   ? sin(2 * M_PI * (500 + 30 * index) * t)
                       : kind == 1 ? noise
                                   : sin(2 * M_PI * 90 * t) * exp(-60 * t);
        a->samples[i] = (float) ((0.2 + 0.04 * index) * exp(-5 * t) * sound);
    }
    audio_write(path, a, AUDIO_PCM16);
    scope_end();
}

static const char RECIPE[] =
    "{\"system\": \"judge\","
    " \"network\": {\"hop_samples\": 128, \"n_fft\": 512, \"n_mels\": 32, \"bands\": 8, \"hidden\": 16},"
    " \"data\": {\"sample_rate\": 8000, \"frames\": 31, \"normalise\": \"peak\", \"class\": true,"
    "            \"crop\": \"start\", \"balance\": true, \"held_out\": 0.3},"
    " \"training\": {\"batch\": 16, \"steps\": 80, \"precision\": \"f32\", \"seed\": 3},"
    " \"optimizer\": {\"learning_rate\": 0.01},"
    " \"every\": {\"log\": 20, \"held_out\": 40, \"sounds\": 0, \"checkpoint\": 80}}";

static int set_up(void **state) {
    if (make_folder(state)) return 1;
    scope_begin();
    for (int kind = 0; kind < KINDS; kind++) {
        char *folder = path_join(in_folder("sounds"), KIND_NAMES[kind]);
        folder_make(folder);
        for (int i = 0; i < EACH; i++) write_sound(path_join(folder, format("%d.wav", i)), kind, i);
    }
    folder_make(in_folder("made"));
    for (int i = 0; i < KINDS; i++) /* the last one is not what its name says */
        write_sound(path_join(in_folder("made"), format("0%d-%s.wav", i, i == 2 ? "low_click" : KIND_NAMES[i])), i % 2,
                    20 + i);
    file_write(in_folder("recipe.json"), RECIPE, sizeof RECIPE - 1);
    scope_end();
    return 0;
}

static void test_judge_learns(void **state) {
    (void) state;
    scope_begin();
    train_options o = {.recipe = in_folder("recipe.json"), .data = in_folder("sounds"), .out = in_folder("judge")};
    train_result r = train_run(&o);
    assert_true(r.held_out < 0.3); /* ln 3 = 1.1 by guessing */
    const judge_model *j = judge_open(o.out);
    assert_int_equal(j->class_count, KINDS);
    assert_true(j->held_out == 0.3);
    int64_t n, trained;
    const recordings *list = recordings_find(o.data, j->held_out);
    judge_item *items = judge_items(j, list, PART_HELD_OUT, 0, &n);
    judge_items(j, list, PART_TRAINING, 5, &trained);
    assert_true(n > 5);
    assert_int_equal(trained, 5);
    judge_summary s = judge_sum_up(j, judge_verdicts(j, judge_sounds(j, items, n, "hearing")));
    assert_int_equal(s.count, n);
    assert_true(s.accuracy == 1 && s.class_mean == 1);
    scope_end();
}

/* Three items of one class: a tone, nothing, a tone. What is silent counts, and is never right. */
static void test_silent_sounds(void **state) {
    (void) state;
    scope_begin();
    const judge_model *j = judge_open(in_folder("judge"));
    audio *nothing = audio_new(FRAMES, 1, RATE);
    memset(nothing->samples, 0, FRAMES * sizeof(float));
    audio_write(in_folder("nothing.wav"), nothing, AUDIO_PCM16);
    const char *tone = path_join(path_join(in_folder("sounds"), "tone"), "3.wav");
    const judge_item items[3] = {{tone, 2}, {in_folder("nothing.wav"), 2}, {tone, 2}};
    const judge_summary s = judge_sum_up(j, judge_verdicts(j, judge_sounds(j, items, 3, "hearing")));
    assert_int_equal(s.count, 3);
    assert_true(fabs(s.accuracy - 2.0 / 3) < 1e-9 && fabs(s.top_3 - 2.0 / 3) < 1e-9);
    scope_end();
}

static void test_labels(void **state) {
    (void) state;
    scope_begin();
    const judge_model *j = judge_open(in_folder("judge")); /* classes: low click, noise, tone */
    assert_int_equal(judge_class(j, "Low-Click"), 0);
    assert_int_equal(judge_class(j, "click"), -1);
    assert_int_equal(judge_class_in(j, "03-low_click-001.wav"), 0);
    assert_int_equal(judge_class_in(j, "tone2.wav"), 2);
    assert_int_equal(judge_class_in(j, "noise of a tone.wav"), 1); /* the longest */
    assert_int_equal(judge_class_in(j, "atonement.wav"), -1);
    scope_end();
}

/* --- music --- */

/* Decaying tones of a few partials, one every beat / 2, loud on the beat, the pitches (semitones over C) in turn. */
static audio *melody(double bpm, const int *pitches, int count, double seconds) {
    enum { RATE_OF = 22050 };
    audio *a = audio_new((int64_t) (seconds * RATE_OF), 1, RATE_OF);
    const double note = 30 / bpm;
    for (int64_t i = 0; i < a->frames; i++) {
        double t = (double) i / RATE_OF, since = fmod(t, note), sum = 0;
        int64_t number = (int64_t) (t / note);
        double hz = 261.63 * pow(2, pitches[number % count] / 12.0), loud = number % 2 ? 0.2 : 1;
        for (int k = 1; k <= 4; k++) sum += sin(2 * M_PI * k * hz * since) / k;
        a->samples[i] = (float) (0.2 * loud * exp(-8 * since) * sum);
    }
    return a;
}

static void test_music(void **state) {
    (void) state;
    static const int MAJOR[8] = {0, 4, 7, 12, 5, 9, 7, 2}, MINOR[8] = {0, 3, 7, 12, 5, 8, 7, 2};
    for (int i = 0; i < 6; i++) {
        scope_begin();
        int turned[8], tonic = i * 5 % 12;
        double bpm = 70 + 15 * i;
        for (int k = 0; k < 8; k++) turned[k] = (i % 2 ? MINOR : MAJOR)[k] + tonic;
        const audio *a = melody(bpm, turned, 8, 8);
        music_key key = music_key_of(a);
        if (!tempo_agrees(music_tempo(a), bpm, 0.05, true)) fail_msg("%g BPM heard as %g", bpm, music_tempo(a));
        assert_int_equal(key.tonic, tonic);
        assert_int_equal(key.minor, i % 2);
        scope_end();
    }
    assert_true(tempo_agrees(104, 100, 0.05, false) && !tempo_agrees(50, 100, 0.05, false) &&
                tempo_agrees(50, 100, 0.05, true));
}

static void test_silence(void **state) {
    (void) state;
    scope_begin();
    audio *a = audio_new(30000, 1, 22050);
    memset(a->samples, 0, 30000 * sizeof(float));
    assert_true(music_tempo(a) == 0);
    assert_int_equal(music_key_of(a).tonic, -1);
    a->frames = 1;
    assert_true(music_tempo(a) == 0);
    scope_end();
}

static void test_requests(void **state) {
    (void) state;
    static const struct {
        const char *words;
        double bpm;
        int tonic;
        bool minor;
    } CASES[] = {{"a funny bandoneon melody in B flat major, 105 BPM", 105, 10, false},
                 {"03-piano_in_F#_minor_88bpm.wav", 88, 6, true},
                 {"a minor scale", 0, -1, false},
                 {"Bb major | C major", 0, 10, false},
                 {"909 drums at 9999 BPM", 0, -1, false},
                 {"", 0, -1, false}};
    scope_begin();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        music_request r = music_asked(CASES[i].words);
        assert_true(r.bpm == CASES[i].bpm);
        assert_int_equal(r.key.tonic, CASES[i].tonic);
        if (r.key.tonic >= 0) assert_int_equal(r.key.minor, CASES[i].minor);
    }
    assert_string_equal(key_name((music_key){10, false}), "B flat major");
    scope_end();
}

/* --- the program --- */

static int run_program(const char *words, char *out, size_t size) {
    char line[1000], path[300];
    snprintf(line, sizeof line, "cd %s && '%s' eval %s >out.txt 2>&1", folder, HISS_PROGRAM, words);
    int status = system(line);
    snprintf(path, sizeof path, "%s/out.txt", folder);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    out[fread(out, 1, size - 1, f)] = 0;
    fclose(f);
    return WEXITSTATUS(status);
}

static void expect_said(const char *words, int code, const char *said) {
    static char out[20000];
    int got = run_program(words, out, sizeof out);
    if (got != code || !strstr(out, said)) fail_msg("hiss eval %s: exit %d: %s", words, got, out);
}

static void test_program(void **state) {
    (void) state;
    expect_said("--judge judge --data sounds made --picture page.png", 0, "low click");
    expect_said("--judge judge --data sounds made", 0, "as tone");
    expect_said("--judge judge --data sounds made -q --json", 0, "\"mostly\": \"tone\"");
    expect_said("--judge judge made", 0, "0.667");
    scope_begin();
    assert_true(file_exists(in_folder("page.png")));
    scope_end();
}

/* A set against itself: no distance but the kernels' bias below zero, and signals that do not differ. */
static void test_reference(void **state) {
    (void) state;
    static char out[20000];
    assert_int_equal(run_program("--reference sounds sounds -q --json", out, sizeof out), 0);
    json_error_t error;
    json_t *all = json_loads(out, 0, &error), *o = json_object_get(all, "reference");
    assert_non_null(o);
    assert_int_equal(json_integer_value(json_object_get(o, "pairs")), 0); /* shorter than 4096 samples */
    assert_int_equal(json_integer_value(json_object_get(o, "generated_sounds")), KINDS * EACH);
    assert_true(fabs(json_number_value(json_object_get(o, "frechet"))) < 1e-3);
    assert_true(json_number_value(json_object_get(o, "kad")) < 0);
    json_decref(all);
    expect_said("--reference sounds made", 0, "Frechet distance");
}

static void test_program_errors(void **state) {
    (void) state;
    expect_said("made", 2, "--judge");
    expect_said("--judge judge --data sounds nowhere", 1, "nowhere: no such folder");
    expect_said("--judge sounds made", 1, "holds no weights.safetensors");
    expect_said("--judge judge", 2, "--data");
    expect_said("--reference sounds made --picture page.png", 2, "give --judge DIR");
    expect_said("--judge judge made --features x.pt", 2, "give --reference PATH");
    expect_said("--music made", 2, "neither captions nor names ask for a tempo");
    expect_said("--reference sounds", 2, "folder of generated sounds");
    expect_said("--reference sounds made --features judge/weights.safetensors", 1, "neither VGGish nor Cnn14");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frechet),       cmocka_unit_test(test_line),
                                       cmocka_unit_test(test_bad_sets),      cmocka_unit_test(test_tops),
                                       cmocka_unit_test(test_sdr),           cmocka_unit_test(test_onset),
                                       cmocka_unit_test(test_judge_learns),  cmocka_unit_test(test_silent_sounds),
                                       cmocka_unit_test(test_labels),        cmocka_unit_test(test_program),
                                       cmocka_unit_test(test_music),         cmocka_unit_test(test_silence),
                                       cmocka_unit_test(test_requests),      cmocka_unit_test(test_reference),
                                       cmocka_unit_test(test_program_errors)};
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
