/* Tables of betas: the noise of each step of training, and what lies between the steps. */
#ifndef HISS_DIFFUSION_BETAS_H
#define HISS_DIFFUSION_BETAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* n steps of training to sample at, the noisiest first; Lin et al. 2024, arXiv 2305.08891, table 2. Whole: rounded, half to
 * even. Offset: added to leading ones. */
typedef enum { SPACING_LINSPACE, SPACING_LEADING, SPACING_TRAILING } spacing;
double *spaced_steps(spacing kind, int64_t trained, int64_t n, int64_t offset, bool whole);

/* Cumulative alpha of training at t in 0 (clean: 1) .. 1 (the last step), between steps in log. */
double alpha_bar_at(const double *betas, size_t count, double t);
/* The training step, with fraction, at which the noise is alpha_bar: DiffWave's alignment of another schedule to that of
 * training. Levels beyond the table give its ends. */
double training_step_at(const double *betas, size_t count, double alpha_bar);

#endif
