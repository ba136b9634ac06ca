/* Samplers: loops over falling noise levels that call a denoiser. They know nothing of networks.
 *
 * Everything is in the form of Karras et al. 2022 (arXiv 2206.00364): the state is x = x0 + sigma n, the denoiser gives x0. A
 * variance preserving state sqrt(a) x0 + sqrt(1 - a) n is the same times sqrt(a), with sigma^2 = (1 - a) / a, so every sampler
 * runs on every model, and the posteriors of DDPM and DDIM are the ancestral Euler step. */
#ifndef HISS_DIFFUSION_SAMPLER_H
#define HISS_DIFFUSION_SAMPLER_H

#include "tensor/tensor.h"

/* x0 from x at sigma, F32 of x's shape, in the current scope. */
typedef struct {
    tensor *(*call)(void *context, const tensor *x, double sigma);
    void *context;
} denoiser;

/* Standard normals for the step between two levels, in the order of use. Most sources ignore the levels; a Brownian path
 * gives the same noise for the same levels whatever the steps. */
typedef struct {
    void (*draw)(void *context, double from, double to, float *z, int64_t n);
    void *context;
} noise_path;

typedef struct {
    double eta;              /* share of fresh noise; below 0: the sampler's own */
    double noise;            /* scale of fresh noise; 0 counts as 1 */
    double churn, low, high; /* Karras' extra noise where low <= sigma <= high; high 0: everywhere */
    double middle;           /* dpmpp-sde: where in the step its middle is; 0: half */
    int order;               /* lms, unipc; 0: the sampler's own */
    bool heun;               /* dpmpp-2m-sde: Heun's correction in place of the middle point's */
} sampler_options;

typedef struct {
    denoiser denoise;
    const double *sigmas; /* steps + 1, falling; the last may be 0 */
    int64_t steps;
    noise_path noise;
    sampler_options options;
    /* With the state that the network sees first in each step; may be NULL. */
    void (*watch)(void *context, int64_t step, double sigma, const tensor *x);
    void *watcher;
    /* After each step; may be NULL. */
    void (*progress)(void *context, int64_t done, int64_t total);
    void *asked;
} sampling;

typedef struct walk walk;
typedef struct {
    const char *name, *paper;
    void (*step)(walk *w);
    double eta; /* its own */
    int memory; /* earlier outputs it uses */
    bool clamp; /* the variance preserving state stays within +-1 */
} sampler;

/* Ends with {0}. */
extern const sampler SAMPLERS[];
/* NULL if there is none. */
const sampler *sampler_find(const char *name);

/* x, noise at sigmas[0], becomes the sample, in place. Memory does not grow with the steps. */
void sampler_run(const sampler *kind, const sampling *s, tensor *x);

#endif
