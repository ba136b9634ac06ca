/* Random numbers that depend on (seed, stream, index) alone: Philox4x32-10 (Salmon et al. 2011, "Parallel random
 * numbers: as easy as 1, 2, 3"). Any element can be drawn by any thread at any time, so results are the same for any
 * thread count and batch position. */
#ifndef HISS_BASE_RANDOM_H
#define HISS_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* A sequence: the seed names the sound, the stream what it is for (an item, a step, a purpose). */
typedef struct {
    uint64_t seed, stream;
} random_key;

/* Independent child of a key, e.g. one per item of a batch or per step. */
random_key random_child(random_key key, uint64_t index);

/* Four 32-bit words number `block` of the sequence. */
void random_words(random_key key, uint64_t block, uint32_t out[4]);
/* Element `index` of the sequence: uniform in [0, 1) with 53 bits; an integer in [0, n), n >= 1. */
double random_uniform(random_key key, uint64_t index);
uint64_t random_below(random_key key, uint64_t index, uint64_t n);
/* Elements first .. first + count - 1 of the sequence as standard normals (Box-Muller), f32. Parallel. */
void random_normal(random_key key, uint64_t first, float *out, size_t count);

#endif
