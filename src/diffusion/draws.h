/* Levels of noise drawn for training, from uniforms u in (0, 1) and standard normals z, and the pairing of noise with signals. */
#ifndef HISS_DIFFUSION_DRAWS_H
#define HISS_DIFFUSION_DRAWS_H

#include <stddef.h>

#include "tensor/tensor.h"

double normal_share(double z);        /* the normal distribution's share below z */
double normal_quantile(double share); /* and back */

/* A standard normal of two uniforms in [0, 1) (Box and Muller). */
double normal_of(double u, double v);

/* Flow times t (1: noise). */
double draw_logit_normal(double z, double mean, double std);
/* Below `left` of the logistic scale nothing is drawn; rescaled to 0 .. 1. stable-audio trains on 1 minus it. */
double draw_truncated_logit_normal(double z, double left);
/* Log-SNR normal, or even between two; t within 1e-4 of the ends. */
double draw_log_snr(double z, double mean, double std);
double draw_log_snr_uniform(double u, double low, double high);
/* More in the middle; Esser et al. 2024, arXiv 2403.03206. */
double draw_mode(double u, double scale);

/* Sigmas. */
double draw_log_normal(double z, double mean, double std);
double draw_log_logistic(double u, double mean, double scale, double least, double most);
double draw_log_uniform(double u, double least, double most);
/* Even in the angle of v, from least to most. */
double draw_v(double u, double data, double least, double most);
/* Cosine, shifted for noise of low to high resolution; Hoogeboom et al. 2023, arXiv 2301.11093. */
double draw_cosine_interpolated(double u, double size, double low, double high, double least, double most);
/* Two halves of log-normals of other deviations. */
double draw_split_log_normal(double z, double u, double mean, double below, double above);

/* WaveGrad's level sqrt(alpha_bar): between those before and after step 1 .. count of a table. */
double draw_between(const double *alpha_bars, size_t step, double u);

/* Noise that lies close to each signal (Lan et al. 2024, arXiv 2407.03648): 20 rounds of Sinkhorn, then greedy by row.
 * signal, noise [B, ...]; row i gets noise[permutation[i]]. */
void couple_noise(const tensor *signal, const tensor *noise, int64_t *permutation);

#endif
