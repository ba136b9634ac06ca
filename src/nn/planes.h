/* Convolutional classifiers over planes [B, H, W, C], forward only: what the listening networks of evaluation share. */
#ifndef HISS_NN_PLANES_H
#define HISS_NN_PLANES_H

#include "nn/bind.h"

/* 3x3, padded by 1; w [out, in, 3, 3], bias [out] or NULL. */
tensor *planes_conv(const tensor *x, const tensor *w, const tensor *bias);
/* 2x2; an odd last row or column is dropped. */
typedef enum { POOL_MAX, POOL_MEAN } pool_kind;
tensor *planes_pool(const tensor *x, pool_kind kind);
/* max(0, x) in place. */
void planes_relu(tensor *x);

/* Batch normalisation of a trained network: scale and shift. */
typedef struct {
    const tensor *weight, *bias, *mean, *variance;
} batch_norm;
/* NAME.weight, .bias, .running_mean, .running_var. */
batch_norm bind_batch_norm(binder *b, const char *name, int64_t channels);
/* On the last dimension, in place, then max(0, .) if relu. */
void apply_batch_norm(const batch_norm *n, tensor *x, bool relu);

#endif
