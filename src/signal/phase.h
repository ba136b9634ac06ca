/* Phases for magnitudes: the phase of a short-time spectrum under a Gaussian-like window is the integral of the gradients of
 * its log magnitude. Integrated frame after frame along the loudest paths, by a heap (Prusa and Sondergaard 2016, "Real-time
 * spectrogram inversion using phase gradient heap integration"). The result depends on the magnitudes and the key alone:
 * equal magnitudes are taken in the order of their bins. */
#ifndef HISS_SIGNAL_PHASE_H
#define HISS_SIGNAL_PHASE_H

#include "base/random.h"

typedef struct phase_integrator phase_integrator;

/* For periodic Hann windows of n_fft samples; frames count from their first sample, as in stft.h. In the current scope. */
phase_integrator *phase_integrator_new(int n_fft, int hop, random_key key);
/* The phases of the next frame [n_fft / 2 + 1]. log_magnitude: ln of its magnitudes, after: of the frame after it (of the
 * last frame: its own again). Bins 100 dB under the loudest of this frame and the one before get random phases. */
void phase_next(phase_integrator *p, const float *log_magnitude, const float *after, float *phase);

#endif
