/* Resampling by windowed sincs, as the formulas of other tools have it, for figures that are compared with theirs. For all else
 * audio_resample is better and faster. */
#ifndef HISS_SIGNAL_SINC_H
#define HISS_SIGNAL_SINC_H

#include <stdbool.h>

#include "signal/audio.h"

typedef struct {
    double width;    /* zero crossings to each side */
    double rolloff;  /* of half the lower rate */
    double beta;     /* of a Kaiser window; 0: Hann's */
    bool unit_sum;   /* the weights of each output sum to 1, and the ends of the sound go on */
    bool round_down; /* length: floor, else ceil */
} sinc_filter;
/* torchaudio's defaults, fadtk's choice, Hugging Face's musicgen-melody, julius (audiocraft). */
extern const sinc_filter SINC_TORCHAUDIO, SINC_FADTK, SINC_MELODY, SINC_JULIUS;

/* All channels, in the current scope. The same rate gives a copy. */
audio *sinc_resample(const audio *a, int rate, const sinc_filter *f);

#endif
