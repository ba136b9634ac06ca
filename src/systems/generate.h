/* Sounds from a model: the noise of a seed, walked back to a sound by a sampler. */
#ifndef HISS_SYSTEMS_GENERATE_H
#define HISS_SYSTEMS_GENERATE_H

#include "signal/audio.h"
#include "signal/mel.h"
#include "systems/system.h"

/* Everything but the model that a sound depends on. */
typedef struct {
    double seconds;   /* 0: as long as the model was trained on */
    uint64_t seed;    /* sound i is that of seed + i, alone or among others */
    bool torch_noise; /* PyTorch's CPU generator in place of hiss's */
    int64_t count;
    int64_t steps;        /* 0: the schedule's own */
    const char *sampler;  /* NULL: the paper's */
    const char *schedule; /* NULL: the paper's */
    const double *betas;  /* in place of a schedule: its steps from the least noise to the most; or NULL */
    size_t beta_count;
    double eta;    /* below 0: the sampler's own */
    int32_t class; /* -1: any */
    double guidance;
} sound_request;
sound_request sound_request_default(void);

/* Takes the i-th sound, which lives until it returns. */
typedef void (*take_sound)(void *context, int64_t i, const audio *sound);

/* Fails on what the model cannot do, before any work. */
void request_check(const model *m, const sound_request *r);
/* Samples of each of its sounds. */
int64_t request_samples(const model *m, const sound_request *r);
/* One after another: every sound is a batch of its own, so that its samples depend on nothing but its seed, and memory on
 * nothing but the window. */
void generate_sounds(const model *m, const sound_request *r, take_sound take, void *context);
/* mel [F, M] -> [F hop] samples at m->rate, in the current scope. */
audio *vocode_mel(const model *m, const sound_request *r, const tensor *mel);

/* The model's front end, with its rate and bands. */
mel_front model_front(const model *m);
/* Features [F, M] of a sound in the original's way: first channel (hiss's own front end: the mean of all), resampled to the front end's rate. */
tensor *mel_of(const mel_front *f, const audio *sound);
/* Features saved by another program, .npy or safetensors: [F, M] from [F, M], [M, F] (the originals' layout; taken when
 * F = M) or with a leading 1. M 0: unknown, the file is [M, F]. Fails on other shapes and on NaN.
 * unit_scale: warns of values outside 0 .. 1. */
tensor *mel_read(const char *path, int64_t mels, bool unit_scale);

/* The forward process: the sound at alpha_bar, with noise of the seed. In the current scope. */
audio *add_noise(const audio *clean, double alpha_bar, uint64_t seed);

#endif
