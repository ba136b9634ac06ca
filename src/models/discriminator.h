/* Encodec's discriminator of sound: convolutions over complex short-time spectra of several resolutions, each of which tells recorded
 * sound from made sound (Defossez et al. 2022, arXiv 2210.13438; trained and used as stable-audio-tools does). B sounds, T samples, A
 * channels, F frames, K bins, S scales. */
#ifndef HISS_MODELS_DISCRIMINATOR_H
#define HISS_MODELS_DISCRIMINATOR_H

#include "nn/bind.h"
#include "signal/stft.h"

enum { DISCRIMINATOR_SCALES = 16, DISCRIMINATOR_DILATIONS = 8 };

typedef struct {
    int64_t channels, filters;                  /* A; of each convolution */
    int64_t dilations[DISCRIMINATOR_DILATIONS]; /* over time, of the convolutions between the first and the last two */
    int dilation_count, kernel[2], stride[2];   /* over time and bins; stride: of those */
    stft_shape scales[DISCRIMINATOR_SCALES];
    int scale_count;
    bool normalized; /* spectra are divided by their window's length */
    bool relative;   /* distances of features by the size of those of recorded sound */
} discriminator_config;

/* "config" of stable-audio-tools' "discriminator" of type "encodec"; unknown keys and kinds are errors. */
discriminator_config discriminator_config_read(config c, int64_t channels);

typedef struct discriminator discriminator;
/* Under stable-audio-tools' names, gains and directions apart. */
discriminator *discriminator_bind(const discriminator_config *c, binder *b);
/* Of new values: gains become their directions' lengths. */
void discriminator_begin(const discriminator *d);

/* x [B, T, A] -> [B, F, K, 2 A]: the real parts of all channels, then the imaginary ones, times gain. */
tensor *complex_spectrum(const tensor *x, const stft_shape *s, float gain);

/* Means over scales of sounds [B, T, A]; one number each. What it learns by: hinges of the real ones above 1 and of the made ones below
 * -1. */
tensor *discriminator_loss(const discriminator *d, const tensor *reals, const tensor *made);
/* What who made them learns by: minus the mean of the scores, and how far the features are from those of the real ones (mean of L1
 * over layers). Gradients flow to `made` and to no real one. */
typedef struct {
    tensor *adversarial, *features;
} judgement;
judgement discriminator_judge(const discriminator *d, const tensor *reals, const tensor *made);

#endif
