/* Tunes for models that are told which pitch classes sound along a sound (models/tonal_course.h): where a request names a key or chords
 * and no melody, one is made up of the seed. What sounds at any time follows from seed and bar alone, so a long sound needs no more. */
#ifndef HISS_SYSTEMS_COMPOSE_H
#define HISS_SYSTEMS_COMPOSE_H

#include "systems/generate.h"

typedef struct composition composition;

/* Of the request's chords, else its key; the prompt's words say whether it is a chord, a scale, a piece with chords or a melody. Four
 * beats a bar at the request's tempo, or at 100 where it has none. seconds: the length of all, a whole number of bars in a loop.
 * NULL: neither key nor chords. Fails on words that name no chords. In the current scope. */
composition *compose(const sound_request *r, double seconds);

/* Strength of each of the 12 pitch classes, 0 to 1, at a time in seconds. */
void composed_at(const composition *c, uint64_t seed, double seconds, float strength[12]);

#endif
