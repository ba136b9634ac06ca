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
    double held_out;     /* NAN: not measured yet */
    uint64_t seed, data; /* of the run; dataset_fingerprint */
} progress_state;

/* Fails unless a checkpoint can be written in `out`: writable, room for three of them. Makes the folders, removes what
 * a killed run left half-written. */
void checkpoint_prepare(const char *out, int64_t bytes);
/* Writes OUT/checkpoints/step-N and makes it the latest; the last two stay. adapters: NULL, or what the optimizer learns in place of
 * p, into adapter.safetensors. The folder, in the current scope. */
char *checkpoint_write(const char *out, config model, params *p, const lora *adapters, optimizer *o,
                       const progress_state *state);
/* The newest one's folder, or NULL; in the current scope. */
char *checkpoint_latest(const char *out);
/* Puts its weights, what was measured, and moments in place. The model's configuration must be the same. */
progress_state checkpoint_restore(const char *folder, config model, params *p, optimizer *o);

#endif
