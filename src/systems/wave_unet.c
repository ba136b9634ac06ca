/* The waveform U-Net as a system. Its noise levels are continuous; the betas it shows samplers are levels laid out evenly in
 * ln(sigma) for training and Karras' for its short schedule. */
#include "models/wave_unet.h"

#include <math.h>

#include "systems/rows.h"

enum { TRAINING_LEVELS = 400, SHORT_LEVELS = 25 };
static const double RHO = 7; /* Karras et al. 2022, eq. 5 */

/* Betas that jump between sigmas, from the least noise to the most. */
static double *betas_of(const double *sigma, size_t n) {
    double *betas = NEW_ARRAY(double, n), before = 1;
    for (size_t i = 0; i < n; i++) {
        double bar = 1 / (1 + sigma[i] * sigma[i]);
        betas[i] = 1 - bar / before;
        before = bar;
    }
    return betas;
}

static double *levels(const wave_unet_config *c, size_t n, double rho) {
    double *sigma = NEW_ARRAY(double, n), low = c->sigma_low, high = c->sigma_high;
    for (size_t i = 0; i < n; i++) {
        double t = (double) i / (double) (n - 1);
        sigma[i] = rho == 0 ? low * pow(high / low, t)
                            : pow(pow(low, 1 / rho) + t * (pow(high, 1 / rho) - pow(low, 1 / rho)), rho);
    }
    return sigma;
}

static void open(model *m, const store *s, binder *b) {
    (void) s;
    wave_unet_config c = wave_unet_config_read(m->settings);
    wave_unet *net = wave_unet_bind(&c, b);
    m->network = net;
    m->hop = wave_unet_multiple(&c);
    m->halo = 4 * m->hop * (c.depths[0] + c.depths[1] + c.depths[2]); /* beyond what its convolutions reach */
    m->class_count = c.classes;
    m->limit = INFINITY; /* whitened */
    m->beta_count = TRAINING_LEVELS;
    m->betas = betas_of(levels(&c, TRAINING_LEVELS, 0), TRAINING_LEVELS);
    use_betas(m, betas_of(levels(&c, SHORT_LEVELS, RHO), SHORT_LEVELS), SHORT_LEVELS);
}

/* n = sigma k z - k F: see wave_unet.c. */
static tensor *predict(const model *m, const tensor *x, double alpha_bar, const tensor *mel, const int32_t *classes) {
    (void) mel;
    int64_t B = x->shape[0], n = count(x);
    alpha_bar = fmin(alpha_bar, 1 - m->betas[0]); /* of no noise at all it has no idea: ln(sigma) would be infinite */
    float *sigma = NEW_ARRAY(float, B), keep = (float) sqrt(1 - alpha_bar), part = (float) sqrt(alpha_bar);
    for (int64_t b = 0; b < B; b++) sigma[b] = (float) sqrt((1 - alpha_bar) / alpha_bar);
    tensor *noise = wave_unet_forward(m->network, x, sigma, classes);
    for (int64_t i = 0; i < n; i++) f32(noise)[i] = keep * f32(x)[i] - part * f32(noise)[i];
    return noise;
}

static void finish(const model *m, tensor *x, const int32_t *classes) { wave_unet_colour(m->network, x, classes); }

const system_row SYSTEM_WAVE_UNET = {
    .name = "wave-unet",
    .paper = "hiss's own; docs/house.md",
    .landmark = "envelope",
    .noise_is_level = true,
    .open = open,
    .predict = predict,
    .finish = finish,
    .sampler = "dpmpp-2m",
};
