/* Low-rank adapters (LoRA; Hu et al. 2021, arXiv 2106.09685): each matrix W [M, N] of a network becomes W + scale B A with A [R, N],
 * B [M, R], and only A and B are learned. They are kept in the matrix itself (merged), so a network knows nothing of them and runs no
 * slower; the gradient that reaches the matrix is passed on to A and B.
 *
 * A file holds NAME.lora_A.weight and NAME.lora_B.weight for each NAME.weight, the names that PEFT gives them, and in its metadata
 * "alpha" (a number as text; scale is alpha / R; without it 1). */
#ifndef HISS_NN_LORA_H
#define HISS_NN_LORA_H

#include "nn/bind.h"

enum { LORA_MOST_RANK = 256 };

typedef struct lora lora;
/* For all trainable matrices named *.weight whose sides both exceed the rank; nothing else is trainable afterwards. A is drawn as
 * torch draws a linear layer, B is zero: nothing changes at first. In the current scope, on the host. */
lora *lora_new(params *p, int64_t rank, random_key key);
/* What is learned. */
params *lora_params(lora *l);
/* Puts A and B into the matrices, after they changed. */
void lora_merge(lora *l);
/* The gradients of A and B from those of the matrices. */
void lora_gradients(lora *l);
void lora_save(const lora *l, const char *path);

/* Adds `weight` times a file's adapters to the network's matrices. Fails on a file without any, on matrices that the network does not
 * have or of other shapes, before anything is changed. */
void lora_apply(params *p, const char *path, double weight);

#endif
