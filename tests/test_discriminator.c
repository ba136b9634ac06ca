/* Training an autoencoder against a discriminator, on a small stored model: it learns to tell recorded from decoded sound, changes what
 * the decoder learns, keeps to its turns and its warm-up, and a killed run goes on bit for bit. That its values and gradients are those
 * of a writing in PyTorch is shown by a parity case. The one that gets killed is this program, called again (child_training.h). */
#include "test.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/text.h"
#include "child_training.h"
#include "folder.h"
#include "signal/audio.h"
#include "store/store.h"
#include "tiny_stable.h"
#include "train/checkpoint.h"
#include "train/loop.h"

#define CONFIG                                                                                                         \
    "\"type\": \"encodec\", \"config\": {\"filters\": 4, \"n_ffts\": [64, 32], \"hop_lengths\": [16, 8],"              \
    " \"win_lengths\": [64, 32]}"
#define JUDGED "{" CONFIG "}"

/* decoder's rate, what is said of the discriminator, steps between checkpoints */
static const char RECIPE[] = "{\"system\": \"autoencoder\", \"data\": {\"seconds\": 0.032, \"held_out\": 0},"
                             " \"autoencoder\": {\"fft_sizes\": [64, 32], \"hop_sizes\": [16, 8]%s%s},"
                             " \"training\": {\"batch\": 2, \"precision\": \"f32\", \"seed\": 3},"
                             " \"optimizer\": {\"kind\": \"adamw\", \"learning_rate\": %g, \"betas\": [0.8, 0.99]}, "
                             "\"average\": {\"decay\": 0.9},"
                             " \"every\": {\"log\": 20, \"held_out\": 0, \"sounds\": 0, \"checkpoint\": %d}}";

static void write_recipe(const char *name, const char *discriminator, double rate, int checkpoint) {
    const char *key = discriminator ? ", \"discriminator\": " : "", *said = discriminator ? discriminator : "";
    write_in_folder(name, format(RECIPE, key, said, rate, checkpoint));
}

static void write_sound(const char *name, uint64_t stream) {
    enum { FRAMES = 4000 };
    audio *a = audio_new(FRAMES, TINY_STABLE_CHANNELS, TINY_STABLE_RATE);
    random_normal((random_key){3, stream}, 0, a->samples, FRAMES * TINY_STABLE_CHANNELS);
    for (int64_t i = 0; i < (int64_t) FRAMES * TINY_STABLE_CHANNELS; i++) a->samples[i] *= 0.1f;
    audio_write(in_folder(name), a, AUDIO_FLOAT);
}

/* The whole model, and its autoencoder under a configuration that names how it was trained. */
static int set_up(void **state) {
    if (make_folder(state)) return 1;
    scope_begin();
    folder_make(in_folder("sounds"));
    write_sound("sounds/a.wav", 1);
    write_sound("sounds/b.wav", 2);
    tiny_stable_write(in_folder("small"));
    tiny_stable_write(in_folder("named"));
    const bytes settings = file_read(in_folder("small/model_config.json"), 1 << 20);
    const char *words = copy_string((const char *) settings.data), *training = strstr(words, "\"model_type\"");
    write_in_folder("named/model_config.json",
                    format("%.*s\"training\": {\"loss_configs\": {\"discriminator\": %s}},\n %s",
                           (int) (training - words), words, JUDGED, training));
    scope_end();
    return 0;
}

enum { MOST_REPORTS = 64 };
static double losses[MOST_REPORTS];
static int loss_count;
static void watch(const train_report *report, void *context) {
    (void) context;
    if (report->event == TRAIN_STEP && loss_count < MOST_REPORTS) losses[loss_count++] = report->rival;
}

static train_options options_for(const char *recipe, const char *from, const char *out, int64_t steps) {
    loss_count = 0;
    return (train_options){.recipe = in_folder(recipe),
                           .from = in_folder(from),
                           .data = in_folder("sounds"),
                           .out = in_folder(out),
                           .steps = steps,
                           .watch = watch};
}

static void train(const char *discriminator, double rate, const char *from, const char *out, int64_t steps) {
    write_recipe("recipe.json", discriminator, rate, 1000);
    train_options o = options_for("recipe.json", from, out, steps);
    train_run(&o);
}

static bool same_file(const char *a, const char *b, const char *name) {
    const bytes x = file_map(path_join(in_folder(a), name)), y = file_map(path_join(in_folder(b), name));
    return x.size == y.size && !memcmp(x.data, y.data, x.size);
}

static bool same_model(const char *a, const char *b) { return same_file(a, b, "model.safetensors"); }

/* Updates of the discriminator that the run made; -1: it had none. */
static int64_t updates(const char *out) {
    const store *s = store_open(path_join(in_folder(out), "latest/state.safetensors"));
    const char *said = config_string(store_metadata(s), "rival_updates", NULL);
    return said ? atoll(said) : -1;
}

/* Of a decoder that stays as it is. */
static void test_learns(void **state) {
    (void) state;
    scope_begin();
    train("{" CONFIG ", \"optimizer\": {\"kind\": \"adamw\", \"learning_rate\": 0.01}}", 0, "small", "fixed", 400);
    print_message("hinge loss %g at first, %g at last\n", losses[0], losses[loss_count - 1]);
    assert_true(losses[0] > 1 && losses[0] < 2.5 && losses[loss_count - 1] < 0.3 * losses[0]);
    const store *before = store_open(in_folder("small/model.ckpt")),
                *after = store_open(in_folder("fixed/model.safetensors"));
    assert_int_equal(store_count(before), store_count(after)); /* the discriminator is in the state alone */
    for (size_t i = 0; i < store_count(before); i++) {
        const char *name = store_at(before, i)->name;
        const tensor *x = tensor_to_f32(store_read(before, name)), *y = tensor_to_f32(store_read(after, name));
        assert_memory_equal(x->data, y->data, tensor_bytes(x));
    }
    const bytes log = file_read(in_folder("fixed/log.jsonl"), 1 << 20);
    assert_non_null(strstr((const char *) log.data, "\"discriminator\":"));
    scope_end();
}

/* Odd steps are its own. What the decoder is told counts after the warm-up and not before; "full": it waits too. */
static void test_turns(void **state) {
    (void) state;
    scope_begin();
    train(NULL, 0.003, "small", "without", 10);
    train(JUDGED, 0.003, "small", "with", 10);
    assert_true(updates("without") == -1 && updates("with") == 5);
    assert_false(same_model("without", "with"));
#define WARM(weight, mode)                                                                                             \
    "{" CONFIG ", \"weights\": {\"adversarial\": " weight ", \"feature_matching\": " weight "}, \"warmup_steps\": 10," \
    " \"warmup_mode\": \"" mode "\"}"
    train(WARM("0.1", "adv"), 0.003, "small", "warm", 10);
    train(WARM("7", "adv"), 0.003, "small", "warm-7", 10);
    train(WARM("7", "adv"), 0.003, "small", "warm-7-on", 12);
    train(WARM("0.1", "adv"), 0.003, "small", "warm-on", 12);
    train(WARM("7", "full"), 0.003, "small", "waiting", 14);
    assert_true(updates("warm") == 5 && same_model("warm", "warm-7"));
    assert_false(same_model("warm-on", "warm-7-on"));
    assert_int_equal(updates("waiting"), 2);
    scope_end();
}

/* The recipe's word, else the configuration's, else none. */
static void test_who_says(void **state) {
    (void) state;
    scope_begin();
    train(NULL, 0.003, "named", "silent", 4);
    train(JUDGED, 0.003, "small", "asked", 4);
    train("false", 0.003, "named", "refused", 4);
    train("true", 0.003, "named", "as-named", 4);
    assert_true(updates("silent") == 2 && updates("refused") == -1);
    assert_true(same_model("silent", "asked") && same_model("silent", "as-named"));
    assert_false(same_model("silent", "refused"));
    scope_end();
}

/* A file with a discriminator in it gives its weights: one that has learned to tell knows it from the first step on. */
static void test_begins_where_it_was(void **state) {
    (void) state;
    scope_begin();
    const store *model = store_open(in_folder("small/model.ckpt")),
                *run = store_open(in_folder("fixed/latest/state.safetensors"));
    named_tensor *items = NEW_ARRAY(named_tensor, store_count(model) + store_count(run));
    size_t n = 0;
    for (size_t i = 0; i < store_count(model); i++)
        items[n++] = (named_tensor){store_at(model, i)->name, store_read(model, store_at(model, i)->name)};
    for (size_t i = 0; i < store_count(run); i++) {
        const char *name = store_at(run, i)->name;
        if (starts_with(name, "raw.discriminator."))
            items[n++] = (named_tensor){name + strlen("raw."), store_read(run, name)};
    }
    folder_make(in_folder("holds"));
    safetensors_write(in_folder("holds/model.safetensors"), items, n, NULL);
    const bytes settings = file_read(in_folder("small/model_config.json"), 1 << 20);
    file_write(in_folder("holds/model_config.json"), settings.data, settings.size);
    train(JUDGED, 0, "holds", "goes-on", 20);
    const double knowing = losses[0];
    train(JUDGED, 0, "small", "new", 20);
    print_message("hinge loss %g of one that has learned, %g of a new one\n", knowing, losses[0]);
    assert_true(knowing < 0.4 * losses[0]);
    assert_int_equal(store_count(store_open(in_folder("goes-on/model.safetensors"))), store_count(model));
    scope_end();
}

static void test_kill(void **state) {
    (void) state;
    enum { KILLS = 5 };
    scope_begin();
    write_recipe("often.json", JUDGED, 0.003, 1);
    train_options whole = options_for("often.json", "small", "whole", 25);
    train_run(&whole);
    for (uint64_t i = 0; i < KILLS; i++) {
        const pid_t child =
            start_child(in_folder("often.json"), in_folder("small"), in_folder("sounds"), in_folder("killed"), 25);
        assert_true(child > 0);
        wait_milliseconds(20 + (int64_t) random_below((random_key){9, 9}, i, 150));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    train_options o = options_for("often.json", "small", "killed", 25);
    o.resume = checkpoint_latest(in_folder("killed")) != NULL;
    train_run(&o);
    assert_true(same_model("whole", "killed") && same_file("whole", "killed", "latest/state.safetensors"));
    scope_end();
}

/* --- what is refused --- */

static void run_training(void *options) { train_run(options); }

static void expect_refusal(const char *discriminator, const char *part) {
    hiss_error error = {0};
    scope_begin();
    write_recipe("wrong.json", discriminator, 0.003, 1000);
    train_options o = options_for("wrong.json", "small", "refusals", 1);
    assert_false(try_run(run_training, &o, &error));
    if (!strstr(error.message, part)) print_error("%s\n", error.message);
    assert_non_null(strstr(error.message, part));
    scope_end();
}

static void test_refusals(void **state) {
    (void) state;
    expect_refusal("{\"type\": \"dac\"}", "'dac'");
    expect_refusal("{\"type\": \"encodec\", \"config\": {\"n_ffts\": [64]}}", "one length");
    expect_refusal("{\"type\": \"encodec\", \"config\": {\"filter\": 3}}", "filters");
    expect_refusal("{\"type\": \"encodec\", \"config\": {\"filters\": 1e300}}", "filters");
    expect_refusal("{\"type\": \"encodec\", \"config\": {\"stride\": [1, 2, 3]}}", "stride");
    expect_refusal("{\"type\": \"encodec\", \"config\": {\"kernel_size\": [4, 9]}}", "odd");
    expect_refusal("{\"type\": \"encodec\", \"config\": {\"loss_type\": \"rpgan\"}}", "rpgan");
    expect_refusal("{\"warmup_mode\": \"slow\"}", "slow");
    expect_refusal("true", "2048"); /* clips are shorter than its windows */
}

int main(int argc, char **argv) {
    threads_set(1); /* networks so small are not worth waking others */
    int code;
    if (was_child(argc, argv, &code)) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),   cmocka_unit_test(test_turns),
        cmocka_unit_test(test_who_says), cmocka_unit_test(test_begins_where_it_was),
        cmocka_unit_test(test_kill),     cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
