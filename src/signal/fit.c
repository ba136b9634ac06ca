/* See fit.h. */
#include "signal/fit.h"

#include <string.h>

#include "base/scope.h"
#include "signal/sinc.h"

const audio *audio_with_channels(const audio *a, int channels) {
    if (a->channels == channels) return a;
    const audio *mono = a->channels > 1 ? audio_mix_down(a) : a;
    audio *y = audio_new(mono->frames, channels, mono->rate);
    for (int64_t i = 0; i < y->frames * channels; i++) y->samples[i] = mono->samples[i / channels];
    return y;
}

audio *audio_fit(const audio *a, int rate, int64_t frames, int channels) {
    const audio *y = audio_with_channels(sinc_resample(a, rate, &SINC_TORCHAUDIO), channels);
    audio *r = audio_new(frames, channels, rate);
    const int64_t n = y->frames < frames ? y->frames : frames;
    memcpy(r->samples, y->samples, (size_t) (n * channels) * sizeof(float));
    memset(r->samples + n * channels, 0, (size_t) ((frames - n) * channels) * sizeof(float));
    return r;
}
