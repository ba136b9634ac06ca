/* Making sound models: training on a captioned list (canvases, fitting, what is read of words), a stopped run that goes on bit for bit,
 * distilling into few steps, and starting from a model. */
#include "folder.h"

#include <math.h>

#include "base/random.h"
#include "models/mel_dit.h"
#include "signal/audio.h"
#include "store/store.h"
#include "systems/latent.h"
#include "train/loop.h"
#include "train/optimizer.h"
#include "watched.h"

static tensor *draw(shape s, uint64_t stream) {
    tensor *t = tensor_new(F32, s);
    random_normal((random_key){3, stream}, 0, f32(t), (size_t) count(t));
    return t;
}

static float farthest(const tensor *a, const tensor *b) {
    float most = 0;
    for (int64_t i = 0; i < count(a); i++) most = fmaxf(most, fabsf(f32(a)[i] - f32(b)[i]));
    return most;
}

/* --- training --- */

enum { SOUNDS = 8, RUNS = 8 };

/* Tones and noises with captions, their list, and a file of made-up vectors for all texts. */
static void write_data(void) {
    enum { RATE = 44100 };
    char *list = copy_string("path\tclass\tcaption\tsplit\tsource\tlicence\tkind\n"), *texts = copy_string("");
    for (int i = 0; i < SOUNDS; i++) {
        audio *a = audio_new((1 + i) * 9000, 1, RATE);
        for (int64_t t = 0; t < a->frames; t++) {
            double noise = 2 * random_uniform((random_key){(uint64_t) i, 7}, (uint64_t) t) - 1;
            a->samples[t] = (float) (0.5 * (i % 2 ? noise : sin(0.05 * (1 + i) * (double) t)));
        }
        audio_write(in_folder(format("%d.wav", i)), a, AUDIO_PCM16);
        list = format("%s%d.wav\t%s\tsound %d | other %d\t%s\tx\tx\t%s\n", list, i, i % 2 ? "noise" : "tone", i, i % 2,
                      i < 6 ? "train" : "held-out", i % 3 ? "real" : "rendered");
        texts = format("%ssound %d\n", texts, i);
    }
    static const char *const rest[] = {
        "other 0",    "other 1",           "noise", "noise sound", "the sound of noise", "tone",
        "tone sound", "the sound of tone", "a beep"};
    int64_t n = SOUNDS + sizeof rest / sizeof *rest;
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) texts = format("%s%s\n", texts, rest[i]);
    file_write(in_folder("list.tsv"), list, strlen(list));
    tensor *vectors = draw(SHAPE(n, 5), 70);
    static const bool noisy[] = {false, true, true, true, true, false, false, false, false}; /* the rest's classes */
    for (int64_t i = 0; i < n; i++) f32(vectors)[i * 5] += (i < SOUNDS ? i % 2 : noisy[i - SOUNDS]) ? 1 : -1;
    named_tensor items[2] = {{"texts", tensor_wrap(U8, SHAPE((int64_t) strlen(texts)), texts)}, {"vectors", vectors}};
    for (int i = 0; i < RUNS; i++) {
        const char *place = i ? in_folder(format("run-%d", i - 1)) : in_folder("teacher");
        folder_make(place);
        safetensors_write(path_join(place, "captions.safetensors"), items, 2, NULL);
    }
}

static const char RECIPE[] = "{\"system\": \"mel-dit\","
                             " \"network\": {\"width\": 16, \"blocks\": 2, \"heads\": 2, \"components\": 24, "
                             "\"patch\": 8, \"text_width\": 5, \"reads\": "
                             "true},"
                             " \"data\": {\"sample_rate\": 44100, \"frames\": 64, \"class\": true, \"cache_mib\": 64},"
                             " \"canvas\": {\"frames\": [32, 64]},"
                             " \"training\": {\"batch\": 3, \"steps\": 40, \"precision\": \"f32\", \"seed\": 3},"
                             " \"optimizer\": {\"kind\": \"adamw\", \"learning_rate\": 0.01, \"warmup\": 3},"
                             " \"average\": {\"decay\": 0.9},"
                             " \"every\": {\"log\": 10, \"held_out\": 20, \"sounds\": 0, \"checkpoint\": 1000},"
                             " \"classes\": {\"noise\": [], \"tone\": [\"a beep\"]}}";

/* Stopped and gone on with gives the same. */
static void assert_same_file(const char *one, const char *other) {
    const bytes a = file_read(in_folder(one), 1 << 24), b = file_read(in_folder(other), 1 << 24);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
}

static train_options run_of(const char *recipe, const char *data, const char *out, int64_t steps, bool resume) {
    return (train_options){.recipe = in_folder(recipe),
                           .data = in_folder(data),
                           .out = in_folder(out),
                           .steps = steps,
                           .resume = resume,
                           .watch = watch_losses};
}

static void train(const char *out, int64_t steps, bool resume) {
    const train_options o = run_of("recipe.json", "list.tsv", out, steps, resume);
    train_run(&o);
}

/* Of the texts of training it says whose class they are and which sounds are longer. */
static void check_reading(const char *path) {
    scope_begin();
    const model *m = model_open(path);
    const tensor *vectors = store_read(store_open(in_folder("run-0/captions.safetensors")), "vectors");
    const tensor *said = mel_dit_read(m->network, handle_rows(vectors, sqrtf(5), NULL));
    assert_int_equal(said->shape[1], 3);
    double error = 0;
    for (int i = 0; i < 6; i++) {
        const float *row = f32(said) + i * 3, right = row[i % 2 == 0], other = row[i % 2]; /* "noise", "tone" */
        error += log1p(exp((double) other - right)) / 6;
    }
    print_message("classes of texts are read with a cross entropy of %.3f\n", error);
    assert_string_equal(m->classes[0], "noise");
    assert_true(error < 0.6);                         /* 0.693 where nothing is known */
    assert_true(f32(said)[5 * 3 + 2] > f32(said)[2]); /* 1.2 s (cut to 0.74) and 0.2 s */
    scope_end();
}

static void test_training(void **state) {
    (void) state;
    scope_begin();
    file_write(in_folder("recipe.json"), RECIPE, strlen(RECIPE));
    write_data();
    forget_losses();
    train("run-0", 80, false);
    assert_true(seen_held_out.last < seen_held_out.first);
    check_reading(in_folder("run-0"));
    /* Stopped and gone on with: the same weights. */
    train("run-1", 40, false);
    train("run-2", 20, false);
    train("run-2", 40, true);
    assert_same_file("run-1/weights.safetensors", "run-2/weights.safetensors");
    scope_end();
}

/* --- few steps --- */

static const char FEW_STEPS[] =
    "{\"system\": \"mel-dit\","
    " \"distil\": {\"guidance\": [1, 3]}, \"sampling\": {\"sampler\": \"euler\", \"steps\": 2, \"guidance\": 2},"
    " \"data\": {\"sample_rate\": 44100, \"frames\": 64, \"cache_mib\": 64},"
    " \"canvas\": {\"frames\": [32, 64]},"
    " \"training\": {\"batch\": 4, \"steps\": 240, \"precision\": \"f32\", \"seed\": 5},"
    " \"optimizer\": {\"kind\": \"adamw\", \"learning_rate\": 0.001, \"max_gradient\": 1},"
    " \"average\": {\"decay\": 0.98},"
    " \"every\": {\"log\": 50, \"held_out\": 100, \"sounds\": 0, \"checkpoint\": 1000}}";

static void distil(const char *out, int64_t steps, bool resume) {
    train_options o = run_of("few.json", "list.tsv", out, steps, resume);
    o.from = in_folder("teacher");
    o.distil = true;
    train_run(&o);
}

/* Where a walk of even steps ends, from noise, asked for a class with guidance 2. */
static const tensor *end_of(const model *m, int64_t steps) {
    enum { B = 8, N = 8, P = 24 };
    const mel_dit *net = m->network;
    bool inside = mel_dit_sizes(net)->few_steps;
    float t[B], jump[B], guidance[B], seconds[B];
    int32_t classes[B], none[B];
    tensor *z = draw(SHAPE(B, N, P), 90);
    for (int64_t k = 0; k < steps; k++) {
        for (int b = 0; b < B; b++) {
            t[b] = (float) k / (float) steps, jump[b] = 1 / (float) steps;
            guidance[b] = 2, seconds[b] = 0.5f, classes[b] = b % 2, none[b] = -1;
        }
        mel_dit_condition c = {.seconds = seconds, .classes = classes, .jump = jump, .guidance = guidance};
        const float *w = f32(mel_dit_forward(net, z, t, &c));
        c.classes = none;
        const float *u = f32(mel_dit_forward(net, z, t, &c));
        for (int64_t i = 0; i < B * N * P; i++) {
            float aim = inside ? w[i] : u[i] + 2 * (w[i] - u[i]);
            f32(z)[i] += (aim - f32(z)[i]) * jump[0] / (1 - t[0]);
        }
    }
    return z;
}

static double distance_between(const tensor *a, const tensor *b) {
    double sum = 0;
    for (int64_t i = 0; i < count(a); i++) sum += pow((double) f32(a)[i] - f32(b)[i], 2) / (double) count(a);
    return sum;
}

/* What generate asks the network: how far its step goes and the guidance, in one pass; two passes where guidance is below what it knows,
 * none of the second where the guidance is 1. */
static void check_requests(const model *m) {
    enum { N = 8, P = 24 };
    scope_begin();
    sound_request r = sound_request_for(m);
    assert_true(r.guidance == 2);
    r.class = 1;
    const tensor *x = draw(SHAPE(1, N, P), 91), *z = tensor_from(f32(x), shape_of(x));
    for (int64_t i = 0; i < N * P; i++) f32(z)[i] *= 0.25f;
    const float seconds = 0.5f, t = 0.25f, jump = 0.5f;
    int64_t at[N];
    for (int64_t i = 0; i < N; i++) at[i] = i;
    for (int g = 0; g <= 3; g++) {
        const float told = g < 1 ? 1 : (float) g;
        const int32_t class = g ? 1 : -1; /* guidance 0: nothing is asked */
        r.guidance = g;
        const void *asked = m->latent->prepare(m, &r, 22050);
        /* sigma 3 is t 1/4, sigma 1/3 is t 3/4 */
        const tensor *got = m->latent->denoise(m, asked, x, 3, 1 / 3.0, at, N).clean;
        mel_dit_condition c = {.seconds = &seconds, .classes = &class, .jump = &jump, .guidance = &told};
        assert_true(farthest(got, mel_dit_forward(m->network, z, &t, &c)) < 1e-4f);
    }
    scope_end();
}

/* Handles that pull three times as much as the weakest, whose guidance is inside, are three times as far from it. */
static void check_own_pulls(const model *m) {
    enum { N = 8, P = 24, F = 8 * N, M = 128 };
    scope_begin();
    sound_request r = sound_request_for(m);
    const tensor *x = draw(SHAPE(1, N, P), 92), *rough = draw(SHAPE(F, M), 93), *got[3];
    int64_t at[N];
    for (int64_t i = 0; i < N; i++) at[i] = i;
    r.class = 1, r.guidance = 1.5;
    for (int i = 0; i < 3; i++) { /* the class alone; the rough mel, too; that three times as strongly */
        r.mel = i ? rough : NULL;
        if (i == 2) r.handle_guidance[REQUEST_MEL] = 4.5;
        got[i] = m->latent->denoise(m, m->latent->prepare(m, &r, 22050), x, 3, 1 / 3.0, at, N).clean;
    }
    assert_true(farthest(got[1], got[0]) > 0.01f);
    tensor *beyond = tensor_new(F32, shape_of(x));
    for (int64_t i = 0; i < N * P; i++) f32(beyond)[i] = f32(got[0])[i] + 3 * (f32(got[1])[i] - f32(got[0])[i]);
    assert_true(farthest(got[2], beyond) < 1e-3f);
    scope_end();
}

/* In one and two steps the student ends nearer to where the teacher's many lead than the teacher itself does. */
static void test_few_steps(void **state) {
    (void) state;
    scope_begin();
    file_write(in_folder("few.json"), FEW_STEPS, strlen(FEW_STEPS));
    train("teacher", 400, false);
    distil("run-3", 0, false);
    const model *teacher = model_open(in_folder("teacher")), *student = model_open(in_folder("run-3"));
    assert_int_equal(student->latent->steps, 2);
    assert_string_equal(student->classes[1], "tone");
    check_requests(student);
    check_own_pulls(student);
    const tensor *end = end_of(teacher, 16);
    for (int64_t steps = 1; steps <= 2; steps++) {
        double own = distance_between(end_of(student, steps), end),
               other = distance_between(end_of(teacher, steps), end);
        print_message("%d steps: the student ends %.4f from the teacher's end, the teacher's own %.4f\n", (int) steps,
                      own, other);
        assert_true(
            own <
            other); /* 0.74 to 0.95 of it in two builds: so short a training turns out differently by its last bits */
    }
    scope_end();
}

/* Stopped and gone on with: the same weights; a few-step network teaches and learns no more. */
static void distil_again(void *unused) {
    (void) unused;
    train_options o = {.recipe = in_folder("few.json"), .from = in_folder("run-3"), .distil = true, .out = folder};
    train_run(&o);
}

static void test_distilling_goes_on(void **state) {
    (void) state;
    scope_begin();
    distil("run-4", 20, false);
    distil("run-5", 9, false);
    distil("run-5", 20, true);
    assert_same_file("run-4/weights.safetensors", "run-5/weights.safetensors");
    hiss_error error;
    assert_false(try_run(distil_again, NULL, &error));
    assert_non_null(strstr(error.message, "distilled into few steps already"));
    scope_end();
}

static void distil_from_whole(void *unused) {
    (void) unused;
    distil("run-6", 1, false);
}

/* A student goes on from a few-step network, not from its teacher; a whole network is no student. */
static void test_student(void **state) {
    (void) state;
    scope_begin();
    const char *keys = strstr(FEW_STEPS, "\"guidance\": [1, 3]"), *const few = in_folder("few.json");
    for (int i = 0; i < 2; i++) {
        const char *recipe = format("%.*s\"student\": \"%s\", %s", (int) (keys - FEW_STEPS), FEW_STEPS,
                                    in_folder(i ? "teacher" : "run-3"), keys);
        file_write(few, recipe, strlen(recipe));
        if (i) expect_failure(distil_from_whole, NULL, HISS_ERROR_ARGUMENT, "is no model of few steps");
        else distil("run-6", 1, false);
    }
    const model *teacher = model_open(in_folder("teacher")), *before = model_open(in_folder("run-3")),
                *after = model_open(in_folder("run-6"));
    const tensor *first = params_find(before->parameters, "out.weight")->value;
    const float moved = farthest(params_find(after->parameters, "out.weight")->value, first),
                apart = farthest(params_find(teacher->parameters, "out.weight")->value, first);
    print_message("moved %.4f, the teacher is %.4f apart\n", moved, apart);
    assert_true(moved < 0.1f * apart); /* one step of a rate of 0.001 */
    file_write(few, FEW_STEPS, strlen(FEW_STEPS));
    scope_end();
}

/* --- starting from a model --- */

enum { OWN_SOUNDS = 3, OWN_RUNS = 4 };

/* A flat folder of sounds whose names are their captions. */
static void write_own_sounds(void) {
    folder_make(in_folder("own"));
    for (int i = 0; i < OWN_SOUNDS; i++) {
        audio *a = audio_new(20000, 1, 44100);
        for (int64_t t = 0; t < a->frames; t++) a->samples[t] = 0.4f * sinf(0.05f * (float) ((i + 1) * t));
        audio_write(in_folder(format("own/low hum_%d.wav", i)), a, AUDIO_PCM16);
    }
    static char texts[] =
        "low hum\nnoise\nnoise sound\nthe sound of noise\ntone\ntone sound\nthe sound of tone\na beep\n";
    named_tensor items[2] = {{"texts", tensor_wrap(U8, SHAPE(sizeof texts - 1), texts)},
                             {"vectors", draw(SHAPE(8, 5), 71)}};
    for (int i = 0; i < OWN_RUNS; i++) {
        folder_make(in_folder(format("own-%d", i)));
        safetensors_write(in_folder(format("own-%d/captions.safetensors", i)), items, 2, NULL);
    }
}

static void tune(const char *out, int64_t rank, int64_t steps, bool resume) {
    train_options o = run_of("tune.json", "own", out, steps, resume);
    o.from = in_folder("teacher");
    o.lora = rank;
    forget_losses();
    train_run(&o);
}

static const float *values_of(const model *m, const char *name) { return f32(params_find(m->parameters, name)->value); }

static void test_tuning(void **state) {
    (void) state;
    enum { ADAPTER_STEPS = 200 };
    static const char TUNE[] =
        "{\"system\": \"mel-dit\", \"data\": {\"sample_rate\": 44100, \"frames\": 64, \"held_out\": 0},"
        " \"canvas\": {\"frames\": [32, 64]}, \"average\": {\"decay\": 0.9},"
        " \"training\": {\"batch\": 3, \"precision\": \"f32\"}, \"optimizer\": {\"learning_rate\": 0.003},"
        " \"every\": {\"log\": 40, \"held_out\": 0, \"sounds\": 0, \"checkpoint\": 1000}}";
    scope_begin();
    file_write(in_folder("tune.json"), TUNE, strlen(TUNE));
    write_own_sounds();
    tune("own-0", 0, 120, false);
    print_message("all weights: loss %.3f at first, %.3f at last\n", seen_steps.first, seen_steps.last);
    assert_true(seen_steps.last < 0.8 * seen_steps.first);
    const model *before = model_open(in_folder("teacher")), *after = model_open(in_folder("own-0"));
    assert_string_equal(after->classes[1], "tone");
    assert_memory_equal(values_of(before, "patch.basis"), values_of(after, "patch.basis"), 24 * 1024 * sizeof(float));
    assert_memory_not_equal(values_of(before, "out.bias"), values_of(after, "out.bias"), 24 * sizeof(float));
    /* Adapters: stopped and gone on with, and merged from their file, they are the model that was saved. */
    tune("own-1", 2, ADAPTER_STEPS, false);
    print_message("adapters: loss %.3f at first, %.3f at last\n", seen_steps.first, seen_steps.last);
    assert_true(seen_steps.last < 0.9 * seen_steps.first);
    tune("own-2", 2, 23, false);
    tune("own-2", 2, ADAPTER_STEPS, true);
    assert_same_file("own-1/adapter.safetensors", "own-2/adapter.safetensors");
    assert_true(file_read(in_folder("own-1/adapter.safetensors"), 1 << 24).size <
                file_read(in_folder("own-1/weights.safetensors"), 1 << 24).size / 4);
    model *merged = model_open(in_folder("teacher")), *saved = model_open(in_folder("own-1"));
    model_adapt(merged, in_folder("own-1/adapter.safetensors"), 1);
    for (size_t i = 0; i < saved->parameters->count; i++)
        assert_true(farthest(saved->parameters->items[i]->value, merged->parameters->items[i]->value) < 1e-6f);
    model *without = model_open(in_folder("teacher"));
    model_adapt(without, format("%s:0.5", in_folder("own-1/adapter.safetensors")), 0);
    for (size_t i = 0; i < before->parameters->count; i++)
        assert_true(farthest(before->parameters->items[i]->value, without->parameters->items[i]->value) == 0);
    scope_end();
}

/* Constant for the first half, then a line. */
static void test_rate(void **state) {
    (void) state;
    optimizer_settings s = {.rate = 1, .warmup = 10, .decay = DECAY_LINEAR, .decay_from = 0.5, .final = 0.1};
    assert_true(fabs(optimizer_rate(&s, 4, 100) - 0.5) < 1e-12);
    assert_true(optimizer_rate(&s, 10, 100) == 1 && optimizer_rate(&s, 49, 100) == 1);
    assert_true(fabs(optimizer_rate(&s, 75, 100) - 0.55) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),           cmocka_unit_test(test_rate),    cmocka_unit_test(test_few_steps),
        cmocka_unit_test(test_distilling_goes_on), cmocka_unit_test(test_student), cmocka_unit_test(test_tuning),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
