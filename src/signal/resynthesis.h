/* Sound from what is known of each bin of a short-time spectrum: a steady amplitude and a level of noise. The steady part gets
 * integrated phases (phase.h), the noise is that of a white sound under the levels; then the result's own mel spectrogram is
 * read back and its levels are mended, as often as asked. Frame by frame: memory does not grow with the length, and the sound
 * is the same however the frames come.
 * K bins, M mels. */
#ifndef HISS_SIGNAL_RESYNTHESIS_H
#define HISS_SIGNAL_RESYNTHESIS_H

#include "base/random.h"
#include "signal/audio.h"
#include "signal/mel.h"

enum { RESYNTHESIS_MOST_REGAINS = 8 };

typedef struct {
    mel_front front; /* hop-centred, MEL_LN, n_fft a multiple of hop */
    double noise_from,
        noise_to;   /* shares of noise in a bin's power: below, all of it counts as steady; above, as noise */
    int regains;    /* times the levels are mended */
    random_key key; /* of noise and random phases */
} resynthesis_settings;

typedef struct resynthesis resynthesis;
typedef void take_samples(void *context, const float *samples, int64_t n);
/* Frames that come one after another, as one sound; context: a joined. */
typedef struct {
    audio *sound;
    int64_t done; /* frames */
} joined;
take_samples join_samples;

resynthesis *resynthesis_new(const resynthesis_settings *s, take_samples *take, void *context);
/* The next frame: its log-mel [M], steady amplitudes [K] and deviations of the noise in each of re and im [K]. */
void resynthesis_push(resynthesis *r, const float *log_mel, const float *steady, const float *noise);
/* The rest of the sound: frames times hop samples in all. */
void resynthesis_finish(resynthesis *r);

#endif
