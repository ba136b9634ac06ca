/* What training the sound model and distilling it share. B canvases, F frames, M bands. */
#ifndef HISS_TRAIN_MEL_DIT_H
#define HISS_TRAIN_MEL_DIT_H

#include "models/mel_dit.h"
#include "train/trainable.h"

extern const char *const MEL_DIT_KEYS[];
int64_t mel_dit_hop(config network);
int64_t mel_dit_mels(config network);
batch_source mel_dit_source(const trainable_data *d);
/* The part of a row that does not depend on the loss. */
#define MEL_DIT_ROW                                                                                                    \
    .name = "mel-dit", .keys = MEL_DIT_KEYS, .front = "hiss", .hop = mel_dit_hop, .mels = mel_dit_mels,                \
    .classes = true, .features = true, .source = mel_dit_source

/* The handles that a batch gives, normal [B, F, M] being its normalised mel. */
mel_dit_condition mel_dit_asked(const mel_dit *net, const batch *b, const tensor *normal);

#endif
