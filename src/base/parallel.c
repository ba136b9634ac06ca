#include "base/parallel.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>

static int chosen;

static int cores_allowed(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void threads_set(int count) {
    chosen = count > 0 ? count : cores_allowed();
    omp_set_num_threads(chosen);
}

int threads_get(void) { return chosen > 0 ? chosen : omp_get_max_threads(); }

static cpu_features features;
static pthread_once_t features_once = PTHREAD_ONCE_INIT;

static void read_name(void) {
    strcpy(features.name, "unknown processor");
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f) return;
    char line[4096];
    while (fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        snprintf(features.name, sizeof features.name, "%.*s", (int) strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    fclose(f);
}

#if defined(__x86_64__)
#include <cpuid.h>

/* What the processor has and the system saves on a switch (XCR0: bits 5 to 7 AVX-512 state, 17 and 18 AMX tiles). */
static void detect(void) {
    read_name();
    unsigned a, b, c, d, low = 0, high = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27))) return;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    bool vector512 = (low & 0xE6) == 0xE6, tiles = (low & 0x60000) == 0x60000;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    features.avx2 = (low & 6) == 6 && (b & (1u << 5));
    features.avx512 = vector512 && (b & (1u << 16));
    features.amx_bf16 = tiles && (d & (1u << 22)) && (d & (1u << 24));
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) features.avx512_bf16 = features.avx512 && (a & (1u << 5));
}
#else
static void detect(void) { read_name(); }
#endif

const cpu_features *cpu(void) {
    pthread_once(&features_once, detect);
    return &features;
}
