/* Cross entropy of softmax(logits) with the right classes, from log-sum-exp; its slope is softmax - one-hot. */
#include <math.h>
#include <string.h>

#include "tensor/node.h"
#include "tensor/ops.h"

typedef struct {
    const int32_t *labels; /* [B] */
    int64_t known;         /* rows that have one */
} targets;

/* Probabilities into p; ln of their sum before they were divided. */
static double log_sum(const float *x, float *p, int64_t K) {
    float most = -INFINITY;
    double sum = 0;
    for (int64_t k = 0; k < K; k++) most = fmaxf(most, x[k]);
    for (int64_t k = 0; k < K; k++) sum += p[k] = expf(x[k] - most);
    for (int64_t k = 0; k < K; k++) p[k] = (float) (p[k] / sum);
    return most + log(sum);
}

static void cross_entropy_backward(node *n) {
    const tensor *x = n->in[0];
    const targets *t = n->options;
    const float *p = n->saved;
    const int64_t B = x->shape[0], K = x->shape[1];
    bool more;
    float *d = gradient_sink(x, &more), unit = n->grad[0] / (float) t->known;
    for (int64_t b = 0; d && b < B; b++)
        for (int64_t k = 0; k < K; k++) {
            float slope = t->labels[b] < 0 ? 0 : unit * (p[b * K + k] - (float) (k == t->labels[b]));
            d[b * K + k] = (more ? d[b * K + k] : 0) + slope;
        }
}

tensor *cross_entropy(const tensor *logits, const int32_t *labels) {
    require(logits->rank == 2 && logits->type == F32);
    logits = brought(logits);
    bool was = device_switch(false);
    const int64_t B = logits->shape[0], K = logits->shape[1];
    float *p = alloc((size_t) (B * K) * sizeof *p);
    targets t = {memcpy(alloc((size_t) B * sizeof *labels), labels, (size_t) B * sizeof *labels), 0};
    double sum = 0;
    for (int64_t b = 0; b < B; b++) {
        double all = log_sum(f32(logits) + b * K, p + b * K, K);
        require(labels[b] < K);
        if (labels[b] < 0) continue;
        sum += all - f32(logits)[b * K + labels[b]];
        t.known++;
    }
    if (!t.known) t.known = 1;
    tensor *loss = tensor_new(F32, SHAPE(1));
    *f32(loss) = (float) (sum / (double) t.known);
    node *recorded = record(loss, cross_entropy_backward, INPUTS(logits), &t, sizeof t);
    if (recorded) recorded->saved = p;
    device_switch(was);
    return loss;
}
