/* What a walk starts from where that is not noise alone: a sound, a sound that goes over into another, or one of which parts are
 * kept. N positions, C channels. */
#ifndef HISS_SYSTEMS_LATENT_START_H
#define HISS_SYSTEMS_LATENT_START_H

#include "systems/latent.h"

typedef struct {
    const audio *own; /* the sound at the model's rate, else as it came; NULL where nothing of it stays */
    /* The same at the level of training, `into` where the end of the result is its own end; NULL after start_from. */
    const audio *sound, *into;
    float gain, into_gain; /* undo that level */
    const tensor *clean;   /* [1, N, C] */
    /* [N]: sigma from which on a position is the network's; before, it is that of `clean`. NULL: always. */
    const float *free_below;
    const float *keep; /* [N]: 1 stays, 0 is made anew; NULL: nothing stays */
} latent_start;

/* Fails on what cannot be started from. */
void start_check(const model *m, const sound_request *r);
/* How far on the way from the first sound (or style) to the second, 0 to 1, the result is at that time. */
double start_way(const model *m, const sound_request *r, double seconds);
/* How far the walk goes back: the request's strength, or more where some of the result lies between the two sounds. */
double start_strength(const model *m, const sound_request *r);
/* NULL where nothing is started from. */
const latent_start *start_from(const model *m, const sound_request *r, int64_t positions, noise_source noise);
/* Frames of the result from `first` on: levels as they were before training's; what stays is put back. */
void start_finish(const model *m, const sound_request *r, const latent_start *s, audio *piece, int64_t first);
/* Guided networks overshoot; one peak is not to make all of a sound quieter than what it started from. */
void start_limit(audio *a);

#endif
