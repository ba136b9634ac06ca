/* Adam and AdamW in torch's arithmetic, gradient clipping, learning-rate schedules, and the moving average of the
 * weights. One pass over memory a step; the same result for any number of threads. */
#ifndef HISS_TRAIN_OPTIMIZER_H
#define HISS_TRAIN_OPTIMIZER_H

#include "store/store.h"
#include "tensor/tape.h"

/* DECAY_INVERSE: stable-audio-tools' InverseLR, rate (1 - warm^(n + 1)) (1 + n / gamma)^-power of update n. */
typedef enum { DECAY_CONSTANT, DECAY_LINEAR, DECAY_COSINE, DECAY_INVERSE } decay_kind;

typedef struct {
    bool decoupled; /* AdamW: the weight decay acts on the weights, not on the gradient */
    double rate, beta1, beta2, epsilon, weight_decay;
    double clip;       /* largest norm of all gradients together; 0: no clipping */
    int64_t warmup;    /* steps in which the rate grows linearly from rate / warmup */
    decay_kind decay;  /* from the end of the warm-up to the last step, down to rate * final; or for ever */
    double decay_from; /* part of the steps before which there is no decay */
    double final;
    double gamma, power, warm; /* of DECAY_INVERSE */
    double average;            /* decay of the moving average; 0: none */
    bool average_warmup;       /* decay of update n at most (1 + n) / (10 + n), or where average_power is not 0: */
    double average_power;      /* 1 - (1 + n)^-power, ema_pytorch's */
} optimizer_settings;

/* adam, lr 2e-4, betas 0.9 and 0.999, epsilon 1e-8, no decay, no clipping, no average. */
optimizer_settings optimizer_default(void);
/* The recipe's objects "optimizer" and "average"; unknown keys are errors. */
optimizer_settings optimizer_settings_read(config recipe);

typedef struct optimizer optimizer;
/* For the trainable parameters of p, in the current scope. */
optimizer *optimizer_new(const optimizer_settings *s, params *p);

/* Is called whenever parameters have changed: after a step, a swap, restoring. */
void optimizer_watch(optimizer *o, void (*changed)(void *context), void *context);

/* The learning rate of the update after `done` ones, of `steps`. */
double optimizer_rate(const optimizer_settings *s, int64_t done, int64_t steps);
/* Updates the parameters from their gradients; the gradients' norm before clipping is returned. A norm that is not
 * finite changes nothing. */
double optimizer_step(optimizer *o, double rate);
int64_t optimizer_updates(const optimizer *o);

/* Puts the averaged weights into the parameters, and back; nothing without an average. */
void optimizer_swap_average(optimizer *o);

/* Its state as named tensors: raw.NAME, first.NAME, second.NAME and average.NAME, in the current scope. Restoring takes
 * them from a file and fails naming what is missing. */
named_tensor *optimizer_state(const optimizer *o, size_t *count);
void optimizer_restore(optimizer *o, const store *s, int64_t updates);
/* Bytes that one checkpoint's state takes. */
int64_t optimizer_state_bytes(const optimizer *o);

#endif
