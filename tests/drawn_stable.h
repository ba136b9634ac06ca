/* Small models of Stable Audio's kind with drawn weights, and sounds that are asked of them. */
#ifndef HISS_TESTS_DRAWN_STABLE_H
#define HISS_TESTS_DRAWN_STABLE_H

#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "folder.h"
#include "systems/stable_audio.h"

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

static inline config parse(const char *words) { return config_parse(words, strlen(words), "test"); }

/* Weights of a configuration, drawn, under names with this in front. */
static inline void draw_weights(const char *path, const char *settings, const char *front) {
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

static inline const char *write_model(const char *name, const char *settings) {
    const char *folder = in_folder(name);
    folder_make(folder);
    file_write(path_join(folder, "model_config.json"), settings, strlen(settings));
    draw_weights(path_join(folder, "model.safetensors"), settings, "");
    return folder;
}

typedef struct {
    float *samples;
    int64_t frames;
    int channels;
} made;

static inline void take(void *context, int64_t i, const audio *sound) {
    made *to = context;
    to[i] = (made){malloc((size_t) (sound->frames * sound->channels) * sizeof(float)), sound->frames, sound->channels};
    memcpy(to[i].samples, sound->samples, (size_t) (sound->frames * sound->channels) * sizeof(float));
}

/* Freed with the current scope. */
static inline made make(const model *m, const sound_request *r) {
    made one;
    generate_sounds(m, r, take, &one);
    defer(free, one.samples);
    return one;
}

static inline double distance(const float *a, const float *b, int64_t n) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += pow((double) a[i] - b[i], 2);
        size += pow((double) b[i], 2);
    }
    return sqrt(difference / size);
}

static inline double between(made a, made b) {
    assert_int_equal(a.frames, b.frames);
    return distance(a.samples, b.samples, a.frames * a.channels);
}

static inline sound_request quick(const model *m) {
    sound_request r = sound_request_for(m);
    r.steps = 4;
    r.seconds = 0.02;
    r.seed = 3;
    return r;
}

typedef struct {
    const model *m;
    sound_request r;
} asking;

static inline void ask(void *context) {
    asking *a = context;
    make(a->m, &a->r);
}

static inline audio *noise_sound(int64_t frames, int channels) {
    audio *a = audio_new(frames, channels, RATE);
    random_normal((random_key){9, 1}, 0, a->samples, (size_t) (frames * channels));
    for (int64_t i = 0; i < frames * channels; i++) a->samples[i] *= 0.1f;
    return a;
}

#endif
