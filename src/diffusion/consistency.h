/* Training of networks that jump along a path: consistency training (Song and Dhariwal 2023, arXiv 2310.14189; Song et al. 2023,
 * arXiv 2303.01469), latent consistency distillation (arXiv 2310.04378) and sCM in TrigFlow (Lu and Song 2024, arXiv
 * 2410.11081). */
#ifndef HISS_DIFFUSION_CONSISTENCY_H
#define HISS_DIFFUSION_CONSISTENCY_H

#include <stddef.h>

#include "diffusion/losses.h"
#include "diffusion/objective.h"

/* Levels at update k of K: doubling from s0 to s1, or the original's square root; and the original's decay of averages. */
int64_t curriculum_levels(int64_t k, int64_t K, int64_t s0, int64_t s1);
int64_t curriculum_levels_first(int64_t k, int64_t K, int64_t s0, int64_t s1);
double curriculum_decay(int64_t levels, int64_t s0, double mu0);

/* n levels, rising, by Karras; probabilities of the n - 1 pairs, log-normal. In the current scope. */
double *consistency_levels(size_t n, double least, double most);
double *pair_shares(const double *sigmas, size_t n, double mean, double std);

/* Latent consistency distillation: what a teacher believes with guidance w, cond + w (cond - uncond) of both halves, and the
 * embedding of w: sines and cosines of 1000 w. */
estimate estimate_pushed(estimate cond, estimate uncond, double w);
void embed_guidance(double w, int64_t dims, double *out);

/* sCM. x = cos t x0 + sin t z; F the network's output, path dx / dt, dF its derivative along the
 * path times cos t sin t; r grows from 0 to 1. One sample of n values: the normalised tangent. */
void scm_tangent(double t, double data, double r, const double *x, const double *F, const double *path,
                 const double *dF, int64_t n, double *g);
double scm_weight(double t, double data);

#endif
