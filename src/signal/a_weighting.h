/* A weighting as a short filter, so that a loss may listen as ears do (Wright and Valimaki 2020, arXiv 1911.08922). */
#ifndef HISS_SIGNAL_A_WEIGHTING_H
#define HISS_SIGNAL_A_WEIGHTING_H

enum { A_WEIGHTING_TAPS = 101 };
/* The taps, symmetric, nearest in the mean square to the curve of IEC 61672 at 512 frequencies, as auraloss has them. In the current
 * scope. */
float *a_weighting_taps(double rate);

#endif
