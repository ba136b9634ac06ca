/* Samplers at work on a model: the bridge between the tables of src/diffusion and the networks. */
#ifndef HISS_SYSTEMS_SAMPLE_H
#define HISS_SYSTEMS_SAMPLE_H

#include "systems/generate.h"

/* Fails with the nearest names on an unknown sampler or schedule, and on what this model cannot do. */
void sample_check(const model *m, const sound_request *r);
/* The i-th sound of the request, [1, T], in the current scope. */
tensor *sample(const condition *c, const sound_request *r, int64_t i, int64_t T);

/* NULL-terminated; the first is the default. */
const char *const *sampler_names(void);
const char *const *schedule_names(void);

/* Where the noise of a sound comes from. */
random_key sound_key(uint64_t seed);

#endif
