/* Training of consistency models. */
#ifndef HISS_TESTS_PARITY_CONSISTENCY_H
#define HISS_TESTS_PARITY_CONSISTENCY_H

#include "parity.h"

void run_consistency(parity_case *c);

#endif
