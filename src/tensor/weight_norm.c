/* Weight norm (Salimans and Kingma 2016, arXiv 1602.07868): each slice of a weight along its first dimension has a direction and a
 * length of its own, w = gain v / |v|. */
#include <math.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"

static double length_of(const float *v, int64_t n) {
    double square = 0;
    for (int64_t k = 0; k < n; k++) square += (double) v[k] * v[k];
    return sqrt(square);
}

/* d gain = g . v / |v|; dv = gain / |v| (g - (g . v) v / |v|^2). */
static void weight_norm_backward(node *n) {
    const tensor *v = n->in[0], *gain = n->in[1];
    const int64_t N = v->shape[0], each = count(v) / N;
    bool more_v, more_gain;
    float *dv = gradient_sink(v, &more_v), *dgain = gradient_sink(gain, &more_gain);
#pragma omp parallel for schedule(static) if (count(v) > PARALLEL_MIN)
    for (int64_t i = 0; i < N; i++) {
        const float *x = (const float *) v->data + i * each, *g = n->grad + i * each;
        const double length = length_of(x, each);
        double dot = 0;
        for (int64_t k = 0; k < each; k++) dot += (double) g[k] * x[k];
        if (dgain) dgain[i] = (more_gain ? dgain[i] : 0) + (float) (dot / length);
        const double along = dot / (length * length), factor = (double) ((const float *) gain->data)[i] / length;
        for (int64_t k = 0; dv && k < each; k++) {
            float *to = dv + i * each + k;
            *to = (more_v ? *to : 0) + (float) (factor * (g[k] - along * x[k]));
        }
    }
}

tensor *weight_norm(const tensor *v, const tensor *gain) {
    const int64_t N = v->shape[0], each = count(v) / N;
    require(count(gain) == N);
    v = brought(v), gain = brought(gain);
    const bool was = device_switch(false);
    tensor *w = tensor_new(F32, shape_of(v));
    const float *from = f32(v), *length = f32(gain);
    float *to = f32(w);
#pragma omp parallel for schedule(static) if (count(v) > PARALLEL_MIN)
    for (int64_t i = 0; i < N; i++) {
        const float factor = (float) ((double) length[i] / length_of(from + i * each, each));
        for (int64_t k = 0; k < each; k++) to[i * each + k] = factor * from[i * each + k];
    }
    record(w, weight_norm_backward, INPUTS(v, gain), NULL, 0);
    device_switch(was);
    return w;
}
