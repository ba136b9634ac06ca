/* Checkpoints: complete or not there. A new one is written under a temporary name, then renamed, then the link `latest`
 * is switched by a rename; killed anywhere between, the folder holds the one before. See loop.h for the layout. */
#ifndef HISS_TRAIN_CHECKPOINT_H
#define HISS_TRAIN_CHECKPOINT_H

#include "nn/lora.h"
#include "train/optimizer.h"

/* What a run goes on from, beside the tensors. */
typedef struct {
    int64_t step;
    double loss_sum; /* since the last report, so that a resumed run reports the same */
    int64_t loss_count;
    double held_out;  /* NAN: not measured yet */
    double rival_sum; /* the same of the rival's steps */
    int64_t rival_count;
    uint64_t seed, data; /* of the run; dataset_fingerprint */
} progress_state;

/* A model as it is saved: its configuration, its weights and, where adapters are learned in place of them, those. */
typedef struct {
    config settings;
    params *weights;
    const lora *adapters; /* or NULL */
    const struct model_layout *layout;
    const void *network; /* for the layout */
    optimizer *rival;    /* its weights and moments are in the state; or NULL */
} saved_model;

/* Names of the files in the folder, and how the weights and adapters are written into them. */
typedef struct model_layout {
    const char *settings, *weights;
    bool
        frozen; /* weights that are not learned are saved too, and are read back: they were measured before the first step */
    void (*write_weights)(const saved_model *m, const char *path);
    void (*write_adapters)(const saved_model *m, const char *path);
} model_layout;
/* config.json, weights.safetensors: all parameters under their own names. */
extern const model_layout OWN_LAYOUT;

/* Fails unless a checkpoint can be written in `out`: writable, room for three of them. Makes the folders, removes what
 * a killed run left half-written. */
void checkpoint_prepare(const char *out, int64_t bytes);
/* Writes OUT/checkpoints/step-N and makes it the latest; the last two stay. Adapters go into adapter.safetensors. The folder, in the
 * current scope. */
char *checkpoint_write(const char *out, const saved_model *m, optimizer *o, const progress_state *state);
/* The newest one's folder, or NULL; in the current scope. */
char *checkpoint_latest(const char *out);
/* Puts its weights, what was measured, and moments in place. The model's configuration must be the same. */
progress_state checkpoint_restore(const char *folder, const saved_model *m, optimizer *o);

#endif
