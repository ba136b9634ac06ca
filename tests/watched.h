/* What tests see of a training: its losses, first and last, and the same of held-out clips. */
#ifndef HISS_TESTS_WATCHED_H
#define HISS_TESTS_WATCHED_H

#include <math.h>

#include "train/loop.h"

typedef struct {
    double first, last; /* NAN before the first */
} seen_losses;
static seen_losses seen_steps, seen_held_out;

static inline void watch_losses(const train_report *report, void *context) {
    (void) context;
    seen_losses *s = report->event == TRAIN_STEP ? &seen_steps : &seen_held_out;
    if (report->event != TRAIN_STEP && report->event != TRAIN_HELD_OUT) return;
    const double loss = report->event == TRAIN_STEP ? report->loss : report->held_out;
    if (isnan(s->first)) s->first = loss;
    s->last = loss;
}

static inline void forget_losses(void) { seen_steps = seen_held_out = (seen_losses){NAN, NAN}; }

#endif
