/* Small matrix products for blocks that stay in cache: panels padded to whole tiles, all f32. */
#ifndef HISS_TENSOR_TILE_H
#define HISS_TENSOR_TILE_H

#include <stdbool.h>
#include <stdint.h>

enum { TILE_ROWS = 8, TILE_COLUMNS = 32 };

/* c [m, n] = or (add) += a b; b [k, n] and c lie row by row; a's element (row, column) is at row a_row + column a_column. m is
 * a multiple of TILE_ROWS, n of TILE_COLUMNS; b and c are aligned to 64 bytes. */
void tile_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row, int64_t a_column, const float *b,
                  float *c, bool add);

#endif
