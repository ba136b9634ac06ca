/* diffusers' schedulers and AudioLDM's samplers as rows of hiss's tables with options. */
#ifndef HISS_TESTS_PARITY_DIFFUSERS_H
#define HISS_TESTS_PARITY_DIFFUSERS_H

#include <string.h>

#include "parity_mixture.h"

/* A scheduler at work: its levels and what it tells the network and the user. */
typedef struct {
    const char *name;     /* DDIM, EulerDiscrete, ... */
    double *bars, *table; /* alpha_bar and sigma of training */
    size_t trained;
    int64_t n;              /* steps */
    double *steps;          /* of training, or times, that the network is told: n */
    double *levels, *own;   /* sigmas of the solver and in the scheduler's own terms: n + 1 */
    double *next, *between; /* where each step ends, if not at the next level; levels inside steps */
    double *told, *listed;  /* timesteps and sigmas as it lists them */
    int64_t told_count, listed_count;
    bool told_whole; /* steps that are not exactly the levels */
    double first_std;
    process process;
    double unit;
    const sampler *kind;
    sampler_options options;
} scheduler;
scheduler scheduler_of(config one);

/* A class of theirs: fills steps and levels from its options and what set_timesteps is given; the sampler's name in hiss. */
typedef struct {
    const char *name;
    void (*lay)(scheduler *s, config o, config set);
    const char *sampler;
} scheduler_row;
const scheduler_row *scheduler_row_of(const char *name);

static inline bool says(config o, const char *key, const char *value) {
    return !strcmp(config_string(o, key, ""), value);
}
/* Sigma of its table at a step of training, linear between two. */
double table_at(const scheduler *s, double step);

/* Its options for the run. */
void run_diffusers(parity_case *c, config one);
/* Steps that do not end where the next begins: one by one, the state taken as it is. */
void run_apart(run *r, const scheduler *s, tensor *x);
void run_ldm(parity_case *c, config one);
double *betas_of(config o, const char *name, size_t *n);

#endif
