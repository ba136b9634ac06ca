/* Sounds as a network takes them. */
#ifndef HISS_SIGNAL_FIT_H
#define HISS_SIGNAL_FIT_H

#include "signal/audio.h"

/* As many channels: all of one are the same, others come from the mean of all. The sound itself if it has them. */
const audio *audio_with_channels(const audio *a, int channels);
/* As stable-audio-tools does it: resampled by torchaudio's formula, cut or followed by silence, with as many channels. */
audio *audio_fit(const audio *a, int rate, int64_t frames, int channels);

#endif
