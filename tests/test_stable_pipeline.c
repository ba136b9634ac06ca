/* diffusers' folder of a small stored model: what is trained from it, and that its form in stable-audio-tools' layout is the same
 * model. */
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parallel.h"
#include "base/random.h"
#include "folder.h"
#include "signal/audio.h"
#include "systems/codec.h"
#include "systems/stable_audio.h"
#include "systems/stable_native.h"
#include "tensor/ops.h"
#include "train/loop.h"

enum { RATE = 8000, CHANNELS = 2, FRAMES = 168 };

static const char FROM[] = TEST_DATA "/parity/stable_audio_open/e2e_diffusers";

/* Its rate is not one that recordings have. */
static void write_pipeline(const char *folder) {
    static const char *const PARTS[] = {"transformer", "projection_model", "text_encoder", "tokenizer"};
    folder_make(path_join(folder, "vae"));
    for (int i = 0; i < 4; i++)
        if (symlink(path_join(FROM, PARTS[i]), path_join(folder, PARTS[i]))) perror("symlink");
    const bytes index = file_read(path_join(FROM, "model_index.json"), 1 << 20);
    file_write(path_join(folder, "model_index.json"), index.data, index.size);
    const bytes weights = file_map(path_join(FROM, "vae/diffusion_pytorch_model.safetensors"));
    file_write(path_join(folder, "vae/diffusion_pytorch_model.safetensors"), weights.data, weights.size);
    const bytes settings = file_read(path_join(FROM, "vae/config.json"), 1 << 20);
    char *words = copy_string((const char *) settings.data), *rate = strstr(words, "\"sampling_rate\": 16");
    assert_non_null(rate);
    words =
        format("%.*s\"sampling_rate\": 8000%s", (int) (rate - words), words, rate + strlen("\"sampling_rate\": 16"));
    file_write(path_join(folder, "vae/config.json"), words, strlen(words));
}

static int set_up(void **state) {
    if (make_folder(state)) return -1;
    scope_begin();
    write_pipeline(in_folder("pipeline"));
    folder_make(in_folder("sounds"));
    audio *a = audio_new(2000, CHANNELS, RATE);
    random_normal((random_key){9, 1}, 0, a->samples, 2000 * CHANNELS);
    for (int64_t i = 0; i < (int64_t) 2000 * CHANNELS; i++) a->samples[i] *= 0.1f;
    audio_write(in_folder("sounds/rain.wav"), a, AUDIO_FLOAT);
    scope_end();
    return 0;
}

static void collect(void *context, int64_t index, const audio *a) {
    (void) index;
    assert_int_equal(a->frames, FRAMES);
    memcpy(context, a->samples, FRAMES * CHANNELS * sizeof(float));
}

static const float *sound_of(const char *path, double guidance) {
    float *x = NEW_ARRAY(float, FRAMES *CHANNELS);
    const model *m = model_open(path);
    sound_request r = sound_request_for(m);
    r.prompt = "rain";
    r.negative = "drums";
    r.sampler = "dpmpp-2m";
    r.guidance = guidance;
    r.steps = 5;
    r.seed = 2;
    generate_sounds(m, &r, collect, x);
    return x;
}

static double apart(const float *a, const float *b) {
    double sum = 0, size = 0;
    for (int i = 0; i < FRAMES * CHANNELS; i++) {
        sum += pow((double) a[i] - b[i], 2);
        size += pow((double) b[i], 2);
    }
    return sqrt(sum / size);
}

/* The same sounds; written once, and anew when what it is from has changed. */
static void test_same_model(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const char *native = stable_native_folder(in_folder("pipeline"), in_folder("out"));
    assert_string_equal(native, in_folder("out/from"));
    assert_true(apart(sound_of(native, 1), sound_of(in_folder("pipeline"), 1)) < 1e-5);
    assert_true(apart(sound_of(native, 4), sound_of(in_folder("pipeline"), 4)) < 1e-4);
    struct stat before, after;
    const char *weights = path_join(native, "model.safetensors");
    assert_int_equal(stat(weights, &before), 0);
    stable_native_folder(in_folder("pipeline"), in_folder("out"));
    assert_int_equal(stat(weights, &after), 0);
    assert_true(before.st_ino == after.st_ino);
    const bytes index = file_read(in_folder("pipeline/model_index.json"), 1 << 20);
    file_write(in_folder("pipeline/model_index.json"), index.data, index.size);
    stable_native_folder(in_folder("pipeline"), in_folder("out"));
    assert_int_equal(stat(weights, &after), 0);
    assert_true(before.st_ino != after.st_ino);
    assert_string_equal(stable_native_folder(native, in_folder("other")), native);
    scope_end();
}

/* Decoders of a whole model and of an autoencoder alone. */
static void test_coders(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const char *native = stable_native_folder(in_folder("pipeline/vae"), in_folder("coder"));
    const codec *a = codec_open(native), *b = codec_open(in_folder("pipeline/vae")),
                *c = codec_open(in_folder("out/from"));
    const audio *x = audio_read(in_folder("sounds/rain.wav"));
    const tensor *z = codec_encode(a, x, NULL);
    assert_true(a->rate == RATE && c->rate == RATE);
    assert_memory_equal(z->data, codec_encode(b, x, NULL)->data, tensor_bytes(z));
    assert_memory_equal(z->data, codec_encode(c, x, NULL)->data, tensor_bytes(z));
    scope_end();
}

static const char RECIPE[] =
    "{\"system\": \"%s\", \"data\": {\"held_out\": 0%s},"
    " \"training\": {\"batch\": 1, \"precision\": \"f32\"%s}, \"optimizer\": {\"learning_rate\": 0.01},"
    " \"every\": {\"log\": 1, \"held_out\": 0, \"sounds\": 0, \"checkpoint\": 100}}";

static void train(const char *recipe, const char *from, const char *out, int64_t steps, bool resume) {
    const train_options o = {.recipe = write_in_folder("recipe.json", recipe),
                             .from = in_folder(from),
                             .data = in_folder("sounds"),
                             .out = in_folder(out),
                             .steps = steps,
                             .resume = resume};
    train_run(&o);
}

/* What comes out is a model by itself in stable-audio-tools' layout; gone on from, it is the run that was not stopped. */
static void test_training(void **state) {
    (void) state;
    scope_begin();
    const char *recipe = format(RECIPE, "stable-audio", "", "");
    train(recipe, "pipeline", "whole", 4, false);
    train(recipe, "pipeline", "part", 2, false);
    train(recipe, "pipeline", "part", 4, true);
    const bytes a = file_map(in_folder("whole/model.safetensors")), b = file_map(in_folder("part/model.safetensors"));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    precision_set(PRECISION_F32);
    const double moved = apart(sound_of(in_folder("whole"), 1), sound_of(in_folder("pipeline"), 1));
    print_message("trained for 4 steps: %g from what it was\n", moved);
    assert_true(moved > 1e-3);
    train(format(RECIPE, "stable-audio", "", ", \"lora\": 2"), "pipeline", "lora", 3, false);
    assert_non_null(store_open(in_folder("lora/adapter.safetensors")));
    const char *coder = format(RECIPE, "autoencoder", ", \"seconds\": 0.05", "");
    coder = format("%.*s, \"autoencoder\": {\"fft_sizes\": [64, 32]}}", (int) strlen(coder) - 1, coder);
    train(coder, "pipeline/vae", "vae", 2, false);
    assert_int_equal(codec_open(in_folder("vae"))->rate, RATE);
    train(coder, "pipeline", "decoder", 2, false);
    assert_int_equal(codec_open(in_folder("decoder"))->rate, RATE);
    scope_end();
}

static void make_native(void *from) { stable_native_folder(from, in_folder("never")); }

static void open_learning(void *path) { codec_open_learning(path); }

/* Parts that are missing are all told, and names and shapes that are no such model's are refused. */
static void test_refusals(void **state) {
    (void) state;
    scope_begin();
    const char *broken = in_folder("broken");
    write_pipeline(broken);
    unlink(path_join(broken, "transformer"));
    unlink(path_join(broken, "vae/config.json"));
    unlink(path_join(broken, "text_encoder"));
    expect_failure(make_native, (void *) broken, HISS_ERROR_FILE,
                   "transformer/config.json and weights (a .safetensors or .bin), vae/config.json; its text encoder");
    const char *vae = in_folder("pipeline/vae"), *wrong = in_folder("wrong");
    folder_make(wrong);
    const bytes settings = file_read(path_join(vae, "config.json"), 1 << 20);
    file_write(path_join(wrong, "config.json"), settings.data, settings.size);
    const store *s = store_open(vae);
    named_tensor *items = NEW_ARRAY(named_tensor, store_count(s) + 1);
    for (size_t i = 0; i < store_count(s); i++)
        items[i] = (named_tensor){store_at(s, i)->name, store_read(s, store_at(s, i)->name)};
    items[store_count(s)] = (named_tensor){"decoder.block.0.res_unit9.alien", tensor_zero(F32, SHAPE(2))};
    safetensors_write(path_join(wrong, "model.safetensors"), items, store_count(s) + 1, NULL);
    expect_failure(make_native, (void *) wrong, HISS_ERROR_FORMAT, "alien");
    for (size_t i = 0; i < store_count(s); i++)
        if (ends_with(items[i].name, ".alpha")) items[i].value = tensor_zero(F32, SHAPE(2, 3, 4));
    safetensors_write(path_join(wrong, "model.safetensors"), items, store_count(s), NULL);
    make_native((void *) wrong);
    expect_failure(open_learning, in_folder("never/from"), HISS_ERROR_FORMAT, "[2, 3, 4]");
    scope_end();
}

int main(void) {
    threads_set(1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_model), cmocka_unit_test(test_coders),
                                       cmocka_unit_test(test_training), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
