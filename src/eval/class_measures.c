/* See class_measures.h. */
#include "eval/class_measures.h"

#include <math.h>
#include <string.h>

static void softmax_row(const double *x, double *p, int64_t K) {
    double most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < K; k++) most = fmax(most, x[k]);
    for (int64_t k = 0; k < K; k++) sum += p[k] = exp(x[k] - most);
    for (int64_t k = 0; k < K; k++) p[k] /= sum;
}

tensor *probabilities(const tensor *logits, class_output kind) {
    require(logits->rank == 2);
    const int64_t N = logits->shape[0], K = logits->shape[1];
    tensor *p = tensor_convert(logits, F64);
    double *x = p->data;
    for (int64_t i = 0; i < N; i++) {
        if (kind == CLASSES_SOFTMAX) softmax_row(x + i * K, x + i * K, K);
        else
            for (int64_t k = i * K; k < (i + 1) * K; k++) x[k] = 1 / (1 + exp(-x[k]));
    }
    return p;
}

static double divergence(const double *p, const double *q, int64_t K, double eps) {
    double sum = 0;
    for (int64_t k = 0; k < K; k++) sum += p[k] > 0 ? p[k] * (log(p[k]) - log(q[k] + eps)) : 0;
    return sum;
}

double *divergences(const tensor *p, const tensor *q, double eps) {
    require(p->type == F64 && q->type == F64 && p->rank == 2 && count(p) == count(q));
    const int64_t N = p->shape[0], K = p->shape[1];
    double *d = NEW_ARRAY(double, N);
    for (int64_t i = 0; i < N; i++)
        d[i] = divergence((const double *) p->data + i * K, (const double *) q->data + i * K, K, eps);
    return d;
}

double class_divergence(const tensor *target, const tensor *generated, class_output kind) {
    if (target->rank != 2 || generated->rank != 2 || target->shape[0] != generated->shape[0] ||
        target->shape[1] != generated->shape[1])
        fail(HISS_ERROR_ARGUMENT, "class scores %s and %s are not those of pairs", shape_text(shape_of(target)),
             shape_text(shape_of(generated)));
    scope_begin();
    const double *d = divergences(probabilities(target, kind), probabilities(generated, kind), 1e-6);
    double mean = spread_of(d, target->shape[0]).mean;
    scope_end();
    return mean;
}

static double part_score(const double *p, const int64_t *order, int64_t first, int64_t n, int64_t K) {
    double *mean = NEW_ARRAY(double, K), sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double *row = p + (order ? order[first + i] : first + i) * K;
        for (int64_t k = 0; k < K; k++) mean[k] += row[k] / (double) n;
    }
    for (int64_t i = 0; i < n; i++)
        sum += divergence(p + (order ? order[first + i] : first + i) * K, mean, K, 0) / (double) n;
    return exp(sum);
}

spread inception_score(const tensor *logits, const int64_t *order, int64_t parts) {
    const int64_t N = logits->shape[0], K = logits->shape[1];
    if (parts < 1 || parts > N)
        fail(HISS_ERROR_ARGUMENT, "%lld sounds cannot be cut into %lld parts", (long long) N, (long long) parts);
    for (int64_t i = 0; order && i < N; i++) require(order[i] >= 0 && order[i] < N);
    scope_begin();
    const double *p = probabilities(logits, CLASSES_SOFTMAX)->data;
    double *scores = NEW_ARRAY(double, parts);
    for (int64_t i = 0; i < parts; i++) {
        int64_t first = i * N / parts, end = (i + 1) * N / parts;
        scores[i] = part_score(p, order, first, end - first, K);
    }
    spread s = spread_of(scores, parts);
    scope_end();
    return s;
}

int64_t right_in_top(const tensor *logits, const int32_t *labels, int top, int64_t *asked) {
    const int64_t N = logits->shape[0], K = logits->shape[1];
    int64_t right = 0, known = 0;
    scope_begin();
    const double *x = tensor_convert(logits, F64)->data;
    for (int64_t i = 0; i < N; i++) {
        if (labels[i] < 0) continue;
        require(labels[i] < K);
        int64_t above = 0;
        for (int64_t k = 0; k < K; k++) above += x[i * K + k] > x[i * K + labels[i]];
        right += above < top;
        known++;
    }
    scope_end();
    if (asked) *asked = known;
    return right;
}

double mean_cosine(const tensor *a, const tensor *b, double *cosines) {
    require(a->rank == 2 && b->rank == 2 && a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1]);
    const int64_t N = a->shape[0], D = a->shape[1];
    double mean = 0;
    scope_begin();
    const double *x = tensor_convert(a, F64)->data, *y = tensor_convert(b, F64)->data;
    for (int64_t i = 0; i < N; i++) {
        double xy = 0, xx = 0, yy = 0;
        for (int64_t j = i * D; j < (i + 1) * D; j++) {
            xy += x[j] * y[j];
            xx += x[j] * x[j];
            yy += y[j] * y[j];
        }
        double cosine = xy / (fmax(sqrt(xx), 1e-8) * fmax(sqrt(yy), 1e-8));
        if (cosines) cosines[i] = cosine;
        mean += cosine / (double) N;
    }
    scope_end();
    return mean;
}
