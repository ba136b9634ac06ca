/* Samplers: loops over falling noise levels that call a denoiser. They know nothing of networks.
 *
 * Everything is in the form of Karras et al. 2022 (arXiv 2206.00364): the state is x = x0 + sigma n, sigma the noise over the
 * signal. A state a x0 + b n of another process is the same times a, with sigma = b / a, so every sampler runs on every model:
 * the posteriors of DDPM and DDIM and the steps of rectified flow are Euler's. A state without signal has sigma NO_SIGNAL. */
#ifndef HISS_DIFFUSION_SAMPLER_H
#define HISS_DIFFUSION_SAMPLER_H

#include "diffusion/objective.h"

/* What is believed of x at sigma; F32 of x's shape, in the current scope. */
typedef struct {
    estimate (*call)(void *context, const tensor *x, double sigma);
    void *context;
} denoiser;

/* Standard normals for the step between two levels, in the order of use. Most sources ignore the levels; a Brownian path
 * gives the same noise for the same levels whatever the steps. */
typedef struct {
    void (*draw)(void *context, double from, double to, float *z, int64_t n);
    void *context;
} noise_path;

typedef enum { TAPER_OWN, TAPER_NONE, TAPER_LAST, TAPER_ALL } taper; /* steps that lower the order at the end */

/* Zero is each one's default. */
typedef struct {
    double eta;              /* share of fresh noise; below 0: the sampler's own */
    double noise;            /* scale of fresh noise; 0 counts as 1 */
    double churn, low, high; /* Karras' extra noise where low <= sigma (heun: the time of the slopes) <= high; high 0:
                                everywhere */
    double middle;           /* dpmpp-sde: where in the step its middle is; 0: half */
    int order;               /* of the multistep and singlestep ones; 0: the sampler's own */
    bool heun;               /* of them: second order by Heun's correction in place of the middle point's */
    bool of_noise;           /* of them and unipc: predict the noise in place of the clean signal */
    bool plain;              /* unipc: B(h) = h in place of e^h - 1 */
    uint64_t uncorrected;    /* unipc: steps (of the first 64) that are not corrected afterwards */
    bool skewed;             /* dpmpp-3m: the curvature's coefficient less one, as diffusers has it with fresh noise */
    objective averaged;      /* plms: of which prediction (of a variance preserving state) it takes means */
    taper taper;
    double clip;        /* bound of the clean signal; 0: none */
    bool clip_noise;    /* the noise follows from the clipped clean signal */
    bool wide;          /* ddpm: the fresh noise of beta itself, the upper bound of the posterior's */
    process slopes;     /* heun, rk4: in whose time */
    double floor;       /* ping-pong: the noise that even a clean state keeps */
    double rtol, atol;  /* dpm-adaptive: tolerated error, relative and absolute; 0: 0.05, 0.0078 */
    double first, safe; /* of it: the first step in log sigma, and what a step must reach to count; 0: 0.05, 0.81 */
    double p, i, d;     /* of it: the controller's coefficients; all 0: 0, 1, 0 */
} sampler_options;

/* Moments at which a state may be changed from outside (inpainting): before the network sees it, between its first call and
 * the step, and after the step. */
typedef enum { BEFORE_CALL, AFTER_CALL, AFTER_STEP } moment;

typedef struct {
    denoiser denoise;
    const double *sigmas;  /* steps + 1, falling; the last may be 0 */
    const double *between; /* steps; a level inside each step where a sampler has one: prk's middles, where tcd's noise
                              begins; may be NULL */
    int64_t steps;
    noise_path noise;
    sampler_options options;
    /* With the state that the network sees first in each step (dpm-adaptive: and after each try); may be NULL. */
    void (*watch)(void *context, int64_t step, double sigma, const tensor *x);
    void *watcher;
    /* Changes x in place and says whether it did; may be NULL. */
    bool (*touch)(void *context, moment when, int64_t step, double sigma, tensor *x);
    void *toucher;
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
    int order;  /* its own, of those that have one */
    taper taper;
    process slopes;
    bool heun;
    bool distilled; /* for networks that jump to the clean signal of a path: consistency models and their kin */
    bool clamp;     /* the variance preserving state stays within +-1 */
    bool path;      /* k-diffusion draws its noise from a Brownian path over sigma (brownian.h) */
} sampler;

/* Ends with {0}. */
extern const sampler SAMPLERS[];
/* NULL if there is none. */
const sampler *sampler_find(const char *name);

/* x, noise at sigmas[0], becomes the sample, in place. Memory does not grow with the steps. */
void sampler_run(const sampler *kind, const sampling *s, tensor *x);

#endif
