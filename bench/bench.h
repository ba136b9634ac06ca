/* What the workloads of hiss_bench share: a body is run several times, its median time and peak memory become a row. */
#ifndef HISS_BENCH_H
#define HISS_BENCH_H

#include "tensor/tape.h"

/* Runs body once unmeasured (primitives, packed weights and pages are then there), then `repeat` times, and prints a row.
 * gflop: of one run. */
void measure(const char *work, double gflop, void (*body)(void *context), void *context);
/* A single run, the first, for long works. */
void measure_once(const char *work, double gflop, void (*body)(void *context), void *context);

/* The same of works that make so many seconds of sound: the row says how many times faster than it sounds. */
void measure_sound(const char *work, double gflop, double sound_seconds, void (*body)(void *context), void *context);
void measure_sound_once(const char *work, double gflop, double sound_seconds, void (*body)(void *context),
                        void *context);
/* From the start of the program beside this one to its end, with its own peak memory; words: NULL-terminated. */
void measure_program(const char *work, const char *const *words);

/* Standard normals times `deviation`, the same every time. */
float *random_floats(int64_t count, float deviation);
/* The same as an operand of this type. */
void *random_operand(int64_t count, float deviation, dtype type);

void bench_conv(void);
void bench_diffwave(void);
void bench_diffwave_train(void);
void bench_wave_unet_train(void);
void bench_wavegrad(void);
void bench_vocoder(void);
void bench_stable_audio(void);
void bench_stable_audio_large(void);
void bench_memory(void);
void bench_sound(void);
void bench_sound_long(void);

#endif
