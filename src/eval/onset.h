/* How a one-shot begins and ends. */
#ifndef HISS_EVAL_ONSET_H
#define HISS_EVAL_ONSET_H

#include "signal/audio.h"

/* Milliseconds from a tenth to nine tenths of the peak of the envelope, the largest absolute sample of each millisecond. */
double rise_ms(const audio *mono);
/* Level of the last 50 ms (root mean square) against the peak, dB; never below -120. */
double tail_db(const audio *mono);
/* The middle of the values that are finite, sorted in place; NAN of none. */
double median_of(double *values, int64_t n);

#endif
