/* The table of what can be trained: a row brings a network, its configuration and its loss. */
#ifndef HISS_TRAIN_TRAINABLE_H
#define HISS_TRAIN_TRAINABLE_H

#include "nn/bind.h"
#include "train/dataset.h"
#include "train/rival.h"

typedef struct {
    tensor *noisy, *predicted; /* [B, T] */
    const float *level;        /* [B]: the step or noise level */
} loss_trace;

/* A published model that is trained as it is, and saved as it came. */
typedef struct {
    const char *path;
    void *network;
    params *parameters;
    config settings;
    const char *no_adapters; /* a part of the names of matrices that get none; or NULL */
    int rate;                /* hz */
    int64_t samples;         /* of a clip where the recipe says nothing; then as it says */
    int64_t bytes;           /* of what is saved */
    const rival_row *rival;  /* learns by turns with it, or NULL */
} adopted_model;

/* What a source of batches is made of. */
typedef struct {
    dataset *data;
    config recipe, network;
    const char *out; /* the run's folder */
    const adopted_model *adopted;
} trainable_data;

typedef struct trainable {
    const char *name;                                  /* as src/systems calls it */
    const char *const *keys;                           /* of its network's configuration; NULL-terminated */
    const char *front;                                 /* its mel front end */
    int64_t (*hop)(config network);                    /* samples a mel frame */
    int64_t (*mels)(config network);                   /* 0: takes no mel */
    void (*adapt_front)(config network, mel_front *f); /* what else its configuration says of it, or NULL */
    bool classes;                                      /* knows class labels */
    bool features;                                     /* is trained on mel spectrograms of whole recordings */
    bool listed;                                       /* its source reads the recordings by itself */
    /* Opens the model that training starts from, in place of `make`, and may write what it needs into the run's folder (NULL: not); NULL: networks are made. Its source may look for the recipe's
     * further objects. */
    adopted_model *(*adopt)(const char *from, config recipe, const char *out);
    const struct model_layout *layout; /* of the folder it is saved in (checkpoint.h); NULL: hiss's own */
    /* Binds the network that a configuration tells; what it returns goes to loss. */
    void *(*make)(config network, binder *b);
    /* Makes its batches; NULL: the dataset's clips as they are. */
    batch_source (*source)(const trainable_data *d);
    /* Takes what it must know of the recordings, before the first step; NULL: nothing. Clips are drawn with the key. */
    void (*fit)(void *model, batch_source s, random_key key);
    /* The mean loss of a batch, one F32 number, recorded. All that is drawn comes with the batch. trace: NULL, or gets
     * what the network was given and gave. */
    tensor *(*loss)(const void *model, const batch *b, loss_trace *trace);
    /* What is told of held-out batches; NULL: the loss. */
    tensor *(*measure)(const void *model, const batch *b);
    /* The row that distils a trained network of this kind into one of few steps, or NULL; of that row: who teaches what `make`
     * gave, which lives as long, and how ("distil" of the recipe). */
    const struct trainable *few_steps;
    void (*teach)(void *model, const void *teacher, config distil);
} trainable;

/* NULL-terminated. */
extern const trainable *const TRAINABLES[];
extern const trainable TRAIN_MEL_DIT, TRAIN_VOCODER, TRAIN_JUDGE, TRAIN_STABLE_AUDIO, TRAIN_AUTOENCODER, DISTIL_MEL_DIT;
/* Fails with the nearest names. */
const trainable *trainable_named(const char *name);

/* WaveGrad's noise levels of training: 1, then the roots of the cumulative alpha; *count of them. */
float *wavegrad_levels(config network, size_t *count);

#endif
