/* Shifts of rectified flow's time towards noise, as longer sounds need. t 0: clean, 1: noise. */
#ifndef HISS_DIFFUSION_SHIFT_H
#define HISS_DIFFUSION_SHIFT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    SHIFT_NONE,
    SHIFT_POWER,       /* odds t / (1 - t) times alpha, a power of the length; Esser et al. 2024, arXiv 2403.03206 */
    SHIFT_EXPONENTIAL, /* ln alpha linear in the length */
    SHIFT_LOG_SNR      /* even in log-SNR, lower by `rate` a doubling of the length */
} shift_kind;

typedef struct {
    shift_kind kind;
    double short_length, long_length; /* latent frames; those beyond count as these */
    double short_alpha, long_alpha;   /* logarithms of alpha at these */
    bool sine;                        /* then the sine of t pi / 2 */
    double anchor_length, anchor, rate, end;
} time_shift;

/* t at odds alpha times those of t. */
double shift_odds(double t, double alpha);
double shift_time(const time_shift *s, double t, double length);

/* steps + 1 times from `most` to 0, shifted; the first is `most`. In the current scope. */
double *times_shifted(const time_shift *s, double most, int64_t steps, double length);
/* The same, even in log-SNR up to 2: stable-audio-tools' own. */
double *times_log_snr(double most, int64_t steps);
/* Latent frames of a sound; a frame is `ratio` samples. */
int64_t latent_frames(double seconds, int64_t rate, int64_t ratio);

#endif
