/* The cues of a scene mixed to stereo, a block at a time: memory does not grow with the scene's length. */
#ifndef HISS_SCENE_MIX_H
#define HISS_SCENE_MIX_H

#include "scene/arrange.h"
#include "signal/audio.h"

/* sounds[layer][take]: mono, at the scene's rate; those of beds are loops. */
typedef struct mixer mixer;
mixer *mixer_new(const scene *s, const score *r, audio *const *const *sounds);
/* Back to the beginning. */
void mixer_rewind(mixer *m);
/* The next frames of the scene, [frames, 2]: sums of the layers, without the scene's own fades and level. */
void mixer_pull(mixer *m, float *out, int64_t frames);
int64_t scene_frames(const scene *s);

/* Gains of left and right at equal power: their squares add up to 1; pan from -1 to 1. */
void pan_gains(double pan, float *left, float *right);
/* Amplitude at a distance in metres, inverse beyond the first ten: 1 at 0 m, 1/2 at 10 m, 1/11 at 100 m. */
double distance_gain(double metres);
/* Where air has taken 3 dB. It takes about 1.4e-9 dB a metre times the square of the frequency (ISO 9613-1, 20 degrees, 50 %
 * humidity, above 2 kHz). */
double distance_cutoff_hz(double metres);

#endif
