/* Samplers as short loops over noise levels, in the form of Karras et al. 2022 (arXiv 2206.00364): the state is the clean signal plus
 * noise of standard deviation sigma, and all a sampler knows of the network is denoise(x, sigma). */
#ifndef HISS_DIFFUSION_SAMPLER_H
#define HISS_DIFFUSION_SAMPLER_H

#include <stdint.h>

typedef struct {
    /* x [n] at sigma -> the expected clean signal [n] */
    void (*denoise)(void *context, const float *x, double sigma, float *clean);
    /* z [n]: the next standard normals */
    void (*noise)(void *context, float *z);
    /* After step i (from 0) of the walk; may be NULL. */
    void (*stepped)(void *context, int64_t i);
    void *context;
    int64_t n;
    double eta; /* fresh noise, 1: the sampler's full amount */
} denoiser;

typedef struct {
    const char *name, *source;
    int calls;  /* of the network, a step */
    double eta; /* its own */
    /* sigma [steps + 1] falls, the last is 0; x [n] begins at sigma[0] and ends clean. */
    void (*run)(const denoiser *d, float *x, const double *sigma, int64_t steps);
} sampler;

/* Ended by a row without name. */
extern const sampler SAMPLERS[];

#endif
