/* Training: recordings, batches, and whole runs: the loss falls, a stopped run goes on bit for bit, a killed
 * one leaves a complete checkpoint. The one that gets killed is this program, called again (child_training.h). */
#include "test.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parallel.h"
#include "base/text.h"
#include "child_training.h"
#include "folder.h"
#include "nn/bind.h"
#include "signal/audio.h"
#include "train/checkpoint.h"
#include "train/dataset.h"
#include "train/loader.h"
#include "train/loop.h"
#include "watched.h"

static char sounds_path[256], recipe_path[256];

/* --- made-up recordings --- */

/* Class 0: a falling tone; class 1: a burst of noise. Half a second, decaying, silence around it. */
static void write_sound(const char *path, int kind, int index) {
    enum { RATE = 16000, FRAMES = RATE / 4 };
    scope_begin();
    audio *a = audio_new(FRAMES, 1, RATE);
    for (int64_t i = 0; i < FRAMES; i++) {
        double t = (double) i / RATE, decay = exp(-20 * t), phase = 2 * M_PI * (300 + 20 * index) * t;
        double noise = 2 * random_uniform((random_key){(uint64_t) index, 7}, (uint64_t) i) - 1;
        a->samples[i] = (float) (0.5 * decay * (kind ? noise : sin(phase)));
    }
    audio_write(path, a, AUDIO_PCM16);
    scope_end();
}

static const char RECIPE[] =
    "{\"system\": \"diffwave\","
    " \"network\": {\"residual_layers\": 3, \"residual_channels\": 8, \"dilation_cycle_length\": 3,"
    "               \"embedding_hidden\": 16, \"unconditional\": true},"
    " \"data\": {\"sample_rate\": 8000, \"seconds\": 0.032, \"normalise\": \"peak\", \"trim_db\": 60, \"class\": true,"
    "            \"held_out\": 0.25, \"cache_mib\": 4},"
    " \"training\": {\"batch\": 4, \"accumulate\": 2, \"steps\": 60, \"precision\": \"f32\", \"seed\": 3},"
    " \"optimizer\": {\"learning_rate\": 0.01, \"max_gradient\": 1, \"warmup\": 3},"
    " \"average\": {\"decay\": 0.9},"
    " \"every\": {\"log\": 5, \"held_out\": 20, \"sounds\": %d, \"checkpoint\": %d},"
    " \"sounds\": {\"count\": 2, \"steps\": 3}}";

static void write_recipe(const char *path, int sounds, int checkpoint) {
    char *text = format(RECIPE, sounds, checkpoint);
    file_write(path, text, strlen(text));
}

static int set_up(void **state) {
    if (make_folder(state)) return 1;
    snprintf(sounds_path, sizeof sounds_path, "%s/sounds", folder);
    snprintf(recipe_path, sizeof recipe_path, "%s/recipe.json", folder);
    scope_begin();
    static const char *const kinds[] = {"tone", "burst"};
    for (int kind = 0; kind < 2; kind++) {
        char *folder = path_join(sounds_path, kinds[kind]);
        folder_make(folder);
        for (int i = 0; i < 6; i++) write_sound(path_join(folder, format("%d.wav", i)), kind, i);
    }
    write_recipe(recipe_path, 100, 10);
    scope_end();
    return 0;
}

/* --- errors --- */

static void run_training(void *argument) { train_run(argument); }

static char *error_of(void (*body)(void *), void *argument) {
    hiss_error error;
    assert_false(try_run(body, argument, &error));
    return copy_string(error.message);
}

static void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part)) print_error("'%s' does not contain '%s'\n", text, part);
    assert_true(strstr(text, part));
}

/* --- recordings --- */

static void find_nothing(void *path) { recordings_find(path, 0); }

static void test_folder(void **state) {
    (void) state;
    scope_begin();
    recordings *r = recordings_find(sounds_path, 0.25);
    assert_int_equal(r->count, 12);
    assert_int_equal(r->class_count, 2);
    assert_string_equal(r->classes[0], "burst");
    assert_string_equal(r->items[0].name, "burst/0.wav");
    assert_int_equal(r->items[11].class_index, 1);
    recordings *again = recordings_find(sounds_path, 0.25);
    for (size_t i = 0; i < r->count; i++) assert_int_equal(r->items[i].held_out, again->items[i].held_out);
    assert_contains(error_of(find_nothing, (void *) in_folder("none")), "no such folder");
    folder_make(in_folder("empty"));
    assert_contains(error_of(find_nothing, (void *) in_folder("empty")), "no recordings");
    scope_end();
}

static void test_manifests(void **state) {
    (void) state;
    static const char tabs[] =
        "path\tsplit\tclass\n# a comment\nsounds/tone/0.wav\theld-out\tlow\r\nsounds/burst/1.wav\ttrain\thigh\n";
    static const char lines[] = "{\"path\": \"sounds/tone/0.wav\", \"class\": \"low\", \"caption\": \"a tone\"}\n";
    static const char wrong[] = "sounds/tone/0.wav\tlow\t\tsometimes\n";
    scope_begin();
    file_write(in_folder("list.tsv"), tabs, strlen(tabs));
    file_write(in_folder("list.jsonl"), lines, strlen(lines));
    file_write(in_folder("wrong.tsv"), wrong, strlen(wrong));
    recordings *r = recordings_find(in_folder("list.tsv"), 0);
    assert_int_equal(r->count, 2);
    assert_string_equal(r->classes[0], "high");
    assert_true(r->items[1].held_out && !r->items[0].held_out);
    assert_true(file_exists(r->items[1].path));
    r = recordings_find(in_folder("list.jsonl"), 0);
    assert_string_equal(r->items[0].caption, "a tone");
    assert_contains(error_of(find_nothing, (void *) in_folder("wrong.tsv")), "line 1: split 'sometimes'");
    file_write(in_folder("binary"), "\x7f\0\1", 3);
    assert_contains(error_of(find_nothing, (void *) in_folder("binary")), "neither a folder nor a manifest");
    scope_end();
}

static int warnings;
static char last_warning[1024];
static void count_warning(const char *message) {
    warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", message);
}

static dataset_settings small_settings(int64_t cache) {
    return (dataset_settings){.rate = 8000,
                              .samples = 256,
                              .normalise = NORMALISE_PEAK,
                              .held_out = 0.2,
                              .held_out_clips = 8,
                              .cache_bytes = cache};
}

static void open_dataset(void *path) {
    dataset_settings s = small_settings(1 << 20);
    dataset_open(path, &s);
}

static void test_broken_recordings(void **state) {
    (void) state;
    static const char junk[] = "RIFF this is no sound at all";
    scope_begin();
    folder_make(in_folder("mixed"));
    write_sound(in_folder("mixed/good.wav"), 0, 1);
    file_write(in_folder("mixed/broken.wav"), junk, sizeof junk);
    audio *silence = audio_new(800, 1, 8000);
    memset(silence->samples, 0, 800 * sizeof(float));
    audio_write(in_folder("mixed/silent.wav"), silence, AUDIO_PCM16);
    warnings = 0;
    warn_to(count_warning);
    dataset_settings s = small_settings(1 << 20);
    dataset *d = dataset_open(in_folder("mixed"), &s);
    assert_int_equal(warnings, 2);
    assert_contains(last_warning, "skipped: ");
    assert_contains(last_warning, "silent.wav: silent");
    assert_int_equal(dataset_usable(d, false) + dataset_usable(d, true), 1);
    folder_make(in_folder("bad"));
    file_write(in_folder("bad/broken.wav"), junk, sizeof junk);
    assert_contains(error_of(open_dataset, (void *) in_folder("bad")), "none of its 1 recordings can be used");
    warn_to(NULL);
    scope_end();
}

static void assert_same_batch(const batch *a, const batch *b) {
    assert_memory_equal(a->audio->data, b->audio->data, tensor_bytes(a->audio));
    assert_memory_equal(a->noise->data, b->noise->data, tensor_bytes(a->noise));
    assert_memory_equal(a->classes, b->classes, (size_t) a->size * sizeof *a->classes);
    assert_memory_equal(a->level, b->level, (size_t) a->size * sizeof *a->level);
}

/* Cached or decoded each time, by a thread or here, in order or not: the same batches. */
static void test_batches(void **state) {
    (void) state;
    scope_begin();
    random_key key = {5, 0};
    dataset_settings much = small_settings(1 << 24), little = small_settings(1);
    dataset *cached = dataset_open(sounds_path, &much), *passing = dataset_open(sounds_path, &little);
    assert_true(dataset_cached_bytes(passing) < dataset_cached_bytes(cached));
    for (int64_t i = 7; i >= 0; i--)
        assert_same_batch(dataset_batch(cached, key, i, 3, 0.5), dataset_batch(passing, key, i, 3, 0.5));
    scope_begin();
    loader *l = loader_start(dataset_source(passing), key, 2, 3, 0.5);
    for (int64_t i = 2; i < 8; i++) assert_same_batch(loader_next(l), dataset_batch(cached, key, i, 3, 0.5));
    scope_end();
    if (dataset_held_out_clips(cached))
        assert_same_batch(dataset_held_out(cached, key, 0, 2), dataset_held_out(passing, key, 0, 2));
    scope_end();
}

/* --- whole runs --- */

static train_options options_for(const char *out, int64_t steps, bool resume) {
    return (train_options){.recipe = recipe_path, .data = sounds_path, .out = out, .steps = steps, .resume = resume};
}

static void test_loss_falls(void **state) {
    (void) state;
    scope_begin();
    forget_losses();
    train_options o = options_for(in_folder("falls"), 100, false);
    o.watch = watch_losses;
    train_result r = train_run(&o);
    assert_int_equal(r.step, 100);
    assert_true(isfinite(r.held_out));
    print_message("loss %g at first, %g at last\n", seen_steps.first, seen_steps.last);
    assert_true(seen_steps.last < 0.9 * seen_steps.first);
    assert_true(file_exists(in_folder("falls/samples/step-0000000100/00-burst.wav")));
    assert_true(file_exists(in_folder("falls/samples/step-0000000100/picture.png")));
    assert_true(file_exists(in_folder("falls/config.json")) && file_exists(in_folder("falls/weights.safetensors")));
    assert_contains(error_of(run_training, &o), "holds a run already");
    scope_end();
}

static void assert_same_file(const char *a, const char *b) {
    bytes x = file_map(a), y = file_map(b);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
}

static void test_resume(void **state) {
    (void) state;
    scope_begin();
    train_options whole = options_for(in_folder("whole"), 33, false), part = options_for(in_folder("part"), 17, false);
    train_run(&whole);
    train_run(&part);
    part.resume = true;
    part.steps = 33;
    train_result r = train_run(&part);
    assert_int_equal(r.step, 33);
    static const char *const files[] = {"config.json", "weights.safetensors", "latest/state.safetensors"};
    for (int i = 0; i < 3; i++)
        assert_same_file(path_join(in_folder("whole"), files[i]), path_join(in_folder("part"), files[i]));
    size_t kept = 0;
    for (char **names = folder_list(in_folder("part/checkpoints")); *names; names++) kept++;
    assert_int_equal(kept, 2);
    scope_end();
}

static void test_kill(void **state) {
    (void) state;
    enum { KILLS = 4 };
    scope_begin();
    const char *recipe = in_folder("often.json"), *out = in_folder("killed");
    write_recipe(recipe, 0, 1);
    for (uint64_t i = 0; i < KILLS; i++) {
        pid_t child = start_child(recipe, NULL, sounds_path, out, 100000);
        assert_true(child > 0);
        for (int k = 0; k < 1200 && !checkpoint_latest(out); k++) wait_milliseconds(50);
        wait_milliseconds((int64_t) random_below((random_key){9, 9}, i, 300));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        assert_non_null(checkpoint_latest(out));
        store *s = store_open(path_join(out, "weights.safetensors"));
        assert_true(store_count(s) > 10);
    }
    train_options o = options_for(out, 1, true);
    o.recipe = recipe;
    assert_true(train_run(&o).step >= 1); /* it can be resumed */
    scope_end();
}

static void test_interrupt(void **state) {
    (void) state;
    scope_begin();
    const char *out = in_folder("interrupted");
    pid_t child = start_child(recipe_path, NULL, sounds_path, out, 100000);
    for (int i = 0; i < 200 && !checkpoint_latest(out); i++) wait_milliseconds(50);
    kill(child, SIGTERM);
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_INTERRUPTED);
    assert_non_null(checkpoint_latest(out));
    scope_end();
}

/* --- what is refused before any work --- */

static void expect_refusal(const char *document, const char *part) {
    const char *path = in_folder("wrong.json");
    file_write(path, document, strlen(document));
    train_options o = options_for(in_folder("refused"), 1, false);
    o.recipe = path;
    assert_contains(error_of(run_training, &o), part);
}

static void test_wrong_recipes(void **state) {
    (void) state;
    scope_begin();
    expect_refusal("{\"system\": \"diffwav\", \"data\": {\"sample_rate\": 8000}}", "diffwave");
    expect_refusal("{\"system\": \"diffwave\", \"dta\": {}}", "dta");
    expect_refusal("{\"system\": \"diffwave\"}", "data");
    expect_refusal("{\"system\": \"diffwave\", \"network\": {\"layers\": 3}, \"data\": {\"sample_rate\": 8000}}",
                   "layers");
    expect_refusal("{\"system\": \"diffwave\", \"data\": {\"sample_rate\": 8000, \"normalise\": \"peek\"}}", "peak");
    expect_refusal("{\"system\": \"wavegrad\", \"data\": {\"sample_rate\": 8000, \"class\": true}}", "no class labels");
    expect_refusal("{\"system\": \"diffwave\", \"data\": {\"sample_rate\": 8000}, \"optimizer\": {\"kind\": \"sgd\"}}",
                   "adam");
    scope_end();
}

int main(int argc, char **argv) {
    threads_set(2);
    int code;
    if (was_child(argc, argv, &code)) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),  cmocka_unit_test(test_manifests),  cmocka_unit_test(test_broken_recordings),
        cmocka_unit_test(test_batches), cmocka_unit_test(test_loss_falls), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_kill),    cmocka_unit_test(test_interrupt),  cmocka_unit_test(test_wrong_recipes),
    };
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
