/* DiffWave (Kong et al. 2021, arXiv 2009.09761), as lmnt's code has it: a stack of dilated residual convolutions that
 * predicts the noise in a waveform at a diffusion step, given a mel spectrogram, a class, both or nothing.
 * B batch, T samples, F frames of 256 samples, M mels. */
#ifndef HISS_MODELS_DIFFWAVE_H
#define HISS_MODELS_DIFFWAVE_H

#include "nn/bind.h"

enum { DIFFWAVE_HOP = 256 }; /* samples a mel frame: fixed by the upsampler's two strides of 16 */

typedef struct {
    int64_t layers, channels; /* residual layers and their width */
    int64_t cycle;            /* dilations 1, 2, 4 .. 2^(cycle - 1), again and again */
    int64_t embedding;        /* width of the step embedding */
    int64_t mels;             /* 0: unconditional */
    int64_t classes;          /* 0: none; one more row stands for "no class" */
    int64_t steps;            /* of training: rows of the step table */
} diffwave_config;

typedef struct diffwave diffwave;

/* The published network (BASE). */
diffwave_config diffwave_default(void);
/* lmnt's keys (residual_layers, residual_channels, dilation_cycle_length, n_mels, unconditional, noise_schedule) and hiss's
 * (embedding_hidden, classes: an integer or a list of names); absent ones keep the default. */
diffwave_config diffwave_config_read(config c);
/* Sizes that a file's tensors tell override what its configuration says. */
void diffwave_config_fit(diffwave_config *c, const store *s);
/* The betas of training (noise_schedule, or the default linspace(1e-4, 0.05, 50)), in the current scope. */
double *diffwave_betas(config c, size_t *count);

diffwave *diffwave_bind(const diffwave_config *c, binder *b);
const diffwave_config *diffwave_sizes(const diffwave *net);
/* Samples on each side that a sample's prediction depends on. */
int64_t diffwave_halo(const diffwave *net);

/* audio [B, T] F32, step [B] (fractional allowed: the embedding is interpolated), mel [B, F, M] with T = 256 F or NULL,
 * classes [B] (-1: none) or NULL -> predicted noise [B, T] F32. */
tensor *diffwave_forward(const diffwave *net, const tensor *audio, const float *step, const tensor *mel,
                         const int32_t *classes);

/* Its parts, for tests: [B, embedding]; [B, T, M]; the fixed table [steps, 128]. */
tensor *diffwave_embed(const diffwave *net, const float *step, int64_t batch);
tensor *diffwave_upsample(const diffwave *net, const tensor *mel, dtype out);
tensor *diffwave_table(int64_t steps);

#endif
