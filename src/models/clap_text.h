/* CLAP's text side (Wu et al. 2023, arXiv 2211.06687): RoBERTa, the first token's state pooled, and a projection into the
 * space that sounds share. B texts, T tokens, C width, P projection. */
#ifndef HISS_MODELS_CLAP_TEXT_H
#define HISS_MODELS_CLAP_TEXT_H

#include "models/bert.h"

typedef struct {
    bert_config text;
    int64_t projection;
    const char *prefix;         /* of the network's names in the file, without the last dot */
    const char *first, *second; /* the projection's layers */
} clap_text_config;

typedef struct clap_text clap_text;

/* ClapTextModelWithProjection's config.json, or ClapModel's, which has it under text_config. */
clap_text_config clap_text_config_read(config c);
/* Names as Hugging Face has them, or as AudioLDM's single files do. */
void clap_text_config_fit(clap_text_config *c, const store *s);

clap_text *clap_text_bind(const clap_text_config *c, binder *b);

/* What is computed on the way, if not NULL. */
typedef struct {
    tensor *states; /* [B, T, C] */
    tensor *pooled; /* [B, C] */
    tensor *embeds; /* [B, P], before the division by their length */
} clap_text_trace;

/* ids [B, T], mask: bytes [B, T], 0 for padding -> [B, P] of unit length. */
tensor *clap_text_embed(const clap_text *net, const int32_t *ids, const tensor *mask, int64_t B, int64_t T,
                        clap_text_trace *trace);

#endif
