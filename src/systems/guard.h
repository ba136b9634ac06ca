/* The peaks of a sound that comes in pieces: nobody knows yet how loud it becomes, so what exceeds the ceiling is turned down by a
 * limiter that looks ahead. */
#ifndef HISS_SYSTEMS_GUARD_H
#define HISS_SYSTEMS_GUARD_H

#include "signal/resynthesis.h"

typedef struct guard guard;
/* ceiling: a true peak, as an amplitude. In the current scope. */
guard *guard_begin(int channels, int rate, double ceiling, take_samples *take, void *context);
/* [frames, channels]; context: the guard. As many frames come out as go in, the last of them at guard_end. */
void guard_put(void *context, const float *samples, int64_t frames);
void guard_end(guard *g);

#endif
