/* Training a network on a folder of recordings, as a recipe says. The folder it writes is a model folder that
 * `generate` opens, at any moment:
 *
 *     OUT/config.json, weights.safetensors     links into latest/
 *     OUT/latest                               link to the newest complete checkpoint, switched by rename
 *     OUT/checkpoints/step-00012000/           config.json, weights.safetensors (averaged), state.safetensors
 *     OUT/adapter.safetensors                  where only adapters are learned (nn/lora.h)
 *     OUT/samples/step-00012000/               sounds and a picture of them
 *     OUT/recipe.json, OUT/log.jsonl           what was asked; a JSON line for every report
 *
 * A run that is stopped and resumed gives bit for bit the losses of one that was not, at the same number of threads:
 * every draw is a function of (seed, step, item). */
#ifndef HISS_TRAIN_LOOP_H
#define HISS_TRAIN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/tape.h"

typedef enum {
    TRAIN_NOTE,       /* message: what was found and decided before the first step */
    TRAIN_STEP,       /* every recipe's every.log steps: the numbers below */
    TRAIN_HELD_OUT,   /* held_out has just been measured */
    TRAIN_CHECKPOINT, /* message: the folder written */
    TRAIN_SOUNDS      /* message: the folder written */
} train_event;

typedef struct {
    train_event event;
    int64_t step, steps; /* done, of how many */
    double loss;         /* mean since the last report */
    double held_out;     /* NAN until first measured */
    double rival;        /* the same loss of a second network that learns by turns (a discriminator); NAN without one */
    const char *rival_name;
    double learning_rate, gradient_norm;
    double clips_per_second; /* crops trained on */
    double seconds, seconds_left;
    const char *message; /* or NULL */
} train_report;

typedef struct {
    const char *recipe, *data,
        *out;         /* a .json; a folder or a manifest (NULL: what the recipe's data.path says); a folder */
    const char *from; /* a model to start from, "default" for hiss's own; NULL: as the recipe says */
    bool distil;      /* into few steps: that model teaches */
    int64_t lora;     /* rank of adapters to learn in place of the weights; 0: as the recipe says */
    bool resume;
    int64_t steps;  /* 0: as the recipe says */
    double minutes; /* stop (and save) after this long; 0: never */
    bool has_seed;  /* else the recipe's */
    uint64_t seed;
    bool has_precision; /* else the recipe's */
    precision numbers;
    /* Called in the training thread; may be NULL. */
    void (*watch)(const train_report *report, void *context);
    void *context;
} train_options;

typedef struct {
    int64_t step;
    double loss, held_out; /* of the last report; NAN if none */
    bool interrupted;      /* stopped by a signal: saved, to be resumed */
} train_result;

/* Fails, before any step, on anything that can be known then: an unknown key of the recipe, no usable recordings, a
 * folder that cannot be written, a disk too small for the checkpoints, a run already there (without resume). */
train_result train_run(const train_options *options);

/* A report as one line of text, in the current scope: "step 1200/50000  loss 0.0412  held-out 0.0431  31.2 clips/s
 * 2 h 10 min left". */
char *train_report_text(const train_report *report);

#endif
