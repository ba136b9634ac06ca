/* BERT's encoder (Devlin et al. 2019, arXiv 1810.04805) and RoBERTa's (Liu et al. 2019), which differs in its positions:
 * token ids -> a vector for each token. B texts, T tokens, C width. */
#ifndef HISS_MODELS_BERT_H
#define HISS_MODELS_BERT_H

#include "nn/bind.h"

typedef struct {
    int64_t vocabulary, width, layers, heads, inner; /* inner: of the feed-forward part */
    int64_t positions, types;                        /* rows of those tables */
    int64_t first_position;                          /* of the first token: 0, RoBERTa 2 */
    float eps;                                       /* of the norms */
} bert_config;

typedef struct bert bert;

/* The keys of the published config.json (hidden_size, num_hidden_layers, ...), with BERT base's values for absent ones. */
bert_config bert_config_read(config c);

/* Names without a prefix ("embeddings.word_embeddings.weight", "encoder.layer.0..."): push one before for files that have
 * it. */
bert *bert_bind(const bert_config *c, binder *b);
const bert_config *bert_sizes(const bert *net);

/* ids [B, T]; mask: bytes [B, T], 0 hides a token, or NULL -> [B, T, C]. More tokens than positions, and ids past the
 * vocabulary, are errors. */
tensor *bert_forward(const bert *net, const int32_t *ids, const tensor *mask, int64_t B, int64_t T);

#endif
