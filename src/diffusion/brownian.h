/* Noise of a Brownian path over sigma: the same for the same levels whatever the steps, so that a sampler with fresh noise
 * converges to one sound. From a seed of the Python world it is the path of torchsde's virtual tree (Li et al. 2020, arXiv
 * 2001.01328), which k-diffusion's stochastic samplers draw from. */
#ifndef HISS_DIFFUSION_BROWNIAN_H
#define HISS_DIFFUSION_BROWNIAN_H

#include <stdbool.h>
#include <stdint.h>

/* First word of numpy's SeedSequence(entropy, spawn_key, pool_size 24); spawned false: no key. */
uint32_t seed_sequence(uint64_t entropy, bool spawned, uint64_t key, uint64_t depth);

typedef struct {
    uint64_t entropy;
    double least, most; /* sigma */
    uint64_t wave;      /* 0: normals of PyTorch's CPU generator, else of its CUDA one on a device of so many threads */
} brownian;
/* (W(to) - W(from)) / sqrt|to - from|, n values in PyTorch's order; context: a brownian. */
void brownian_draw(void *context, double from, double to, float *z, int64_t n);

#endif
