/* Tiles in vector registers: written once over the width of a vector, compiled for AVX-512 (14 x 32 sums fill 28 of 32
 * registers), for AVX2 (3 x 32: 12 of 16) and for whatever else the compiler is told. */
#include "tensor/cpu/tile.h"

#include "base/error.h"
#include "base/parallel.h"

/* Steps that one sum runs over, about, before it is added to what is there: the rounding error of a sum grows with its length. The
 * borders stand at fixed taps and steps of the whole kernel, so that a tile that leaves out taps of zeros adds up the same. */
enum { CHAIN = 256 };

static inline bool chain_ends(const tile *t, int64_t k, int64_t p) {
    int64_t at = (t->first_tap + k) * t->steps;
    return p > 0 || at / CHAIN != (at - t->steps) / CHAIN;
}

#define UNROLL _Pragma("GCC unroll 32")

/* R rows of V vectors of W floats. along_rows: a's rows are next to each other, else its steps are. */
#define DEFINE_KERNEL(NAME, TARGET, W)                                                                                 \
    typedef float NAME##_vector __attribute__((vector_size(4 * W), aligned(4), may_alias));                            \
    TARGET static inline __attribute__((always_inline)) void NAME##_kernel(const tile *t, int64_t first, const int R,  \
                                                                           const int V, const bool along_rows) {       \
        const int64_t row = along_rows ? 1 : t->row, step = along_rows ? t->step : 1, b_step = t->b_step;              \
        const float *b = t->b;                                                                                         \
        bool add = t->add, bias = t->bias;                                                                             \
        int64_t k = 0, p = 0;                                                                                          \
        do {                                                                                                           \
            NAME##_vector sum[TILE_ROWS][8];                                                                           \
            UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < V; v++) sum[r][v] = (NAME##_vector){0};      \
            do {                                                                                                       \
                const float *a = t->a + first * row + k * t->tap + p * step;                                           \
                int64_t end = t->steps - p < CHAIN ? t->steps : p + CHAIN;                                             \
                for (; p < end; p++, a += step, b += b_step) {                                                         \
                    NAME##_vector column[8];                                                                           \
                    UNROLL for (int v = 0; v < V; v++) column[v] =                                                     \
                        *(const NAME##_vector *) (const void *) (b + v * W);                                           \
                    UNROLL for (int r = 0; r < R; r++) {                                                               \
                        float x = a[r * row];                                                                          \
                        UNROLL for (int v = 0; v < V; v++) sum[r][v] += x * column[v];                                 \
                    }                                                                                                  \
                }                                                                                                      \
                if (p == t->steps) p = 0, k++;                                                                         \
            } while (k < t->taps && !chain_ends(t, k, p));                                                             \
            UNROLL for (int r = 0; r < R; r++) {                                                                       \
                float *c = t->c + (first + r) * t->c_row;                                                              \
                UNROLL for (int v = 0; v < V; v++) {                                                                   \
                    NAME##_vector *to = (NAME##_vector *) (void *) (c + v * W);                                        \
                    NAME##_vector s = sum[r][v];                                                                       \
                    if (bias) s += *(const NAME##_vector *) (t->bias + v * W);                                         \
                    if (add) s += *to;                                                                                 \
                    *to = s;                                                                                           \
                }                                                                                                      \
            }                                                                                                          \
            add = true;                                                                                                \
            bias = false;                                                                                              \
        } while (k < t->taps);                                                                                         \
    }

typedef void kernel(const tile *t, int64_t first);

#define DEFINE_SIZE(NAME, TARGET, R, V)                                                                                \
    TARGET static void NAME##_##R##_##V##_rows(const tile *t, int64_t first) { NAME##_kernel(t, first, R, V, true); }  \
    TARGET static void NAME##_##R##_##V##_steps(const tile *t, int64_t first) { NAME##_kernel(t, first, R, V, false); }

#define AVX512 __attribute__((target("arch=x86-64-v4")))
#define AVX2 __attribute__((target("arch=x86-64-v3")))

#if defined(__x86_64__)
DEFINE_KERNEL(avx512, AVX512, 16)
#define FOR_AVX512(DO, V)                                                                                              \
    DO(1, V)                                                                                                           \
    DO(2, V)                                                                                                           \
    DO(3, V) DO(4, V) DO(5, V) DO(6, V) DO(7, V) DO(8, V) DO(9, V) DO(10, V) DO(11, V) DO(12, V) DO(13, V) DO(14, V)
#define DEFINE_AVX512(R, V) DEFINE_SIZE(avx512, AVX512, R, V)
FOR_AVX512(DEFINE_AVX512, 1)
FOR_AVX512(DEFINE_AVX512, 2)
#define NAME_AVX512(R, V) {avx512_##R##_##V##_steps, avx512_##R##_##V##_rows},
static kernel *const avx512[2][TILE_ROWS][2] = {{FOR_AVX512(NAME_AVX512, 1)}, {FOR_AVX512(NAME_AVX512, 2)}};

DEFINE_KERNEL(avx2, AVX2, 8)
#define FOR_AVX2(DO, V) DO(1, V) DO(2, V) DO(3, V)
#define DEFINE_AVX2(R, V) DEFINE_SIZE(avx2, AVX2, R, V)
FOR_AVX2(DEFINE_AVX2, 2)
FOR_AVX2(DEFINE_AVX2, 4)
#define NAME_AVX2(R, V) {avx2_##R##_##V##_steps, avx2_##R##_##V##_rows},
static kernel *const avx2[2][3][2] = {{FOR_AVX2(NAME_AVX2, 2)}, {FOR_AVX2(NAME_AVX2, 4)}};
#endif

DEFINE_KERNEL(plain, , 4)
#define FOR_PLAIN(DO, V) DO(1, V) DO(2, V)
#define DEFINE_PLAIN(R, V) DEFINE_SIZE(plain, , R, V)
FOR_PLAIN(DEFINE_PLAIN, 4)
FOR_PLAIN(DEFINE_PLAIN, 8)
#define NAME_PLAIN(R, V) {plain_##R##_##V##_steps, plain_##R##_##V##_rows},
static kernel *const plain[2][2][2] = {{FOR_PLAIN(NAME_PLAIN, 4)}, {FOR_PLAIN(NAME_PLAIN, 8)}};

void tile_compute(const tile *t, int rows, int columns) {
    kernel *const *kernels = (kernel *const *) plain[columns > TILE_HALF];
    int most = 2;
#if defined(__x86_64__)
    if (cpu()->avx512) kernels = (kernel *const *) avx512[columns > TILE_HALF], most = TILE_ROWS;
    else if (cpu()->avx2) kernels = (kernel *const *) avx2[columns > TILE_HALF], most = 3;
#endif
    bool along_rows = t->row == 1;
    for (int first = 0; first < rows; first += most) {
        int n = rows - first < most ? rows - first : most;
        kernels[2 * (n - 1) + along_rows](t, first);
    }
}
