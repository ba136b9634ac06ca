/* The innermost product: a tile of at most TILE_ROWS x TILE_COLUMNS sums held in registers. Everything that is a product
 * of matrices in f32 - convolutions, their gradients, linear layers - is cut into such tiles (products.c).
 *
 * An element's sum runs over taps and steps in order, in chains of a fixed length, whatever the tile's size, the processor or the number of threads:
 * cutting the work differently changes no bit of the result. */
#ifndef HISS_TENSOR_CPU_TILE_H
#define HISS_TENSOR_CPU_TILE_H

#include <stdbool.h>
#include <stdint.h>

enum { TILE_ROWS = 14, TILE_HALF = 16, TILE_COLUMNS = 2 * TILE_HALF };

/* c[r][j] = or += the sum over taps k and steps p of a[r row + k tap + p step] * b[(k steps + p) b_step + j]. Distances are
 * in floats. Either row or step must be 1. */
typedef struct {
    const float *a, *b;
    int64_t row, tap, step, b_step;
    int64_t taps, steps; /* at least one tap */
    int64_t first_tap;   /* that tap 0 is in the whole kernel */
    float *c;
    int64_t c_row;
    const float *bias; /* [TILE_COLUMNS], added to =; or NULL */
    bool add;
} tile;

/* rows <= TILE_ROWS, columns TILE_HALF or TILE_COLUMNS: all of them are read of b and written to c. */
void tile_compute(const tile *t, int rows, int columns);

#endif
