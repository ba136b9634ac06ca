/* Oobleck: the autoencoder of Stable Audio (Evans et al. 2024, arXiv 2407.14358; stable-audio-tools, diffusers' AutoencoderOobleck).
 * Strided convolutions between residual units of dilated ones, snakes before each. Sound [B, T, A] <-> latents [B, N, L], N about T
 * over the product of the strides; the encoder gives 2 L numbers a frame, means and then scales. */
#ifndef HISS_MODELS_OOBLECK_H
#define HISS_MODELS_OOBLECK_H

#include "nn/bind.h"

enum { OOBLECK_MOST_STAGES = 12 };

typedef struct {
    int64_t channels;                    /* at the rate of the sound */
    int64_t widths[OOBLECK_MOST_STAGES]; /* of each stage, as multiples of those, from the rate of the sound down */
    int64_t strides[OOBLECK_MOST_STAGES];
    int stages;
    int64_t ends; /* what the encoder gives a frame, the decoder takes */
    bool snake;   /* else ELU */
} oobleck_half;

typedef struct {
    oobleck_half encoder, decoder;
    int64_t audio, latent; /* A, L */
    int64_t ratio;         /* samples a frame */
    bool tanh_end, variational;
    bool diffusers; /* names of diffusers, else of stable-audio-tools */
} oobleck_config;

/* The "config" of an autoencoder in stable-audio-tools' model_config.json; of diffusers' vae/config.json. */
oobleck_config oobleck_config_read(config c);
oobleck_config oobleck_config_read_diffusers(config c);

typedef struct oobleck oobleck;
typedef enum { OOBLECK_ENCODER = 1, OOBLECK_DECODER = 2, OOBLECK_BOTH = 3 } oobleck_parts;
/* Which of them a file holds, under any prefix: one without the other is enough for half of the work. */
oobleck_parts oobleck_parts_in(const store *s);
/* learns: gains and directions of the weights stay apart, as training needs them; else they are united. */
oobleck *oobleck_bind(const oobleck_config *c, binder *b, oobleck_parts parts, bool learns);
bool oobleck_has(const oobleck *net, oobleck_parts parts);
const oobleck_config *oobleck_sizes(const oobleck *net);

int64_t oobleck_frames(const oobleck *net, int64_t samples);
int64_t oobleck_samples(const oobleck *net, int64_t frames);

/* x [B, T, A] -> [B, N, ends]; z [B, N, L] -> [B, T, A]; in one piece, recorded. */
tensor *oobleck_encode(const oobleck *net, const tensor *x);
tensor *oobleck_decode(const oobleck *net, const tensor *z);

/* The deviation of a number whose scale the encoder gives; latents z [B, N, L] times factor from what it gives, with standard
 * normals, as many, where the autoencoder is a variational one. */
float oobleck_deviation(float scale);
void oobleck_draw(const oobleck *net, const tensor *encoded, const float *noise, float factor, tensor *z);

/* The same piece by piece, depth first, with what each needs of its neighbours: equal but for rounding, in memory that does not
 * grow with the length. B = 1. The pieces [1, n, A] come in order, `first` is where each begins; `samples` of
 * them in all, 0 for all there are. (oobleck_tiles.c) */
typedef void oobleck_take(void *context, int64_t first, const tensor *samples);
void oobleck_decode_tiles(const oobleck *net, const tensor *z, int64_t samples, oobleck_take take, void *context);
tensor *oobleck_encode_tiles(const oobleck *net, const tensor *x);

/* For the tiles: one stage, and what is before and after them all. Stages are counted in the order they are run in. */
tensor *oobleck_encode_first(const oobleck *net, const tensor *x);
tensor *oobleck_encode_stage(const oobleck *net, int stage, const tensor *x);
tensor *oobleck_encode_last(const oobleck *net, const tensor *x);
tensor *oobleck_decode_first(const oobleck *net, const tensor *z);
tensor *oobleck_decode_stage(const oobleck *net, int stage, const tensor *x);
tensor *oobleck_decode_last(const oobleck *net, const tensor *x);
/* Rows to each side that three residual units see. */
enum { OOBLECK_UNITS_REACH = 3 * (1 + 3 + 9) };

#endif
