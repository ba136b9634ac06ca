/* Products of blocks of rows in bf16 by oneDNN, side by side: each thread of a parallel loop computes its own by a primitive
 * made for one thread, so that what it has just written is still in its caches. (dnn.h's products take all threads.) */
#ifndef HISS_TENSOR_CPU_BLOCK_PRODUCT_H
#define HISS_TENSOR_CPU_BLOCK_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

/* y [m, n] F32 = or (accumulate) += a [m, k] b [k, n] + bias [n]; a and b BF16. */
typedef struct {
    int64_t m, n, k;
    bool a_transposed; /* a stands there as [k, m] */
    bool packed;       /* b are weights in oneDNN's own layout; else it stands there as [k, n] */
    bool bias, accumulate;
} block_problem;

typedef struct block_product block_product;
typedef struct block_weights block_weights;

typedef struct {
    const uint16_t *a, *b;  /* b: not packed */
    const block_weights *w; /* packed */
    const float *bias;
    float *y;
} block_operands;

/* Whether this processor's oneDNN has bf16 products. */
bool block_products_exist(void);
/* In the current scope, as are its weights: b [k, n] F32. */
block_product *block_product_new(const block_problem *p, int threads);
const block_weights *block_weights_of(const block_product *p, const float *b);
/* In a parallel loop, as thread `thread`. What goes wrong block_product_check tells afterwards. */
void block_product_run(block_product *p, int thread, const block_operands *o);
void block_product_check(const block_product *p);

#endif
