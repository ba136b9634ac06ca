/* T5's encoder (Raffel et al. 2020, arXiv 1910.10683), versions 1.0 (ReLU) and 1.1 and Flan-T5 (gated GELU): token ids -> a
 * vector for each token. B texts, T tokens, C width. */
#ifndef HISS_MODELS_T5_H
#define HISS_MODELS_T5_H

#include "nn/bind.h"

typedef struct {
    int64_t vocabulary, width, layers, heads, head, inner; /* head: width of one; inner: of the feed-forward part */
    int64_t buckets, distance;                             /* of relative positions, and where the last bucket begins */
    float eps;
    bool gated;
    const char *table; /* the name of the embedding in the file, without ".weight" */
} t5_config;

typedef struct t5 t5;

/* The keys of the published config.json (d_model, d_kv, ...); absent ones have transformers' defaults. */
t5_config t5_config_read(config c);
/* Whether the embedding is called shared or encoder.embed_tokens in this file. */
void t5_config_fit(t5_config *c, const store *s);

t5 *t5_bind(const t5_config *c, binder *b);
const t5_config *t5_sizes(const t5 *net);

/* ids [B, T]; mask: bytes [B, T], 0 hides a token, or NULL -> [B, T, C] F32. Hidden tokens have values too: what follows
 * zeroes them if it wants to. */
tensor *t5_encode(const t5 *net, const int32_t *ids, const tensor *mask, int64_t B, int64_t T);

/* The bucket of a key `offset` positions after the query, for tests. */
int64_t t5_bucket(const t5_config *c, int64_t offset);

#endif
