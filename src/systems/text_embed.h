/* Sentence embeddings: what a text is about as one vector of unit length, nearer to that of a text of like meaning. A folder
 * in the form of sentence-transformers' all-MiniLM: config.json, a tokenizer, weights. */
#ifndef HISS_SYSTEMS_TEXT_EMBED_H
#define HISS_SYSTEMS_TEXT_EMBED_H

#include "tensor/tensor.h"

typedef struct text_encoder text_encoder;

/* In the current scope. */
text_encoder *text_encoder_open(const char *folder);
/* Numbers in an embedding. */
int64_t text_encoder_width(const text_encoder *e);
/* texts: n strings, each cut to 256 tokens -> [n, width], rows of unit length. Mean of the last layer over the tokens. */
tensor *text_embed(const text_encoder *e, const char *const *texts, int64_t n);
/* Pieces that its tokenizer parts a text into, the special ones not counted. */
int64_t text_pieces(const text_encoder *e, const char *text);
/* The last layer itself for one text: [tokens, width]. */
tensor *text_states(const text_encoder *e, const char *text);

#endif
