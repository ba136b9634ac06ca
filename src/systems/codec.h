/* Autoencoders of sound alone: sound of any length to latents and back. A model folder that holds one is enough: of Stable Audio the
 * autoencoder alone is read. N latents, L numbers of each. */
#ifndef HISS_SYSTEMS_CODEC_H
#define HISS_SYSTEMS_CODEC_H

#include "base/json.h"
#include "models/oobleck.h"
#include "signal/audio.h"
#include "tensor/tensor.h"

typedef struct codec codec;
/* Frames of sound, channels of one after another, in order. */
typedef void take_frames(void *context, const float *samples, int64_t frames);

/* Kinds of autoencoders: how one is opened, NULL where path holds none of the kind, and what it does. */
typedef struct {
    const char *name, *paper;
    bool (*open)(codec *c, const char *path);
    tensor *(*encode)(const codec *c, const tensor *x, const float *(*noise)(void *context, int64_t n), void *context);
    void (*decode)(const codec *c, const tensor *z, int64_t frames, take_frames take, void *context);
    int64_t (*frames)(const codec *c, int64_t latents);
} codec_row;

struct codec {
    const codec_row *row;
    const char *path;
    void *network;
    int rate, channels;
    int64_t hop, latent; /* samples to a latent; L */
    double scale;        /* latents over the network's */
};

/* What training takes of a native file, whole model or autoencoder alone: the network with gains and directions apart, its parameters
 * under the file's names, those of the encoder with `encoder` in front. */
typedef struct {
    oobleck *net;
    params *parameters;
    config settings; /* model_config.json */
    const char *weights, *encoder;
    int rate;
} codec_learner;
codec_learner codec_open_learning(const char *path);

/* In the current scope; fails where nothing is known to open it. */
codec *codec_open(const char *path);
/* [N, L] of a sound at any rate, ended with silence to whole latents. seed NULL: the means of what the encoder believes, else drawn
 * with it. */
tensor *codec_encode(const codec *c, const audio *sound, const uint64_t *seed);
/* The first `frames` of z [N, L], 0 for all, piece by piece. */
void codec_decode(const codec *c, const tensor *z, int64_t frames, take_frames take, void *context);
/* As many as there are. */
int64_t codec_frames(const codec *c, int64_t latents);

/* Latents as files: safetensors with "latents" [L, N] and, as text, "samples" and "sample_rate"; .npy. */
void latents_write(const char *path, const codec *c, const tensor *z, int64_t samples);
/* [N, L]; *samples: as noted, or 0. Also reads [1, L, N], and [N, L] where only that fits. */
tensor *latents_read(const char *path, const codec *c, int64_t *samples);

#endif
