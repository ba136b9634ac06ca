/* Stable Audio Open and other models of stable-audio-tools as a system: what its parts are, for those who look inside. */
#ifndef HISS_SYSTEMS_STABLE_AUDIO_H
#define HISS_SYSTEMS_STABLE_AUDIO_H

#include "models/oobleck.h"
#include "models/stable_condition.h"
#include "models/stable_dit.h"
#include "systems/latent.h"
#include "systems/stable_files.h"

/* Which conditions go where, as indices of the conditioner's. */
typedef struct {
    int items[STABLE_MOST_CONDITIONS], count;
} condition_list;

typedef struct {
    stable_files files;
    stable_dit *dit;
    oobleck *autoencoder;
    stable_conditioner *conditioner; /* NULL: nothing can be asked for */
    condition_list cross, global, prepend;
    bool inpaints;       /* the network is shown what is kept */
    double latent_scale; /* latents over those of the autoencoder */
    int64_t window;      /* positions of training */
    process process;
} stable_audio;

/* Fills in the model, its network and its own copy of the general row. */
void stable_audio_open(model *m, const store *s, binder *b, const struct latent_row *general);

/* What training takes of a native model: the transformer and its conditions, whose parameters have the names of the file; the
 * autoencoder stays where it is (NULL) and window is 0. Fails on what hiss does not train. */
typedef struct {
    stable_audio *net;
    params *parameters;
    config settings; /* model_config.json */
    int rate;
    int64_t samples; /* of the window */
} stable_learner;
stable_learner stable_audio_open_learning(const char *path);
/* What a tensor of the file is called in the published one (a checkpoint of training has longer names), NULL: it is not in it. */
const char *stable_published_name(const store *s, const char *name);
/* How many tokens the tokenizer of diffusers' folder makes of a prompt. */
int64_t stable_tokens_of_tokenizer(const stable_files *f);

/* What a request asks: numbers for one window at a time. */
typedef struct stable_asked stable_asked;
/* Tokens [B, S, E] and vector [B, G] of a window that begins so many seconds after the sound: the request's and, where it is led away
 * from something else, that. NULL where the network has none. */
typedef struct {
    const tensor *tokens, *away, *vector, *prepend;
} stable_inputs;
stable_inputs stable_inputs_of(const model *m, const stable_asked *a, double begin);

#endif
