/* See music.h. */
#include "eval/music.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "signal/bands.h"

enum { RATE = 22050 };

static const audio *heard(const audio *sound) { return audio_resample(audio_mix_down(sound), RATE); }

/* --- tempo --- */

enum { ONSET_HOP = 256, ONSET_BANDS = 40, STEPS = 400, MULTIPLES = 4 };

/* Rises of compressed band levels, less their running mean: [frames]. */
static float *onset_strength(const audio *mono, int64_t *frames) {
    enum { REACH = 21 /* frames, a quarter of a second */ };
    const stft_shape shape = {1024, 1024, ONSET_HOP, STFT_CENTRED, true};
    const mel_bank *bank = mel_bank_new(MEL_SLANEY, true, RATE, shape.n_fft, ONSET_BANDS, 30, 8000);
    tensor *bands = band_spectrum(&shape, bank, BANDS_MAGNITUDE, mono->samples, mono->frames);
    float most = 0;
    for (int64_t i = 0; i < count(bands); i++) most = fmaxf(most, f32(bands)[i]);
    for (int64_t i = 0; i < count(bands); i++) f32(bands)[i] = logf(1 + 1000 * f32(bands)[i] / fmaxf(most, 1e-9f));
    const int64_t F = *frames = bands->shape[0];
    float *rise = NEW_ARRAY(float, F), *out = NEW_ARRAY(float, F);
    for (int64_t t = 1; t < F; t++)
        for (int m = 0; m < ONSET_BANDS; m++)
            rise[t] += fmaxf(0, f32(bands)[t * ONSET_BANDS + m] - f32(bands)[(t - 1) * ONSET_BANDS + m]);
    for (int64_t t = 0; t < F; t++) {
        double mean = 0;
        int64_t n = 0;
        for (int64_t k = t < REACH ? 0 : t - REACH; k < F && k <= t + REACH; k++, n++) mean += rise[k];
        out[t] = fmaxf(0, rise[t] - (float) (mean / (double) n));
    }
    return out;
}

/* Unbiased, over its value at no lag: [lags]. Onsets are smoothed by a frame to each side, so that unsteady ones meet. */
static double *autocorrelation(const float *x, int64_t n, int64_t lags) {
    double *smooth = NEW_ARRAY(double, n), *r = NEW_ARRAY(double, lags), mean = 0;
    for (int64_t i = 0; i < n; i++) {
        smooth[i] = 0.5 * x[i] + 0.25 * (i ? x[i - 1] : 0) + 0.25 * (i + 1 < n ? x[i + 1] : 0);
        mean += smooth[i] / (double) n;
    }
    for (int64_t i = 0; i < n; i++) smooth[i] -= mean;
    for (int64_t lag = 0; lag < lags && lag < n; lag++) {
        for (int64_t i = lag; i < n; i++) r[lag] += smooth[i] * smooth[i - lag];
        r[lag] /= (double) (n - lag);
    }
    for (int64_t lag = lags - 1; lag >= 0 && r[0] > 0; lag--) r[lag] /= r[0];
    return r;
}

static double at(const double *r, int64_t n, double lag) {
    int64_t low = (int64_t) lag;
    if (low + 1 >= n) return 0;
    return r[low] + (lag - (double) low) * (r[low + 1] - r[low]);
}

/* How likely a tempo is before anything is heard: log-normal about 105. */
static double prior(double bpm) { return exp(-0.5 * pow(log2(bpm / 105) / 1.2, 2)); }

/* The tempo at whose beat and its multiples, up to a bar of four, onsets meet onsets best. */
double music_tempo(const audio *sound) {
    scope_begin();
    int64_t frames;
    const float *onsets = onset_strength(heard(sound), &frames);
    const double frames_a_minute = 60.0 * RATE / ONSET_HOP;
    int64_t lags = (int64_t) (MULTIPLES * frames_a_minute / MUSIC_SLOWEST) + 2;
    const int64_t most = frames * 3 / 4; /* beyond it few frames meet */
    if (lags > most) lags = most;
    const double *r = lags > 1 ? autocorrelation(onsets, frames, lags) : NULL;
    double best = 0, tempo = 0;
    for (int i = 0; i <= STEPS && r; i++) {
        double bpm = MUSIC_SLOWEST * pow((double) MUSIC_FASTEST / MUSIC_SLOWEST, (double) i / STEPS), sum = 0,
               weights = 0;
        for (int k = 1; k <= MULTIPLES; k++) {
            double lag = k * frames_a_minute / bpm;
            if (lag + 1 >= (double) lags) break;
            sum += at(r, lags, lag);
            weights++;
        }
        double score = weights > 0 ? sum / weights * prior(bpm) : 0;
        if (score > best) {
            best = score;
            tempo = bpm;
        }
    }
    scope_end();
    return tempo;
}

bool tempo_agrees(double heard_bpm, double asked, double part, bool octaves) {
    static const double FACTORS[] = {1, 2, 0.5, 3, 1.0 / 3};
    for (int i = 0; i < (octaves ? 5 : 1); i++)
        if (fabs(heard_bpm - asked * FACTORS[i]) <= part * asked * FACTORS[i]) return true;
    return false;
}

/* --- key --- */

/* Bins that stand out of their neighbours, 55 to 2000 Hz, each to the nearest pitch. */
static void add_frame(const float *bin, int bins, double bin_hz, double chroma[12]) {
    static const double LOW_HZ = 55, HIGH_HZ = 2000;
    for (int k = (int) (LOW_HZ / bin_hz); k < bins - 1 && k * bin_hz < HIGH_HZ; k++) {
        if (!(bin[k] > bin[k - 1] && bin[k] >= bin[k + 1])) continue;
        double a = log(bin[k - 1] + 1e-9), b = log(bin[k] + 1e-9), c = log(bin[k + 1] + 1e-9), bend = a - 2 * b + c;
        double place = k + (bend < 0 ? 0.5 * (a - c) / bend : 0);
        double pitch = 69 + 12 * log2(place * bin_hz / 440), off = pitch - round(pitch);
        chroma[((int) round(pitch) % 12 + 12) % 12] += bin[k] * exp(-8 * off * off);
    }
}

void music_chroma(const audio *sound, double chroma[12]) {
    enum { HOP = 2048 };
    const stft_shape shape = {8192, 8192, HOP, STFT_CENTRED, true};
    scope_begin();
    const audio *mono = heard(sound);
    const tensor *spectrum = stft(&shape, mono->samples, mono->frames); /* [F, K, 2] */
    const int K = shape.n_fft / 2 + 1;
    float *magnitude = NEW_ARRAY(float, K);
    memset(chroma, 0, 12 * sizeof *chroma);
    for (int64_t t = 0; t < spectrum->shape[0]; t++) {
        for (int k = 0; k < K; k++)
            magnitude[k] = hypotf(f32(spectrum)[(t * K + k) * 2], f32(spectrum)[(t * K + k) * 2 + 1]);
        add_frame(magnitude, K, (double) RATE / shape.n_fft, chroma);
    }
    double most = 0;
    for (int i = 0; i < 12; i++) most = fmax(most, chroma[i]);
    for (int i = 0; i < 12 && most > 0; i++) chroma[i] /= most;
    scope_end();
}

static double correlation(const double *x, const double *y, int turn) {
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < 12; i++) {
        mx += x[i] / 12;
        my += y[i] / 12;
    }
    for (int i = 0; i < 12; i++) {
        double a = x[(i + turn) % 12] - mx, b = y[i] - my;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    return xx > 0 ? xy / sqrt(xx * yy) : 0;
}

music_key music_key_of(const audio *sound) {
    static const double PROFILES[2][12] = {
        {0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081},
        {0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052},
    };
    double chroma[12], best = 0;
    music_key key = {-1, false};
    music_chroma(sound, chroma);
    for (int i = 0; i < 24; i++) {
        double fit = correlation(chroma, PROFILES[i / 12], i % 12);
        if (fit > best) {
            best = fit;
            key = (music_key){i % 12, i >= 12};
        }
    }
    return key;
}
