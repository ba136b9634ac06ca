/* A limiter that looks ahead: peaks, also those between samples, are turned down before they come. Sounds below the ceiling
 * pass unchanged. */
#ifndef HISS_SIGNAL_LIMITER_H
#define HISS_SIGNAL_LIMITER_H

#include <stdint.h>

typedef struct limiter limiter;
/* ceiling: a true peak, as an amplitude. In the current scope. */
limiter *limiter_begin(int channels, int rate, double ceiling);
/* Frames by which what comes out is late. */
int64_t limiter_delay(const limiter *l);
/* samples [frames, channels], in place. */
void limiter_run(limiter *l, float *samples, int64_t frames);
/* The lowest gain so far; 1: nothing was turned down. */
double limiter_lowest(const limiter *l);

#endif
