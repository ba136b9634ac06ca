/* A residual layer of DiffWave in f32 as one kernel over blocks of rows: what lies between two convolutions stays in the
 * core's own caches. The same sums in the same order as the operations, so the same bits. T samples, C channels, M mels. */
#ifndef HISS_MODELS_DIFFWAVE_FUSED_H
#define HISS_MODELS_DIFFWAVE_FUSED_H

#include "models/diffwave_layer.h"

/* One layer for rows first .. end - 1 of one sound of T rows. Pointers stand where row 0 would be, but for x, of which
 * only the rows from `held` on exist, and those up to end - 1 + dilation. */
typedef struct {
    const float *x; /* [.., C] */
    int64_t held, first, end;
    const float *d;           /* [C], the layer's step */
    const void *mel;          /* [T, M] or NULL, of the operands' type */
    const float *skip_before; /* [T, C], NULL at first */
    float *skip;              /* may be skip_before */
    float *next;              /* the next x, from row `first` on; NULL: not wanted */
    /* With bf16 operands alone: x + d, rows as of x, and if wanted the same for the next layer, of its step. */
    const uint16_t *operand;
    uint16_t *next_operand;
    const float *next_d;
} diffwave_rows;

/* Whether layers are fused with the operands asked for: bf16 only where oneDNN has its products. */
bool diffwave_fuses(void);

void diffwave_fused_rows(const diffwave_layer *l, int64_t T, const diffwave_rows *r);

/* Adds to the gradients of x, d and mel of that sound (NULL: not wanted) and of the weights, all rows at once: of r x, d
 * and mel are read. */
typedef struct {
    const float *next, *skip; /* the results' gradients [T, C]; next NULL after the last layer */
    float *x, *d, *mel;
} diffwave_gradients;
void diffwave_fused_backward(const diffwave_layer *l, int64_t T, const diffwave_rows *r, const diffwave_gradients *g);

/* All layers where nothing is recorded: the sum of skips [B, T, C]. x [B, T, C], d[i] [B, C] of layer i, mel [B, T, M] or
 * NULL. Some thousand rows go through all layers before the next do, each layer a dilation behind the one before, so that
 * x never leaves the caches either. */
tensor *diffwave_fused_layers(const diffwave_layer *l, int64_t layers, const tensor *const *d, const tensor *mel,
                              const tensor *x);

#endif
