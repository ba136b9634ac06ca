/* Guidance: what a network says with a condition, pushed away from what it says without (Ho and Salimans 2022, arXiv
 * 2207.12598) or with another. Predictions [B, T, C]; statistics are those of each batch element. */
#ifndef HISS_DIFFUSION_GUIDANCE_H
#define HISS_DIFFUSION_GUIDANCE_H

#include "diffusion/sampler.h"

/* Zero is each one's default but the scale's. */
typedef struct {
    double scale;       /* 1: as the condition says; 0: as without */
    double low, high;   /* noise share b of the state at which it is guided, ends included; high 0: everywhere */
    double parallel;    /* kept of the difference's part along the condition's prediction where `projected` */
    bool projected;     /* APG; Sadat et al. 2024, arXiv 2410.02416 */
    double most_norm;   /* bound of the difference's norm */
    double momentum;    /* of differences over steps */
    bool from_cond;     /* cond + (scale - 1) times the difference, which differs once that is changed */
    bool matched;       /* the unconditional one scaled to fit first: CFG-zero*; Fan et al. 2025, arXiv 2503.18886 */
    double rescale;     /* share of a scaling back to the condition's deviation; Lin et al. 2024, arXiv 2305.08891 */
    bool each_position; /* that deviation is over the channels of each position */
    bool of_clean;      /* on clean signals, whatever the network predicts (stable-audio-3) */
    bool plus;          /* CFG++: the unconditional noise stays; Chung et al. 2024, arXiv 2406.08070 */
} guidance;

/* The running difference; all zero before the first step. */
typedef struct {
    tensor *difference;
} guidance_memory;

bool guides_at(const guidance *g, double noise_share);
/* One prediction of two. mask [B, T], 1 where the signal is, or NULL; memory NULL: no momentum. */
tensor *guide(const guidance *g, const tensor *cond, const tensor *uncond, const tensor *mask, guidance_memory *memory);
/* The same by way of the clean signals where of_clean says so. */
tensor *guide_prediction(const guidance *g, objective of, mixing at, const tensor *x, const tensor *cond,
                         const tensor *uncond, const tensor *mask);
/* Two conditions: uncond + s1 (first - uncond) + s2 (second - first, or - uncond). */
tensor *guide_twice(double s1, double s2, const tensor *uncond, const tensor *first, const tensor *second, bool nested);

/* A denoiser of two: context of guided_call. */
typedef struct guided {
    denoiser cond, uncond; /* or the negative condition's */
    const guidance *g;
    objective of; /* of the network */
    process process;
    const tensor *mask;
} guided;
estimate guided_call(void *context, const tensor *x, double sigma);

#endif
