/* Which pitch classes sound along a spectrogram: what a network is told of a melody or of chords, and what is made of a recording to
 * tell it. B batch, F frames, M bands, R frames of a patch, N = F / R patches. */
#ifndef HISS_MODELS_TONAL_COURSE_H
#define HISS_MODELS_TONAL_COURSE_H

#include "tensor/tensor.h"

enum { PITCH_CLASSES = 12 };

/* log-mel [B, F, M], natural logarithm of magnitudes, of bands with these centres in Hz -> [B, N, 12]: strength of each pitch class from
 * C on, squared, the greatest of a patch 1; 0 where a patch is 60 dB below the loudest of its row or has no peaks. From bands that
 * stand out of their neighbours, 100 to 2000 Hz. Not differentiated. */
tensor *tonal_course(const tensor *mel, int64_t patch, const double *centres);

#endif
