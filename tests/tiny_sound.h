/* A sound model small enough for tests, with weights drawn at random: it says nothing sensible, but all of it acts on the sound. It
 * speaks to the text encoder and the vocoder that are shipped. */
#ifndef HISS_TESTS_TINY_SOUND_H
#define HISS_TESTS_TINY_SOUND_H

#include "base/file.h"
#include "base/random.h"
#include "models/mel_dit.h"

static const char TINY_CONFIG[] =
    "{\"system\": \"mel-dit\", \"sample_rate\": 44100, \"audio_len\": 32768, \"width\": 16, \"blocks\": 1, \"heads\": "
    "2,"
    " \"components\": 24, \"patch\": 8, \"bands\": 128, \"text_width\": 384, \"music\": true, \"classes\": [\"bell\", "
    "\"dog\", "
    "\"drone\", \"drum\","
    " \"engine\", \"insects\", \"mallets\", \"percussion\", \"piano\", \"rain\", \"thunder\", \"voice\"]}";

static inline void tiny_sound_write(const char *folder) {
    scope_begin();
    const mel_dit_config c = {.width = 16,
                              .blocks = 1,
                              .heads = 2,
                              .text = 384,
                              .classes = 12,
                              .bands = 128,
                              .frames = 8,
                              .components = 24,
                              .music = true};
    binder *b = binder_new((random_key){17, 0});
    const mel_patches *patches = mel_dit_patches(mel_dit_bind(&c, b));
    params *all = binder_finish(b, true);
    for (size_t i = 0; i < all->count; i++) {
        const param *p = all->items[i];
        const int64_t n = count(p->value);
        float *more = NEW_ARRAY(float, n);
        random_normal((random_key){18, i}, 0, more, (size_t) n);
        for (int64_t k = 0; k < n && p->trainable; k++) f32(p->value)[k] += 0.2f * more[k];
    }
    for (int m = 0; m < 128; m++) f32(patches->mean)[m] = -3 - 0.02f * (float) m; /* as loud as sounds are */
    folder_make(folder);
    params_save(all, path_join(folder, "weights.safetensors"), F32, NULL);
    file_write(path_join(folder, "config.json"), TINY_CONFIG, strlen(TINY_CONFIG));
    scope_end();
}

#endif
