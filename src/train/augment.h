/* Variety for clips of sound alone: a second clip mixed in, another playback rate, another level. Each draw is a function
 * of the clip's key. */
#ifndef HISS_TRAIN_AUGMENT_H
#define HISS_TRAIN_AUGMENT_H

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "signal/audio.h"

typedef struct {
    bool on;
    double mix, mix_db[2]; /* part of the clips that get a second one; its level against them, from .. to */
    double rate, octaves;  /* part of the clips played at another rate; up to so many octaves up or down */
    double peak_db[2];     /* each clip's peak comes to between these, dB of full scale */
} augmentation;

/* The recipe's object data.augment: mix, mix_db, rate, octaves, peak_db; absent: nothing is changed. */
augmentation augmentation_read(config data);

/* The playback rate of a clip, 1 for most. */
double augment_rate(const augmentation *a, random_key clip);
/* samples (played at `ratio` times the rate) to n samples at the rate. */
void augment_resample(const audio *samples, double ratio, float *out, int64_t n);
/* Whether the clip gets a second one, and how it goes in: both have n samples. */
bool augment_mixes(const augmentation *a, random_key clip);
void augment_mix(const augmentation *a, random_key clip, float *x, const float *second, int64_t n);
void augment_level(const augmentation *a, random_key clip, float *x, int64_t n);

#endif
