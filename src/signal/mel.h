/* Mel spectrograms: filter banks, and the front ends of published systems as one table. */
#ifndef HISS_SIGNAL_MEL_H
#define HISS_SIGNAL_MEL_H

#include <stdbool.h>
#include <stdint.h>

#include "signal/stft.h"
#include "tensor/tensor.h"

/* HTK: 2595 log10(1 + f / 700). Slaney (Auditory Toolbox, 1998): 3 f / 200 below 1000 Hz, logarithmic above. */
typedef enum { MEL_HTK, MEL_SLANEY } mel_scale;
double mel_from_hz(mel_scale scale, double hz);
double mel_to_hz(mel_scale scale, double mel);

/* Triangles straight in Hz, stored sparse: band m has weights values[offset[m] ...] for `count[m]` bins from first[m].
 */
typedef struct {
    int bands, bins;
    int *first, *count, *offset;
    float *values;
} mel_bank;
/* area: every triangle has area 1 in Hz (Slaney's norm), otherwise height 1. In the current scope. */
mel_bank *mel_bank_new(mel_scale scale, bool area, int rate, int n_fft, int bands, double low_hz, double high_hz);

/* How loudness is written: ln(max(x, 1e-5)), or DiffWave's (20 log10(max(x, 1e-5)) - 20 + 100) / 100 in 0..1. */
typedef enum { MEL_LN, MEL_UNIT_DECIBEL } mel_log;

/* A front end: sound of `rate` to features [frames, bands]. */
typedef struct {
    const char *name;
    int rate; /* hz */
    stft_shape stft;
    int bands;
    double low_hz, high_hz; /* high_hz 0: half the rate */
    mel_scale scale;
    bool area;
    bool clamp;        /* sound to +-1 first */
    bool unit_window;  /* magnitudes over sqrt(sum of window^2) */
    float inside_root; /* added to re^2 + im^2 */
    mel_log log;
    bool mixed; /* reads the mean of all channels, else the first one, as the originals do */
} mel_front;

/* "diffwave", "wavegrad", "wavegrad-24k", "hifigan" (LJ Speech, universal), "hiss" (hiss's own models: BigVGAN v2's at
 * 44.1 kHz). Fails with the known names on others. Returns a copy: its fields may be changed for other configurations
 * (rate, bands, hop, ...). */
mel_front mel_front_named(const char *name);
/* NULL-terminated. */
const char *const *mel_front_names(void);

/* Its filter bank, and the centres of its bands in Hz [bands]; in the current scope. */
mel_bank *mel_front_bank(const mel_front *f);
double *mel_front_centres(const mel_front *f);
/* One frame's features [bands] of magnitudes [bins]. */
void mel_of_magnitudes(const mel_front *f, const mel_bank *bank, const float *magnitude, float *features);

int64_t mel_frames(const mel_front *f, int64_t samples);
/* Features of n mono samples at f->rate: F32 [frames, bands]. Sounds shorter than the reflect padding are continued
 * with zeros (the originals fail). */
tensor *mel_compute(const mel_front *f, const float *samples, int64_t n);

#endif
