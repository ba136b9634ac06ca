/* How much a level of noise counts in training, and the scalings around a network: D = skip x + out F(in x). */
#ifndef HISS_DIFFUSION_WEIGHTS_H
#define HISS_DIFFUSION_WEIGHTS_H

#include "diffusion/objective.h"

typedef struct {
    double skip, out, in;
} scalings;
/* Karras et al. 2022, arXiv 2206.00364; data: the signal's deviation. */
scalings scalings_edm(double sigma, double data);
/* Around a v network: out is negative. */
scalings scalings_v(double sigma);
/* Consistency models, arXiv 2303.01469: the identity at `least`. */
scalings scalings_consistency(double sigma, double least, double data);
/* Latent consistency models, arXiv 2310.04378: by the step of training, on a variance preserving state. */
scalings scalings_lcm(double step, double stretch, double data);

/* Of a squared error: of the prediction named, by signal over noise (in power); Hang et al. 2023, arXiv 2303.09556. */
double weight_min_snr(double snr, double gamma, objective of);
/* Of the noise's error; Choi et al. 2022, arXiv 2204.00227. */
double weight_p2(double snr, double k, double gamma);
/* Of the clean signal's error: 1 on that of F. */
double weight_edm(double sigma, double data);
/* k-diffusion's, on the error of F. */
double weight_soft_min_snr(double sigma, double data);
double weight_snr(double sigma, double data);
/* Rectified flow at t; Esser et al. 2024, arXiv 2403.03206. */
double weight_flow_inverse(double t);
double weight_flow_cosine(double t);

#endif
