/* The upsampling stages of WaveGrad: whole, and in tiles of rows. The tensors inside a stage of the highest rate are dozens
 * of times as large as the sound; in tiles they stay in the cores' caches. B batch, T rows. */
#ifndef HISS_MODELS_WAVEGRAD_STAGE_H
#define HISS_MODELS_WAVEGRAD_STAGE_H

#include "nn/layers.h"

#define WAVEGRAD_SLOPE 0.2f

typedef struct {
    affine input, output;
} wavegrad_film;

typedef struct {
    affine residual, conv[4];
    int factor;
    const int *dilations;
} wavegrad_up;

/* sin(level f_k), then cos; f_k = 10000^(-k / half): [B, C]. */
tensor *wavegrad_encode(const float *level, int64_t B, int64_t C);
/* x [B, T, C], e [B, C] -> shift and gain [B, T, 2 C of the upsampling stage]. */
tensor *wavegrad_film_forward(const wavegrad_film *f, const tensor *x, const tensor *e);
/* x [B, T, C] and its FiLM f [B, T factor, 2 C'] -> [B, T factor, C']. */
tensor *wavegrad_up_forward(const wavegrad_up *u, const tensor *x, const tensor *f);
/* Both at once, some rows at a time, where nothing is recorded: x [B, T, C], down [B, T factor, C'']. */
tensor *wavegrad_up_tiles(const wavegrad_up *u, const wavegrad_film *f, const tensor *x, const tensor *down,
                          const tensor *e);

#endif
