/* See signal_distance.h. F frames, K bins, M mels. */
#include "eval/signal_distance.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "signal/mel.h"

const spectral_settings SPECTRAL_AURALOSS = {{{1024, 120, 600}, {2048, 240, 1200}, {512, 50, 240}}, 3, 1e-8, 0};
const spectral_settings SPECTRAL_AUDIOCRAFT = {{{1024, 120, 600}, {2048, 240, 1200}, {512, 50, 240}}, 3, 1e-7, 0x1p-23};
const spectral_settings SPECTRAL_STABLE_AUDIO = {
    {{2048, 512, 2048}, {1024, 256, 1024}, {512, 128, 512}, {256, 64, 256}, {128, 32, 128}, {64, 16, 64}, {32, 8, 32}},
    7,
    1e-8,
    0};

static const float *channel(const sound_pair *p, const float *of, int64_t c) { return of + c * p->n; }

/* --- spectra --- */

/* re^2 + im^2 of every frame and bin. */
static double *powers(const stft_shape *s, const float *sound, int64_t n, int64_t *all) {
    const tensor *spectrum = stft(s, sound, n); /* [F, K, 2] */
    *all = count(spectrum) / 2;
    double *power = alloc((size_t) *all * sizeof *power);
    for (int64_t i = 0; i < *all; i++) {
        double re = f32(spectrum)[2 * i], im = f32(spectrum)[2 * i + 1];
        power[i] = re * re + im * im;
    }
    return power;
}

typedef struct {
    double difference, target, logs, elements; /* sums */
} spectral_sums;

static void add_channel(spectral_sums *sums, const sound_pair *p, int64_t c, const spectral_settings *s, int r) {
    const stft_shape shape = {s->at[r].n_fft, s->at[r].window, s->at[r].hop, STFT_CENTRED, false};
    int64_t all;
    scope_begin();
    const double *x = powers(&shape, channel(p, p->target, c), p->n, &all),
                 *y = powers(&shape, channel(p, p->estimate, c), p->n, &all);
    for (int64_t i = 0; i < all; i++) {
        double a = sqrt(fmax(x[i], s->floor)), b = sqrt(fmax(y[i], s->floor));
        sums->difference += (a - b) * (a - b);
        sums->target += a * a;
        sums->logs += fabs(log(a + s->eps) - log(b + s->eps));
    }
    sums->elements += (double) all;
    scope_end();
}

spectral_distance multi_resolution(const sound_pair *p, const spectral_settings *s) {
    spectral_distance d = {0};
    for (int r = 0; r < s->count; r++) {
        spectral_sums sums = {0};
        for (int64_t c = 0; c < p->channels; c++) add_channel(&sums, p, c, s, r);
        d.convergence[r] = sqrt(sums.difference) / (sqrt(sums.target) + s->eps);
        d.log_magnitude[r] = sums.logs / sums.elements;
        d.mean_convergence += d.convergence[r] / s->count;
        d.mean_log += d.log_magnitude[r] / s->count;
    }
    return d;
}

static float *combined(const sound_pair *p, const float *of, float sign, const float *filter, int taps) {
    float *mixed = NEW_ARRAY(float, p->n), *out = NEW_ARRAY(float, p->n);
    for (int64_t i = 0; i < p->n; i++) mixed[i] = of[i] + sign * of[p->n + i];
    if (!filter) return mixed;
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < taps; k++) {
            int64_t at = i + k - taps / 2;
            if (at >= 0 && at < p->n) out[i] += filter[k] * mixed[at];
        }
    return out;
}

double sum_and_difference(const sound_pair *p, const spectral_settings *s, const float *filter, int taps) {
    require(p->channels == 2);
    double total = 0;
    for (int i = 0; i < 2; i++) {
        scope_begin();
        const float sign = i ? -1 : 1;
        const sound_pair mixed = {combined(p, p->target, sign, filter, taps),
                                  combined(p, p->estimate, sign, filter, taps), 1, p->n, p->rate};
        spectral_distance d = multi_resolution(&mixed, s);
        total += (d.mean_convergence + d.mean_log) / 2;
        scope_end();
    }
    return total;
}

/* --- mel bands --- */

/* Powers weighed by a bank: [F, M] in place of [F, K]. */
static double *weighed(const mel_bank *bank, const double *spectrum, int64_t F) {
    double *mel = NEW_ARRAY(double, F * bank->bands);
    for (int64_t t = 0; t < F; t++)
        for (int m = 0; m < bank->bands; m++)
            for (int k = 0; k < bank->count[m]; k++)
                mel[t * bank->bands + m] +=
                    (double) bank->values[bank->offset[m] + k] * spectrum[t * bank->bins + bank->first[m] + k];
    return mel;
}

static double *scale_mel(const sound_pair *p, const float *of, int n_fft, int64_t *elements) {
    enum { MELS = 64 };
    const stft_shape shape = {n_fft, n_fft, n_fft / 4, STFT_HOP_CENTRED, false};
    const mel_bank *bank = mel_bank_new(MEL_HTK, false, p->rate, n_fft, MELS, 0, p->rate / 2.0);
    const float *window = stft_window(&shape);
    double square = 0;
    for (int i = 0; i < n_fft; i++) square += (double) window[i] * window[i];
    int64_t all, F = stft_frames(&shape, p->n);
    double *power = powers(&shape, of, p->n, &all);
    for (int64_t i = 0; i < all; i++) power[i] /= square;
    *elements = F * MELS;
    return weighed(bank, power, F);
}

double multi_scale_mel(const sound_pair *p) {
    enum { LEAST = 6, MOST = 10 }; /* powers of two */
    double total = 0, weights = 0;
    for (int i = LEAST; i <= MOST; i++) {
        double alpha = sqrt((1 << i) - 1), linear = 0, logs = 0;
        for (int64_t c = 0; c < p->channels; c++) {
            int64_t n;
            scope_begin();
            const double *x = scale_mel(p, channel(p, p->target, c), 1 << i, &n),
                         *y = scale_mel(p, channel(p, p->estimate, c), 1 << i, &n);
            for (int64_t k = 0; k < n; k++) {
                linear += fabs(x[k] - y[k]) / (double) (n * p->channels);
                logs += pow(log10(1e-5 + x[k]) - log10(1e-5 + y[k]), 2) / (double) (n * p->channels);
            }
            scope_end();
        }
        total += linear + alpha * logs;
        weights += 1 + alpha;
    }
    return total / weights;
}

/* --- energies --- */

static double mean_of(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double) n;
}

double si_sdr(const sound_pair *p, int64_t c, bool remove_means, double eps) {
    const float *x = channel(p, p->target, c), *y = channel(p, p->estimate, c);
    const double mx = remove_means ? mean_of(x, p->n) : 0, my = remove_means ? mean_of(y, p->n) : 0;
    double xx = 0, xy = 0, signal = 0, noise = 0;
    for (int64_t i = 0; i < p->n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        xy += (x[i] - mx) * (y[i] - my);
    }
    for (int64_t i = 0; i < p->n; i++) {
        double s = xy / (xx + eps) * (x[i] - mx), e = y[i] - my - s;
        signal += s * s;
        noise += e * e;
    }
    return 10 * log10((signal + eps) / (noise + eps));
}

double log_spectral_distance(const sound_pair *p, int64_t c) {
    const stft_shape shape = {2048 * p->rate / 44100, 2048 * p->rate / 44100, p->rate / 100, STFT_CENTRED, true};
    int64_t all, K = shape.n_fft / 2 + 1, F = stft_frames(&shape, p->n);
    double distance = 0;
    scope_begin();
    const double *x = powers(&shape, channel(p, p->target, c), p->n, &all),
                 *y = powers(&shape, channel(p, p->estimate, c), p->n, &all);
    for (int64_t t = 0; t < F; t++) {
        double sum = 0;
        for (int64_t k = t * K; k < (t + 1) * K; k++) sum += pow(log10(x[k] / pow(sqrt(y[k]) + 1e-12, 2) + 1e-12), 2);
        distance += sqrt(sum / (double) K) / (double) F;
    }
    scope_end();
    return distance;
}

/* --- cepstra --- */

typedef struct {
    int64_t frames;
    int first, last; /* coefficients compared, over */
    int width;
    double *values; /* [frames, width], [t, i] is coefficient i */
} cepstra;

static double cepstral_distance(const cepstra *a, const cepstra *b) {
    double distance = 0;
    for (int64_t t = 0; t < a->frames; t++) {
        double sum = 0;
        for (int i = a->first; i < a->last; i++)
            sum += pow(a->values[t * a->width + i] - b->values[t * a->width + i], 2);
        distance += sqrt(sum) / (double) a->frames;
    }
    return distance;
}

/* Orthonormal DCT-II of natural log mels of the magnitude. */
static cepstra decibel_cepstra(const float *sound, int64_t n, int rate) {
    enum { MELS = 80, COEFFICIENTS = 14 };
    const stft_shape shape = {1024, 1024, 256, STFT_CENTRED, false};
    const mel_bank *bank = mel_bank_new(MEL_SLANEY, true, rate, shape.n_fft, MELS, 0, fmin(8000, rate / 2.0));
    int64_t all;
    double *spectrum = powers(&shape, sound, n, &all);
    for (int64_t i = 0; i < all; i++) spectrum[i] = sqrt(spectrum[i]);
    cepstra c = {stft_frames(&shape, n), 1, COEFFICIENTS, COEFFICIENTS, NULL};
    const double *mel = weighed(bank, spectrum, c.frames);
    c.values = NEW_ARRAY(double, c.frames *COEFFICIENTS);
    for (int64_t t = 0; t < c.frames; t++)
        for (int i = 0; i < COEFFICIENTS; i++)
            for (int m = 0; m < MELS; m++)
                c.values[t * COEFFICIENTS + i] +=
                    sqrt(2.0 / MELS) * log(fmax(mel[t * MELS + m], 1e-5)) * cos(M_PI * i * (m + 0.5) / MELS);
    return c;
}

/* The package's frames have an odd length and a symmetric window: a plain Fourier sum over the bins that matter. */
enum { PACKAGE_MELS = 20, PACKAGE_FIRST = 2, PACKAGE_LAST = 17 };

static void package_corners(int n_fft, int rate, int64_t corner[PACKAGE_MELS + 2]) {
    const double high = mel_from_hz(MEL_HTK, rate / 2.0);
    for (int i = 0; i < PACKAGE_MELS + 2; i++)
        corner[i] = (int64_t) floor((n_fft + 1) * mel_to_hz(MEL_HTK, high * i / (PACKAGE_MELS + 1)) / rate);
}

static double package_weight(const int64_t *corner, int64_t k) {
    if (k < corner[0] || k >= corner[2]) return 0;
    if (k < corner[1]) return (double) (k - corner[0]) / (double) (corner[1] - corner[0]);
    return (double) (corner[2] - k) / (double) (corner[2] - corner[1]);
}

static void package_frame(const double *frame, int n_fft, const int64_t *corner, const double *turn, double *mel) {
    const int64_t K = n_fft / 2 + 1;
    for (int64_t k = 0; k < K; k++) {
        double re = 0, im = 0;
        for (int64_t i = 0; i < n_fft; i++) {
            int64_t phase = i * k % n_fft;
            re += frame[i] * turn[2 * phase];
            im += frame[i] * turn[2 * phase + 1];
        }
        for (int m = 0; m < PACKAGE_MELS; m++) mel[m] += package_weight(corner + m, k) * (re * re + im * im);
    }
}

static cepstra package_cepstra(const float *sound, int64_t n, int rate) {
    const int n_fft = (int) (0.032 * rate), hop = (int) (0.008 * rate);
    int64_t corner[PACKAGE_MELS + 2];
    package_corners(n_fft, rate, corner);
    cepstra c = {n > n_fft ? (n - n_fft - 1) / hop + 1 : 0, PACKAGE_FIRST, PACKAGE_LAST, PACKAGE_LAST, NULL};
    double *turn = NEW_ARRAY(double, 2 * n_fft), *frame = NEW_ARRAY(double, n_fft);
    c.values = NEW_ARRAY(double, c.frames *PACKAGE_LAST);
    for (int i = 0; i < n_fft; i++) {
        turn[2 * i] = cos(2 * M_PI * i / n_fft);
        turn[2 * i + 1] = -sin(2 * M_PI * i / n_fft);
    }
    for (int64_t t = 0; t < c.frames; t++) {
        double mel[PACKAGE_MELS] = {0};
        for (int i = 0; i < n_fft; i++) frame[i] = sound[t * hop + i] * (0.5 - 0.5 * cos(2 * M_PI * i / (n_fft - 1)));
        package_frame(frame, n_fft, corner, turn, mel);
        for (int i = 0; i < PACKAGE_LAST; i++)
            for (int m = 0; m < PACKAGE_MELS; m++)
                c.values[t * PACKAGE_LAST + i] += cos(M_PI * i * (m + 0.5) / PACKAGE_MELS) * log10(mel[m]);
    }
    return c;
}

double mel_cepstral_distance(const sound_pair *p, int64_t c, mcd_kind kind) {
    cepstra (*of)(const float *, int64_t, int) = kind == MCD_DB ? decibel_cepstra : package_cepstra;
    scope_begin();
    cepstra a = of(channel(p, p->target, c), p->n, p->rate), b = of(channel(p, p->estimate, c), p->n, p->rate);
    double distance = cepstral_distance(&a, &b);
    scope_end();
    return kind == MCD_DB ? 10 / log(10) * sqrt(2) * distance : distance;
}
