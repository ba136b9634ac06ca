/* Stable Audio's system on small drawn models: files and what is wrong with them, conditions, edits, loops, long sounds, the
 * autoencoder alone. That its parts compute what the originals do is shown by the parity cases. */
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "folder.h"
#include "signal/turn.h"
#include "systems/codec.h"
#include "systems/stable_audio.h"
#include "tensor/ops.h"

enum { HOP = 8, WINDOW = 24, RATE = 8000, CHANNELS = 2, LATENT = 4 };

#define OOBLECK                                                                                                        \
    "{\"encoder\":{\"type\":\"oobleck\",\"config\":{\"in_channels\":2,\"channels\":4,\"c_mults\":[1,2],"               \
    "\"strides\":[2,4],\"latent_dim\":8,\"use_snake\":true}},"                                                         \
    "\"decoder\":{\"type\":\"oobleck\",\"config\":{\"out_channels\":2,\"channels\":4,\"c_mults\":[1,2],"               \
    "\"strides\":[2,4],\"latent_dim\":4,\"use_snake\":true,\"final_tanh\":false}},"                                    \
    "\"bottleneck\":{\"type\":\"vae\"}}"
#define CONDITIONS                                                                                                     \
    "{\"cond_dim\":16,\"configs\":["                                                                                   \
    "{\"id\":\"seconds_start\",\"type\":\"number\",\"config\":{\"min_val\":0,\"max_val\":1}},"                         \
    "{\"id\":\"seconds_total\",\"type\":\"number\",\"config\":{\"min_val\":0,\"max_val\":1}},"                         \
    "{\"id\":\"kind\",\"type\":\"int\",\"config\":{\"min_val\":0,\"max_val\":3}}]}"
#define NETWORK                                                                                                        \
    "{\"io_channels\":4,\"embed_dim\":64,\"depth\":2,\"num_heads\":2,\"cond_token_dim\":16,\"global_cond_dim\":32,"    \
    "\"transformer_type\":\"continuous_transformer\"}"
#define PLAIN_NETWORK                                                                                                  \
    "{\"io_channels\":4,\"embed_dim\":64,\"depth\":1,\"num_heads\":2,\"transformer_type\":\"continuous_transformer\"}"
#define FRAME(type, model) "{\"model_type\":\"" type "\",\"sample_size\":192,\"sample_rate\":8000,\"model\":" model "}"
#define PRETRANSFORM "\"pretransform\":{\"type\":\"autoencoder\",\"config\":" OOBLECK "}"

static const char CONDITIONED[] = FRAME(
    "diffusion_cond",
    "{" PRETRANSFORM ",\"conditioning\":" CONDITIONS
    ",\"diffusion\":{\"type\":\"dit\",\"cross_attention_cond_ids\":[\"seconds_start\",\"seconds_total\",\"kind\"],"
    "\"global_cond_ids\":[\"seconds_start\",\"seconds_total\"],\"config\":" NETWORK "}}");
static const char PLAIN[] =
    FRAME("diffusion_uncond", "{" PRETRANSFORM ",\"type\":\"dit\",\"diffusion_objective\":\"rectified_flow\","
                              "\"config\":" PLAIN_NETWORK "}");

static config parse(const char *words) { return config_parse(words, strlen(words), "test"); }

/* Weights of a configuration, drawn, under names with this in front. */
static void draw_weights(const char *path, const char *settings, const char *front) {
    const config all = config_get(parse(settings), "model");
    const config diffusion = config_has(all, "diffusion") ? config_get(all, "diffusion") : all;
    binder *b = binder_new((random_key){5, 2});
    stable_dit_config d = stable_dit_config_read(config_get(diffusion, "config"));
    bind_push(b, "%smodel.model", front);
    stable_dit_bind(&d, b);
    bind_pop(b);
    const oobleck_config c = oobleck_config_read(config_get(config_get(all, "pretransform"), "config"));
    bind_push(b, "%spretransform.model", front);
    oobleck_bind(&c, b, OOBLECK_BOTH, false);
    bind_pop(b);
    if (config_has(all, "conditioning")) {
        const stable_conditions k = stable_conditions_read(config_get(all, "conditioning"));
        bind_push(b, "%sconditioner", front);
        stable_conditioner_bind(&k, b);
        bind_pop(b);
    }
    params_save(binder_finish(b, false), path, F32, NULL);
}

static const char *write_model(const char *name, const char *settings) {
    const char *folder = in_folder(name);
    folder_make(folder);
    file_write(path_join(folder, "model_config.json"), settings, strlen(settings));
    draw_weights(path_join(folder, "model.safetensors"), settings, "");
    return folder;
}

/* --- sounds --- */

typedef struct {
    float *samples;
    int64_t frames;
    int channels;
} made;

static void take(void *context, int64_t i, const audio *sound) {
    made *to = context;
    to[i] = (made){malloc((size_t) (sound->frames * sound->channels) * sizeof(float)), sound->frames, sound->channels};
    memcpy(to[i].samples, sound->samples, (size_t) (sound->frames * sound->channels) * sizeof(float));
}

/* Freed with the current scope. */
static made make(const model *m, const sound_request *r) {
    made one;
    generate_sounds(m, r, take, &one);
    defer(free, one.samples);
    return one;
}

static double distance(const float *a, const float *b, int64_t n) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += pow((double) a[i] - b[i], 2);
        size += pow((double) b[i], 2);
    }
    return sqrt(difference / size);
}

static double between(made a, made b) {
    assert_int_equal(a.frames, b.frames);
    return distance(a.samples, b.samples, a.frames * a.channels);
}

static sound_request quick(const model *m) {
    sound_request r = sound_request_for(m);
    r.steps = 4;
    r.seconds = 0.02;
    r.seed = 3;
    return r;
}

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

typedef struct {
    const model *m;
    sound_request r;
} asking;

static void ask(void *context) {
    asking *a = context;
    make(a->m, &a->r);
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
                   "transformer/config.json, vae/config.json, projection_model/config.json");
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

/* --- edits --- */

static audio *noise_sound(int64_t frames, int channels) {
    audio *a = audio_new(frames, channels, RATE);
    random_normal((random_key){9, 1}, 0, a->samples, (size_t) (frames * channels));
    for (int64_t i = 0; i < frames * channels; i++) a->samples[i] *= 0.1f;
    return a;
}

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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_not_numbers),
        cmocka_unit_test(test_text_encoder),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_strength),
        cmocka_unit_test(test_into),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_fit_turn),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_codec),
        cmocka_unit_test(test_wrong_latents),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
