/* One turn of a loop at another length. */
#ifndef HISS_SIGNAL_TURN_H
#define HISS_SIGNAL_TURN_H

#include "signal/audio.h"

/* `turn` evenly over the frames of `to`, which has its channels: by windowed sincs that go on around its ends, so that the seam is a
 * place like any other. For lengths that are nearly the same. */
void fit_turn(const audio *turn, audio *to);

#endif
