/* Threads: OpenMP loops, their number, and functions compiled for several x86-64 levels and chosen at load time. */
#ifndef HISS_BASE_PARALLEL_H
#define HISS_BASE_PARALLEL_H

#include <stdbool.h>
#include <stdint.h>

/* Before a hot loop's function: one copy each for AVX-512, AVX2 and plain x86-64. Off under sanitizers, whose run time
 * is not ready when such functions are chosen. */
#if defined(__x86_64__) && !defined(HISS_SANITIZE)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

/* Threads that parallel loops use; 0 sets all cores this process may run on. */
void threads_set(int count);
int threads_get(void);

/* For the start of a program: how long a thread that is done with its part of a loop spins before it sleeps. libgomp's own
 * choice, some milliseconds, wastes them in each loop when other work shares the cores (a command was seen to take twelve
 * times as long); it reads the environment when it is loaded, so the program starts itself once more. Does nothing where
 * the user has chosen (OMP_WAIT_POLICY, GOMP_SPINCOUNT). */
void threads_spin_briefly(char **words);

/* Loops shorter than this many elements are not worth waking threads for. */
enum { PARALLEL_MIN = 1 << 14 };

typedef struct {
    bool avx2, avx512, avx512_bf16, amx_bf16;
    bool fast_bf16; /* multiplies bf16 faster than f32, not only at all */
    char name[64];  /* as /proc/cpuinfo has it */
} cpu_features;
const cpu_features *cpu(void);

#endif
