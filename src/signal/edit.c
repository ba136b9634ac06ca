/* Edits of sounds, sample by sample. */
#include "signal/edit.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"

float audio_peak(const audio *a) {
    const int64_t values = a->frames * a->channels;
    float peak = 0;
#pragma omp simd reduction(max : peak)
    for (int64_t i = 0; i < values; i++) peak = fmaxf(peak, fabsf(a->samples[i]));
    return peak;
}

double decibel(double amplitude) { return amplitude > 0 ? 20 * log10(amplitude) : -INFINITY; }

double amplitude_of(double db) { return pow(10, db / 20); }

/* Seconds of a sound as frames, at most `most`. */
static int64_t frames_of(const audio *a, double seconds, int64_t most) {
    const double frames = seconds > 0 ? seconds * a->rate : 0;
    return frames < (double) most ? (int64_t) frames : most;
}

static bool louder(const audio *a, int64_t frame, float threshold) {
    for (int c = 0; c < a->channels; c++)
        if (fabsf(a->samples[frame * a->channels + c]) > threshold) return true;
    return false;
}

audio *trim_silence(const audio *a, double below_peak_db, double head_seconds, double tail_seconds) {
    const float threshold = (float) (audio_peak(a) * amplitude_of(-fabs(below_peak_db)));
    int64_t first = 0, end = a->frames;
    while (first < end && !louder(a, first, threshold)) first++;
    while (end > first && !louder(a, end - 1, threshold)) end--;
    if (first == end) return audio_new(0, a->channels, a->rate);
    first -= frames_of(a, head_seconds, first);
    end += frames_of(a, tail_seconds, a->frames - end);
    return audio_cut(a, first, end - first);
}

audio *pad_silence(const audio *a, int64_t before_frames, int64_t after_frames) {
    if (before_frames < 0 || after_frames < 0 || before_frames > AUDIO_MAX_VALUES || after_frames > AUDIO_MAX_VALUES)
        fail(HISS_ERROR_ARGUMENT, "cannot add %lld and %lld frames of silence", (long long) before_frames,
             (long long) after_frames);
    audio *out = audio_new(before_frames + a->frames + after_frames, a->channels, a->rate);
    memset(out->samples, 0, sizeof(float) * (size_t) (out->frames * out->channels));
    memcpy(out->samples + before_frames * a->channels, a->samples, sizeof(float) * (size_t) (a->frames * a->channels));
    return out;
}

void fade(audio *a, double in_seconds, double out_seconds) {
    const double asked = fmax(in_seconds, 0) + fmax(out_seconds, 0), length = (double) a->frames / a->rate;
    const double share = asked > length ? length / asked : 1;
    const int64_t in = frames_of(a, in_seconds * share, a->frames), out = frames_of(a, out_seconds * share, a->frames);
    for (int64_t t = 0; t < in; t++)
        for (int c = 0; c < a->channels; c++)
            a->samples[t * a->channels + c] *= (float) (0.5 - 0.5 * cos(M_PI * (double) t / (double) in));
    for (int64_t t = 0; t < out; t++)
        for (int c = 0; c < a->channels; c++)
            a->samples[(a->frames - 1 - t) * a->channels + c] *=
                (float) (0.5 - 0.5 * cos(M_PI * (double) t / (double) out));
}

void gain(audio *a, double db) {
    const float factor = (float) amplitude_of(db);
    const int64_t values = a->frames * a->channels;
    for (int64_t i = 0; i < values; i++) a->samples[i] *= factor;
}

void remove_dc(audio *a) {
    for (int c = 0; c < a->channels && a->frames > 0; c++) {
        double sum = 0;
        for (int64_t t = 0; t < a->frames; t++) sum += a->samples[t * a->channels + c];
        const float mean = (float) (sum / (double) a->frames);
        for (int64_t t = 0; t < a->frames; t++) a->samples[t * a->channels + c] -= mean;
    }
}

double normalise_peak(audio *a, double db) {
    const float peak = audio_peak(a);
    if (peak == 0) return 0;
    const double by = db - decibel(peak);
    gain(a, by);
    return by;
}

double normalise_loudness(audio *a, double lufs, double peak_db) {
    const double measured = loudness(a);
    if (!isfinite(measured)) return 0;
    const double by = fmin(lufs - measured, peak_db - decibel(audio_peak(a)));
    gain(a, by);
    return by;
}
