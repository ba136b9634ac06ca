/* Long sounds in time windows: a network that sees `halo` samples to each side gives the same prediction, sample by sample,
 * when it is run on a window widened by the halo and the edges are thrown away. Memory is then that of one window,
 * however long the sound. */
#ifndef HISS_SYSTEMS_WINDOW_H
#define HISS_SYSTEMS_WINDOW_H

#include "tensor/tensor.h"

typedef struct {
    int64_t length; /* samples predicted at a time; rounded to whole hops */
    int64_t halo;   /* samples on each side; rounded up to whole hops */
    int64_t hop;    /* windows begin at multiples of this (a mel frame); 1: anywhere */
} window;

/* x [B, n] F32, samples first .. first + n - 1 of the sound -> prediction [B, n] F32 in the current scope. */
typedef tensor *(*window_predict)(void *context, const tensor *x, int64_t first);

/* x [B, T] F32 -> [B, T] F32. T a multiple of the hop. */
tensor *predict_in_windows(window w, const tensor *x, window_predict predict, void *context);

#endif
