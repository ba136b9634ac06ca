/* DiffWave's residual layers with bf16 operands, as diffwave_fused.h has them in f32: a layer is one kernel over blocks of
 * rows, sums and the residual stream stay f32. Both convolutions before the gate are one product, of the rows of three taps
 * and of mel side by side. Products are oneDNN's (block_product.h): blocks all have BLOCK rows, whatever the threads, so
 * that each row is always computed alike. */
#ifndef HISS_MODELS_DIFFWAVE_BF16_H
#define HISS_MODELS_DIFFWAVE_BF16_H

#include "models/diffwave_fused.h"

enum { DIFFWAVE_BF16_BLOCK = 256 };

/* Layers of one size with their weights as products want them. */
typedef struct diffwave_bf16 diffwave_bf16;
diffwave_bf16 *diffwave_bf16_new(const diffwave_layer *l, int64_t layers);

/* operand [n, C] = x [n, C] + d [C], BF16. */
void diffwave_bf16_operand(const float *x, const float *d, int64_t n, int64_t C, uint16_t *operand);
void diffwave_bf16_rows(const diffwave_bf16 *net, int64_t layer, int64_t T, const diffwave_rows *r);

/* Gradients of one layer for sounds of T rows, one after another: `end` adds those of the weights, summed over the sounds. Of
 * r x, operand, d and mel are read. Sums run over fixed pieces, so that the number of threads does not matter. */
typedef struct diffwave_bf16_slopes diffwave_bf16_slopes;
diffwave_bf16_slopes *diffwave_bf16_slopes_new(const diffwave_layer *l, int64_t T);
void diffwave_bf16_backward(diffwave_bf16_slopes *s, const diffwave_rows *r, const diffwave_gradients *g);
void diffwave_bf16_slopes_end(const diffwave_bf16_slopes *s);

#endif
