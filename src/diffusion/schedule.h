/* Noise levels: how a model was trained (betas) and where a sampler stops (sigmas). */
#ifndef HISS_DIFFUSION_SCHEDULE_H
#define HISS_DIFFUSION_SCHEDULE_H

#include <stddef.h>

/* Sigmas of n steps from `most` to `least` and then 0: n + 1 values in the current scope. */
typedef struct {
    const char *name, *paper;
    double (*at)(double t, double least, double most, double rho); /* t 0: most, 1: least */
    double rho;                                                    /* its own */
} sigma_schedule;
extern const sigma_schedule SIGMA_SCHEDULES[]; /* ends with {0} */
const sigma_schedule *sigma_schedule_find(const char *name);
/* rho 0: the schedule's own */
double *sigmas_make(const sigma_schedule *kind, size_t n, double least, double most, double rho);

/* The training step, with fraction, at which the noise is alpha_bar: DiffWave's alignment of another schedule to that of
 * training. Levels beyond the table give its ends. */
double training_step_at(const double *betas, size_t count, double alpha_bar);

#endif
