/* Systems whose state is not sound but rows of numbers along time: mel patches, latents of an autoencoder. [B, positions, channels].
 * What such a system is asked for, how its state becomes sound, and what can be done with the walk between them whatever the network
 * is: starting from a sound, keeping parts of it, closing a loop, passing over lengths that the network was not trained on.
 *
 * The state is x = clean + sigma noise, as for all samplers (diffusion/sampler.h). */
#ifndef HISS_SYSTEMS_LATENT_H
#define HISS_SYSTEMS_LATENT_H

#include "diffusion/sampler.h"
#include "diffusion/schedule.h"
#include "signal/resynthesis.h"
#include "systems/sample.h"

enum { NEAREST_CLASSES = 3 };

struct latent_row {
    int64_t window, overlap; /* positions the network sees at once, at most; that neighbours share */
    int64_t steps;
    double guidance;
    double least, most;      /* sigma of the levels a schedule may visit */
    process process;         /* how the network mixes signal and noise */
    bool channels_first;     /* how its original lays out the noise it draws */
    bool begins_with_window; /* sounds of training begin where their window does */
    bool path_of_seed;       /* and whether its Brownian path has the seed itself, over all of least .. most */
    float peak; /* of sounds in training: those started from are brought there; 0: they are taken as they are */
    /* Its own levels, from where `strength` of the way back to noise is gone. NULL: even in the time of rectified flow. */
    levels (*levels)(const model *m, int64_t steps, double strength);
    /* What a request asks of this model, once for all its sounds; fails on what it cannot do. In the current scope. */
    void *(*prepare)(const model *m, const sound_request *r, int64_t samples);
    /* What a request leaves to each sound's own seed. NULL: nothing. */
    void (*vary)(void *asked, uint64_t seed);
    /* [positions, channels] for so many samples. */
    shape (*state)(const model *m, int64_t samples, bool loop);
    /* x [1, n, channels] -> what is believed of it, the noise too where sigma is 0, for a step to the level `to` (few-step
     * networks ask where it ends; it is sigma where the sampler's step is not a straight one); row i is position at[i] of `whole`
     * positions. */
    estimate (*denoise)(const model *m, const void *asked, const tensor *x, double sigma, double to, const int64_t *at,
                        int64_t whole);
    /* A sound at m->rate as a clean state of so many positions; silence follows it. noise: where an autoencoder draws from. */
    tensor *(*encode)(const model *m, const audio *sound, int64_t positions, noise_source noise);
    /* Told what the walk will keep, before it begins: a clean state [1, positions, channels], and 1 or 0 for each position. NULL: it
     * need not know. */
    void (*keep)(const void *asked, const tensor *known, const float *keep_each);
    /* samples of sound at m->rate of a clean state [1, positions, channels]; of a loop, whose end leads into its beginning. */
    audio *(*decode)(const model *m, const void *asked, const tensor *x, int64_t samples, uint64_t seed, bool loop);
    /* The same in order, frames of all channels; of loops where `loops_in_pieces`. NULL: only as a whole. */
    void (*decode_pieces)(const model *m, const void *asked, const tensor *x, int64_t samples, uint64_t seed, bool loop,
                          take_samples *take, void *context);
    bool loops_in_pieces;
    /* The same as the state comes: begun, given clean rows [1, n, channels] one after another, ended. NULL: only as a whole. */
    void *(*voice_begin)(const model *m, const void *asked, int64_t samples, uint64_t seed, take_samples *take,
                         void *context);
    void (*voice_put)(void *voice, const tensor *rows);
    void (*voice_end)(void *voice);
    /* The class that a text means, -1 for none, and the nearest ones in any case. NULL: not known. */
    int32_t (*class_like)(const model *m, const char *text, int32_t nearest[NEAREST_CLASSES]);
    /* How long a sound lasts where a request says nothing, 0: not known. NULL: never known. */
    double (*usual_seconds)(const model *m, const sound_request *r);
};

/* How a request walks: its sampler, its levels of noise. */
const char *latent_sampler(const model *m, const sound_request *r);
levels latent_levels(const model *m, const sound_request *r);
/* Sigma at which step `step` ends that the network is asked for: Euler's goes straight to the next level, samplers of distilled
 * networks jump to the clean state; others put their steps together of slopes, at the level where they are asked. */
double latent_step_end(const sampler *kind, const levels *l, int64_t step);
/* Weight of row i of a window of n, rising where a window before it ends, falling where one follows. */
float window_weight(int64_t i, int64_t n, int64_t overlap, bool first, bool last);

int64_t window_offset(uint64_t pass, int64_t step);
int64_t window_first(int64_t k, int64_t N, int64_t n, int64_t step, int64_t offset);

/* Sound i of a request; asked: what prepare gave. */
audio *latent_sound(const model *m, const sound_request *r, const void *asked, int64_t i);
/* The same handed on while it is decoded, where latent_streams says that this can be. Peaks are turned down by a limiter, but not where
 * parts of a sound stay. */
bool latent_streams(const model *m, const sound_request *r);
void latent_stream(const model *m, const sound_request *r, const void *asked, int64_t i, take_samples *take,
                   void *context);

#endif
