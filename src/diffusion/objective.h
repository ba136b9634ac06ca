/* What a network predicts of a noisy state x = a x0 + b n, and how any prediction becomes any other.
 *
 * Every prediction is a mixture y = p x0 + q n of the same two unknowns as x, so two linear equations give x0 and n; nothing
 * divides by a or b where the prediction determines them. */
#ifndef HISS_DIFFUSION_OBJECTIVE_H
#define HISS_DIFFUSION_OBJECTIVE_H

#include "tensor/tensor.h"

/* Shares of the clean signal and of the noise. */
typedef struct {
    double a, b;
} mixing;

typedef enum {
    PREDICT_NOISE, /* n (epsilon) */
    PREDICT_V,     /* a n - b x0; Salimans and Ho 2022, arXiv 2202.00512 */
    PREDICT_CLEAN, /* x0 */
    PREDICT_FLOW,  /* n - x0; Liu et al. 2023, arXiv 2209.03003 */
    OBJECTIVES
} objective;
/* "noise", "v", "clean", "flow". */
const char *objective_name(objective of);
/* p and q of the prediction. */
mixing objective_mixing(objective of, mixing at);

/* Processes: how signal and noise share a state of noise over signal sigma. */
typedef enum {
    PROCESS_EXPLODING, /* a = 1, b = sigma */
    PROCESS_ROTATING,  /* a^2 + b^2 = 1: variance preserving, v, TrigFlow */
    PROCESS_STRAIGHT   /* a + b = 1: rectified flow */
} process;
/* A state without signal. Finite, so that states in units of the signal exist; a step from it is a step from infinity. */
#define NO_SIGNAL 0x1p40
mixing mixing_at(process kind, double sigma);
/* A state of the process over the same in units of the clean signal: its share of that, but for one without. */
double state_scale(process kind, double sigma);
/* Its own time: sigma; the angle, 0 to pi/2; t, 0 to 1. And back. */
double time_of(process kind, double sigma);
double sigma_at(process kind, double time);

/* What is believed of a state: both of its unknowns. noise NULL: (x - a clean) / b. */
typedef struct {
    tensor *clean, *noise;
} estimate;

/* Tensors of x's shape in the current scope. A prediction of the clean signal or of the noise is the estimate's own. */
estimate estimate_of(objective of, mixing at, const tensor *x, const tensor *prediction);
tensor *prediction_of(objective of, mixing at, estimate e);
/* The noisy state, and for training the target that belongs to it. */
tensor *mix(mixing at, const tensor *clean, const tensor *noise);
tensor *target_of(objective of, mixing at, const tensor *clean, const tensor *noise);

#endif
