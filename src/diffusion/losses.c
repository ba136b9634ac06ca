/* Losses: penalties, and the weights of their elements. */
#include "diffusion/losses.h"

#include <math.h>

/* Value and slope at d. */
static void penalise(penalty kind, double c, double d, double *value, double *slope) {
    double size = fabs(d), root = sqrt(d * d + c * c), sign = d > 0 ? 1 : d < 0 ? -1 : 0;
    *value = d * d; /* PENALTY_SQUARE */
    *slope = 2 * d;
    switch (kind) {
    case PENALTY_SQUARE: break;
    case PENALTY_ABSOLUTE: *value = size, *slope = sign; break;
    case PENALTY_HUBER:
        *value = size < c ? d * d / 2 : c * (size - c / 2);
        *slope = size < c ? d : c * sign;
        break;
    case PENALTY_PSEUDO_HUBER: *value = root - c, *slope = root > 0 ? d / root : 0; break;
    }
}

loss loss_weighted(penalty kind, double c, const tensor *prediction, const tensor *target, const double *weights) {
    loss l = {0, tensor_new(F32, shape_of(prediction))};
    for (int64_t i = 0, n = count(prediction); i < n; i++) {
        double value, slope;
        penalise(kind, c, (double) f32(prediction)[i] - (double) f32(target)[i], &value, &slope);
        l.value += weights[i] * value;
        f32(l.gradient)[i] = (float) (weights[i] * slope);
    }
    return l;
}

loss loss_of_norms(double c, const tensor *prediction, const tensor *target, const double *weights) {
    loss l = {0, tensor_new(F32, shape_of(prediction))};
    int64_t B = prediction->shape[0], n = count(prediction) / B;
    const float *x = f32(prediction), *y = f32(target);
    for (int64_t b = 0; b < B; b++) {
        double sum = c * c, share = (weights ? weights[b] : 1) / (double) B;
        for (int64_t i = b * n; i < (b + 1) * n; i++) sum += pow((double) x[i] - (double) y[i], 2);
        l.value += share * (sqrt(sum) - c);
        for (int64_t i = b * n; i < (b + 1) * n; i++)
            f32(l.gradient)[i] = (float) (share * ((double) x[i] - (double) y[i]) / sqrt(sum));
    }
    return l;
}

double pseudo_huber_c(int64_t n) { return 0.00054 * sqrt((double) n); }

double *weights_even(const tensor *like, const double *each) {
    int64_t all = count(like), n = all / like->shape[0];
    double *w = NEW_ARRAY(double, all);
    for (int64_t i = 0; i < all; i++) w[i] = (each ? each[i / n] : 1) / (double) all;
    return w;
}

double *weights_counted(const tensor *like, const tensor *mask) {
    int64_t all = count(like), C = like->shape[like->rank - 1];
    double *w = NEW_ARRAY(double, all), sum = 0;
    for (int64_t i = 0; i < all; i++) sum += w[i] = f32(mask)[i / C] > 0;
    for (int64_t i = 0; i < all && sum > 0; i++) w[i] /= sum;
    return w;
}

/* Of the target values that share this element's: those of its position, of its sample or of its sample's channel, the last
 * two where the mask counts. */
static double variance_at(const tensor *target, const float *valid, variance_of over, int64_t at) {
    int64_t C = target->shape[2], T = target->shape[1], first = at / (T * C) * T * C;
    double sum = 0, squares = 0, n = 0;
    for (int64_t i = first; i < first + T * C; i++) {
        bool same = over == VARIANCE_POSITION ? i / C == at / C
                                              : valid[i / C] > 0 && (over == VARIANCE_SAMPLE || i % C == at % C);
        if (!same) continue;
        sum += (double) f32(target)[i];
        squares += (double) f32(target)[i] * (double) f32(target)[i];
        n++;
    }
    return n > 0 ? fmax(squares / n - sum / n * (sum / n), 0) : 1;
}

double *weights_by_variance(const tensor *target, const tensor *mask, variance_of over, double padding) {
    int64_t B = target->shape[0], T = target->shape[1], C = target->shape[2];
    double *w = NEW_ARRAY(double, B *T *C);
    for (int64_t b = 0; b < B; b++) {
        double counted = 1e-8;
        for (int64_t t = 0; t < T; t++) counted += (double) C * (f32(mask)[b * T + t] > 0 ? 1 : padding);
        for (int64_t i = b * T * C; i < (b + 1) * T * C; i++) {
            bool signal = f32(mask)[i / C] > 0;
            w[i] = (signal ? 1 : padding) / (counted * (double) B);
            if (signal && over != VARIANCE_NONE) w[i] /= variance_at(target, f32(mask), over, i) + 1e-6;
        }
    }
    return w;
}
