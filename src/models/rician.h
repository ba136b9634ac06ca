/* What a magnitude network says of each bin of a short-time spectrum, and how likely it makes the true magnitude: the bin
 * is a steady part of amplitude a plus Gaussian noise of deviation s in each of re and im, so its magnitude r is Rician
 * (Rice 1945, "Mathematical analysis of random noise", section 3.10). Everything is in units of the bin's envelope.
 * F frames, K bins. */
#ifndef HISS_MODELS_RICIAN_H
#define HISS_MODELS_RICIAN_H

#include "tensor/tape.h"

/* From a network's outputs o [.., 2K] (first half, second half): a = softplus(4 o + 0.3), s = exp(clamp(4 o - 0.3, -6, 3)).
 * The factor only speeds the output layer up. n rows. */
void rician_read(const float *o, int64_t n, int64_t bins, float *a, float *s);

/* The mean over all bins, weighted, of the negative log likelihood of r but for ln r, at most 50 a bin: (r - a)^2 / (2 s^2)
 * - ln(I0(z) e^-z) + 2 ln s, z = r a / s^2. o [..., 2K], r and weight [..., K] constants, r within 1e-3 .. 20. */
tensor *rician_loss(const tensor *o, const tensor *r, const tensor *weight);

#endif
