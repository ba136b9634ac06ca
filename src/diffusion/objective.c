/* Conversions between predictions: two linear equations. */
#include "diffusion/objective.h"

#include <math.h>

#include "base/parallel.h"

const char *objective_name(objective of) {
    static const char *const NAMES[OBJECTIVES] = {"noise", "v", "clean", "flow"};
    return NAMES[of];
}

mixing objective_mixing(objective of, mixing at) {
    switch (of) {
    case PREDICT_V: return (mixing){-at.b, at.a};
    case PREDICT_CLEAN: return (mixing){1, 0};
    case PREDICT_FLOW: return (mixing){-1, 1};
    default: return (mixing){0, 1};
    }
}

mixing mixing_at(process kind, double sigma) {
    if (kind == PROCESS_EXPLODING) return (mixing){1, sigma};
    if (sigma >= NO_SIGNAL) return (mixing){0, 1};
    double all = kind == PROCESS_ROTATING ? hypot(1, sigma) : 1 + sigma;
    return (mixing){1 / all, sigma / all};
}

double state_scale(process kind, double sigma) {
    return sigma >= NO_SIGNAL && kind != PROCESS_EXPLODING ? 1 / NO_SIGNAL : mixing_at(kind, sigma).a;
}

double time_of(process kind, double sigma) {
    if (kind == PROCESS_EXPLODING) return sigma;
    mixing at = mixing_at(kind, sigma);
    return kind == PROCESS_ROTATING ? atan2(at.b, at.a) : at.b;
}

double sigma_at(process kind, double time) {
    if (kind == PROCESS_EXPLODING) return time;
    double clean = kind == PROCESS_ROTATING ? cos(time) : 1 - time, noise = kind == PROCESS_ROTATING ? sin(time) : time;
    return clean * NO_SIGNAL > noise ? fmax(noise / clean, 0) : NO_SIGNAL;
}

/* out = p u + q v */
static tensor *combined(double p, const tensor *u, double q, const tensor *v) {
    tensor *out = tensor_new(F32, shape_of(u));
    require(count(u) == count(v));
    int64_t n = count(u);
    float *o = f32(out);
    const float *x = f32(u), *y = f32(v);
#pragma omp parallel for simd if (n > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) o[i] = (float) (p * (double) x[i] + q * (double) y[i]);
    return out;
}

/* x = a x0 + b n, y = p x0 + q n */
estimate estimate_of(objective of, mixing at, const tensor *x, const tensor *prediction) {
    mixing y = objective_mixing(of, at);
    double whole = at.a * y.b - at.b * y.a;
    return (estimate){combined(y.b / whole, x, -at.b / whole, prediction),
                      combined(at.a / whole, prediction, -y.a / whole, x)};
}

tensor *prediction_of(objective of, mixing at, estimate e) {
    mixing y = objective_mixing(of, at);
    if (of == PREDICT_NOISE) return e.noise;
    if (of == PREDICT_CLEAN) return e.clean;
    return combined(y.a, e.clean, y.b, e.noise);
}

tensor *mix(mixing at, const tensor *clean, const tensor *noise) { return combined(at.a, clean, at.b, noise); }

tensor *target_of(objective of, mixing at, const tensor *clean, const tensor *noise) {
    return mix(objective_mixing(of, at), clean, noise);
}
