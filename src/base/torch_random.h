/* PyTorch's random numbers, bit for bit, so that a seed from the Python world gives the same noise: the CPU generator
 * (mt19937, Matsumoto and Nishimura 1998) and the CUDA one (Philox). What each call draws from the generator is part of the
 * behaviour reproduced. Values of float16 and bfloat16 tensors are given as float: round them to the type. */
#ifndef HISS_BASE_TORCH_RANDOM_H
#define HISS_BASE_TORCH_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t seed;
    uint32_t words[624], next, left; /* left: words until the refill, plus one */
    bool cached;                     /* a normal left over by a small draw */
    double normal;
    bool libm; /* float normals as processors without AVX2 make them */
} torch_random;

/* torch.manual_seed; negative seeds as uint64_t. Only the low 32 bits count. */
void torch_seed(torch_random *g, uint64_t seed);

/* get_rng_state and set_rng_state. Reading fails on a state that no generator can be in. */
enum { TORCH_STATE_BYTES = 5056 };
void torch_write_state(const torch_random *g, uint8_t out[TORCH_STATE_BYTES]);
void torch_read_state(torch_random *g, const uint8_t *bytes, size_t size);

uint32_t torch_word(torch_random *g);
uint64_t torch_word64(torch_random *g);

/* torch.randn of n elements, contiguous, in float32 and float64; the values that a float16 or bfloat16 tensor rounds. */
void torch_normal(torch_random *g, float *out, size_t n);
void torch_normal_double(torch_random *g, double *out, size_t n);
void torch_normal_half(torch_random *g, float *out, size_t n);
/* One normal as small or strided tensors draw them, element by element in memory order. */
double torch_normal_one(torch_random *g);
/* normal_(mean, std), contiguous. */
void torch_normal_scaled(torch_random *g, float mean, float std, float *out, size_t n);

/* torch.rand: one element. Halves round the float and take 0 where that gives 1. */
float torch_uniform(torch_random *g);
double torch_uniform_double(torch_random *g);
/* randint(low, high), high > low; torch.randperm(n); -log1p(-u) / rate. */
int64_t torch_integer(torch_random *g, int64_t low, int64_t high);
void torch_permutation(torch_random *g, int64_t *out, size_t n);
double torch_exponential(torch_random *g, double rate);
/* The order in which a shuffling DataLoader gives n items; g: the global generator. */
void torch_data_order(torch_random *g, int64_t *out, size_t n);

/* The CUDA generator. `wave`: threads the device runs at once, multiprocessors * (most threads of each / 256) * 256; draws
 * larger than it depend on it. offset: 0 after seeding, moved by each call. */
typedef struct {
    uint64_t seed, offset, wave;
} torch_cuda_random;
void torch_cuda_words(uint64_t seed, uint64_t counter, uint64_t thread, uint32_t out[4]);
void torch_cuda_normal(torch_cuda_random *g, float *out, size_t n);
void torch_cuda_normal_double(torch_cuda_random *g, double *out, size_t n);
void torch_cuda_uniform(torch_cuda_random *g, float *out, size_t n);

#endif
