/* Texts as the states of a T5 encoder, from the folder it is published in: config.json, weights, and a tokenizer there or elsewhere. */
#ifndef HISS_SYSTEMS_T5_TEXT_H
#define HISS_SYSTEMS_T5_TEXT_H

#include "tensor/tensor.h"

typedef struct t5_text t5_text;
/* tokenizer: its folder or file, NULL: the same folder. In the current scope. */
t5_text *t5_text_open(const char *folder, const char *tokenizer);
int64_t t5_text_width(const t5_text *e);

typedef struct {
    int64_t count, tokens; /* B, S */
    const int32_t *ids;    /* [B, S] */
    const tensor *mask;    /* bytes [B, S], 0 is padding */
    tensor *states;        /* [B, S, E] */
} t5_states;
/* Each cut or padded to so many tokens, in the current scope. */
t5_states t5_text_encode(const t5_text *e, const char *const *texts, int64_t count, int64_t tokens);

#endif
