/* GPT-2 (Radford et al. 2019) fed with vectors instead of tokens, as AudioLDM 2 uses it (Liu et al. 2023, arXiv 2308.05734):
 * each output is the guess of the next vector. B sequences, T positions, C width. */
#ifndef HISS_MODELS_GPT2_H
#define HISS_MODELS_GPT2_H

#include "nn/bind.h"

typedef struct {
    int64_t width, layers, heads, inner, positions;
    float eps;
    const char *prefix; /* of the names in the file, "" or ended by a dot */
} gpt2_config;

typedef struct gpt2 gpt2;

/* The keys of the published config.json (n_embd, n_layer, ...). */
gpt2_config gpt2_config_read(config c);
/* "", "transformer." or the prefix of AudioLDM 2's single file. */
void gpt2_config_fit(gpt2_config *c, const store *s);

gpt2 *gpt2_bind(const gpt2_config *c, binder *b);

/* x [B, T, C], mask: bytes [B, T], 0 for vectors that are never attended to, or NULL -> [B, T, C] after the last norm. Masked
 * positions have an output and count as positions. */
tensor *gpt2_forward(const gpt2 *net, const tensor *x, const tensor *mask);
/* The n vectors that follow x: each the output at the last position, fed back. Keys and values are kept, so that only new
 * vectors are computed -> [B, n, C]. */
tensor *gpt2_generate(const gpt2 *net, const tensor *x, const tensor *mask, int64_t n);

#endif
