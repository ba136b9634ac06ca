/* Number of threads, and what the processor can do. */
#include "base/parallel.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Turns of a loop with a pause of the processor in it: some tens of microseconds. */
static const char SPINS[] = "2000";

static int allowed_cores(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? omp_get_num_procs() : CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

void threads_set(int count) { omp_set_num_threads(count > 0 ? count : allowed_cores()); }

int threads_get(void) { return omp_get_max_threads(); }

void threads_spin_briefly(char **words) {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    if (!setenv("GOMP_SPINCOUNT", SPINS, 1)) execv("/proc/self/exe", words);
}

static cpu_features features;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
/* What the system saves of a thread's registers (XCR0): without that an instruction set cannot be used. */
static uint64_t saved_state(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t) high << 32 | low;
}

static bool made_by_amd(void) {
    uint32_t most, b, c, d;
    if (!__get_cpuid(0, &most, &b, &c, &d)) return false;
    return !memcmp((uint32_t[]){b, d, c}, "AuthenticAMD", 12);
}

/* With AMX some eight times as fast. Of AVX-512's bf16 products AMD's processors (Zen 4 and later) begin as many a cycle as f32
 * ones, and each does twice the work: 207 to 107 GFLOP/s on a core of Zen 4. Intel's (Sapphire and Emerald Rapids) begin half
 * as many. A rule and no measurement: results depend on it. */
static bool bf16_pays(const cpu_features *f) { return f->amx_bf16 || (f->avx512_bf16 && made_by_amd()); }

static void detect(void) {
    enum { OSXSAVE = 1 << 27, AVX = 6, AVX512 = 0xE6, TILES = 3 << 17 };
    uint32_t a, b, c, d;
    uint32_t name[12];
    for (uint32_t i = 0; i < 3 && __get_cpuid(0x80000002 + i, &a, &b, &c, &d); i++)
        memcpy(name + 4 * i, (uint32_t[]){a, b, c, d}, 16);
    if (__get_cpuid_max(0x80000000, NULL) >= 0x80000004)
        snprintf(features.name, sizeof features.name, "%.48s", (const char *) name + strspn((const char *) name, " "));
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return;
    uint64_t saved = saved_state();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    features.avx2 = (saved & AVX) == AVX && b >> 5 & 1;
    features.avx512 = (saved & AVX512) == AVX512 && (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1);
    features.amx_bf16 = (saved & TILES) == TILES && (d >> 22 & 1) && (d >> 24 & 1);
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) features.avx512_bf16 = features.avx512 && (a >> 5 & 1);
    features.fast_bf16 = bf16_pays(&features);
}
#else
static void detect(void) {}
#endif

static void look(void) {
    struct utsname system;
    if (!uname(&system)) snprintf(features.name, sizeof features.name, "%.63s", system.machine);
    detect();
}

const cpu_features *cpu(void) {
    pthread_once(&once, look);
    return &features;
}
