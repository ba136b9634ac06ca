/* What a piece of music is heard to be: its tempo and its key. */
#ifndef HISS_EVAL_MUSIC_H
#define HISS_EVAL_MUSIC_H

#include <stdbool.h>

#include "signal/audio.h"
#include "text/musical.h"

/* Beats a minute, from the autocorrelation of onset strength; 0: nothing that repeats. Between MUSIC_SLOWEST and MUSIC_FASTEST. */
enum { MUSIC_SLOWEST = 48, MUSIC_FASTEST = 192 };
double music_tempo(const audio *sound);
/* Within a part (0.05) of what was asked; with octaves: or of its half, double, third or triple, which ears take it for, too. */
bool tempo_agrees(double heard, double asked, double part, bool octaves);

/* The best correlation of the pitch classes' strengths with the profiles of the 24 keys (Krumhansl's way, 1990), the profiles those
 * of Albrecht and Shanahan (2013): on rendered melodies, pieces and chords they told more keys than Krumhansl's own. */
music_key music_key_of(const audio *sound);
/* Strength of each pitch class, the greatest 1. */
void music_chroma(const audio *sound, double chroma[12]);

#endif
