/* From mel bands back to the bins of a spectrum: a smooth envelope under which a vocoder works, and gains. */
#ifndef HISS_SIGNAL_ENVELOPE_H
#define HISS_SIGNAL_ENVELOPE_H

#include "signal/mel.h"

typedef struct mel_envelope mel_envelope;
/* For a front end whose features are ln of magnitudes (MEL_LN). In the current scope. */
mel_envelope *mel_envelope_new(const mel_front *f);

/* Values at the band centres [bands], interpolated linearly in Hz, held flat beyond the outer ones: [bins]. */
void mel_envelope_spread(const mel_envelope *e, const float *by_band, float *by_bin);
/* The magnitude of each bin if a band's energy lay flat in it, times 0.8 (about the mean of a Rayleigh magnitude over its
 * root mean square): log_mel [bands] -> [bins]. */
void mel_envelope_of(const mel_envelope *e, const float *log_mel, float *magnitude);

#endif
