/* Channels brought to mean 0 and deviation 1 by measured ones, outliers cut. */
#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/rows.h"

CLONES static void standardize_kernel(const float *const *in, float *out, int64_t first, int64_t n,
                                      const void *context) {
    const normalising *c = context;
    const float *restrict mean = c->mean, *restrict deviation = c->deviation, limit = c->limit;
    (void) first;
    for (int64_t r = 0; r < n; r++) {
        const float *restrict x = in[0] + r * c->width;
        float *restrict y = out + r * c->width;
        for (int64_t i = 0; i < c->width; i++) {
            float v = (x[i] - mean[i]) / deviation[i];
            y[i] = v < -limit ? -limit : v > limit ? limit : v;
        }
    }
}

static const row_op standardize_op = {standardize_kernel, ROW_NORMALISE, sizeof(normalising)};

tensor *standardize(const tensor *x, const tensor *mean, const tensor *deviation, float limit) {
    require(count(mean) == x->shape[x->rank - 1] && count(deviation) == count(mean));
    PLACE(x);
    PLACE(mean);
    PLACE(deviation);
    normalising c = {values(mean), values(deviation), limit, count(mean)};
    tensor *y = tensor_result(F32, shape_of(x));
    rows in = rows_of(x);
    map_rows(row_count(x), rows_of(y), false, &in, 1, &standardize_op, &c);
    return y;
}
