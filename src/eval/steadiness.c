/* See steadiness.h. F frames, M mels; cells of 8 frames by 8 bands, whose course is compared with itself. */
#include "eval/steadiness.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "signal/mel.h"

enum { RATE = 44100, CELL = 8, LEAST_PARTS = 3 };
static const double PART_SECONDS = 10, LEAST_LAG_SECONDS = 3;

static double level_of(const float *x, int64_t n) {
    double sum = 1e-20;
    for (int64_t i = 0; i < n; i++) sum += (double) x[i] * x[i];
    return 10 * log10(sum / (double) (n ? n : 1));
}

static void measure_levels(const audio *a, steadiness *s) {
    const int64_t each = a->frames / s->parts;
    double of_time = 0, of_both = 0;
    s->level_db = level_of(a->samples, a->frames);
    s->level_low_db = INFINITY;
    s->level_high_db = -INFINITY;
    for (int64_t i = 0; i < s->parts; i++) {
        const double db = level_of(a->samples + i * each, each) - s->level_db,
                     t = (double) i / (double) (s->parts - 1) - 0.5;
        s->level_low_db = fmin(s->level_low_db, db);
        s->level_high_db = fmax(s->level_high_db, db);
        of_time += t * t;
        of_both += t * db;
    }
    s->level_drift_db = of_both / of_time;
}

/* The mean power of each band over frames first .. last - 1, in dB: [M]. */
static double *mean_spectrum(const tensor *mel, int64_t first, int64_t last) {
    const int64_t M = mel->shape[1];
    double *mean = NEW_ARRAY(double, M);
    for (int64_t f = first; f < last; f++)
        for (int64_t m = 0; m < M; m++) mean[m] += exp(2.0 * (double) f32(mel)[f * M + m]) / (double) (last - first);
    for (int64_t m = 0; m < M; m++) mean[m] = 10 * log10(mean[m]);
    return mean;
}

static double apart(const double *a, const double *b, int64_t M) {
    double sum = 0;
    for (int64_t m = 0; m < M; m++) sum += (a[m] - b[m]) * (a[m] - b[m]);
    return sqrt(sum / (double) M);
}

static void measure_spectra(const tensor *mel, steadiness *s) {
    const int64_t F = mel->shape[0], M = mel->shape[1], each = F / s->parts, quarter = F / 4;
    const double *all = mean_spectrum(mel, 0, F);
    for (int64_t i = 0; i < s->parts; i++)
        s->spectrum_far_db = fmax(s->spectrum_far_db, apart(mean_spectrum(mel, i * each, (i + 1) * each), all, M));
    s->spectrum_drift_db = apart(mean_spectrum(mel, 0, quarter), mean_spectrum(mel, F - quarter, F), M);
}

/* Means of cells, each band's over all time taken away: [*n, M / CELL]. */
static float *course_of(const tensor *mel, int64_t *n) {
    const int64_t M = mel->shape[1], C = M / CELL, N = *n = mel->shape[0] / CELL;
    float *course = NEW_ARRAY(float, N *C);
    for (int64_t f = 0; f < N * CELL; f++)
        for (int64_t m = 0; m < C * CELL; m++) course[f / CELL * C + m / CELL] += f32(mel)[f * M + m] / (CELL * CELL);
    for (int64_t c = 0; c < C; c++) {
        double mean = 0;
        for (int64_t i = 0; i < N; i++) mean += course[i * C + c] / (double) N;
        for (int64_t i = 0; i < N; i++) course[i * C + c] -= (float) mean;
    }
    return course;
}

static double correlation(const float *a, const float *b, int64_t n) {
    double ab = 0, aa = 1e-12, bb = 1e-12;
    for (int64_t i = 0; i < n; i++) {
        ab += (double) a[i] * b[i];
        aa += (double) a[i] * a[i];
        bb += (double) b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

/* Lags up to two thirds of the sound: what comes after the first repetition is a repetition, too. */
static void measure_likeness(const tensor *mel, int hop, steadiness *s) {
    int64_t N;
    const float *course = course_of(mel, &N);
    const int64_t C = mel->shape[1] / CELL;
    const double cell_seconds = (double) hop * CELL / RATE;
    s->likeness = -1;
    for (int64_t lag = (int64_t) ceil(LEAST_LAG_SECONDS / cell_seconds); lag < N * 2 / 3; lag++) {
        const double r = correlation(course, course + lag * C, (N - lag) * C);
        if (r <= s->likeness) continue;
        s->likeness = r;
        s->lag_seconds = (double) lag * cell_seconds;
    }
}

steadiness steadiness_of(const audio *sound) {
    scope_begin();
    const audio *mono = sound->channels > 1 ? audio_mix_down(sound) : sound;
    if (mono->rate != RATE) mono = audio_resample(mono, RATE);
    const double seconds = (double) mono->frames / RATE;
    steadiness s = {.parts = (int64_t) (seconds / PART_SECONDS)};
    if (s.parts < LEAST_PARTS)
        fail(HISS_ERROR_ARGUMENT, "%.3g s are too short to hear a sound go on: give %g s at least", seconds,
             LEAST_PARTS * PART_SECONDS);
    const mel_front f = mel_front_named("hiss");
    const tensor *mel = mel_compute(&f, mono->samples, mono->frames);
    measure_levels(mono, &s);
    measure_spectra(mel, &s);
    measure_likeness(mel, f.stft.hop, &s);
    scope_end();
    return s;
}
