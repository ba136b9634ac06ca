/* Losses: the mean over all elements, one F32 number. Sums run in double over fixed runs: the same for any thread count. */
#include <math.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/reduce.h"

typedef struct {
    const float *p, *t, *weight; /* weight: one a batch element, or NULL */
    int64_t item;                /* elements of a batch element */
    bool square;
} terms;

static double loss_run(int64_t first, int64_t length, const void *context) {
    const terms *c = context;
    double sum = 0;
    for (int64_t i = first; i < first + length; i++) {
        double d = (double) c->p[i] - c->t[i], w = c->weight ? c->weight[i / c->item] : 1;
        sum += c->square ? w * d * d : w * fabs(d);
    }
    return sum;
}

static void loss_backward(node *n) {
    const terms *c = n->options;
    const tensor *p = n->in[0];
    bool more;
    float *d = gradient_sink(p, &more);
    if (!d) return;
    int64_t elements = count(p);
    float unit = n->grad[0] / (float) elements;
    if (device_current()) {
        device_current()->loss_slope(d, c->p, c->t, c->weight, c->item, elements, c->square, unit, more);
        return;
    }
#pragma omp parallel for simd schedule(static) if (elements > PARALLEL_MIN)
    for (int64_t i = 0; i < elements; i++) {
        float e = c->p[i] - c->t[i], w = c->weight ? c->weight[i / c->item] : 1.0f;
        float slope = c->square ? 2.0f * e : (float) ((e > 0) - (e < 0));
        d[i] = (more ? d[i] : 0) + unit * w * slope;
    }
}

static tensor *mean_loss(const tensor *prediction, const tensor *target, const tensor *weight, bool square) {
    const tensor *p = cast(placed(prediction), F32), *t = cast(placed(target), F32);
    PLACE(weight);
    int64_t elements = count(p);
    require(elements > 0 && elements == count(t) && (!weight || count(weight) == p->shape[0]));
    terms c = {values(p), values(t), values(weight), elements / p->shape[0], square};
    tensor *loss = tensor_new(F32, SHAPE(1));
    const device *d = device_current();
    double sum = d ? d->loss_sum(c.p, c.t, c.weight, c.item, elements, square) : sum_runs(elements, loss_run, &c);
    *f32(loss) = (float) (sum / (double) elements);
    record(loss, loss_backward, INPUTS(p), &c, sizeof c);
    return loss;
}

tensor *l1_loss(const tensor *prediction, const tensor *target) { return mean_loss(prediction, target, NULL, false); }

tensor *mse_loss(const tensor *prediction, const tensor *target) { return mean_loss(prediction, target, NULL, true); }

tensor *weighted_mse_loss(const tensor *prediction, const tensor *target, const tensor *weight) {
    return mean_loss(prediction, target, weight, true);
}
