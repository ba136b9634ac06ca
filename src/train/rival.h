/* A second network that learns by turns with the one that is trained, from steps of its own: what tells an autoencoder's sounds from
 * recorded ones. */
#ifndef HISS_TRAIN_RIVAL_H
#define HISS_TRAIN_RIVAL_H

#include "base/random.h"
#include "train/dataset.h"
#include "train/optimizer.h"

/* What a system says of it; model is what trainable.h calls so. */
typedef struct {
    const char *name;                             /* in reports */
    params *(*make)(void *model, random_key key); /* drawn with the key */
    optimizer_settings (*optimizer)(const void *model);
    bool (*turn)(void *model, int64_t step); /* before each step, which the model may note: whether it is its own */
    tensor *(*loss)(const void *model, const batch *b);
} rival_row;

typedef struct {
    const rival_row *row;
    params *parameters;
    optimizer_settings settings;
    optimizer *optimizer;
} rival;

/* In the current scope; NULL for NULL. */
rival *rival_new(const rival_row *row, void *model, random_key key);
/* Whether this step is its own: its gradients are zeros then, and none flow to it else. False for NULL. */
bool rival_begins(rival *r, void *model, int64_t step);

#endif
