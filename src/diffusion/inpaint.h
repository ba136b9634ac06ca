/* Inpainting: parts of a sound are kept and the rest is made anew; masks are 1 where the sound is kept. */
#ifndef HISS_DIFFUSION_INPAINT_H
#define HISS_DIFFUSION_INPAINT_H

#include "diffusion/sampler.h"

/* x = keep (a init + b noise) + (1 - keep) x; keep: one value for each `channels` of x. */
void blend(tensor *x, const float *keep, int64_t channels, mixing at, const tensor *init, const tensor *noise);

/* The kept part is put back, noisy as the state is, at a moment of every step: before the network's call (AudioLDM), after it
 * (stable-audio-tools 0.0.16) or after the step (diffusers). Context of inpaint_touch. */
typedef struct {
    moment when;
    const tensor *init;
    const float *keep; /* 1 keeps, or with `soft` the share of the steps after which a position is kept */
    int64_t channels;
    bool soft;
    int64_t steps;
    noise_path noise; /* fresh for every step; or */
    const tensor *fixed;
} inpainting;
bool inpaint_touch(void *context, moment when, int64_t step, double sigma, tensor *x);
/* Positions kept in step `step` of `steps` by a soft mask, compared in float as the original does. */
void harden(const float *soft, int64_t n, int64_t step, int64_t steps, float *keep);

/* A soft mask of n positions in stable-audio-tools' terms: start, end and the softness of both ends in percent; marination
 * keeps all of it free in the last steps. In the current scope. */
float *soft_mask(int64_t n, double start, double end, double soft_left, double soft_right, double marination);
/* Samples of a sound that is kept but for spans of seconds; nothing is kept beyond `total` seconds, if
 * that is known (above 0). */
float *keep_mask(int64_t samples, int64_t rate, const double *starts, const double *ends, size_t spans, double total);
/* The same for latent frames: the nearest sample of each. */
float *latent_mask(const float *keep, int64_t samples, int64_t frames);

/* RePaint (Lugmayr et al. 2022, arXiv 2201.09865): levels of `steps` in order, from the noisiest down with jumps back up;
 * rising ones are reached by adding noise. In the current scope. */
int64_t *repaint_order(int64_t steps, int64_t jump, int64_t times, size_t *count);
/* The steps of a strength, the last ones: Meng et al. 2022, arXiv 2108.01073. */
int64_t strength_steps(int64_t steps, double strength);

#endif
