/* Sound from the magnitudes of its short-time spectrum alone: phases are those of the sound that the last phases gave, again and
 * again (Griffin and Lim 1984), with momentum (Perraudin et al. 2013). Named and counted as in torchaudio and librosa.
 * F frames, K bins. */
#ifndef HISS_SIGNAL_GRIFFIN_LIM_H
#define HISS_SIGNAL_GRIFFIN_LIM_H

#include "signal/stft.h"

/* magnitude [F, K]; start [F, K, 2]: factors of the first spectrum, unit numbers or any others. `rounds` of 0 or more, momentum from 0
 * to under 1. samples: as stft_inverse has it. */
tensor *griffin_lim(const stft_shape *s, const tensor *magnitude, const tensor *start, int rounds, float momentum,
                    int64_t samples);

#endif
