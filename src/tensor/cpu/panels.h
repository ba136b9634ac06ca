/* Weights in the order in which tiles read them, kept with their parameter until it changes. */
#ifndef HISS_TENSOR_CPU_PANELS_H
#define HISS_TENSOR_CPU_PANELS_H

#include "tensor/tape.h"

/* TILE_COLUMNS columns after another: [(columns + 31) / 32][taps][steps][32], zero beyond the last column. FORWARD: columns
 * are output channels, steps input channels; BACKWARD: the other way round, with the last tap first. REPEATED: forward over
 * rows that stand there `factor` times, for the rows factor q + phase of the result: taps that read the same row are added up. */
typedef struct {
    enum { PANELS_FORWARD, PANELS_BACKWARD, PANELS_REPEATED } order;
    int factor, dilation, phase; /* REPEATED */
} panels_key;

/* The rows q + first .. q + first + taps - 1, of those before repetition, that the rows factor q + phase read. */
typedef struct {
    int64_t first;
    int taps;
} panels_reach;
panels_reach repeated_reach(int kernel, panels_key key);
/* Whether the rows of the phase before read the same ones by the same taps. */
bool repeated_like_before(int kernel, panels_key key);

/* w [out_c, in_c, kernel] F32. A plain tensor's panels live in the current scope. */
const float *panels_of(const tensor *w, int64_t out_c, int64_t in_c, int kernel, panels_key key);

#endif
