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
/* Of a variance preserving process with linear beta (Song et al. 2021, arXiv 2011.13456), time 1 to `last`, then 0. */
double *sigmas_vp(size_t n, double beta_d, double beta_min, double last);
/* rho 0: the schedule's own */
double *sigmas_make(const sigma_schedule *kind, size_t n, double least, double most, double rho);

/* Betas of training, from the least noise to the most: count values in the current scope. start and end: where the kind has such. */
typedef struct {
    const char *name, *paper;
    double (*beta)(double t, double start, double end); /* t 0 .. 1; or */
    double (*alpha_bar)(double t);                      /* cumulative, t 0: clean */
} beta_schedule;
extern const beta_schedule BETA_SCHEDULES[]; /* ends with {0} */
const beta_schedule *beta_schedule_find(const char *name);
double *betas_make(const beta_schedule *kind, size_t count, double start, double end);
/* Moves the last step to pure noise (Lin et al. 2023, arXiv 2305.08891), in place. */
void betas_end_in_noise(double *betas, size_t count);
/* alpha_bar = running product of 1 - beta. */
double *alpha_bars_of(const double *betas, size_t count);

/* Steps of training as levels: the step with fraction at sigma, and sigma at a step, between steps linear in log sigma. */
double step_of_sigma(const double *sigmas, size_t count, double sigma);
double sigma_of_step(const double *sigmas, size_t count, double step);

/* The training step, with fraction, at which the noise is alpha_bar: DiffWave's alignment of another schedule to that of
 * training. Levels beyond the table give its ends. */
double training_step_at(const double *betas, size_t count, double alpha_bar);

#endif
