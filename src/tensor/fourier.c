/* Numbers as waves of learned frequencies: cosines and sines of 2 pi w x (Tancik et al. 2020, arXiv 2006.10739). */
#include <math.h>
#include <string.h>

#include "tensor/node.h"
#include "tensor/ops.h"

/* Where the cosines and the sines of a row begin. */
typedef struct {
    int64_t cosines, sines;
} order;

/* dw = 2 pi x (cos gs - sin gc); x is no parameter. */
static void waves_backward(node *n) {
    const tensor *w = n->in[0];
    const float *x = n->saved;
    const order *o = n->options;
    const int64_t N = n->out->shape[0], H = count(w);
    bool more;
    float *d = gradient_sink(w, &more);
    if (!d) return;
    if (!more) memset(d, 0, (size_t) H * sizeof *d);
    for (int64_t r = 0; r < N; r++) {
        const float *y = f32(n->out) + r * 2 * H, *g = n->grad + r * 2 * H;
        for (int64_t i = 0; i < H; i++)
            d[i] +=
                2 * (float) M_PI * x[r] * (y[o->cosines + i] * g[o->sines + i] - y[o->sines + i] * g[o->cosines + i]);
    }
}

tensor *fourier_waves(const float *x, int64_t N, const tensor *w, bool cosines_first) {
    const int64_t H = count(w);
    w = brought(w);
    const bool was = device_switch(false);
    const order o = {cosines_first ? 0 : H, cosines_first ? H : 0};
    tensor *y = tensor_new(F32, SHAPE(N, 2 * H));
    for (int64_t r = 0; r < N; r++)
        for (int64_t i = 0; i < H; i++) {
            const float angle = 2 * (float) M_PI * x[r] * f32(w)[i];
            f32(y)[r * 2 * H + o.cosines + i] = cosf(angle);
            f32(y)[r * 2 * H + o.sines + i] = sinf(angle);
        }
    node *recorded = record(y, waves_backward, INPUTS(w), &o, sizeof o);
    if (recorded) {
        float *kept = alloc((size_t) N * sizeof *kept);
        memcpy(kept, x, (size_t) N * sizeof *kept);
        recorded->saved = kept;
    }
    device_switch(was);
    return y;
}
