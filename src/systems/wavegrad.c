/* WaveGrad as a system. */
#include <math.h>

#include "models/wavegrad.h"
#include "systems/rows.h"

/* Six betas in the spirit of the paper's hand-made schedule of six iterations (section 4.2). */
static const double FAST_BETAS[] = {1e-6, 2e-6, 1e-5, 1e-4, 1e-2, 1e-1};

static void open(model *m, const store *s, binder *b) {
    wavegrad_config c = wavegrad_config_read(m->settings);
    wavegrad_config_fit(&c, s);
    m->betas = wavegrad_betas(m->settings, &m->beta_count);
    m->fast = config_numbers(m->settings, "inference_noise_schedule", 10000, &m->fast_count);
    if (!m->fast_count) use_betas(m, FAST_BETAS, sizeof FAST_BETAS / sizeof *FAST_BETAS);
    wavegrad *net = wavegrad_bind(&c, b);
    m->network = net;
    m->hop = wavegrad_hop(&c);
    m->halo = wavegrad_halo(net);
    m->mels = c.mels;
}

static tensor *predict(const model *m, const tensor *x, double alpha_bar, const tensor *mel, const int32_t *classes) {
    (void) classes;
    int64_t B = x->shape[0];
    float *level = NEW_ARRAY(float, B);
    for (int64_t b = 0; b < B; b++) level[b] = (float) sqrt(alpha_bar);
    return wavegrad_forward(m->network, x, mel, level, NULL);
}

const system_row SYSTEM_WAVEGRAD = {
    .name = "wavegrad",
    .paper = "Chen et al. 2021, arXiv 2009.00713",
    .front = "wavegrad",
    .landmark = "upsample.0.block1.weight",
    .noise_is_level = true,
    .open = open,
    .predict = predict,
};
