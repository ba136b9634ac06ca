#include "tensor/tile.h"

#include "base/parallel.h"

typedef float vector __attribute__((vector_size(TILE_COLUMNS * sizeof(float)), may_alias));

/* Rows of a, vectors of columns: sums stay in registers while k runs. */
#define TILE(ROWS, VECTORS)                                                                                            \
    do {                                                                                                               \
        vector sum[ROWS][VECTORS];                                                                                     \
        for (int r = 0; r < ROWS; r++)                                                                                 \
            for (int v = 0; v < VECTORS; v++)                                                                          \
                sum[r][v] = add ? ((const vector *) (c + (i + r) * n + j))[v] : (vector){0};                           \
        for (int64_t p = 0; p < k; p++)                                                                                \
            for (int v = 0; v < VECTORS; v++)                                                                          \
                for (int r = 0; r < ROWS; r++)                                                                         \
                    sum[r][v] += a[(i + r) * a_row + p * a_column] * ((const vector *) (b + p * n + j))[v];            \
        for (int r = 0; r < ROWS; r++)                                                                                 \
            for (int v = 0; v < VECTORS; v++) ((vector *) (c + (i + r) * n + j))[v] = sum[r][v];                       \
    } while (0)

CLONES void tile_product(int64_t m, int64_t n, int64_t k, const float *restrict a, int64_t a_row, int64_t a_column,
                         const float *restrict b, float *restrict c, bool add) {
    int64_t j = 0;
    for (; j + 2 * TILE_COLUMNS <= n; j += 2 * TILE_COLUMNS)
        for (int64_t i = 0; i < m; i += TILE_ROWS) TILE(TILE_ROWS, 2);
    for (; j < n; j += TILE_COLUMNS)
        for (int64_t i = 0; i < m; i += TILE_ROWS) TILE(TILE_ROWS, 1);
}
