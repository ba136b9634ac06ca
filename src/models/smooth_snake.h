/* BigVGAN's activation without aliases: each channel at twice its rate through x + sin^2(alpha x) / beta and back, between
 * low-pass filters of 12 taps with repeated edges. */
#ifndef HISS_MODELS_SMOOTH_SNAKE_H
#define HISS_MODELS_SMOOTH_SNAKE_H

#include "tensor/tensor.h"

/* x [B, T, C] F32, alpha [C], inverse_beta [C] -> [B, T, C] of type out. Not recorded. */
tensor *smooth_snake(const tensor *x, const float *alpha, const float *inverse_beta, dtype out);

#endif
