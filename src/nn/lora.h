/* Low-rank adapters (LoRA; Hu et al. 2021, arXiv 2106.09685): each matrix W [M, N] of a network becomes W + scale B A with A [R, N],
 * B [M, R], and only A and B are learned. They are kept in the matrix itself (merged), so a network knows nothing of them and runs no
 * slower; the gradient that reaches the matrix is passed on to A and B. A matrix that lies in its file stays there: the product is
 * added whenever its values are read.
 *
 * A file holds NAME.lora_A.weight and NAME.lora_B.weight for each NAME.weight, the names that PEFT gives them, and in its metadata
 * "alpha" (a number as text; scale is alpha / R; without it 1); or NAME.parametrizations.weight.0.lora_A and lora_B, as
 * stable-audio-tools has them (models/lora), NAME without what stands before it in the model's file, and "lora_config" (JSON: rank,
 * alpha, adapter_type). Convolutions of one tap are matrices too. */
#ifndef HISS_NN_LORA_H
#define HISS_NN_LORA_H

#include "nn/bind.h"

enum { LORA_MOST_RANK = 256 };

typedef struct lora lora;
typedef struct {
    int64_t rank;
    const char *const
        *layers;        /* parts of the names of the matrices that get adapters, NULL-terminated; NULL: all get one */
    const char *except; /* and of those that never do; or NULL */
    const store *
        from; /* a file that holds the matrices under their names: they are read from it again, not kept twice; or NULL */
} lora_settings;
/* For all trainable matrices named *.weight whose sides both exceed the rank; nothing else is trainable afterwards. A is drawn as
 * torch draws a linear layer, B is zero: nothing changes at first. In the current scope, on the host. Fails where a part of
 * `layers` names nothing. */
lora *lora_new(params *p, const lora_settings *s, random_key key);
/* What is learned: A of a matrix, then B, and so on. Their gradients come with those of the matrices, of which none is kept. */
params *lora_params(const lora *l);
/* Puts A and B into the matrices, after they changed. */
void lora_merge(lora *l);
void lora_save(const lora *l, const char *path);

/* Adds `weight` times a file's adapters to the network's matrices. Fails on a file without any, on matrices that the network does not
 * have or of other shapes, before anything is changed. */
void lora_apply(params *p, const char *path, double weight);

#endif
