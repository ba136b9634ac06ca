/* What an autoencoder is trained by: as the recipe's "autoencoder" says, where that is silent as the model's own configuration does
 * (stable-audio-tools' training.loss_configs), else as the original's configurations do. */
#ifndef HISS_TRAIN_AUTOENCODER_LOSSES_H
#define HISS_TRAIN_AUTOENCODER_LOSSES_H

#include "base/json.h"
#include "models/discriminator.h"
#include "models/spectral_loss.h"
#include "train/optimizer.h"

typedef struct {
    spectral_losses spectral;
    float spectral_weight, divergence; /* weights */
    float time_l1, time_l2;            /* of the samples; 0: not there */
    bool judged;                       /* by a discriminator: */
    discriminator_config discriminator;
    float adversarial, features; /* weights */
    int64_t warmup;              /* steps before the autoencoder is told */
    bool early;                  /* the discriminator learns from the first step on */
    optimizer_settings optimizer;
} autoencoder_losses;

/* recipe: the whole; settings: model_config.json. */
autoencoder_losses autoencoder_losses_read(config recipe, config settings, int rate, int64_t channels);

#endif
