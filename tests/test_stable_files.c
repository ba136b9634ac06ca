/* Files of Stable Audio's kind, on small drawn models: layouts, what is wrong with them, text encoders, the autoencoder alone and its
 * latents. */
#include "test.h"

#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "drawn_stable.h"
#include "systems/codec.h"
#include "tensor/ops.h"

static int set_up(void **state) {
    if (make_folder(state)) return 1;
    scope_begin();
    write_model("conditioned", CONDITIONED);
    scope_end();
    return 0;
}

/* --- files --- */

/* The same tensors under a checkpoint of training's names, in a file with its configuration beside it, and in shards. */
static void test_layouts(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const model *m = model_open(in_folder("conditioned"));
    const sound_request r = quick(m);
    const made expected = make(m, &r);
    const char *alone = in_folder("alone.safetensors");
    file_write(in_folder("alone.json"), CONDITIONED, strlen(CONDITIONED));
    const bytes whole = file_map(in_folder("conditioned/model.safetensors"));
    file_write(alone, whole.data, whole.size);
    assert_true(between(make(model_open(alone), &r), expected) == 0);

    const char *sharded = in_folder("sharded");
    folder_make(sharded);
    file_write(path_join(sharded, "model_config.json"), CONDITIONED, strlen(CONDITIONED));
    const store *s = store_open(alone);
    const size_t n = store_count(s), half = n / 2;
    named_tensor *items = NEW_ARRAY(named_tensor, n);
    json_t *map = json_make_object(), *index = json_make_object();
    for (size_t i = 0; i < n; i++) {
        items[i] = (named_tensor){store_at(s, i)->name, store_read(s, store_at(s, i)->name)};
        json_object_set_new(map, items[i].name, json_string(i < half ? "a.safetensors" : "b.safetensors"));
    }
    json_object_set(index, "weight_map", map);
    safetensors_write(path_join(sharded, "a.safetensors"), items, half, NULL);
    safetensors_write(path_join(sharded, "b.safetensors"), items + half, n - half, NULL);
    const char *words = json_text(index);
    file_write(path_join(sharded, "model.safetensors.index.json"), words, strlen(words));
    assert_true(between(make(model_open(sharded), &r), expected) == 0);

    const char *trained = in_folder("trained");
    folder_make(trained);
    file_write(path_join(trained, "model_config.json"), CONDITIONED, strlen(CONDITIONED));
    for (size_t i = 0; i < n; i++) items[i].name = format("diffusion.%s", items[i].name);
    named_tensor *more = NEW_ARRAY(named_tensor, n + 1);
    memcpy(more, items, n * sizeof *items);
    more[n] = (named_tensor){"losses.step", tensor_zero(F32, SHAPE(1))};
    safetensors_write(path_join(trained, "model.safetensors"), more, n + 1, NULL);
    assert_true(between(make(model_open(trained), &r), expected) == 0);
    scope_end();
}

static void open_path(void *path) { model_open(path); }

/* CONDITIONED with one text in place of another, in a folder with the weights. */
static char *changed(const char *what, const char *to) {
    const char *at = strstr(CONDITIONED, what), *folder = in_folder("broken");
    assert_non_null(at);
    char *words = format("%.*s%s%s", (int) (at - CONDITIONED), CONDITIONED, to, at + strlen(what));
    folder_make(folder);
    file_write(path_join(folder, "model_config.json"), words, strlen(words));
    const bytes whole = file_map(in_folder("conditioned/model.safetensors"));
    file_write(path_join(folder, "model.safetensors"), whole.data, whole.size);
    return (char *) folder;
}

static void test_broken(void **state) {
    (void) state;
    static const struct {
        const char *what, *to, *said;
    } CASES[] = {
        {"\"embed_dim\":64", "\"embed_dim\":1000000000", "embed_dim"},
        {"\"embed_dim\":64", "\"embed_dim\":65", "no multiple"},
        {"\"embed_dim\":64", "\"embed_dim\":128", "expected"},
        {"\"depth\":2", "\"depth\":3", "layers.2"},
        {"\"depth\":2", "\"depth\":1", "not part of this network"},
        {"\"num_heads\":2", "\"num_heads\":8", "too narrow"},
        {"\"num_heads\":2", "\"num_heads\":0", "num_heads"},
        {"\"type\":\"dit\"", "\"type\":\"adp_cfg_1d\"", "'dit'"},
        {"\"strides\":[2,4]", "\"strides\":[2,1e9]", "strides"},
        {"\"strides\":[2,4]", "\"strides\":[4,4]", "samples a frame"},
        {"\"type\":\"number\"", "\"type\":\"clap_text\"", "t5, number and int"},
        {"\"max_val\":1", "\"max_val\":0", "max_val"},
        {"\"cond_token_dim\":16", "\"cond_token_dim\":32", "do not fit"},
        {"[\"seconds_start\",\"seconds_total\",\"kind\"]", "[\"nothing\"]", "not among the conditions"},
        {"\"num_heads\":2", "\"num_heads\":2,\"qk_nrom\":\"ln\"", "qk_nrom"},
        {"\"sample_size\":192", "\"sample_size\":-1", "sample_size"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        scope_begin();
        expect_failure(open_path, changed(CASES[i].what, CASES[i].to), HISS_ERROR_FORMAT, CASES[i].said);
        scope_end();
    }
    scope_begin();
    const char *folder = changed("dit", "dit");
    unlink(path_join(folder, "model.safetensors"));
    expect_failure(open_path, (void *) folder, HISS_ERROR_FILE, "model.ckpt");
    const char *pipeline = in_folder("pipeline");
    static const char INDEX[] = "{\"_class_name\":\"StableAudioPipeline\"}";
    folder_make(path_join(pipeline, "transformer"));
    file_write(path_join(pipeline, "model_index.json"), INDEX, strlen(INDEX));
    draw_weights(path_join(pipeline, "transformer/diffusion_pytorch_model.safetensors"), PLAIN, "");
    expect_failure(open_path, (void *) pipeline, HISS_ERROR_FILE,
                   "transformer/config.json, vae/config.json and weights (a .safetensors or .bin), "
                   "projection_model/config.json and weights (a .safetensors or .bin); its text encoder");
    scope_end();
}

static void test_not_numbers(void **state) {
    (void) state;
    scope_begin();
    const store *s = store_open(in_folder("conditioned/model.safetensors"));
    const size_t n = store_count(s);
    named_tensor *items = NEW_ARRAY(named_tensor, n);
    for (size_t i = 0; i < n; i++)
        items[i] = (named_tensor){store_at(s, i)->name, tensor_to_f32(store_read(s, store_at(s, i)->name))};
    for (size_t i = 0; i < n; i++)
        if (strstr(items[i].name, "project_out")) f32(items[i].value)[3] = NAN;
    safetensors_write(path_join(changed("dit", "dit"), "model.safetensors"), items, n, NULL);
    asking a = {.m = model_open(in_folder("broken"))};
    a.r = quick(a.m);
    expect_failure(ask, &a, HISS_ERROR_FORMAT, "not numbers");
    scope_end();
}

/* The text encoder is looked for when it is needed: the message lists where. */
static void test_text_encoder(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const char *from = TEST_DATA "/parity/stable_audio_open/e2e_small", *folder = in_folder("texts");
    folder_make(folder);
    const bytes settings = file_read(path_join(from, "model_config.json"), 1 << 20);
    char *words = copy_string((const char *) settings.data), *rate = strstr(words, "\"sample_rate\": 16,");
    assert_non_null(rate);
    words = format("%.*s\"sample_rate\": 8000,%s", (int) (rate - words), words, strchr(rate, ',') + 1);
    file_write(path_join(folder, "model_config.json"), words, strlen(words));
    const bytes weights = file_map(path_join(from, "model.ckpt"));
    file_write(path_join(folder, "model.ckpt"), weights.data, weights.size);
    asking a = {.m = model_open(folder)};
    a.r = quick(a.m);
    a.r.prompt = "rain";
    expect_failure(ask, &a, HISS_ERROR_FILE, "texts/t5-base");
    a.r.text_encoder = in_folder(".");
    expect_failure(ask, &a, HISS_ERROR_FILE, "--text-encoder");
    a.r.text_encoder = path_join(from, "t5-base");
    const made rain = make(a.m, &a.r);
    assert_string_equal(a.m->sampler, "ping-pong");
    sound_request other = a.r;
    other.prompt = "drums";
    assert_true(between(make(a.m, &other), rain) > 1e-4);
    other = a.r;
    other.guidance = 3;
    const made guided = make(a.m, &other);
    other.negative = "drums";
    assert_true(between(make(a.m, &other), guided) > 1e-4);
    scope_end();
}

/* --- the autoencoder alone --- */

typedef struct {
    float *to;
    int64_t frames;
} taken;

static void collect(void *context, const float *samples, int64_t frames) {
    taken *t = context;
    memcpy(t->to + t->frames * CHANNELS, samples, (size_t) (frames * CHANNELS) * sizeof(float));
    t->frames += frames;
}

static void test_codec(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const codec *c = codec_open(in_folder("conditioned"));
    const model *m = model_open(in_folder("conditioned"));
    const stable_audio *net = m->network;
    assert_int_equal(c->hop, HOP);
    const audio *sound = noise_sound(1001, 2);
    const tensor *z = codec_encode(c, sound, NULL);
    assert_int_equal(z->shape[0], (1001 + HOP - 1) / HOP);
    tensor *x = tensor_zero(F32, SHAPE(1, z->shape[0] * HOP, CHANNELS));
    memcpy(x->data, sound->samples, 1001 * CHANNELS * sizeof(float));
    const tensor *y = oobleck_encode(net->autoencoder, x);
    for (int64_t i = 0; i < count(z); i++)
        assert_true(fabsf(f32(z)[i] - f32(y)[i / LATENT * 2 * LATENT + i % LATENT]) < 1e-4f);
    const uint64_t seed = 4;
    assert_true(distance(f32(codec_encode(c, sound, &seed)), f32(z), count(z)) > 1e-3);
    int64_t samples;
    static const char *const NAMES[] = {"z.safetensors", "z.npy"};
    for (int i = 0; i < 2; i++) {
        const char *path = in_folder(NAMES[i]);
        latents_write(path, c, z, 1001);
        const tensor *back = latents_read(path, c, &samples);
        assert_int_equal(samples, i ? 0 : 1001);
        assert_memory_equal(back->data, z->data, tensor_bytes(z));
    }
    const tensor *whole = oobleck_decode(net->autoencoder, tensor_wrap(F32, SHAPE(1, z->shape[0], LATENT), z->data));
    taken t = {NEW_ARRAY(float, count(whole)), 0};
    codec_decode(c, z, 1001, collect, &t);
    assert_int_equal(t.frames, 1001);
    assert_true(distance(t.to, f32(whole), 1001 * CHANNELS) < 1e-5);
    scope_end();
}

static void read_wrong(void *path) {
    int64_t samples;
    latents_read(path, codec_open(in_folder("conditioned")), &samples);
}

static void test_wrong_latents(void **state) {
    (void) state;
    scope_begin();
    const char *path = in_folder("wrong.npy");
    npy_write(path, tensor_zero(F32, SHAPE(3, 5)));
    expect_failure(read_wrong, (void *) path, HISS_ERROR_FORMAT, "[4, length]");
    tensor *bad = tensor_zero(F32, SHAPE(4, 5));
    f32(bad)[7] = INFINITY;
    npy_write(path, bad);
    expect_failure(read_wrong, (void *) path, HISS_ERROR_FORMAT, "value 7");
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layouts),     cmocka_unit_test(test_broken),
                                       cmocka_unit_test(test_not_numbers), cmocka_unit_test(test_text_encoder),
                                       cmocka_unit_test(test_codec),       cmocka_unit_test(test_wrong_latents)};
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
