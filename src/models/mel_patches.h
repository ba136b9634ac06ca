/* Mel spectrograms as tokens: patches of a few frames, seen along the principal axes of the training patches, each axis scaled so
 * that loudness does not drown the rest: w = (x - centre) basis^T scale, scale_i = c / lambda_i^(1/4), mean variance 1. What it
 * does to the noise levels at which things are decided is told in docs/sound.md.
 * B batch, F frames, M bands, R frames of a patch, N = F / R patches, P components kept. */
#ifndef HISS_MODELS_MEL_PATCHES_H
#define HISS_MODELS_MEL_PATCHES_H

#include "nn/bind.h"

typedef struct {
    int64_t bands, frames, components; /* M, R, P */
    tensor *mean, *deviation;          /* [M] of the mel spectrogram */
    tensor *centre, *basis, *scale;    /* [R M], [P, R M], [P] */
} mel_patches;

/* "mel.mean", "mel.deviation", "patch.centre", "patch.basis", "patch.scale": measured by fitting, not learned. */
mel_patches mel_patches_bind(int64_t bands, int64_t frames, int64_t components, binder *b);

/* Per band to mean 0 and deviation 1, held within +-6: [B, F, M] -> the same, and back. */
tensor *mel_normalise(const mel_patches *p, const tensor *mel);
void mel_denormalise(const mel_patches *p, tensor *x);

/* Normalised [B, F, M] -> w [B, N, P], and back. */
tensor *mel_to_patches(const mel_patches *p, const tensor *x);
tensor *mel_from_patches(const mel_patches *p, const tensor *w);

/* What is said of a normalised spectrogram to the network: of each patch the means of COARSE_BANDS bands, [B, N, M / 8]; of
 * the first valid[b] frames mean and standard deviation of each band, [B, 2 M]. */
enum { COARSE_BANDS = 8 };
tensor *mel_coarse(const mel_patches *p, const tensor *x);
tensor *mel_style(const mel_patches *p, const tensor *x, const int64_t *valid);

#endif
