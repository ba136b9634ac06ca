/* Training of stable-audio-tools' models on small stored ones: what batches hold, the loss falls, folders that come out, stopped and
 * killed runs. That losses and gradients are the original's is shown by the parity cases. The one that gets
 * killed is this program, called again (child_training.h). */
#include "test.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/text.h"
#include "child_training.h"
#include "folder.h"
#include "signal/audio.h"
#include "systems/generate.h"
#include "systems/stable_audio.h"
#include "tiny_stable.h"
#include "train/checkpoint.h"
#include "train/loop.h"
#include "train/stable_source.h"

enum { RATE = 8000, HOP = 8, WINDOW = 21, LATENT = 4 }; /* of the stored model */

/* --- what is trained on --- */

static void write_sound(const char *name, int channels, int64_t frames, uint64_t stream) {
    scope_begin();
    audio *a = audio_new(frames, channels, RATE);
    random_normal((random_key){3, stream}, 0, a->samples, (size_t) (frames * channels));
    for (int64_t i = 0; i < frames * channels; i++) a->samples[i] *= 0.1f;
    audio_write(in_folder(format("sounds/%s", name)), a, AUDIO_FLOAT);
    scope_end();
}

static const char MANIFEST[] = "path\tcaption\tsplit\n"
                               "a-short.wav\train | heavy rain\ttrain\n"
                               "b-long.wav\tdrums\ttrain\n"
                               "c-broken.wav\tnothing\ttrain\n"
                               "d-mono.wav\train on a roof\ttrain\n"
                               "e-held.wav\tdrums\theld-out\n";

static const char RECIPE[] =
    "{\"system\": \"stable-audio\", \"data\": {\"held_out_clips\": 1},"
    " \"training\": {\"batch\": 2, \"accumulate\": 2, \"steps\": 60, \"precision\": \"f32\", \"seed\": 3},"
    " \"optimizer\": {\"kind\": \"adamw\", \"learning_rate\": 0.002, \"weight_decay\": 0.001, \"warmup\": 3},"
    " \"average\": {\"decay\": 0.9},"
    " \"every\": {\"log\": 10, \"held_out\": 20, \"sounds\": 0, \"checkpoint\": %d}}";

static int set_up(void **state) {
    if (make_folder(state)) return 1;
    scope_begin();
    folder_make(in_folder("sounds"));
    write_sound("a-short.wav", 2, 100, 1);
    write_sound("b-long.wav", 2, 3 * RATE - 100, 2); /* 3 s, 363 latents */
    write_sound("d-mono.wav", 1, 300, 3);
    write_sound("e-held.wav", 2, 400, 4);
    write_in_folder("sounds/c-broken.wav", "no sound");
    write_in_folder("sounds/list.tsv", MANIFEST);
    write_in_folder("recipe.json", format(RECIPE, 10));
    write_in_folder("often.json", format(RECIPE, 1));
    tiny_stable_write(in_folder("small"));
    scope_end();
    return 0;
}

static train_options options_for(const char *out, int64_t steps, bool resume) {
    return (train_options){.recipe = in_folder("recipe.json"),
                           .from = in_folder("small"),
                           .data = in_folder("sounds/list.tsv"),
                           .out = in_folder(out),
                           .steps = steps,
                           .resume = resume};
}

/* --- batches --- */

static batch_source source_of(dataset **data, const char *folder) {
    static stable_learner learner;
    dataset_settings s = {.rate = RATE, .samples = WINDOW * HOP, .held_out_clips = 1, .listed = true};
    learner = stable_audio_open_learning(in_folder("small"));
    *data = dataset_open(in_folder("sounds/list.tsv"), &s);
    const stable_source_settings settings = {*data, &learner, in_folder("small"), in_folder(folder), 0.3};
    return stable_source(&settings);
}

/* Windows are told their seconds, lie within their recording, and a part of them is given no tokens. */
static void test_windows(void **state) {
    (void) state;
    enum { BATCHES = 100, SIZE = 3 };
    scope_begin();
    dataset *data;
    const batch_source source = source_of(&data, "kept");
    assert_int_equal(dataset_usable(data, false), 3); /* without the broken one */
    int given = 0, low[SIZE] = {0}, begins[3] = {0};
    for (int k = 0; k < BATCHES; k++) {
        scope_begin();
        const batch *b = source.draw(source.context, (random_key){1, 1}, k, SIZE, 0);
        assert_int_equal(b->latents->shape[1], WINDOW);
        assert_int_equal(b->latents->shape[2], LATENT);
        for (int i = 0; i < SIZE; i++) {
            given += (b->handles[i] & GIVEN_CROSS) != 0;
            assert_true(b->total[i] == 1 ? b->begin[i] == 0 : b->total[i] == 3 && b->begin[i] >= 0);
            assert_true(b->begin[i] == floor(b->begin[i]) && b->begin[i] < 3);
            begins[(int) b->begin[i]]++;
            const uint8_t *mask = (const uint8_t *) b->mask->data + (size_t) i * (size_t) b->mask->shape[1];
            assert_true(mask[0] && !mask[b->mask->shape[1] - 1]);
            const float *last = f32(b->states) + ((i + 1) * b->mask->shape[1] - 1) * b->states->shape[2];
            assert_true(*last == 0);
        }
        for (int i = 0; i < SIZE; i++) low[i] += b->level[i] < 0.5;
        scope_end();
    }
    for (int i = 0; i < SIZE; i++) assert_true(low[i] > BATCHES / 4 && low[i] < 3 * BATCHES / 4);
    assert_true(begins[1] > 20 && begins[2] > 20); /* a third of the windows are of the long recording */
    assert_true(given > SIZE * BATCHES * 6 / 10 && given < SIZE * BATCHES * 8 / 10);
    const batch *one = source.draw(source.context, (random_key){1, 1}, 7, SIZE, 0),
                *again = source.draw(source.context, (random_key){1, 1}, 7, SIZE, 0);
    assert_memory_equal(f32(one->latents), f32(again->latents), tensor_bytes(one->latents));
    scope_end();
}

static int64_t newest(const char *folder) {
    int64_t most = 0;
    struct stat s;
    for (char **name = folder_list(folder); *name; name++)
        if (!stat(path_join(folder, *name), &s)) {
            const int64_t at = (int64_t) s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
            most = at > most ? at : most;
        }
    return most;
}

static size_t files_in(const char *folder) {
    size_t n = 0;
    for (char **name = folder_list(folder); *name; name++) n++;
    return n;
}

/* What is kept is not computed again, and what was lost is; a recording that changed is another one. */
static void test_kept(void **state) {
    (void) state;
    scope_begin();
    dataset *data;
    const char *folder = in_folder("kept");
    source_of(&data, "kept");
    const size_t files = files_in(folder);
    assert_int_equal(files,
                     4 + 5); /* recordings; texts, "drums" once: rain, heavy rain, drums, nothing, rain on a roof */
    const int64_t before = newest(folder);
    source_of(&data, "kept");
    assert_true(newest(folder) == before);
    unlink(path_join(folder, folder_list(folder)[0]));
    source_of(&data, "kept");
    assert_int_equal(files_in(folder), files);
    assert_true(newest(folder) > before);
    write_sound("d-mono.wav", 1, 310, 3);
    source_of(&data, "kept");
    assert_int_equal(files_in(folder), files + 1);
    scope_end();
}

/* --- runs --- */

static void run_training(void *options) { train_run(options); }

static double losses[64];
static int loss_count;
static void watch(const train_report *report, void *context) {
    (void) context;
    if (report->event == TRAIN_STEP && loss_count < 64) losses[loss_count++] = report->loss;
}

/* The names, shapes and types of the published file; only the transformer and the conditioner differ. */
static void expect_published(const char *folder) {
    const store *before = store_open(in_folder("small/model.ckpt")),
                *after = store_open(path_join(folder, "model.safetensors"));
    size_t changed = 0;
    assert_int_equal(store_count(before), store_count(after));
    for (size_t i = 0; i < store_count(before); i++) {
        const store_entry *a = store_at(before, i), *b = store_find(after, a->name);
        assert_non_null(b);
        assert_string_equal(shape_text(a->shape), shape_text(b->shape));
        const tensor *x = store_read(before, a->name), *y = store_read(after, a->name);
        const bool same = x->type == y->type && !memcmp(x->data, y->data, tensor_bytes(x));
        changed += !same;
        if (starts_with(a->name, "pretransform.")) assert_true(same);
    }
    assert_true(changed > 20);
    assert_true(json_equal(config_load(in_folder("small/model_config.json")).value,
                           config_load(path_join(folder, "model_config.json")).value));
}

static void take(void *context, int64_t i, const audio *sound) {
    (void) i;
    *(int64_t *) context = sound->frames;
}

static void test_run(void **state) {
    (void) state;
    scope_begin();
    train_options o = options_for("falls", 300, false);
    o.watch = watch;
    loss_count = 0;
    const train_result r = train_run(&o);
    assert_int_equal(r.step, 300);
    assert_true(isfinite(r.held_out));
    print_message("loss %g at first, %g at last\n", losses[0], losses[loss_count - 1]);
    assert_true(losses[loss_count - 1] < 0.8 * losses[0]);
    expect_published(in_folder("falls"));
    const model *m = model_open(in_folder("falls"));
    sound_request request = sound_request_for(m);
    request.prompt = "rain";
    request.steps = 2;
    int64_t frames = 0;
    generate_sounds(m, &request, take, &frames); /* its T5 is found by the link */
    assert_int_equal(frames, WINDOW * HOP);
    scope_end();
}

static void assert_same_file(const char *a, const char *b) {
    const bytes x = file_map(a), y = file_map(b);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
}

static void expect_same_run(const char *a, const char *b) {
    static const char *const files[] = {"model_config.json", "model.safetensors", "latest/state.safetensors"};
    for (int i = 0; i < 3; i++) assert_same_file(path_join(in_folder(a), files[i]), path_join(in_folder(b), files[i]));
}

static void test_resume(void **state) {
    (void) state;
    scope_begin();
    train_options whole = options_for("whole", 24, false), part = options_for("part", 11, false);
    train_run(&whole);
    train_run(&part);
    part.resume = true;
    part.steps = 24;
    train_run(&part);
    expect_same_run("whole", "part");
    scope_end();
}

/* Killed at any moment, the encoding of recordings too, and gone on from there: the run that was never killed. */
static void test_kill(void **state) {
    (void) state;
    enum { KILLS = 5 };
    scope_begin();
    for (uint64_t i = 0; i < KILLS; i++) {
        const pid_t child = start_child(in_folder("often.json"), in_folder("small"), in_folder("sounds/list.tsv"),
                                        in_folder("killed"), 24);
        assert_true(child > 0);
        wait_milliseconds(20 + (int64_t) random_below((random_key){9, 9}, i, 250));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        if (checkpoint_latest(in_folder("killed"))) model_open(in_folder("killed"));
    }
    train_options o = options_for("killed", 24, checkpoint_latest(in_folder("killed")) != NULL);
    o.recipe = in_folder("often.json");
    train_run(&o);
    expect_same_run("whole", "killed");
    scope_end();
}

/* --- adapters --- */

static const char LORA_RECIPE[] =
    "{\"system\": \"stable-audio\", \"data\": {\"held_out\": 0},"
    " \"training\": {\"batch\": 2, \"precision\": \"f32\", \"seed\": 3%s},"
    " \"optimizer\": {\"kind\": \"adamw\", \"learning_rate\": 0.01}, \"average\": {\"decay\": 0.9},"
    " \"every\": {\"log\": 10, \"held_out\": 0, \"sounds\": 0, \"checkpoint\": 1000}}";

static void train_adapters(const char *out, const char *more, int64_t steps, bool resume) {
    write_in_folder("lora.json", format(LORA_RECIPE, more));
    train_options o = options_for(out, steps, resume);
    o.recipe = in_folder("lora.json");
    o.lora = 3;
    train_run(&o);
}

static float *values_of(const model *m, const char *name) { return f32(params_find(m->parameters, name)->value); }

/* Relative distance of two models' values. */
static double apart(const model *a, const model *b, const char *name) {
    const tensor *t = params_find(a->parameters, name)->value;
    const float *x = values_of(a, name), *y = values_of(b, name);
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count(t); i++) {
        difference += pow((double) x[i] - y[i], 2);
        size += pow((double) y[i], 2);
    }
    return sqrt(difference / size);
}

#define ATTENTION "transformer.layers.1.cross_attn.to_q"
#define SECONDS "conditioners.seconds_total.embedder.embedding.1"
static const char MATRIX[] = "model.model." ATTENTION ".weight", NUMBER[] = "conditioner." SECONDS ".weight",
                  FEED[] = "model.model.transformer.layers.0.ff.ff.0.proj.weight", /* stays in the file */
    NORM[] = "model.model.transformer.layers.0.pre_norm.gamma";

/* W x + B (A x) against what the merged matrix gives: x -> sum over outputs, as relative distance. */
static double unmerged_apart(const model *base, const model *merged, const store *adapters) {
    const tensor *A = store_read(adapters, "model." ATTENTION ".parametrizations.weight.0.lora_A"),
                 *B = store_read(adapters, "model." ATTENTION ".parametrizations.weight.0.lora_B");
    const int64_t R = A->shape[0], N = A->shape[1], M = B->shape[0];
    const float *W = values_of(base, MATRIX), *whole = values_of(merged, MATRIX);
    double inner[8] = {0}, difference = 0, size = 0;
    float x[256];
    require(R <= 8 && N <= 256);
    random_normal((random_key){5, 5}, 0, x, (size_t) N);
    for (int64_t r = 0; r < R; r++)
        for (int64_t n = 0; n < N; n++) inner[r] += (double) f32(A)[r * N + n] * x[n];
    for (int64_t m = 0; m < M; m++) {
        double apart = 0, together = 0;
        for (int64_t n = 0; n < N; n++) {
            apart += (double) W[m * N + n] * x[n];
            together += (double) whole[m * N + n] * x[n];
        }
        for (int64_t r = 0; r < R; r++) apart += (double) f32(B)[m * R + r] * inner[r];
        difference += pow(apart - together, 2);
        size += pow(apart, 2);
    }
    return sqrt(difference / size);
}

/* The file is stable-audio-tools', what is merged is what was learned, and strength scales it. */
static void test_adapters(void **state) {
    (void) state;
    scope_begin();
    train_adapters("lora", "", 30, false);
    const char *file = in_folder("lora/adapter.safetensors");
    const store *s = store_open(file);
    assert_non_null(store_find(s, SECONDS ".parametrizations.weight.0.lora_A"));
    const char *words = config_need_string(store_metadata(s), "lora_config");
    const config said = config_parse(words, strlen(words), "lora_config");
    assert_int_equal(config_need_int(said, "rank", 1, 99), 3);
    assert_string_equal(config_need_string(said, "adapter_type"), "lora");
    const model *base = model_open(in_folder("small")), *trained = model_open(in_folder("lora"));
    model *merged = model_open(in_folder("small")), *half = model_open(in_folder("small")),
          *none = model_open(in_folder("small"));
    model_adapt(merged, file, 1);
    model_adapt(half, format("%s:5", file), 0.1);
    model_adapt(none, file, 0);
    assert_null(params_find(merged->parameters, FEED)->value->data);
    assert_true(apart(merged, trained, MATRIX) < 1e-6 && apart(merged, trained, NUMBER) < 1e-6);
    assert_true(apart(merged, trained, FEED) < 1e-6 && apart(base, trained, FEED) > 1e-2);
    assert_true(fabs(apart(half, base, FEED) / apart(merged, base, FEED) - 0.5) < 1e-4);
    assert_true(apart(base, trained, MATRIX) > 1e-2 && apart(base, trained, NUMBER) > 1e-2);
    assert_true(apart(base, trained, NORM) == 0 && apart(none, base, MATRIX) == 0);
    assert_true(fabs(apart(half, base, MATRIX) / apart(merged, base, MATRIX) - 0.5) < 1e-4);
    assert_true(unmerged_apart(base, merged, s) < 1e-6);
    assert_true(unmerged_apart(base, base, s) > 1e-3); /* it could fail */
    expect_published(in_folder("lora"));
    scope_end();
}

/* Stopped and gone on; chosen layers alone; layers that there are not. */
static void test_adapter_runs(void **state) {
    (void) state;
    scope_begin();
    train_adapters("lora-whole", ", \"lora_layers\": [\"cross_attn\"]", 12, false);
    train_adapters("lora-part", ", \"lora_layers\": [\"cross_attn\"]", 5, false);
    train_adapters("lora-part", ", \"lora_layers\": [\"cross_attn\"]", 12, true);
    expect_same_run("lora-whole", "lora-part");
    assert_same_file(in_folder("lora-whole/adapter.safetensors"), in_folder("lora-part/adapter.safetensors"));
    const store *s = store_open(in_folder("lora-whole/adapter.safetensors"));
    for (size_t i = 0; i < store_count(s); i++) assert_non_null(strstr(store_at(s, i)->name, ".cross_attn."));
    assert_int_equal(store_count(s), 2 * 2 * 3); /* A and B of to_q, to_kv, to_out in two blocks */
    write_in_folder("lora.json", format(LORA_RECIPE, ", \"lora_layers\": [\"ff.\", \"corss_attn\"]"));
    train_options o = options_for("lora-wrong", 1, false);
    o.recipe = in_folder("lora.json");
    o.lora = 3;
    expect_failure(run_training, &o, HISS_ERROR_ARGUMENT, "corss_attn");
    scope_end();
}

static void expect_window(const model *m) {
    sound_request request = sound_request_for(m);
    request.prompt = "rain";
    request.steps = 1;
    int64_t frames = 0;
    generate_sounds(m, &request, take, &frames);
    assert_int_equal(frames, WINDOW * HOP);
}

/* In bf16 weights are packed elsewhere, from the file and the adapters; a hang is what this once did. */
static void test_adapters_in_bf16(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_BF16);
    const char *recipe = format(LORA_RECIPE, "");
    write_in_folder("lora.json", recipe);
    train_options o = options_for("lora-bf16", 2, false);
    o.recipe = in_folder("lora.json");
    o.lora = 3;
    o.has_precision = true;
    o.numbers = PRECISION_BF16;
    train_run(&o);
    model *m = model_open(in_folder("small"));
    model_adapt(m, in_folder("lora/adapter.safetensors"), 1);
    expect_window(m);
    precision_set(PRECISION_AUTO);
    scope_end();
}

typedef struct {
    model *m;
    const char *path;
} adapting;
static void adapt(void *context) { model_adapt(((adapting *) context)->m, ((adapting *) context)->path, 1); }

/* A convolution of one tap, half precision, alpha; other kinds of adapters are refused. */
static void test_foreign_adapters(void **state) {
    (void) state;
    scope_begin();
    static const char NAME[] = "model.preprocess_conv.parametrizations.weight.0.lora_%c";
    const float a[2 * LATENT] = {1, 0, 0, 0, 0, 1, 0, 0}, b[LATENT * 2] = {1, 0, 0, 2, 0, 0, 0, 0};
    named_tensor items[3] = {
        {format(NAME, 'A'), tensor_convert(tensor_from(a, SHAPE(2, LATENT)), F16)},
        {format(NAME, 'B'), tensor_convert(tensor_from(b, SHAPE(LATENT, 2)), F16)},
        {"model.preprocess_conv.parametrizations.weight.0.magnitude", tensor_zero(F16, SHAPE(LATENT))}};
    json_t *notes = json_make_object();
    json_object_set_new(notes, "lora_config", json_string("{\"rank\": 2, \"alpha\": 6, \"adapter_type\": \"lora\"}"));
    adapting k = {model_open(in_folder("small")), in_folder("foreign.safetensors")};
    const model *base = model_open(in_folder("small"));
    safetensors_write(k.path, items, 2, notes);
    adapt(&k);
    const char *name = "model.model.preprocess_conv.weight";
    const float *w = values_of(k.m, name), *before = values_of(base, name);
    for (int i = 0; i < LATENT * LATENT; i++)
        assert_true(fabsf(w[i] - before[i] - (i == 0 ? 3.0f : i == 5 ? 6.0f : 0)) < 1e-5f);
    safetensors_write(k.path, items, 3, notes);
    expect_failure(adapt, &k, HISS_ERROR_ARGUMENT, "dora");
    items[0].name = "model.postprocess_convs.parametrizations.weight.0.lora_A";
    safetensors_write(k.path, items, 2, notes);
    expect_failure(adapt, &k, HISS_ERROR_FORMAT, "lora_B is missing");
    scope_end();
}

/* --- the autoencoder --- */

static const char CODER_RECIPE[] =
    "{\"system\": \"autoencoder\", \"data\": {\"seconds\": 0.032},"
    " \"autoencoder\": {\"fft_sizes\": [64, 32], \"hop_sizes\": [16, 8], \"encoder\": %s},"
    " \"training\": {\"batch\": 2, \"precision\": \"f32\", \"seed\": 3},"
    " \"optimizer\": {\"kind\": \"adamw\", \"learning_rate\": 0.003}, \"average\": {\"decay\": 0.9},"
    " \"every\": {\"log\": 20, \"held_out\": 40, \"sounds\": 0, \"checkpoint\": 1000}}";

static void train_coder(const char *out, const char *encoder, int64_t steps, bool resume) {
    write_in_folder("coder.json", format(CODER_RECIPE, encoder));
    train_options o = options_for(out, steps, resume);
    o.recipe = in_folder("coder.json");
    o.watch = watch;
    loss_count = 0;
    train_run(&o);
}

/* Which of the file's tensors are other ones now: how many whose names have this in front, and how many else. */
static void count_changed(const char *folder, const char *front, int *of_front, int *else_where) {
    const store *before = store_open(in_folder("small/model.ckpt")),
                *after = store_open(path_join(folder, "model.safetensors"));
    *of_front = *else_where = 0;
    assert_int_equal(store_count(before), store_count(after));
    for (size_t i = 0; i < store_count(before); i++) {
        const char *name = store_at(before, i)->name;
        assert_non_null(store_find(after, name));
        const tensor *x = tensor_to_f32(store_read(before, name)), *y = tensor_to_f32(store_read(after, name));
        if (memcmp(x->data, y->data, tensor_bytes(x)) != 0) ++*(starts_with(name, front) ? of_front : else_where);
    }
}

static void test_autoencoder(void **state) {
    (void) state;
    int changed, others;
    scope_begin();
    train_coder("decoder", "false", 200, false);
    print_message("loss %g at first, %g at last\n", losses[0], losses[loss_count - 1]);
    assert_true(losses[loss_count - 1] < 0.9 * losses[0]);
    count_changed(in_folder("decoder"), "pretransform.model.decoder.", &changed, &others);
    assert_true(changed > 20 && others == 0);
    const model *m = model_open(in_folder("decoder")); /* it is still the whole model, with its T5 */
    expect_window(m);
    train_coder("coder", "true", 9, false);
    count_changed(in_folder("coder"), "pretransform.model.", &changed, &others);
    assert_true(changed > 40 && others == 0);
    train_coder("coder-part", "true", 4, false);
    train_coder("coder-part", "true", 9, true);
    expect_same_run("coder", "coder-part");
    scope_end();
}

/* --- what is refused --- */

static void expect_refusal(const char *document, const char *from, const char *part) {
    hiss_error error = {0};
    scope_begin();
    write_in_folder("wrong.json", document);
    train_options o = options_for("refused", 1, false);
    o.recipe = in_folder("wrong.json");
    o.from = from;
    assert_false(try_run(run_training, &o, &error));
    if (!strstr(error.message, part)) print_error("%s\n", error.message);
    assert_non_null(strstr(error.message, part));
    scope_end();
}

static void test_refusals(void **state) {
    (void) state;
    scope_begin();
#define PLAIN "{\"system\": \"stable-audio\", \"data\": {}"
    const char *small = in_folder("small");
    expect_refusal(PLAIN "}", NULL, "--from");
    expect_refusal(PLAIN "}", in_folder("sounds"), "model_config.json");
    expect_refusal("{\"system\": \"stable-audio\", \"data\": {\"sample_rate\": 44100}}", small, "sample_rate");
    expect_refusal(PLAIN ", \"diffusion\": {\"timesteps\": \"often\"}}", small, "uniform");
    expect_refusal(PLAIN ", \"network\": {\"depth\": 3}}", small, "depth");
    expect_refusal("{\"system\": \"stable-audio\", \"data\": {\"trim_db\": 3}}", small, "trim_db");
    scope_end();
}

int main(int argc, char **argv) {
    threads_set(1); /* networks so small are not worth waking others */
    int code;
    if (was_child(argc, argv, &code)) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_adapter_runs),
        cmocka_unit_test(test_foreign_adapters),
        cmocka_unit_test(test_adapters_in_bf16),
        cmocka_unit_test(test_autoencoder),
    };
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
