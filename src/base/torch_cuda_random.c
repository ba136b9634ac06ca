/* PyTorch's CUDA generator: Philox4x32-10 as cuRAND keys it. Each thread makes four values (two in double) a round; in round k,
 * value i of thread j is element (4 k + i) P + j of P threads. From the formula: the device's own fast sine differs by up to
 * 5e-7. */
#include <math.h>

#include "base/random.h"
#include "base/torch_random.h"

enum { THREADS = 256 };

void torch_cuda_words(uint64_t seed, uint64_t counter, uint64_t thread, uint32_t out[4]) {
    random_words((random_key){seed, thread}, counter, out);
}

/* Threads of a call for n elements. */
static uint64_t threads_of(const torch_cuda_random *g, size_t n) {
    uint64_t all = ((uint64_t) n + THREADS - 1) / THREADS * THREADS;
    return all < g->wave ? all : g->wave;
}

/* Two normals of two words. */
static void pair(uint32_t w0, uint32_t w1, float *first, float *second) {
    const float c = (float) (0x1p-32 * (double) 6.2831855f);
    float u = fmaf((float) w0, 0x1p-32f, 0x1p-33f), v = fmaf((float) w1, c, c / 2), s = sqrtf(-2 * logf(u));
    *first = s * sinf(v);
    *second = s * cosf(v);
}

static void four_normals(const uint32_t w[4], float v[4]) {
    pair(w[0], w[1], v, v + 1);
    pair(w[2], w[3], v + 2, v + 3);
}

static void four_uniforms(const uint32_t w[4], float v[4]) {
    for (int i = 0; i < 4; i++) {
        float u = fmaf((float) w[i], 0x1p-32f, 0x1p-33f);
        v[i] = u == 1 ? 0 : u;
    }
}

static void fill(torch_cuda_random *g, float *out, size_t n, void (*make)(const uint32_t w[4], float v[4])) {
    if (n == 0) return;
    const uint64_t P = threads_of(g, n), rounds = (n + 4 * P - 1) / (4 * P);
    for (uint64_t k = 0; k < rounds; k++)
        for (uint64_t j = 0; j < P && 4 * k * P + j < n; j++) {
            uint32_t w[4];
            float v[4];
            torch_cuda_words(g->seed, g->offset / 4 + k, j, w);
            make(w, v);
            for (uint64_t i = 0; i < 4; i++)
                if ((4 * k + i) * P + j < n) out[(4 * k + i) * P + j] = v[i];
        }
    g->offset += 4 * rounds;
}

void torch_cuda_normal(torch_cuda_random *g, float *out, size_t n) { fill(g, out, n, four_normals); }
void torch_cuda_uniform(torch_cuda_random *g, float *out, size_t n) { fill(g, out, n, four_uniforms); }

void torch_cuda_normal_double(torch_cuda_random *g, double *out, size_t n) {
    if (n == 0) return;
    const uint64_t P = threads_of(g, n), rounds = (n + 2 * P - 1) / (2 * P);
    for (uint64_t k = 0; k < rounds; k++)
        for (uint64_t j = 0; j < P && 2 * k * P + j < n; j++) {
            uint32_t w[4];
            torch_cuda_words(g->seed, g->offset / 4 + k, j, w);
            double u = (double) (w[0] ^ (uint64_t) w[1] << 21) * 0x1p-53 + 0x1p-54;
            double v = (double) (w[2] ^ (uint64_t) w[3] << 21) * 0x1p-52 + 0x1p-53, s = sqrt(-2 * log(u));
            out[2 * k * P + j] = s * sin(M_PI * v);
            if ((2 * k + 1) * P + j < n) out[(2 * k + 1) * P + j] = s * cos(M_PI * v);
        }
    g->offset += 4 * rounds;
}
