/* Weights in the order in which tiles read them, kept with their parameter until it changes. */
#ifndef HISS_TENSOR_CPU_PANELS_H
#define HISS_TENSOR_CPU_PANELS_H

#include "tensor/tape.h"

/* TILE_COLUMNS columns after another: [(columns + 31) / 32][taps][steps][32], zero beyond the last column. FORWARD: columns
 * are output channels, steps input channels; BACKWARD: the other way round, with the last tap first. */
typedef enum { PANELS_FORWARD, PANELS_BACKWARD } panels_order;

/* w [out_c, in_c, kernel] F32. A plain tensor's panels live in the current scope. */
const float *panels_of(const tensor *w, int64_t out_c, int64_t in_c, int kernel, panels_order order);

#endif
