/* Schedules: the noise levels that a sampler visits, as falling sigmas (noise over signal), made from what a model was trained
 * on. */
#ifndef HISS_DIFFUSION_SCHEDULE_H
#define HISS_DIFFUSION_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "diffusion/objective.h"

/* The noise a model knows. */
typedef struct {
    double least, most;  /* sigma */
    process process;     /* whose time is even time */
    const double *betas; /* of training, from the least noise to the most; NULL: any sigma in between was trained on */
    size_t count;
    const double *own; /* betas of the short list it comes with; NULL: none */
    size_t own_count;
} noise_law;
/* Of a table of betas and, if it has one, a short list. */
noise_law law_of_betas(const double *betas, size_t count, const double *own, size_t own_count);

typedef struct {
    double *sigmas; /* steps + 1, falling, the last one 0; in the current scope */
    int64_t steps;
} levels;

typedef struct {
    const char *name, *paper;
    /* steps 0: its own number. NULL: `at` from the most to the least noise of the law. */
    levels (*make)(const noise_law *law, int64_t steps);
    double (*at)(double t, double least, double most, double rho); /* t 0: most, 1: least */
    double rho;                                                    /* its own */
} schedule;
/* Ends with {0}; the first is the default. */
extern const schedule SCHEDULES[];
/* NULL if there is none. */
const schedule *schedule_find(const char *name);
levels schedule_make(const schedule *kind, const noise_law *law, int64_t steps);

/* The steps of these betas, backwards, and then 0. */
levels levels_of_betas(const double *betas, size_t count);
/* Of a kind that has `at`, in n steps from `most` to `least`, and then 0. rho 0: the schedule's own. */
levels levels_between(const schedule *kind, int64_t n, double least, double most, double rho);
/* Of a variance preserving process with linear beta (Song et al. 2021, arXiv 2011.13456), time 1 to `last`, then 0. */
levels levels_vp(int64_t n, double beta_d, double beta_min, double last);

/* Of steps + 1 times of a process. */
levels levels_of_times(process kind, const double *times, int64_t steps);

/* sigma of a variance preserving state with this alpha_bar, and back. */
double vp_sigma(double alpha_bar);
double vp_alpha_bar(double sigma);

#endif
