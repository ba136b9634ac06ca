/* PyTorch's CPU generator. Normals of 16 or more elements are made in blocks of 16 uniforms by Box-Muller; the float ones use
 * the Cephes polynomials for log, sin and cos of PyTorch's AVX2 code, whose roundings are followed operation by operation: this
 * file is compiled without contraction to fused operations, and fmaf stands where the original fuses. */
#include "base/torch_random.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/parallel.h"

enum { N = 624, M = 397, BLOCK = 16, HALF = 8 };

void torch_seed(torch_random *g, uint64_t seed) {
    *g = (torch_random){.seed = seed, .left = 1, .libm = g->libm};
    g->words[0] = (uint32_t) seed;
    for (uint32_t i = 1; i < N; i++) g->words[i] = 1812433253u * (g->words[i - 1] ^ g->words[i - 1] >> 30) + i;
}

static void refill(torch_random *g) {
    uint32_t *w = g->words;
    for (int i = 0; i < N; i++) {
        uint32_t y = (w[i] & 0x80000000u) | (w[(i + 1) % N] & 0x7fffffffu);
        w[i] = w[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    g->left = N;
    g->next = 0;
}

uint32_t torch_word(torch_random *g) {
    if (--g->left == 0) refill(g);
    uint32_t y = g->words[g->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

uint64_t torch_word64(torch_random *g) {
    uint64_t high = torch_word(g);
    return high << 32 | torch_word(g);
}

/* Little endian: u64 seed, i32 left, i32 seeded, u64 next, 624 words as u64, f64 0, f64 normal, f64 0, i32 normal is there, and a
 * float normal that is never there. */
enum { AT_LEFT = 8, AT_NEXT = 16, AT_WORDS = 24, AT_NORMAL = AT_WORDS + 8 * N + 8, AT_CACHED = AT_NORMAL + 16 };

void torch_write_state(const torch_random *g, uint8_t out[TORCH_STATE_BYTES]) {
    const uint32_t seeded = 1, cached = g->cached;
    const uint64_t next = g->next;
    memset(out, 0, TORCH_STATE_BYTES);
    memcpy(out, &g->seed, 8);
    memcpy(out + AT_LEFT, &g->left, 4);
    memcpy(out + AT_LEFT + 4, &seeded, 4);
    memcpy(out + AT_NEXT, &next, 8);
    for (int i = 0; i < N; i++) memcpy(out + AT_WORDS + 8 * i, &g->words[i], 4);
    memcpy(out + AT_NORMAL, &g->normal, 8);
    memcpy(out + AT_CACHED, &cached, 4);
}

void torch_read_state(torch_random *g, const uint8_t *bytes, size_t size) {
    if (size != TORCH_STATE_BYTES)
        fail(HISS_ERROR_FORMAT, "state of PyTorch's generator: %zu bytes, not %d: is it a CPU generator's?", size,
             TORCH_STATE_BYTES);
    torch_random read = {.libm = g->libm};
    uint64_t next;
    uint32_t cached;
    memcpy(&read.seed, bytes, 8);
    memcpy(&read.left, bytes + AT_LEFT, 4);
    memcpy(&next, bytes + AT_NEXT, 8);
    for (int i = 0; i < N; i++) memcpy(&read.words[i], bytes + AT_WORDS + 8 * i, 4);
    memcpy(&read.normal, bytes + AT_NORMAL, 8);
    memcpy(&cached, bytes + AT_CACHED, 4);
    read.cached = cached != 0;
    if (next > N || read.left < 1 || read.left > N || (read.left != 1 && next + read.left > N + 1))
        fail(HISS_ERROR_FORMAT, "state of PyTorch's generator: position %llu of %d words is damaged",
             (unsigned long long) next, N);
    read.next = (uint32_t) next;
    *g = read;
}

/* --- uniforms and integers --- */

float torch_uniform(torch_random *g) { return (float) (torch_word(g) & 0xffffff) * 0x1p-24f; }

double torch_uniform_double(torch_random *g) {
    return (double) (torch_word64(g) & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
}

int64_t torch_integer(torch_random *g, int64_t low, int64_t high) {
    uint64_t range = (uint64_t) high - (uint64_t) low;
    require(high > low);
    uint64_t value = range < UINT64_C(1) << 28 ? torch_word(g) % range : torch_word64(g) % range;
    return (int64_t) ((uint64_t) low + value);
}

void torch_permutation(torch_random *g, int64_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (int64_t) i;
    for (size_t i = 0; i + 1 < n; i++) {
        size_t other = i + torch_word(g) % (n - i);
        int64_t kept = out[i];
        out[i] = out[other];
        out[other] = kept;
    }
}

double torch_exponential(torch_random *g, double rate) { return -log1p(-torch_uniform_double(g)) / rate; }

void torch_data_order(torch_random *g, int64_t *out, size_t n) {
    torch_random order = {0};
    torch_word64(g); /* the workers' seed */
    torch_seed(&order, torch_word64(g) & INT64_MAX);
    torch_permutation(&order, out, n);
}

/* --- normals --- */

double torch_normal_one(torch_random *g) {
    if (g->cached) {
        g->cached = false;
        return g->normal;
    }
    double u1 = torch_uniform_double(g), u2 = torch_uniform_double(g), r = sqrt(-2 * log1p(-u2)), angle = 2 * M_PI * u1;
    g->normal = r * sin(angle);
    g->cached = true;
    return r * cos(angle);
}

/* log of u in (0, 1], Cephes single precision. */
static inline float cephes_log(float u) {
    uint32_t bits;
    memcpy(&bits, &u, 4);
    float e = (float) ((int) (bits >> 23) - 126), m;
    bits = (bits & 0x7fffff) | 0x3f000000; /* m in [0.5, 1) */
    memcpy(&m, &bits, 4);
    const bool small = m < 0.707106781186547524f;
    e = small ? e - 1 : e;
    float x = m - 1;
    x = small ? x + m : x;
    float z = x * x, y = 7.0376836292e-2f;
    y = fmaf(y, x, -1.1514610310e-1f);
    y = fmaf(y, x, 1.1676998740e-1f);
    y = fmaf(y, x, -1.2420140846e-1f);
    y = fmaf(y, x, 1.4249322787e-1f);
    y = fmaf(y, x, -1.6668057665e-1f);
    y = fmaf(y, x, 2.0000714765e-1f);
    y = fmaf(y, x, -2.4999993993e-1f);
    y = fmaf(y, x, 3.3333331174e-1f);
    y = fmaf(y * x, z, e * -2.12194440e-4f);
    y = y - z * 0.5f;
    return fmaf(e, 0.693359375f, x + y);
}

/* Sine and cosine of t in [0, 2 pi], Cephes single precision: reduced by pi/4 in three parts. */
static inline void cephes_sincos(float t, float *sine, float *cosine) {
    int32_t j = ((int32_t) (t * 1.27323954473516f) + 1) & ~1;
    float jf = (float) j, x = fmaf(jf, -0.78515625f, t);
    x = fmaf(jf, -2.4187564849853515625e-4f, x);
    x = fmaf(jf, -3.77489497744594108e-8f, x);
    float z = x * x, c = 2.443315711809948e-5f, s = -1.9515295891e-4f;
    c = fmaf(c, z, -1.388731625493765e-3f);
    c = fmaf(c, z, 4.166664568298827e-2f);
    c = fmaf(c * z, z, -(z * 0.5f)) + 1.0f;
    s = fmaf(s, z, 8.3321608736e-3f);
    s = fmaf(s, z, -1.6666654611e-1f);
    s = fmaf(s * z, x, x);
    float sin_value = j & 2 ? c : s, cos_value = j & 2 ? s : c;
    *sine = j & 4 ? -sin_value : sin_value;
    *cosine = (j - 2) & 4 ? cos_value : -cos_value;
}

/* Blocks of 16 uniforms become normals. */
CLONES static void cephes_blocks(float *x, size_t blocks) {
    for (size_t b = 0; b < blocks; b++) {
        float *lo = x + b * BLOCK, *hi = lo + HALF;
#pragma omp simd
        for (int j = 0; j < HALF; j++) {
            float sine, cosine, r = sqrtf(-2.0f * cephes_log(1.0f - lo[j]));
            cephes_sincos((float) (2 * M_PI) * hi[j], &sine, &cosine);
            lo[j] = r * cosine;
            hi[j] = r * sine;
        }
    }
}

static void libm_blocks(float *x, size_t blocks) {
    for (size_t i = 0; i < blocks * BLOCK; i++) {
        if (i % BLOCK >= HALF) continue;
        float r = sqrtf(-2.0f * logf(1.0f - x[i])), t = (float) (2 * M_PI * (double) x[i + HALF]);
        x[i] = r * cosf(t);
        x[i + HALF] = r * sinf(t);
    }
}

static void make_blocks(const torch_random *g, float *x, size_t blocks) {
    if (g->libm) libm_blocks(x, blocks);
    else cephes_blocks(x, blocks);
}

/* Over the last 16 elements, drawn anew. */
static void last_block(torch_random *g, float *out, size_t n) {
    for (size_t i = n - BLOCK; i < n; i++) out[i] = torch_uniform(g);
    make_blocks(g, out + n - BLOCK, 1);
}

static bool small_draw(torch_random *g, float *out, size_t n) {
    if (n >= BLOCK) return false;
    for (size_t i = 0; i < n; i++) out[i] = (float) torch_normal_one(g);
    return true;
}

void torch_normal(torch_random *g, float *out, size_t n) {
    if (small_draw(g, out, n)) return;
    for (size_t i = 0; i < n; i++) out[i] = torch_uniform(g);
    make_blocks(g, out, n / BLOCK);
    if (n % BLOCK) last_block(g, out, n);
}

/* Without the uniforms of the part of a block at the end, which the last block covers anyway. */
void torch_normal_half(torch_random *g, float *out, size_t n) {
    if (small_draw(g, out, n)) return;
    for (size_t i = 0; i < n / BLOCK * BLOCK; i++) out[i] = torch_uniform(g);
    make_blocks(g, out, n / BLOCK);
    if (n % BLOCK) last_block(g, out, n);
}

static void double_block(double *x) {
    for (int j = 0; j < HALF; j++) {
        double r = sqrt(-2 * log(1 - x[j])), t = 2 * M_PI * x[j + HALF];
        x[j] = r * cos(t);
        x[j + HALF] = r * sin(t);
    }
}

void torch_normal_double(torch_random *g, double *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = n < BLOCK ? torch_normal_one(g) : torch_uniform_double(g);
    if (n < BLOCK) return;
    for (size_t b = 0; b < n / BLOCK; b++) double_block(out + b * BLOCK);
    if (n % BLOCK == 0) return;
    for (size_t i = n - BLOCK; i < n; i++) out[i] = torch_uniform_double(g);
    double_block(out + n - BLOCK);
}

void torch_normal_scaled(torch_random *g, float mean, float std, float *out, size_t n) {
    if (n < BLOCK) {
        for (size_t i = 0; i < n; i++) out[i] = (float) (torch_normal_one(g) * (double) std + (double) mean);
        return;
    }
    torch_normal(g, out, n);
    for (size_t i = 0; i < n; i++) out[i] = fmaf(out[i], std, mean);
}
