/* Samplers at work on a model: the bridge between the tables of src/diffusion and the networks. */
#ifndef HISS_SYSTEMS_SAMPLE_H
#define HISS_SYSTEMS_SAMPLE_H

#include "diffusion/brownian.h"
#include "diffusion/schedule.h"
#include "systems/generate.h"

/* Fails with the nearest names on an unknown sampler or schedule, and on what this model cannot do. */
void sample_check(const model *m, const sound_request *r);
/* Whether a schedule stays within the noise of training: DiffWave knows the levels of its table alone. */
bool betas_within(const model *m, const double *betas, size_t n);
/* The i-th sound of the request, [1, T], in the current scope. */
tensor *sample(const condition *c, const sound_request *r, int64_t i, int64_t T);

/* Standard normals, n at a time, in the order of use. */
typedef struct {
    void (*draw)(void *context, float *z, int64_t n);
    void *context;
} noise_source;

typedef struct {
    const char *sampler; /* NULL: the paper's */
    levels levels;
    double eta; /* below 0: the sampler's own */
    noise_source noise;
    /* Before each pass, with what the network is about to see; may be NULL. */
    void (*watch)(void *context, int64_t pass, double alpha_bar, const tensor *x);
    void *context;
} sample_plan;
/* x [B, T], the first noise, becomes the sound, in place. */
void sample_walk(const condition *c, const sample_plan *p, tensor *x);

/* Fails where a walk of this request ended in values that are not numbers, or far beyond any sound. */
void check_walked(const model *m, const sound_request *r, const float *x, int64_t n);

/* NULL-terminated; the first is the default. */
const char *const *sampler_names(void);
const char *const *schedule_names(void);

/* Where the noise of a sound comes from: the i-th of a request, or all of a seed. */
noise_source sound_noise(const sound_request *r, int64_t i);
random_key sound_key(uint64_t seed);
/* From rows of PyTorch's layout, [channels, n / channels], to hiss's [n / channels, channels]. */
void rows_of_torch(const float *from, float *to, int64_t n, int64_t channels);
/* The same noise where rows are drawn in PyTorch's layout; hiss's own as it is. */
noise_source noise_of_rows(const sound_request *r, noise_source s, int64_t channels);
/* The Brownian path over sigma least .. most that k-diffusion's stochastic samplers make of PyTorch's seed, NULL of hiss's. of_seed: as
 * diffusers begins it, with the seed itself; else with the next number of the CPU's generator, which is `s` where noise is drawn there. */
brownian *noise_path_of(const sound_request *r, int64_t i, noise_source s, bool of_seed, double least, double most);

#endif
