/* What a model of stable-audio-tools is conditioned on: numbers as waves, integers as rows of a table, texts as the states of T5,
 * all of one width; also under diffusers' names (StableAudioProjectionModel). B requests, S tokens, E width of T5, W that width. */
#ifndef HISS_MODELS_STABLE_CONDITION_H
#define HISS_MODELS_STABLE_CONDITION_H

#include "nn/bind.h"

enum { STABLE_MOST_CONDITIONS = 16 };

typedef enum { CONDITION_NUMBER, CONDITION_INTEGER, CONDITION_TEXT } stable_condition_kind;

typedef struct {
    const char *id; /* "prompt", "seconds_total", ... */
    stable_condition_kind kind;
    double least, most; /* of numbers and integers: others count as these */
    int64_t tokens;     /* of texts: S */
    const char *t5;     /* the name of its T5 */
    int64_t text_width; /* E where its states are projected, 0 where they are taken as they are */
} stable_condition;

typedef struct {
    stable_condition items[STABLE_MOST_CONDITIONS];
    int count;
    int64_t width;
    bool diffusers;
} stable_conditions;

/* "conditioning" of a model_config.json; diffusers' projection_model/config.json, whose texts have so many tokens. */
stable_conditions stable_conditions_read(config c);
stable_conditions stable_conditions_read_diffusers(config c, int64_t tokens);
/* Which texts are projected the file tells; prefix: of the names, "" or "conditioner.". */
void stable_conditions_fit(stable_conditions *c, const store *s, const char *prefix);
/* -1 if there is none. */
int stable_condition_find(const stable_conditions *c, const char *id);

typedef struct stable_conditioner stable_conditioner;
stable_conditioner *stable_conditioner_bind(const stable_conditions *c, binder *b);
const stable_conditions *stable_conditioner_sizes(const stable_conditioner *net);

/* Numbers or integers [B] -> [B, 1, W]. */
tensor *stable_embed_numbers(const stable_conditioner *net, int index, const double *values, int64_t B);
/* States of T5 [B, S, E] with their mask, bytes [B, S] -> [B, S, W], zeros where the mask hides. */
tensor *stable_embed_texts(const stable_conditioner *net, int index, const tensor *states, const tensor *mask);

#endif
