/* Sounds, mel spectrograms and the forward process of include/hiss.h; what belongs to no object. */
#include <string.h>

#include "api/border.h"
#include "base/parallel.h"
#include "systems/generate.h"
#include "tensor/device.h"

#ifndef HISS_VERSION
#define HISS_VERSION "0.1.0"
#endif

static const listener NOBODY = {0};

const char *hiss_version(void) { return HISS_VERSION; }
void hiss_threads(int count) { threads_set(count < 0 ? 0 : count); }

static void device_body(void *name) {
    device_open(name);
    run_on_device(strcmp(name, "cpu") != 0);
}

bool hiss_device(const char *name, hiss_error *error) {
    return try_run(device_body, (void *) (name ? name : "auto"), error);
}

/* --- sounds --- */

typedef struct {
    const char *path;
    const hiss_audio *sound;
    int bits;
    double alpha_bar;
    uint64_t seed;
    hiss_audio *result;
} sound_call;

static void read_body(void *argument) {
    sound_call *c = argument;
    c->result = audio_to_keep(audio_read(c->path));
}

hiss_audio *hiss_read(const char *path, hiss_error *error) {
    sound_call c = {.path = path};
    scope *home = run_to_keep(read_body, &c, NOBODY, error);
    return home ? hand_out_audio(c.result, home) : NULL;
}

static void write_body(void *argument) {
    const sound_call *c = argument;
    const audio a = as_audio(c->sound);
    if (c->bits != 16 && c->bits != 24 && c->bits != 32)
        fail(HISS_ERROR_ARGUMENT, "%d bits: give 16, 24 or 32", c->bits);
    audio_write(c->path, &a, c->bits == 16 ? AUDIO_PCM16 : c->bits == 24 ? AUDIO_PCM24 : AUDIO_FLOAT);
}

bool hiss_write(const hiss_audio *sound, const char *path, int bits, hiss_error *error) {
    return run_there(write_body, &(sound_call){.sound = sound, .path = path, .bits = bits}, NOBODY, error);
}

static void noise_body(void *argument) {
    sound_call *c = argument;
    const audio a = as_audio(c->sound);
    if (!(c->alpha_bar >= 0 && c->alpha_bar <= 1)) fail(HISS_ERROR_ARGUMENT, "alpha_bar %g: give 0 to 1", c->alpha_bar);
    c->result = audio_to_keep(add_noise(&a, c->alpha_bar, c->seed));
}

hiss_audio *hiss_noise(const hiss_audio *sound, double alpha_bar, uint64_t seed, hiss_error *error) {
    sound_call c = {.sound = sound, .alpha_bar = alpha_bar, .seed = seed};
    scope *home = run_to_keep(noise_body, &c, NOBODY, error);
    return home ? hand_out_audio(c.result, home) : NULL;
}

/* --- mel spectrograms --- */

typedef struct {
    const hiss_model *model; /* whose front end; NULL: the one named */
    const char *front;
    const hiss_audio *sound;
    hiss_mel *result;
} mel_call;

static void mel_body(void *argument) {
    mel_call *c = argument;
    const audio a = as_audio(c->sound);
    const mel_front front = c->model ? model_front(c->model->m) : mel_front_named(c->front);
    c->result = mel_to_keep(mel_of(&front, &a));
}

static hiss_mel *mel_made(mel_call c, hiss_error *error) {
    scope *home = run_to_keep(mel_body, &c, NOBODY, error);
    return home ? hand_out_mel(c.result, home) : NULL;
}

hiss_mel *hiss_mel_of(const hiss_audio *sound, const char *front, hiss_error *error) {
    return mel_made((mel_call){.front = front, .sound = sound}, error);
}

hiss_mel *hiss_model_mel(const hiss_model *model, const hiss_audio *sound, hiss_error *error) {
    return mel_made((mel_call){.model = model, .sound = sound}, error);
}
