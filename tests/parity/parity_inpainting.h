/* Runs that keep a part of a sound. */
#ifndef HISS_TESTS_PARITY_INPAINTING_H
#define HISS_TESTS_PARITY_INPAINTING_H

#include "parity_mixture.h"

/* Sets up the run's blending, where the case has a mask. */
void inpaint_run(run *r, int64_t steps);
/* stable-audio-tools' first state: the kept part under noise, noise elsewhere. */
void inpaint_start(run *r, tensor *x, double most);
void run_inpainting(parity_case *c);

#endif
