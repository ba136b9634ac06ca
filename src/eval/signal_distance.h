/* Distances between two sounds of the same length, as the tools that report them compute them. Sounds are planar: C channels of
 * n samples one after the other. The estimate comes second. */
#ifndef HISS_EVAL_SIGNAL_DISTANCE_H
#define HISS_EVAL_SIGNAL_DISTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/tensor.h"

typedef struct {
    const float *target, *estimate; /* [C, n] */
    int64_t channels, n;
    int rate; /* hz */
} sound_pair;

/* Spectra of one resolution: magnitude sqrt(max(re^2 + im^2, floor)), centred, reflected. */
typedef struct {
    int n_fft, hop, window;
} resolution;
enum { MOST_RESOLUTIONS = 8 };
typedef struct {
    resolution at[MOST_RESOLUTIONS];
    int count;
    double floor; /* of the squared magnitude */
    double eps;   /* inside logarithms and in the convergence's denominator */
} spectral_settings;
/* auraloss's defaults (Steinmetz and Reiss 2020), audiocraft's, and stable-audio-tools' seven resolutions. */
extern const spectral_settings SPECTRAL_AURALOSS, SPECTRAL_AUDIOCRAFT, SPECTRAL_STABLE_AUDIO;

/* Multi-resolution STFT distance: for each resolution the spectral convergence |S - S'| / |S| over all channels together, and the
 * mean of |ln S - ln S'|. */
typedef struct {
    double convergence[MOST_RESOLUTIONS], log_magnitude[MOST_RESOLUTIONS];
    double mean_convergence, mean_log;
} spectral_distance;
spectral_distance multi_resolution(const sound_pair *p, const spectral_settings *s);

/* Mean of convergence + log magnitude over the resolutions, and over sum and difference of the two channels after a filter
 * (correlated, [taps], NULL: none). */
double sum_and_difference(const sound_pair *p, const spectral_settings *s, const float *filter, int taps);

/* Taps of a filter with the A-weighting's amplitude, F32 [A_WEIGHTING_TAPS], symmetric. */
enum { A_WEIGHTING_TAPS = 101 };
tensor *a_weighting(int rate);

/* audiocraft's multi-scale mel distance, normalised. */
double multi_scale_mel(const sound_pair *p);

/* Scale-invariant SDR in dB (Le Roux et al. 2019) of channel c; eps is added to the energies. */
double si_sdr(const sound_pair *p, int64_t c, bool remove_means, double eps);

/* Log-spectral distance of channel c as in voice restoration (ssr_eval): decades of power. */
double log_spectral_distance(const sound_pair *p, int64_t c);

/* Mel-cepstral distortion of channel c, no alignment. MCD_DB: 13 coefficients of natural log mels, in dB; MCD_PACKAGE: what
 * the package mel_cepstral_distance computes. */
typedef enum { MCD_DB, MCD_PACKAGE } mcd_kind;
double mel_cepstral_distance(const sound_pair *p, int64_t c, mcd_kind kind);

#endif
