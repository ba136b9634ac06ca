/* See onset.h. */
#include "eval/onset.h"

#include <math.h>
#include <stdlib.h>

#include "base/scope.h"
#include "signal/edit.h"

double rise_ms(const audio *mono) {
    require(mono->channels == 1);
    const int64_t frame = mono->rate / 1000, frames = mono->frames / frame;
    if (frames < 1) return 0;
    scope_begin();
    float *envelope = NEW_ARRAY(float, frames);
    int64_t peak = 0, first, last;
    for (int64_t i = 0; i < frames * frame; i++)
        envelope[i / frame] = fmaxf(envelope[i / frame], fabsf(mono->samples[i]));
    for (int64_t i = 1; i < frames; i++)
        if (envelope[i] > envelope[peak]) peak = i;
    const float top = envelope[peak];
    for (first = peak; first > 0 && envelope[first] >= 0.1f * top; first--) {
    }
    for (last = first; envelope[last] < 0.9f * top; last++) {
    }
    scope_end();
    return (double) (last - first) * (double) frame / mono->rate * 1000;
}

double tail_db(const audio *mono) {
    require(mono->channels == 1);
    const int64_t n = mono->rate / 20 < mono->frames ? mono->rate / 20 : mono->frames;
    double square = 0, peak = audio_peak(mono);
    for (int64_t i = mono->frames - n; i < mono->frames; i++) square += (double) mono->samples[i] * mono->samples[i];
    return peak > 0 ? 20 * log10(sqrt(square / (double) n) / peak + 1e-6) : -120;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

double median_of(double *values, int64_t n) {
    int64_t known = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(values[i])) values[known++] = values[i];
    if (!known) return NAN;
    qsort(values, (size_t) known, sizeof *values, by_value);
    return known % 2 ? values[known / 2] : (values[known / 2 - 1] + values[known / 2]) / 2;
}
