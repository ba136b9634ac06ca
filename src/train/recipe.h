/* A recipe: everything a training run depends on but the recordings, as a JSON file. Every key is checked; absent ones
 * have the defaults that recipes/README.md tells. */
#ifndef HISS_TRAIN_RECIPE_H
#define HISS_TRAIN_RECIPE_H

#include "systems/system.h"
#include "train/optimizer.h"
#include "train/trainable.h"

typedef struct {
    config document;
    const trainable *system;
    config network; /* its configuration's keys */
    const model
        *from; /* the model that training starts from or is taught by, whose network and classes it has; or NULL */
    const model *student;   /* the few-step model that distilling goes on from; or NULL */
    adopted_model *adopted; /* or the published model that is trained itself */
    const char *data_path;  /* or NULL */
    dataset_settings data;
    mel_front front; /* data.mel points here for a network that takes a mel */
    bool by_class;
    optimizer_settings optimizer;
    int64_t batch, accumulate, steps;
    int64_t lora;             /* rank of adapters; 0: the weights themselves are learned */
    const char **lora_layers; /* parts of the names of the matrices that get them; NULL: all */
    double class_dropout;     /* part of the clips trained on without their class, for guidance */
    uint64_t seed;
    precision numbers;
    struct {
        int64_t log, held_out, sounds, checkpoint; /* steps between; 0: never */
    } every;
    struct {
        int64_t count, steps;           /* steps 0: the schedule's own */
        const char *sampler, *schedule; /* NULL: the paper's */
        double guidance;                /* NAN: the model's own */
    } sounds;
} recipe;

/* In the current scope. from: a model, or "default" for the one that comes with hiss; NULL: what the recipe's "from" says. distil:
 * the row of its system for few steps. out: the run's folder, or NULL. */
recipe *recipe_load(const char *path, const char *from, bool distil, const char *out);
/* The config.json of a model trained by it: see src/systems. classes may be NULL. */
config recipe_model(const recipe *r, const char *const *classes, size_t class_count);

#endif
