/* Edits of sounds: trimming, fading, levels. Those that return an audio make a new one in the current scope; the
 * others change the samples where they are. */
#ifndef HISS_SIGNAL_EDIT_H
#define HISS_SIGNAL_EDIT_H

#include "signal/audio.h"

/* Largest absolute sample, and its level in dB of full scale (-infinity for silence). */
float audio_peak(const audio *a);
double decibel(double amplitude);
double amplitude_of(double db);

/* Cuts what lies before the first and after the last sample louder than `below_peak_db` (positive) under the peak, but
 * keeps head and tail seconds of it. A silent sound becomes one of no frames. */
audio *trim_silence(const audio *a, double below_peak_db, double head_seconds, double tail_seconds);
/* Zeros before and after. */
audio *pad_silence(const audio *a, int64_t before_frames, int64_t after_frames);

/* Raised-cosine fades; where both would overlap each gets its share. */
void fade(audio *a, double in_seconds, double out_seconds);
void gain(audio *a, double db);
/* Subtracts each channel's mean. */
void remove_dc(audio *a);
/* The peak comes to `db` of full scale. Silence stays. Both return the gain in dB. */
double normalise_peak(audio *a, double db);
/* The integrated loudness comes to `lufs`, or as near as the peak may not pass `peak_db`. Silence stays. */
double normalise_loudness(audio *a, double lufs, double peak_db);

/* Integrated loudness, ITU-R BS.1770-4 (LUFS): K weighting, blocks of 400 ms every 100 ms, gates at -70 LUFS and 10 LU
 * below. -infinity where nothing passes the gates. Sounds shorter than a block, for which the recommendation says
 * nothing, are measured as if silence followed them up to 400 ms. Channels beyond two weigh as in L R C (LFE) Ls Rs. */
double loudness(const audio *a);
/* Loudness range, EBU Tech 3342 (LU); 0 for sounds shorter than 3 s. */
double loudness_range(const audio *a);
/* The same of a sound that comes in parts, in the current scope: memory grows by 8 bytes for 0.1 s. loudness_of ends what is
 * shorter than a block with silence, so nothing may be put after it. */
typedef struct loudness_meter loudness_meter;
loudness_meter *loudness_begin(int channels, int rate);
void loudness_put(loudness_meter *m, const float *samples, int64_t frames);
double loudness_of(loudness_meter *m);
double loudness_range_of(const loudness_meter *m);

/* Largest absolute value between the samples too: at 4 times the rate, 2 times from 96 kHz. */
float true_peak(const audio *a);
/* The same of a sound that comes in parts; nothing may be put after true_peak_of. */
typedef struct peak_meter peak_meter;
peak_meter *true_peak_begin(int channels, int rate);
void true_peak_put(peak_meter *m, const float *samples, int64_t frames);
float true_peak_of(peak_meter *m);

#endif
