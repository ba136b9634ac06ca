/* See planes.h. */
#include "nn/planes.h"

#include <math.h>

#include "base/parallel.h"
#include "tensor/ops.h"

tensor *planes_conv(const tensor *x, const tensor *w, const tensor *bias) {
    require(w->rank == 4 && w->shape[2] == 3 && w->shape[3] == 3);
    return conv2d(x, w, bias, (conv2d_options){.pad = {1, 1}});
}

static float pooled(const float *x, int64_t right, int64_t down, pool_kind kind) {
    float a = x[0], b = x[right], c = x[down], d = x[right + down];
    return kind == POOL_MAX ? fmaxf(fmaxf(a, b), fmaxf(c, d)) : (a + b + c + d) / 4;
}

tensor *planes_pool(const tensor *x, pool_kind kind) {
    const int64_t B = x->shape[0], H = x->shape[1] / 2, W = x->shape[2] / 2, C = x->shape[3], row = x->shape[2] * C;
    require(H > 0 && W > 0);
    tensor *y = tensor_new(F32, SHAPE(B, H, W, C));
    const float *from = f32(x);
    float *to = f32(y);
    const int64_t plane = x->shape[1] * row;
#pragma omp parallel for num_threads(threads_get()) schedule(static)
    for (int64_t i = 0; i < B * H; i++)
        for (int64_t w = 0; w < W; w++)
            for (int64_t c = 0; c < C; c++)
                to[(i * W + w) * C + c] = pooled(from + i / H * plane + i % H * 2 * row + w * 2 * C + c, C, row, kind);
    return y;
}

void planes_relu(tensor *x) {
    float *v = f32(x);
    const int64_t n = count(x);
#pragma omp parallel for num_threads(threads_get()) schedule(static)
    for (int64_t i = 0; i < n; i++) v[i] = fmaxf(v[i], 0);
}

batch_norm bind_batch_norm(binder *b, const char *name, int64_t channels) {
    batch_norm n;
    bind_push(b, "%s", name);
    n.weight = bind(b, "weight", SHAPE(channels), (init){INIT_ONE, 0, 0});
    n.bias = bind(b, "bias", SHAPE(channels), (init){INIT_ZERO, 0, 0});
    n.mean = bind(b, "running_mean", SHAPE(channels), (init){INIT_ZERO, 0, 0});
    n.variance = bind(b, "running_var", SHAPE(channels), (init){INIT_ONE, 0, 0});
    bind_pop(b);
    return n;
}

void apply_batch_norm(const batch_norm *n, tensor *x, bool relu) {
    static const double EPS = 1e-5;
    const int64_t C = x->shape[x->rank - 1], rows = count(x) / C;
    require(count(n->weight) == C);
    scope_begin();
    float *scale = NEW_ARRAY(float, C), *shift = NEW_ARRAY(float, C), *v = f32(x);
    for (int64_t c = 0; c < C; c++) {
        double s = f32(n->weight)[c] / sqrt(fmax(f32(n->variance)[c], 0) + EPS);
        scale[c] = (float) s;
        shift[c] = (float) (f32(n->bias)[c] - s * f32(n->mean)[c]);
    }
#pragma omp parallel for num_threads(threads_get()) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < C; c++) {
            float y = v[r * C + c] * scale[c] + shift[c];
            v[r * C + c] = relu ? fmaxf(y, 0) : y;
        }
    scope_end();
}
