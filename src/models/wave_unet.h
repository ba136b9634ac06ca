/* A small waveform U-Net for one-shots: hiss's own. Patches of samples are channels; three rates, residual blocks of two
 * convolutions under RMS normalisation, modulated by noise level and class.
 *
 * Decaying sounds are whitened first: w = x / g_class(t), g the typical level of the class at that time, so that a tail at
 * -50 dB gets as much of the loss as the hit. The network works on w; g is a table in the file.
 * B batch, T samples (a multiple of wave_unet_multiple), K classes. */
#ifndef HISS_MODELS_WAVE_UNET_H
#define HISS_MODELS_WAVE_UNET_H

#include "nn/bind.h"

enum { WAVE_UNET_LEVELS = 3, ENVELOPE_FRAME = 64 /* samples a row of the table of levels */ };

typedef struct {
    int64_t patch, widths[WAVE_UNET_LEVELS], depths[WAVE_UNET_LEVELS]; /* samples; channels; blocks, each way */
    int64_t down, embedding, classes;                                  /* rate from level to level; width; K */
    int64_t frames;                                                    /* of the table of levels */
    double sigma_low, sigma_high;                                      /* noise over whitened signal, for sampling */
} wave_unet_config;

typedef struct wave_unet wave_unet;

/* Keys: patch, widths (3), depths (3), down, embedding_hidden, classes (a number or names), audio_len, sigma_low, sigma_high. */
wave_unet_config wave_unet_config_read(config c);
wave_unet *wave_unet_bind(const wave_unet_config *c, binder *b);
const wave_unet_config *wave_unet_sizes(const wave_unet *net);
int64_t wave_unet_multiple(const wave_unet_config *c);

/* z [B, T] = (w + sigma n) / sqrt(sigma^2 + 1), sigma [B], classes [B] (-1 or NULL: none) -> F [B, T], the negative of
 * v-prediction (Salimans and Ho 2022): w = k z / ... see wave_unet.c. */
tensor *wave_unet_forward(const wave_unet *net, const tensor *z, const float *sigma, const int32_t *classes);

/* x [B, T] times or divided by the level of its class, in place; class -1: the mean over classes. */
void wave_unet_colour(const wave_unet *net, tensor *x, const int32_t *classes);
void wave_unet_whiten(const wave_unet *net, tensor *x, const int32_t *classes);
/* The table [K, frames], to be filled before training. */
float *wave_unet_envelope(wave_unet *net);

#endif
