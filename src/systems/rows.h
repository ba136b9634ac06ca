/* The rows of the table of systems, and what they share. */
#ifndef HISS_SYSTEMS_ROWS_H
#define HISS_SYSTEMS_ROWS_H

#include "systems/system.h"

extern const system_row SYSTEM_DIFFWAVE, SYSTEM_WAVEGRAD, SYSTEM_WAVE_UNET, SYSTEM_VOCODER, SYSTEM_HIFIGAN,
    SYSTEM_BIGVGAN, SYSTEM_MEL_DIT, SYSTEM_STABLE_AUDIO;

/* The step of training with this alpha_bar, between two steps in square roots, as lmnt's sampling finds it. */
float diffwave_step(const model *m, double alpha_bar);

/* Makes these the model's short schedule. */
void use_betas(model *m, const double *betas, size_t count);

#endif
