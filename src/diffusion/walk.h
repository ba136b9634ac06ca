/* What the samplers' steps share: the state, the levels of this step, outputs of earlier steps, and sums of tensors. */
#ifndef HISS_DIFFUSION_WALK_H
#define HISS_DIFFUSION_WALK_H

#include "diffusion/sampler.h"

enum { WALK_MEMORY = 4 };

struct walk {
    const sampling *s;
    const sampler *kind;
    tensor *x;
    int64_t step;
    double sigma, next; /* of this step */
    double eta, noise;
    tensor *old[WALK_MEMORY]; /* what the last steps kept, newest first */
    int kept;
    tensor *start; /* unipc: where the last step started */
    int order;     /* unipc: of the last step */
    bool watched;
};

/* out = sum of factor * of; out may be one of them. */
typedef struct {
    double factor;
    const tensor *of;
} term;
void add_terms(tensor *out, const term *terms, int terms_count);
#define MIX(out, ...) add_terms(out, (term[]){__VA_ARGS__}, sizeof((term[]){__VA_ARGS__}) / sizeof(term))

tensor *like(const tensor *x);
tensor *denoised(walk *w, const tensor *x, double sigma);
/* x += factor times fresh noise for the step between the levels. */
void add_noise_between(walk *w, tensor *x, double from, double to, double factor);
/* Keeps a copy of t as old[0]. */
void remember(walk *w, const tensor *t);
/* The level of an earlier step: 1 is the last one. */
double sigma_before(const walk *w, int64_t steps);
/* Ancestral step: the level that the deterministic part goes to, and the fresh noise that lifts it to `next`. */
typedef struct {
    double down, up;
} ancestral;
ancestral ancestral_levels(double sigma, double next, double eta);

void step_euler(walk *w);
void step_euler_ancestral(walk *w);
void step_heun(walk *w);
void step_dpm_2(walk *w);
void step_dpm_2_ancestral(walk *w);
void step_lms(walk *w);
void step_dpmpp_2s_ancestral(walk *w);
void step_dpmpp_sde(walk *w);
void step_dpmpp_2m(walk *w);
void step_dpmpp_2m_sde(walk *w);
void step_dpmpp_3m_sde(walk *w);
void step_unipc(walk *w);

#endif
