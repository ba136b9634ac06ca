/* Autoencoders of include/hiss.h. */
#include <string.h>

#include "api/border.h"
#include "systems/codec.h"

static const listener NOBODY = {0};

struct hiss_codec {
    scope *home;
    codec *c;
};

typedef struct {
    hiss_latents latents;
    scope *home;
} owned_latents;

typedef struct {
    const char *path;
    hiss_codec *codec;
    const struct codec *c;
    const hiss_audio *sound;
    const hiss_latents *latents;
    const uint64_t *seed;
    audio *whole;
    int64_t done;
    owned_latents *encoded;
    hiss_audio *decoded;
} codec_call;

static void open_body(void *argument) {
    codec_call *c = argument;
    c->codec = NEW(hiss_codec);
    c->codec->c = codec_open(c->path);
}

hiss_codec *hiss_codec_open(const char *path, hiss_error *error) {
    codec_call c = {.path = path};
    scope *home = run_to_keep(open_body, &c, NOBODY, error);
    if (home) c.codec->home = home;
    return home ? c.codec : NULL;
}

void hiss_codec_close(hiss_codec *codec) {
    if (codec) scope_destroy(codec->home);
}

static void encode_body(void *argument) {
    codec_call *c = argument;
    const audio a = as_audio(c->sound);
    const tensor *z = codec_encode(c->c, &a, c->seed);
    c->encoded = NEW(owned_latents);
    c->encoded->latents = (hiss_latents){f32(z), z->shape[0], z->shape[1]};
}

hiss_latents *hiss_encode(const hiss_codec *codec, const hiss_audio *sound, const uint64_t *seed, hiss_error *error) {
    codec_call c = {.c = codec->c, .sound = sound, .seed = seed};
    scope *home = run_to_keep(encode_body, &c, NOBODY, error);
    if (home) c.encoded->home = home;
    return home ? &c.encoded->latents : NULL;
}

void hiss_latents_free(hiss_latents *latents) {
    if (latents) scope_destroy(((owned_latents *) (void *) latents)->home);
}

static void put(void *context, const float *samples, int64_t frames) {
    codec_call *c = context;
    const int64_t channels = c->whole->channels;
    memcpy(c->whole->samples + c->done * channels, samples, (size_t) (frames * channels) * sizeof(float));
    c->done += frames;
}

static void decode_body(void *argument) {
    codec_call *c = argument;
    const hiss_latents *l = c->latents;
    if (!l || !l->values || l->count < 1 || l->numbers != c->c->latent || l->count > AUDIO_MAX_VALUES / c->c->hop)
        fail(HISS_ERROR_ARGUMENT, "%s decodes 1 or more latents of %lld numbers", c->c->path, (long long) c->c->latent);
    c->whole = audio_new(codec_frames(c->c, l->count), c->c->channels, c->c->rate);
    codec_decode(c->c, tensor_wrap(F32, SHAPE(l->count, l->numbers), l->values), 0, put, c);
    c->decoded = audio_to_keep(c->whole);
}

hiss_audio *hiss_decode(const hiss_codec *codec, const hiss_latents *latents, hiss_error *error) {
    codec_call c = {.c = codec->c, .latents = latents};
    scope *home = run_to_keep(decode_body, &c, NOBODY, error);
    return home ? hand_out_audio(c.decoded, home) : NULL;
}
