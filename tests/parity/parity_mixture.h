/* What the diffusion cases share: the exact denoiser of a mixture of three Gaussians in four dimensions in place of a network
 * (x = a x0 + b n gives the posterior means of x0 and of n), and a run of a sampler on it with given noise. */
#ifndef HISS_TESTS_PARITY_MIXTURE_H
#define HISS_TESTS_PARITY_MIXTURE_H

#include "diffusion/sampler.h"
#include "parity.h"

enum { D = 4, COMPONENTS = 3 };

/* Of one point: x0 and eps. */
void mixture_point(const double x[D], mixing at, const double *weights, double std, double x0[D], double eps[D]);
/* Of states [points, D]; weights of the components, NULL: equal; `std` of each, 0: 0.25. */
estimate mixture_estimate(const tensor *x, mixing at, const double *weights, double std);

typedef struct run run;
struct run {
    parity_case *c;
    config one, options;
    const char *name;
    sampling s;
    process process;              /* whose scale the case's states have */
    process shown;                /* the same of the states on the way */
    bool shown_else;              /* than the first and last */
    double unit;                  /* of the case's states and sigmas; 1 */
    tensor *noise, *times, *path; /* given draws, or a Brownian path at times */
    int64_t drawn, calls, watched;
    tensor *xs;    /* states on the way, or NULL: at each call of the network, or first of each step */
    int64_t every; /* one of so many is kept */
    bool by_step, by_try;
    int64_t thinned; /* long walks: calls or steps of which as many are kept as xs has room for */
    void (*show)(run *r, const tensor **x, double *sigma); /* what the network sees in place of x; may be NULL */
    int64_t accepted;
    double reached;
    const double *weights;
    /* What the solver is told in place of the exact answer; may be NULL. */
    estimate (*answer)(run *r, const tensor *x, double sigma);
    struct guided *guided; /* NULL: none */
    void *extra;
};

run run_begin(parity_case *c, config one);
char *run_name(const run *r, const char *name); /* name.what */
tensor *run_in(const run *r, const char *name); /* NULL if there is none */
/* x in the scale of the case, from `sigmas` on. */
void run_finish(run *r, const sampler *kind, tensor *x);
/* The same without comparing. */
void run_walk(run *r, const sampler *kind, tensor *x);
void run_compare(run *r, const tensor *x);
/* The factor from the solver's scale to that of the case. */
double run_scale(const run *r, double sigma);
tensor *scaled_by(const tensor *x, double factor);

double *numbers_of(const tensor *t);
/* Compares values, if the case has them. */
void compare_numbers(parity_case *c, const char *name, const double *values, size_t n);

#endif
