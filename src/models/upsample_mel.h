/* A mel spectrogram stretched in time by a learned transposed convolution of one channel. */
#ifndef HISS_MODELS_UPSAMPLE_MEL_H
#define HISS_MODELS_UPSAMPLE_MEL_H

#include "tensor/ops.h"

/* ConvTranspose2d(1, 1, kernel (3, 2 s), stride (1, s), padding (1, s / 2)) over [mels, frames], then leaky_relu:
 * x [B, F, M], w [1, 1, 3, 2 s], b [1] -> [B, s F, M]. s even. */
tensor *upsample_mel(const tensor *x, const tensor *w, const tensor *b, float slope, dtype out);

#endif
