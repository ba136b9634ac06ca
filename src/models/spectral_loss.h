/* How far sound is from sound in short-time spectra (Yamamoto et al. 2020, arXiv 1910.11480; auraloss), and the losses of
 * stable-audio-tools' autoencoders. B sounds, T samples. */
#ifndef HISS_MODELS_SPECTRAL_LOSS_H
#define HISS_MODELS_SPECTRAL_LOSS_H

#include "signal/stft.h"
#include "tensor/tape.h"

/* The mean over sounds of |Y - X| / |Y|, X and Y their magnitudes, and the mean of |ln X - ln Y|; magnitudes are at least the root of
 * eps. x [B, T] is what is to be reached, y [B, T] what was made: the first term is over its norm. One number. */
tensor *spectral_loss(const tensor *x, const tensor *y, const stft_shape *s, float eps);
/* Its two terms. */
void spectral_terms(const tensor *x, const tensor *y, const stft_shape *s, float eps, double terms[2]);

/* Stereo sounds [B, T, 2]: the mean over resolutions, A weighted; of sum and difference, half of each, and half of each channel. */
typedef struct {
    const stft_shape *shapes;
    int count;
    float eps;
    double rate; /* 0: not weighted */
} spectral_losses;
tensor *sum_and_difference_loss(const tensor *x, const tensor *y, const spectral_losses *l);
/* One resolution's two terms, of the sum or the difference. */
void sum_and_difference_terms(const tensor *x, const tensor *y, bool difference, const stft_shape *s,
                              const spectral_losses *l, double terms[2]);
tensor *channel_loss(const tensor *x, const tensor *y, int channel, const spectral_losses *l);

/* What an encoder gives, means and scales [B, N, 2 L]: latents drawn with noise [B, N, L]; the mean over frames of the divergence from
 * standard normals. */
tensor *draw_latents(const tensor *encoded, const tensor *noise);
tensor *divergence(const tensor *encoded);

#endif
