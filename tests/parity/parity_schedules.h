#ifndef HISS_TESTS_PARITY_SCHEDULES_H
#define HISS_TESTS_PARITY_SCHEDULES_H

#include "parity.h"

/* Cases of part "schedule". */
void run_schedule(parity_case *c);

#endif
