/* WaveGrad (Chen et al. 2021, arXiv 2009.00713), as lmnt's code has it: a mel spectrogram is upsampled to a waveform's noise
 * by convolutions that the noisy audio steers through feature-wise modulation (FiLM) at every rate.
 * B batch, F frames, T = 300 F samples, M mels. */
#ifndef HISS_MODELS_WAVEGRAD_H
#define HISS_MODELS_WAVEGRAD_H

#include "nn/bind.h"

enum { WAVEGRAD_STAGES = 5 };

/* Stage i of downsampling works at the rate that upsampling stage 4 - i ends at. */
typedef struct {
    int64_t mels, first;                                /* input mels; width of the first convolution on them */
    int64_t down[WAVEGRAD_STAGES], up[WAVEGRAD_STAGES]; /* widths */
    int down_factors[WAVEGRAD_STAGES];                  /* [0] is 1: the first stage is a plain convolution */
    int up_factors[WAVEGRAD_STAGES];
    int dilations[WAVEGRAD_STAGES][4];
} wavegrad_config;

typedef struct wavegrad wavegrad;

/* The published network (base). */
wavegrad_config wavegrad_default(void);
/* mel_channels, first_channels, down_channels, up_channels, down_factors (4), up_factors, up_dilations; absent: published. */
wavegrad_config wavegrad_config_read(config c);
/* Widths that a file's tensors tell override what its configuration says. */
void wavegrad_config_fit(wavegrad_config *c, const store *s);
/* The betas of training: noise_schedule (a list), noise_schedule_linspace [first, last, count], or the published ones. */
double *wavegrad_betas(config c, size_t *count);

wavegrad *wavegrad_bind(const wavegrad_config *c, binder *b);
const wavegrad_config *wavegrad_sizes(const wavegrad *net);
int64_t wavegrad_hop(const wavegrad_config *c); /* samples a frame: the product of the upsampling factors */
/* Samples on each side that a sample's prediction depends on, a multiple of the hop. */
int64_t wavegrad_halo(const wavegrad *net);

/* What the stages gave, for tests; kept while a trace is asked for. */
typedef struct {
    tensor *down[WAVEGRAD_STAGES], *film[WAVEGRAD_STAGES], *up[WAVEGRAD_STAGES], *encoding;
} wavegrad_trace;

/* audio [B, T] F32, mel [B, F, M] F32, level [B]: sqrt of the cumulative alpha, in (0, 1) -> predicted noise [B, T] F32.
 * trace may be NULL. */
tensor *wavegrad_forward(const wavegrad *net, const tensor *audio, const tensor *mel, const float *level,
                         wavegrad_trace *trace);

#endif
