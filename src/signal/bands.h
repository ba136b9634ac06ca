/* Spectra weighed by a bank of bands, without a logarithm: what the front ends of classifiers begin with. */
#ifndef HISS_SIGNAL_BANDS_H
#define HISS_SIGNAL_BANDS_H

#include "signal/mel.h"

typedef enum { BANDS_MAGNITUDE, BANDS_POWER } bands_of;
/* n mono samples -> F32 [frames, bands]. */
tensor *band_spectrum(const stft_shape *s, const mel_bank *bank, bands_of what, const float *samples, int64_t n);

#endif
