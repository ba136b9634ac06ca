/* Guided runs. */
#ifndef HISS_TESTS_PARITY_GUIDANCE_H
#define HISS_TESTS_PARITY_GUIDANCE_H

#include "parity_mixture.h"

/* Makes the run's denoiser the guided one that the case names, if it names one; x becomes [batch, length, 4]. */
void guide_run(run *r, tensor *x);
void run_guidance(parity_case *c);

#endif
