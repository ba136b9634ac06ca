/* Losses with their gradients, as sums of weighted penalties of d = prediction - target. Tensors [B, T, C]. */
#ifndef HISS_DIFFUSION_LOSSES_H
#define HISS_DIFFUSION_LOSSES_H

#include "tensor/tensor.h"

typedef struct {
    double value;
    tensor *gradient; /* by the prediction */
} loss;

typedef enum {
    PENALTY_SQUARE,      /* d^2 */
    PENALTY_ABSOLUTE,    /* |d| */
    PENALTY_HUBER,       /* d^2 / 2 within c, then straight */
    PENALTY_PSEUDO_HUBER /* sqrt(d^2 + c^2) - c */
} penalty;

/* Sum of weight * penalty over all elements; weights: one an element. */
loss loss_weighted(penalty kind, double c, const tensor *prediction, const tensor *target, const double *weights);
/* The pseudo-Huber penalty of each batch element's norm; weights: one each; then the mean. */
loss loss_of_norms(double c, const tensor *prediction, const tensor *target, const double *weights);
/* c of improved consistency training, arXiv 2310.14189, for samples of n values. */
double pseudo_huber_c(int64_t n);

/* Weights of every element, in the current scope. each: of every batch element, or NULL. mask [B, T], 1 counts, or NULL. */
double *weights_even(const tensor *like, const double *each);
/* Every counted element of the whole batch the same. */
double *weights_counted(const tensor *like, const tensor *mask);

/* stable-audio-3's: the mean of each batch element, padding with a share, then of the batch; errors of the signal over the
 * variance of the target. */
typedef enum { VARIANCE_NONE, VARIANCE_POSITION, VARIANCE_SAMPLE, VARIANCE_CHANNEL } variance_of;
double *weights_by_variance(const tensor *target, const tensor *mask, variance_of over, double padding);

#endif
