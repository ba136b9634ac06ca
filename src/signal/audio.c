/* Sounds in memory: construction, bounds, channels, resampling. */
#include "signal/audio.h"

#include <soxr.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"

audio *audio_new(int64_t frames, int channels, int rate) {
    if (channels < 1 || channels > AUDIO_MAX_CHANNELS)
        fail(HISS_ERROR_ARGUMENT, "a sound of %d channels: 1 to %d are possible", channels, AUDIO_MAX_CHANNELS);
    if (rate < AUDIO_MIN_RATE || rate > AUDIO_MAX_RATE)
        fail(HISS_ERROR_ARGUMENT, "a sample rate of %d Hz: %d to %d are possible", rate, AUDIO_MIN_RATE,
             AUDIO_MAX_RATE);
    if (frames < 0 || frames > AUDIO_MAX_VALUES / channels)
        fail(HISS_ERROR_MEMORY, "a sound of %lld frames of %d channels: at most %d values are possible",
             (long long) frames, channels, AUDIO_MAX_VALUES);
    audio *a = NEW(audio);
    *a = (audio){.frames = frames, .channels = channels, .rate = rate};
    a->samples = alloc(sizeof(float) * (size_t) (frames > 0 ? frames * channels : 1));
    return a;
}

audio *audio_cut(const audio *a, int64_t first, int64_t frames) {
    if (first < 0 || frames < 0 || first > a->frames || frames > a->frames - first)
        fail(HISS_ERROR_ARGUMENT, "cannot cut frames %lld to %lld out of a sound of %lld", (long long) first,
             (long long) (first + frames), (long long) a->frames);
    audio *out = audio_new(frames, a->channels, a->rate);
    memcpy(out->samples, a->samples + first * a->channels, sizeof(float) * (size_t) (frames * a->channels));
    return out;
}

audio *audio_copy(const audio *a) { return audio_cut(a, 0, a->frames); }

audio *audio_mix_down(const audio *a) {
    audio *out = audio_new(a->frames, 1, a->rate);
    const int channels = a->channels;
    for (int64_t t = 0; t < a->frames; t++) {
        float sum = 0;
        for (int c = 0; c < channels; c++) sum += a->samples[t * channels + c];
        out->samples[t] = channels == 1 ? sum : sum / (float) channels;
    }
    return out;
}

audio *audio_channel(const audio *a, int channel) {
    if (channel < 0 || channel >= a->channels)
        fail(HISS_ERROR_ARGUMENT, "channel %d of a sound of %d channels: 0 to %d are possible", channel, a->channels,
             a->channels - 1);
    audio *out = audio_new(a->frames, 1, a->rate);
    for (int64_t t = 0; t < a->frames; t++) out->samples[t] = a->samples[t * a->channels + channel];
    return out;
}

audio *audio_resample(const audio *a, int rate) {
    if (rate == a->rate) return audio_copy(a);
    if (rate < AUDIO_MIN_RATE || rate > AUDIO_MAX_RATE)
        fail(HISS_ERROR_ARGUMENT, "cannot resample to %d Hz: %d to %d are possible", rate, AUDIO_MIN_RATE,
             AUDIO_MAX_RATE);
    const int64_t frames = (a->frames * rate + a->rate - 1) / a->rate;
    audio *out = audio_new(frames, a->channels, rate);
    if (frames == 0) return out;
    const soxr_io_spec_t form = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
    size_t taken = 0, made = 0;
    soxr_error_t error = soxr_oneshot(a->rate, rate, (unsigned) a->channels, a->samples, (size_t) a->frames, &taken,
                                      out->samples, (size_t) frames, &made, &form, &quality, &runtime);
    if (error) fail(HISS_ERROR_MEMORY, "cannot resample from %d to %d Hz: %s", a->rate, rate, soxr_strerror(error));
    const size_t values = (size_t) (frames * a->channels), got = made * (size_t) a->channels;
    memset(out->samples + got, 0, sizeof(float) * (values - got));
    return out;
}
