/* See codec.h. */
#include "systems/codec.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "base/text.h"
#include "models/oobleck.h"
#include "signal/fit.h"
#include "store/store.h"
#include "systems/sample.h"
#include "systems/shipped.h"
#include "systems/stable_files.h"
#include "tensor/ops.h"

/* --- Oobleck --- */

/* The configuration of an autoencoder and, of a native file, what stands before its names. */
typedef struct {
    oobleck_config sizes;
    const char *prefix, *weights;
    int rate;
    double scale;
} oobleck_source;

static oobleck_source native_source(const stable_files *f, config settings) {
    const config model_part = config_get(settings, "model");
    oobleck_source r = {.prefix = "", .weights = f->weights, .scale = 1};
    config own = model_part;
    if (config_has(model_part, "pretransform")) {
        const config pretransform = config_get(model_part, "pretransform");
        own = config_get(pretransform, "config");
        r.scale = config_number(pretransform, "scale", 1, 1e-6, 1e6);
        r.prefix = "pretransform.model";
    }
    r.sizes = oobleck_config_read(own);
    r.rate = (int) config_int(settings, "sample_rate", 44100, 1, 768000);
    return r;
}

static oobleck_source diffusers_source(const stable_files *f, config settings) {
    oobleck_source r = {.prefix = "", .weights = f->weights, .scale = 1};
    if (!strcmp(stable_kind(settings), "StableAudioPipeline")) {
        static const char *const PARTS[] = {"vae", NULL};
        stable_check_parts(f, PARTS, false);
        r.weights = path_join(f->folder, "vae");
        settings = config_load(path_join(r.weights, "config.json"));
    }
    r.sizes = oobleck_config_read_diffusers(settings);
    r.rate = (int) config_int(settings, "sampling_rate", 44100, 1, 768000);
    return r;
}

/* Names of a file that training left have more in front. */
static const char *whole_prefix(const store *s, const char *prefix) {
    static const char *const FRONTS[] = {"", "diffusion.", "autoencoder."};
    for (int i = 0; i < 3; i++) {
        const char *front = format("%s%s%s", FRONTS[i], prefix, *prefix ? "." : "");
        for (size_t k = 0; k < store_count(s); k++)
            if (starts_with(store_at(s, k)->name, format("%sdecoder.", front))) return front;
    }
    return format("%s%s", prefix, *prefix ? "." : "");
}

/* Binds what the file holds of it. */
static oobleck *bind_oobleck(const oobleck_source *from, const store *s, const char *prefix, binder *b, bool learns) {
    const int length = (int) strlen(prefix);
    if (length) bind_push(b, "%.*s", length - 1, prefix);
    oobleck *net = oobleck_bind(&from->sizes, b, learns ? OOBLECK_BOTH : oobleck_parts_in(s), learns);
    if (length) bind_pop(b);
    return net;
}

static bool open_oobleck(codec *c, const char *path) {
    stable_files f;
    if (!stable_files_find(path, &f)) return false;
    const config settings = config_load(f.settings);
    const oobleck_source from = f.diffusers ? diffusers_source(&f, settings) : native_source(&f, settings);
    const store *s = store_open(from.weights);
    binder *b = binder_load(s);
    c->network = bind_oobleck(&from, s, whole_prefix(s, from.prefix), b, false);
    binder_finish(b, false);
    c->rate = from.rate;
    c->scale = from.scale;
    c->channels = (int) from.sizes.audio;
    c->hop = from.sizes.ratio;
    c->latent = from.sizes.latent;
    return true;
}

codec_learner codec_open_learning(const char *path) {
    stable_files f;
    if (!stable_files_find(path, &f) || f.diffusers)
        fail(HISS_ERROR_ARGUMENT,
             "%s: training starts from stable-audio-tools' layout: a folder with model_config.json and its weights",
             path);
    codec_learner r = {.settings = config_load(f.settings)};
    const oobleck_source from = native_source(&f, r.settings);
    const store *s = store_open(from.weights);
    const char *prefix = whole_prefix(s, from.prefix);
    binder *b = binder_load(s);
    r.net = bind_oobleck(&from, s, prefix, b, true);
    r.parameters = binder_finish(b, false);
    r.weights = from.weights;
    r.encoder = format("%sencoder.", prefix);
    r.rate = from.rate;
    return r;
}

static void need(const codec *c, oobleck_parts part, const char *what) {
    if (!oobleck_has(c->network, part)) fail(HISS_ERROR_ARGUMENT, "%s holds no %s", c->path, what);
}

static tensor *encode_oobleck(const codec *c, const tensor *x, const float *(*noise)(void *context, int64_t n),
                              void *context) {
    need(c, OOBLECK_ENCODER, "encoder");
    scope_begin();
    const tensor *y = oobleck_encode_tiles(c->network, x);
    tensor *z = tensor_new(F32, SHAPE(y->shape[1], c->latent));
    oobleck_draw(c->network, y, noise(context, count(z)), (float) (1 / c->scale), z);
    return scope_end_keep(z);
}

typedef struct {
    take_frames *take;
    void *context;
} passing;

static void pass(void *context, int64_t first, const tensor *samples) {
    const passing *p = context;
    (void) first;
    p->take(p->context, f32(samples), samples->shape[1]);
}

static void decode_oobleck(const codec *c, const tensor *z, int64_t frames, take_frames take, void *context) {
    need(c, OOBLECK_DECODER, "decoder");
    scope_begin();
    passing p = {take, context};
    tensor *latents = scale(reshape(z, SHAPE(1, z->shape[0], z->shape[1])), (float) c->scale, F32);
    oobleck_decode_tiles(c->network, latents, frames, pass, &p);
    scope_end();
}

static int64_t frames_of_oobleck(const codec *c, int64_t latents) { return oobleck_samples(c->network, latents); }

/* --- all --- */

static const codec_row CODECS[] = {{"oobleck", "Evans et al. 2024, arXiv 2407.14358", open_oobleck, encode_oobleck,
                                    decode_oobleck, frames_of_oobleck}};

codec *codec_open(const char *path) {
    codec *c = NEW(codec);
    c->path = path = model_named(path);
    for (size_t i = 0; i < sizeof CODECS / sizeof *CODECS; i++) {
        c->row = &CODECS[i];
        if (c->row->open(c, path)) return c;
    }
    if (!file_exists(path) && !folder_exists(path)) fail(HISS_ERROR_FILE, "%s: no such model file or folder", path);
    fail(HISS_ERROR_FORMAT,
         "%s: holds no autoencoder hiss knows: give a Stable Audio folder, its vae folder, or a file with its "
         "configuration beside it",
         path);
}

static const float *no_noise(void *context, int64_t n) {
    (void) context;
    return NEW_ARRAY(float, n);
}

static const float *seeded_noise(void *context, int64_t n) {
    float *z = NEW_ARRAY(float, n);
    random_normal(sound_key(*(const uint64_t *) context), 0, z, (size_t) n);
    return z;
}

tensor *codec_encode(const codec *c, const audio *sound, const uint64_t *seed) {
    scope_begin();
    const int64_t there = (int64_t) ceil((double) sound->frames * c->rate / sound->rate),
                  T = (there + c->hop - 1) / c->hop * c->hop;
    const audio *fitted = audio_fit(sound, c->rate, T, c->channels);
    const tensor *x = tensor_wrap(F32, SHAPE(1, T, c->channels), fitted->samples);
    tensor *z = c->row->encode(c, x, seed ? seeded_noise : no_noise, (void *) seed);
    for (int64_t i = 0; i < count(z); i++)
        if (!isfinite(f32(z)[i]))
            fail(HISS_ERROR_FORMAT, "%s: the network gave values that are not numbers: are its weights damaged?",
                 c->path);
    return scope_end_keep(z);
}

int64_t codec_frames(const codec *c, int64_t latents) { return c->row->frames(c, latents); }

void codec_decode(const codec *c, const tensor *z, int64_t frames, take_frames take, void *context) {
    require(z->rank == 2 && z->shape[1] == c->latent);
    c->row->decode(c, z, frames, take, context);
}

/* --- files --- */

static tensor *turned(const tensor *x) {
    const int64_t M = x->shape[0], N = x->shape[1];
    tensor *y = tensor_new(F32, SHAPE(N, M));
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) f32(y)[n * M + m] = f32(x)[m * N + n];
    return y;
}

void latents_write(const char *path, const codec *c, const tensor *z, int64_t samples) {
    const tensor *published = turned(z);
    if (!strcmp(path_extension(path), ".npy")) {
        npy_write(path, published);
        return;
    }
    json_t *notes = json_make_object();
    json_object_set_new(notes, "samples", json_string(format("%lld", (long long) samples)));
    json_object_set_new(notes, "sample_rate", json_string(format("%d", c->rate)));
    safetensors_write(path, &(named_tensor){"latents", published}, 1, notes);
}

static int64_t samples_noted(const store *s) {
    long long samples = 0;
    const char *words = config_string(store_metadata(s), "samples", "0");
    return parse_long(words, 0, 1LL << 40, &samples) ? samples : 0;
}

tensor *latents_read(const char *path, const codec *c, int64_t *samples) {
    const store *s = store_open(path);
    const char *name = store_find(s, "latents") ? "latents" : store_count(s) == 1 ? store_at(s, 0)->name : NULL;
    if (!name) fail(HISS_ERROR_FORMAT, "%s: holds %zu tensors and none is named 'latents'", path, store_count(s));
    tensor *x = tensor_to_f32(store_read(s, name));
    *samples = samples_noted(s);
    if (x->rank == 3 && x->shape[0] == 1) x = tensor_wrap(F32, SHAPE(x->shape[1], x->shape[2]), x->data);
    if (x->rank != 2 || count(x) == 0 || (x->shape[0] != c->latent && x->shape[1] != c->latent))
        fail(HISS_ERROR_FORMAT, "%s: %s are not latents of %lld numbers: save them as [%lld, length]", path,
             shape_text(shape_of(x)), (long long) c->latent, (long long) c->latent);
    for (int64_t i = 0; i < count(x); i++)
        if (!isfinite(f32(x)[i])) fail(HISS_ERROR_FORMAT, "%s: value %lld is not a number", path, (long long) i);
    return x->shape[0] == c->latent ? turned(x) : x;
}
