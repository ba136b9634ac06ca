/* Where the beats are, as a network over frames of sound is told them: a tempo is then a course along the sound and not a number of
 * which rhythm would have to be made. */
#ifndef HISS_MODELS_BEAT_CLOCK_H
#define HISS_MODELS_BEAT_CLOCK_H

#include <stdint.h>

/* Numbers for a patch of so many frames. */
int64_t beat_clock_width(int64_t frames);

/* Of a patch that begins `begin` seconds after a first beat, its frames `frame` seconds apart:
 * - for each frame how near it is to a bar of four beats, a beat, a half and a quarter of one: Gaussians of 15 ms;
 * - cosine and sine of the place of its middle within a bar, two beats and a beat;
 * - the tempo, as Gaussians over its logarithm.
 * Harmless on any number: a tempo that is not above 0 is taken for one of 1. */
void beat_clock(float *to, double bpm, double begin, double frame, int64_t frames);

#endif
