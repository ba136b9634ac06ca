/* Short-time Fourier transform of real sound (kissfft): periodic Hann windows in the middle of each FFT frame.
 *
 * Padding by reflection needs more samples than the padding. The originals fail on shorter sounds; here these are
 * first continued with zeros, and at least one frame is always made. */
#ifndef HISS_SIGNAL_STFT_H
#define HISS_SIGNAL_STFT_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/tensor.h"

typedef enum {
    STFT_UNPADDED,    /* 1 + (samples - n_fft) / hop frames */
    STFT_CENTRED,     /* n_fft / 2 on both sides: 1 + samples / hop frames for even n_fft */
    STFT_HOP_CENTRED, /* (n_fft - hop) / 2 on both sides, as GAN vocoders do: samples / hop frames */
} stft_padding;

typedef struct {
    int n_fft, window, hop; /* samples; window <= n_fft */
    stft_padding padding;
    bool pad_zeros; /* zeros in place of reflection */
} stft_shape;

enum { STFT_MAX_SIZE = 1 << 16 };

/* Fails unless 2 <= n_fft <= STFT_MAX_SIZE, 1 <= window <= n_fft, 1 <= hop <= STFT_MAX_SIZE. */
void stft_check(const stft_shape *s);
int64_t stft_frames(const stft_shape *s, int64_t samples);
/* The window, n_fft values: 0.5 - 0.5 cos(2 pi i / window) behind (n_fft - window) / 2 zeros. */
float *stft_window(const stft_shape *s);

/* [frames, bins, 2] re and im, bins = n_fft / 2 + 1. */
tensor *stft(const stft_shape *s, const float *samples, int64_t n);
/* Adds to d [samples] the gradient of the samples, given that of their bins [frames, bins, 2]. Reflection needs more samples than
 * padding here. */
void stft_backward(const stft_shape *s, const float *bins, int64_t samples, float *d);
/* Overlap-added windowed frames over the overlap-added squared window; `samples` of them, those beyond the last frame
 * are zeros. samples < 0: all that remains of the frames without the padding. Fails where the windows leave a gap. */
tensor *stft_inverse(const stft_shape *s, const tensor *spectrum, int64_t samples);

/* For loops over frames that need no spectrogram in memory: FFT plans and buffers for each thread. */
typedef struct stft_plan stft_plan;
stft_plan *stft_plan_new(const stft_shape *s, int threads);
/* The sound with its padding: frame i starts at i * hop and n_fft samples follow it. */
float *stft_pad(const stft_shape *s, const float *samples, int64_t n);
/* Windowed spectrum of n_fft samples: bins (re, im) pairs, valid until this thread's next call. */
const float *stft_frame(stft_plan *p, int thread, const float *samples);
/* The same back: plans for the n_fft samples of one spectrum, not windowed. */
stft_plan *stft_plan_new_inverse(const stft_shape *s, int threads);
void stft_frame_inverse(stft_plan *p, int thread, const float *spectrum, float *samples);

#endif
