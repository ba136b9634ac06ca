/* A residual layer of DiffWave, computed in tiles of rows so that all between x and the next x stays in the cores' caches.
 * Training keeps x alone and computes the inside of a tile again when its gradients are wanted: the memory of a step is
 * an x for each layer, not eleven tensors of its size. B batch, T samples, C channels, M mels. */
#ifndef HISS_MODELS_DIFFWAVE_LAYER_H
#define HISS_MODELS_DIFFWAVE_LAYER_H

#include "nn/layers.h"

enum { DIFFWAVE_TILE = 1024 }; /* rows: half a MiB for each intermediate at BASE's widths */

typedef struct {
    affine dilated, mel, output;
    int dilation;
} diffwave_layer;

/* x, skip [B, T, C] F32. */
typedef struct {
    tensor *x, *skip;
} diffwave_state;

/* d [B, C] the layer's step; mel [B, T, M] or NULL; s.skip NULL at first. The last layer's x is not needed: NULL. No
 * derivative reads s.skip's values. */
diffwave_state diffwave_layer_forward(const diffwave_layer *l, const tensor *d, const tensor *mel, diffwave_state s,
                                      bool last);

#endif
