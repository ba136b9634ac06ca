/* DiffWave as a system. */
#include "models/diffwave.h"
#include "diffusion/betas.h"
#include "systems/rows.h"

/* The published fast schedule of six steps (lmnt's params; the paper's section 5.1). */
static const double FAST_BETAS[] = {0.0001, 0.001, 0.01, 0.05, 0.2, 0.5};

static void open(model *m, const store *s, binder *b) {
    diffwave_config c = diffwave_config_read(m->settings);
    diffwave_config_fit(&c, s);
    m->betas = diffwave_betas(m->settings, &m->beta_count);
    m->fast = config_numbers(m->settings, "inference_noise_schedule", 10000, &m->fast_count);
    if (!m->fast_count) use_betas(m, FAST_BETAS, sizeof FAST_BETAS / sizeof *FAST_BETAS);
    diffwave *net = diffwave_bind(&c, b);
    m->network = net;
    m->hop = c.mels ? DIFFWAVE_HOP : 1;
    m->halo = diffwave_halo(net);
    m->mels = c.mels;
    m->class_count = c.classes;
}

float diffwave_step(const model *m, double alpha_bar) {
    return (float) training_step_at(m->betas, m->beta_count, alpha_bar);
}

static tensor *predict(const model *m, const tensor *x, double alpha_bar, const tensor *mel, const int32_t *classes) {
    int64_t B = x->shape[0];
    float *step = NEW_ARRAY(float, B);
    for (int64_t b = 0; b < B; b++) step[b] = diffwave_step(m, alpha_bar);
    return diffwave_forward(m->network, x, step, mel, classes);
}

const system_row SYSTEM_DIFFWAVE = {
    .name = "diffwave",
    .paper = "Kong et al. 2021, arXiv 2009.09761",
    .front = "diffwave",
    .landmark = "residual_layers.0.dilated_conv.weight",
    .open = open,
    .predict = predict,
};
