/* stable-audio-tools' and stable-audio-3's samplers. */
#ifndef HISS_TESTS_PARITY_STABLE_H
#define HISS_TESTS_PARITY_STABLE_H

#include "diffusion/shift.h"
#include "parity_mixture.h"

void run_stable(parity_case *c, config one);
/* From a seed of the Python world. */
void run_seed(parity_case *c, config one);
/* dist_shift of either. */
time_shift shift_of(config options);

#endif
