/* Batches for the transformers of stable-audio-tools: windows of latents, the states of captions, and the seconds that its conditions
 * are told. B windows, N positions, L numbers of a latent, S tokens, E their width.
 *
 * Each recording goes through the autoencoder once and each caption through the T5 once; what they gave lies in files (kept.h), in the
 * run's folder or where data.latents says, and is mapped as batches need it. */
#ifndef HISS_TRAIN_STABLE_SOURCE_H
#define HISS_TRAIN_STABLE_SOURCE_H

#include "systems/stable_audio.h"
#include "train/dataset.h"

/* Bits of batch.handles: which conditions a window is given. */
enum { GIVEN_CROSS = 1, GIVEN_PREPEND = 2 };

typedef struct {
    dataset *data;
    const stable_learner *learner;
    const char *from, *folder; /* the model with the autoencoder; where files are kept */
    double dropout;            /* part of the windows given no tokens */
} stable_source_settings;
/* In the current scope. Recordings that cannot be read are named and left out of the dataset. */
batch_source stable_source(const stable_source_settings *s);

#endif
