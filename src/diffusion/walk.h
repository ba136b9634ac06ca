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
    int64_t used;       /* levels that this step went down; a step may set more than 1 */
    double sigma, next; /* of this step */
    double eta, noise;
    bool heun, of_noise;
    process slopes;
    tensor *old[WALK_MEMORY]; /* what the last steps kept, newest first */
    int kept;
    tensor *start; /* unipc, plms: where the last step started */
    int order;     /* unipc: of the last step */
    bool watched, touched;
};

/* out = sum of factor * of; out may be one of them. */
typedef struct {
    double factor;
    const tensor *of;
} term;
void add_terms(tensor *out, const term *terms, int terms_count);
#define MIX(out, ...) add_terms(out, (term[]){__VA_ARGS__}, sizeof((term[]){__VA_ARGS__}) / sizeof(term))

tensor *like(const tensor *x);
/* The denoiser's answer: both halves, or the clean one alone; or what the solver is about (options.of_noise). */
estimate estimated(walk *w, tensor *x, double sigma);
tensor *denoised(walk *w, tensor *x, double sigma);
tensor *predicted(walk *w, tensor *x, double sigma);
/* x += factor times fresh noise for the step between the levels. */
void add_noise_between(walk *w, tensor *x, double from, double to, double factor);
/* Keeps a copy of t as old[0]. */
void remember(walk *w, const tensor *t);
/* The level of an earlier step: 1 is the last one. */
double sigma_before(const walk *w, int64_t steps);
/* ln(from / to): infinite from no signal and to no noise. */
double fall(double from, double to);
/* The order of this step: as asked, as far as earlier levels allow, lower at the end where that is asked. */
int order_now(const walk *w);
/* Ancestral step: the level that the deterministic part goes to, and the fresh noise that lifts it to `next`. */
typedef struct {
    double down, up;
} ancestral;
ancestral ancestral_levels(double sigma, double next, double eta);

/* Coefficients of a step of an exponential integrator of fall h: x' = keep x + value D0 + slope D1 + curve D2, D0 the output,
 * D1 and D2 its first and second differences over h. `middle` is the slope's in the form of the middle point. */
typedef struct {
    double keep, value, slope, middle, curve, fresh;
} exponential;
exponential exponential_step(double sigma, double next, double eta, bool of_noise);

void step_euler(walk *w);
void step_euler_ancestral(walk *w);
void step_ddim(walk *w);
void step_ddpm(walk *w);
void step_ping_pong(walk *w);
void step_tcd(walk *w);
void step_heun(walk *w);
void step_rk4(walk *w);
void step_dpm_2(walk *w);
void step_dpm_2_ancestral(walk *w);
void step_dpmpp_2s_ancestral(walk *w);
void step_dpmpp_sde(walk *w);
void step_lms(walk *w);
void step_deis(walk *w);
void step_plms(walk *w);
void step_prk(walk *w);
void step_multistep(walk *w);
void step_singlestep(walk *w);
void step_dpm_fast(walk *w);
void step_dpm_adaptive(walk *w);
void step_unipc(walk *w);

#endif
