/* How close a sound is to the one it was made after. All figures are 0 for equal sounds, and punish two equal noises for
 * differing: look at the others beside them. */
#ifndef HISS_EVAL_CLOSENESS_H
#define HISS_EVAL_CLOSENESS_H

#include "signal/mel.h"

typedef struct {
    /* Over STFTs of 256 to 4096 samples, hop a quarter: the mean of spectral convergence |S - S'| / |S| and of
     * |ln S - ln S'|, halved; magnitudes from 80 dB under the loudest. */
    double multi_resolution;
    /* dB between band powers of four frames together: root mean square over audible bands, mean over time. */
    double band_decibel;
    /* Mean difference of log-mels in audible bands. */
    double log_mel;
} closeness;

/* n samples each, at f->rate; f: what log-mels are measured with (MEL_LN). Bands count as audible within 80 dB of the
 * loudest. */
closeness closeness_of(const mel_front *f, const float *real, const float *made, int64_t n);

/* Fourth moment over squared second moment of STFT magnitudes over time, mean over bins whose power lies within 60 dB of the
 * strongest: 2 for Gaussian noise, 1 for steady partials. For sounds whose spectrum stays the same. */
double magnitude_kurtosis(const float *sound, int64_t n);

#endif
