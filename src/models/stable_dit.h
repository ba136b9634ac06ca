/* The diffusion transformer of Stable Audio Open and of other models of stable-audio-tools ("continuous_transformer"; Evans et al.
 * 2024, arXiv 2407.14358), also under diffusers' names (StableAudioDiTModel). Latents [B, N, C] at time t, 0 clean to 1 noise, in
 * the light of tokens (cross-attention), of a vector for all positions, of tokens in front and of channels beside the latents.
 * D width, S tokens, E their width. */
#ifndef HISS_MODELS_STABLE_DIT_H
#define HISS_MODELS_STABLE_DIT_H

#include "diffusion/objective.h"
#include "nn/bind.h"

enum { STABLE_DIT_WAVES = 128 }; /* that time is told in */

typedef enum { QK_PLAIN, QK_LAYER_NORM, QK_UNIT } qk_norm; /* of the heads of queries and keys */

typedef struct {
    int64_t channels, width, depth, heads, inner; /* C, D, .., .., of the feed-forward part */
    int64_t tokens, token_width, token_heads;     /* E, and after their projection; 0: no cross-attention */
    int64_t global, prepend, concat;              /* numbers of each; 0: none */
    int64_t patch, memory, rotary; /* positions to one of the transformer; learned tokens; dimensions turned */
    qk_norm norm;
    bool modulated; /* adaLN by the vector, else it is a token in front */
    objective predicts;
    bool diffusers;
} stable_dit_config;

/* "config" of stable-audio-tools' "diffusion"; diffusers' transformer/config.json. */
stable_dit_config stable_dit_config_read(config c);
stable_dit_config stable_dit_config_read_diffusers(config c);

typedef struct stable_dit stable_dit;
stable_dit *stable_dit_bind(const stable_dit_config *c, binder *b);
const stable_dit_config *stable_dit_sizes(const stable_dit *net);

/* Keys and values that all layers make of tokens [B, S, E]: once for all steps of a walk. */
typedef struct stable_dit_context stable_dit_context;
const stable_dit_context *stable_dit_attend_to(const stable_dit *net, const tensor *tokens);

typedef struct {
    const stable_dit_context *context; /* of a network with tokens */
    const tensor *global;              /* [B, global] */
    const tensor *prepend;             /* [B, P, prepend] */
    const tensor *concat;              /* [B, N, concat] */
} stable_dit_condition;                /* each NULL where the network has none */

/* x [B, N, C], t [B] -> what it predicts, [B, N, C]; N must be a multiple of the patch. */
tensor *stable_dit_forward(const stable_dit *net, const tensor *x, const float *t, const stable_dit_condition *c);

#endif
