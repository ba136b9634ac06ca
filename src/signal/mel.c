/* Mel filter banks and front ends. Each frame is transformed, weighed and written while it is in cache; no spectrogram
 * is kept. */
#include "signal/mel.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"

/* Slaney's scale: 15 mels at 1000 Hz, then 27 mels for each factor of 6.4. */
static const double slaney_corner_hz = 1000, slaney_corner = 15, slaney_slope = 3.0 / 200;

double mel_from_hz(mel_scale scale, double hz) {
    if (scale == MEL_HTK) return 2595 * log10(1 + hz / 700);
    return hz < slaney_corner_hz ? slaney_slope * hz : slaney_corner + 27 * log(hz / slaney_corner_hz) / log(6.4);
}

double mel_to_hz(mel_scale scale, double mel) {
    if (scale == MEL_HTK) return 700 * (pow(10, mel / 2595) - 1);
    return mel < slaney_corner ? mel / slaney_slope : slaney_corner_hz * exp((mel - slaney_corner) / 27 * log(6.4));
}

mel_bank *mel_bank_new(mel_scale scale, bool area, int rate, int n_fft, int bands, double low_hz, double high_hz) {
    if (bands < 1 || bands > 4096 || rate < 1 || n_fft < 2 || n_fft > STFT_MAX_SIZE ||
        !(low_hz >= 0 && low_hz < high_hz && high_hz <= rate))
        fail(HISS_ERROR_ARGUMENT,
             "%d mel bands from %g to %g Hz at %d Hz: 1 to 4096 bands and 0 <= low < high are "
             "needed",
             bands, low_hz, high_hz, rate);
    mel_bank *b = NEW(mel_bank);
    *b = (mel_bank){.bands = bands, .bins = n_fft / 2 + 1};
    b->first = NEW_ARRAY(int, bands);
    b->count = NEW_ARRAY(int, bands);
    b->offset = NEW_ARRAY(int, bands);
    double *corner = NEW_ARRAY(double, bands + 2); /* hz */
    const double low = mel_from_hz(scale, low_hz), high = mel_from_hz(scale, high_hz);
    for (int i = 0; i < bands + 2; i++) corner[i] = mel_to_hz(scale, low + (high - low) * i / (bands + 1));
    const double bin_hz = (double) rate / n_fft;
    size_t room = 0;
    for (int m = 0; m < bands; m++) {
        const int before = (int) floor(corner[m] / bin_hz), after = (int) ceil(corner[m + 2] / bin_hz);
        b->first[m] = before + 1 < b->bins ? before + 1 : b->bins;
        b->count[m] = (after < b->bins ? after : b->bins) - b->first[m];
        b->offset[m] = (int) room;
        room += (size_t) b->count[m];
    }
    b->values = NEW_ARRAY(float, room);
    for (int m = 0; m < bands; m++) {
        const double left = corner[m], middle = corner[m + 1], right = corner[m + 2];
        for (int k = 0; k < b->count[m]; k++) {
            const double hz = (b->first[m] + k) * bin_hz;
            const double rise = (hz - left) / (middle - left), fall = (right - hz) / (right - middle);
            b->values[b->offset[m] + k] = (float) (fmax(0, fmin(rise, fall)) * (area ? 2 / (right - left) : 1));
        }
    }
    return b;
}

/* LMNT's DiffWave and WaveGrad; HiFi-GAN's and BigVGAN's meldataset.py. */
#define LMNT(hz, n_fft, window, hop, mels)                                                                             \
    .rate = (hz), .stft = {n_fft, window, hop, STFT_CENTRED, false}, .bands = (mels), .low_hz = 20, .scale = MEL_HTK,  \
    .clamp = true, .unit_window = true, .log = MEL_UNIT_DECIBEL
#define MELDATASET(hz, n_fft, hop, mels)                                                                               \
    .rate = (hz), .stft = {n_fft, n_fft, hop, STFT_HOP_CENTRED, false}, .bands = (mels), .scale = MEL_SLANEY,          \
    .area = true, .inside_root = 1e-9f, .log = MEL_LN
static const mel_front fronts[] = {
    {.name = "diffwave", LMNT(22050, 1024, 1024, 256, 80)},
    {.name = "wavegrad", LMNT(22050, 2048, 1200, 300, 128)},
    {.name = "wavegrad-24k", LMNT(24000, 2048, 1200, 300, 128)},
    {.name = "hifigan", MELDATASET(22050, 1024, 256, 80), .high_hz = 8000},
    {.name = "hiss", MELDATASET(44100, 2048, 512, 128), .mixed = true},
};
enum { FRONTS = sizeof fronts / sizeof *fronts };
static const char *const front_names[FRONTS + 1] = {"diffwave", "wavegrad", "wavegrad-24k", "hifigan", "hiss", NULL};

const char *const *mel_front_names(void) { return front_names; }

mel_front mel_front_named(const char *name) {
    for (size_t i = 0; i < FRONTS; i++)
        if (!strcmp(name, fronts[i].name)) return fronts[i];
    fail(HISS_ERROR_ARGUMENT, "unknown mel front end '%s': %s", name, suggest(name, front_names, FRONTS));
}

int64_t mel_frames(const mel_front *f, int64_t samples) { return stft_frames(&f->stft, samples); }

/* Magnitudes of one spectrum of (re, im) pairs. */
CLONES static void magnitudes(const float *restrict spectrum, float *restrict out, int bins, float inside_root,
                              float scale) {
#pragma omp simd
    for (int k = 0; k < bins; k++) {
        const float re = spectrum[2 * k], im = spectrum[2 * k + 1];
        out[k] = sqrtf(re * re + im * im + inside_root) * scale;
    }
}

CLONES static void weigh(const mel_bank *b, const float *restrict magnitude, float *restrict out) {
    for (int m = 0; m < b->bands; m++) {
        const float *restrict x = magnitude + b->first[m], *restrict w = b->values + b->offset[m];
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int k = 0; k < b->count[m]; k++) sum += w[k] * x[k];
        out[m] = sum;
    }
}

static float log_of(mel_log kind, float x) {
    x = x > 1e-5f ? x : 1e-5f;
    if (kind == MEL_LN) return logf(x);
    const float unit = (20 * log10f(x) - 20 + 100) / 100;
    return unit < 0 ? 0 : unit > 1 ? 1 : unit;
}

/* 1, or 1 / sqrt(sum of window^2). */
static float window_scale(const mel_front *f) {
    if (!f->unit_window) return 1;
    const float *w = stft_window(&f->stft);
    double sum = 0;
    for (int i = 0; i < f->stft.n_fft; i++) sum += (double) w[i] * w[i];
    return (float) (1 / sqrt(sum));
}

static double top_of(const mel_front *f) { return f->high_hz > 0 ? f->high_hz : f->rate / 2.0; }

mel_bank *mel_front_bank(const mel_front *f) {
    return mel_bank_new(f->scale, f->area, f->rate, f->stft.n_fft, f->bands, f->low_hz, top_of(f));
}

double *mel_front_centres(const mel_front *f) {
    const double low = mel_from_hz(f->scale, f->low_hz), high = mel_from_hz(f->scale, top_of(f));
    double *centre = NEW_ARRAY(double, f->bands);
    for (int m = 0; m < f->bands; m++) centre[m] = mel_to_hz(f->scale, low + (high - low) * (m + 1) / (f->bands + 1));
    return centre;
}

void mel_of_magnitudes(const mel_front *f, const mel_bank *bank, const float *magnitude, float *features) {
    weigh(bank, magnitude, features);
    for (int m = 0; m < f->bands; m++) features[m] = log_of(f->log, features[m]);
}

tensor *mel_compute(const mel_front *f, const float *samples, int64_t n) {
    if (n < 1) fail(HISS_ERROR_ARGUMENT, "no mel spectrogram of a sound without samples");
    scope_begin();
    const int threads = threads_get(), bins = f->stft.n_fft / 2 + 1, bands = f->bands;
    stft_plan *p = stft_plan_new(&f->stft, threads);
    const mel_bank *bank = mel_front_bank(f);
    const float scale = window_scale(f);
    const float *sound = samples;
    if (f->clamp) {
        float *clamped = alloc(sizeof(float) * (size_t) n);
        for (int64_t i = 0; i < n; i++) clamped[i] = fminf(fmaxf(samples[i], -1), 1);
        sound = clamped;
    }
    const float *padded = stft_pad(&f->stft, sound, n);
    const int64_t frames = stft_frames(&f->stft, n);
    tensor *out = tensor_new(F32, SHAPE(frames, bands));
    float *to = f32(out), *scratch = alloc(sizeof(float) * (size_t) bins * (size_t) threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < frames; i++) {
        const int thread = omp_get_thread_num();
        float *magnitude = scratch + (int64_t) thread * bins, *row = to + i * bands;
        magnitudes(stft_frame(p, thread, padded + i * f->stft.hop), magnitude, bins, f->inside_root, scale);
        mel_of_magnitudes(f, bank, magnitude, row);
    }
    return scope_end_keep(out);
}
