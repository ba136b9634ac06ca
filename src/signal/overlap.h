/* A sound that comes out of spectra, frame after frame, hop after hop: windowed overlap-add, and the same turned round.
 * The sound has hop-centred padding (stft.h): F frames make F + n_fft / hop - 1 blocks of one hop, of which the
 * (n_fft - hop) / 2 first and last samples are padding. n_fft is a multiple of hop. */
#ifndef HISS_SIGNAL_OVERLAP_H
#define HISS_SIGNAL_OVERLAP_H

#include "signal/stft.h"

/* Spectra to blocks. */
typedef struct overlap overlap;
overlap *overlap_new(const stft_shape *s);
/* Adds the next frame [bins, 2] and returns the block [hop] that is complete with it, valid until the next call. */
const float *overlap_push(overlap *o, const float *spectrum);
/* The next block when no more frames come: n_fft / hop - 1 of them. */
const float *overlap_drain(overlap *o);

/* Blocks to spectra. Padding is replaced by reflection, as a front end that reads the sound would have it. */
typedef struct framer framer;
framer *framer_new(const stft_shape *s);
/* Takes the next block; returns the spectrum [bins, 2] of the frame that ends with it, or NULL until there is one. frames:
 * how many there are in all if that is known (blocks got by draining), else -1. */
const float *framer_push(framer *f, const float *block, int64_t frames);

#endif
