/* Objectives, weights, draws, losses and the training of consistency models. */
#ifndef HISS_TESTS_PARITY_OBJECTIVES_H
#define HISS_TESTS_PARITY_OBJECTIVES_H

#include "parity.h"

void run_objective(parity_case *c);
void run_losses(parity_case *c);

#endif
