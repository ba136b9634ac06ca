/* Searching a short noise schedule for a vocoder, as WaveGrad's authors did (Chen et al. 2021, section 4.2 and lmnt's script): betas
 * whose orders of magnitude are fixed and whose mantissas are drawn; the kept ones sing a recording back with the least error. */
#ifndef HISS_SYSTEMS_SEARCH_H
#define HISS_SYSTEMS_SEARCH_H

#include "systems/generate.h"

typedef struct {
    double *betas; /* from the least noise to the most, in the current scope */
    int64_t steps;
    double error;     /* mean square of the difference of log mel spectrograms */
    double own_error; /* the same of the model's own short schedule */
} found_schedule;

enum { SEARCH_MOST_STEPS = 100 };

/* Tries `tries` schedules of `steps` betas on the recording (mono, any rate). Fails if the model takes no mel spectrogram. */
found_schedule search_schedule(const model *m, const audio *recording, int64_t steps, int64_t tries, uint64_t seed);

#endif
