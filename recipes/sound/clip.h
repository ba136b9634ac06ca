/* Clips of the sound recipe: how every sound, recorded, rendered or synthesised, is cut and written. */
#ifndef RECIPES_SOUND_CLIP_H
#define RECIPES_SOUND_CLIP_H

#include <math.h>
#include <sndfile.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { rate = 44100 };

static inline void die(const char *what, const char *name) {
    fprintf(stderr, "sound: %s: %s\n", what, name);
    exit(1);
}

static inline void *get(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory) die("memory", "not enough");
    return memory;
}

/* Mean removed; cut where the sound rises above and falls below -50 dB of its peak (200 samples kept before, 2,000
 * after), 400 samples faded out, peak 0.95. Returns the length, 0 for silence; x is changed in place. */
static inline size_t clean(float *x, size_t n) {
    double mean = 0;
    float peak = 0;
    for (size_t i = 0; i < n; i++) mean += x[i];
    for (size_t i = 0; i < n; i++) {
        x[i] -= (float) (mean / (double) n);
        if (fabsf(x[i]) > peak) peak = fabsf(x[i]);
    }
    if (!(peak > 1e-3f)) return 0;
    const float quiet = peak * 0.00316228f;
    size_t first = 0, last = n;
    while (fabsf(x[first]) < quiet) first++;
    while (fabsf(x[last - 1]) < quiet) last--;
    first = first > 200 ? first - 200 : 0;
    last = last + 2000 < n ? last + 2000 : n;
    size_t length = last - first, fade = length < 800 ? length / 2 : 400;
    memmove(x, x + first, length * sizeof *x);
    for (size_t i = 0; i < length; i++) x[i] *= 0.95f / peak;
    for (size_t i = 0; i < fade; i++) x[length - 1 - i] *= 0.5f - 0.5f * cosf(3.14159265f * (float) i / (float) fade);
    return length;
}

/* FLAC, 16 bit, mono, 44.1 kHz, under a temporary name until it is complete. */
static inline void write_clip(const float *x, size_t n, const char *path) {
    char part[1200];
    if ((size_t) snprintf(part, sizeof part, "%s.part", path) >= sizeof part) die("name too long", path);
    SF_INFO info = {.samplerate = rate, .channels = 1, .format = SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    SNDFILE *file = sf_open(part, SFM_WRITE, &info);
    if (!file || sf_writef_float(file, x, (sf_count_t) n) != (sf_count_t) n) die("cannot write", path);
    sf_close(file);
    if (rename(part, path)) die("cannot rename", path);
}

#endif
