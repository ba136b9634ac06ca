/* hiss's own sound model: a diffusion transformer over mel spectrograms, with no autoencoder between (mel_patches.h). Blocks as in
 * Peebles and Xie 2023 (arXiv 2212.09748) with one modulation for all of them (adaLN-single, Chen et al. 2023, arXiv 2310.00426),
 * rotary positions, RMS norms and SwiGLU. It is given z = t w + (1 - t) noise, t from 0 (noise) to 1, and predicts w.
 * B batch, N patches, P components, D width, E numbers of a text. */
#ifndef HISS_MODELS_MEL_DIT_H
#define HISS_MODELS_MEL_DIT_H

#include "models/mel_patches.h"

typedef struct {
    int64_t width, blocks, heads, text, classes; /* D, .., .., E, K */
    int64_t bands, frames, components;           /* of mel_patches */
    bool music;                                  /* told beats and pitch classes */
    bool reads;                                  /* says which class a text means, and how long its sounds are */
    bool few_steps; /* distilled: told how far its step goes, and how strong the guidance inside it is to be */
    double guidance_low, guidance_high; /* that it was taught */
} mel_dit_config;

/* Keys: width, blocks, heads, components, patch, bands, text_width, classes (a number or names), music and reads (true or false),
 * few_steps (an object: guidance, two numbers). */
mel_dit_config mel_dit_config_read(config c);

typedef struct mel_dit mel_dit;
mel_dit *mel_dit_bind(const mel_dit_config *c, binder *b);
const mel_dit_config *mel_dit_sizes(const mel_dit *net);
const mel_patches *mel_dit_patches(const mel_dit *net);

/* What is asked for. A handle that is off has a learned stand-in: classes -1; of the others the last number of a row is 1 and the
 * rest are 0 (see handle_rows). NULL: off for all. */
typedef struct {
    const float *seconds;   /* [B] of sound before silence */
    const int32_t *classes; /* [B] */
    const tensor *text;     /* [B, E + 1], unit vectors times sqrt(E) */
    const tensor *coarse;   /* [B, N, M / 8 + 1] */
    const tensor *style;    /* [B, 2 M + 1] */
    const tensor *clock;    /* [B, N, clock + 1] of beat_clock.h; of a network that knows music */
    const tensor *melody;   /* [B, N, 12 + 1] of tonal_course.h; the same */
    const float *jump;      /* [B] of a few-step network: the step goes from t to t + jump; 0: no further than t */
    const float *guidance;  /* [B] of a few-step network; 1: as the condition says */
} mel_dit_condition;

/* Rows of values [B, ..., C] -> [B, ..., C + 1], off where given[b] is false (NULL: all given). */
tensor *handle_rows(const tensor *values, float factor, const bool *given);

/* What texts mean, of a network that reads them: text [B, E + 1] as above -> [B, K + 1], logits of the classes, then the natural
 * logarithm of the seconds that such sounds last. */
tensor *mel_dit_read(const mel_dit *net, const tensor *text);

/* z [B, N, P], t [B] -> w [B, N, P]. Of a few-step network: the w that a straight step to t + jump is to aim at in order to land
 * where the whole walk of its teacher does. */
tensor *mel_dit_forward(const mel_dit *net, const tensor *z, const float *t, const mel_dit_condition *c);

#endif
