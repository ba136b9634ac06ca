/* Guidance of predictions. */
#include "diffusion/guidance.h"

#include <math.h>
#include <string.h>

bool guides_at(const guidance *g, double noise_share) {
    return g->scale != 1 && noise_share >= g->low && (g->high <= 0 || noise_share <= g->high);
}

/* out = p u + q v */
static tensor *sum_of(double p, const tensor *u, double q, const tensor *v) {
    tensor *out = tensor_new(F32, shape_of(u));
    for (int64_t i = 0, n = count(u); i < n; i++)
        f32(out)[i] = (float) (p * (double) f32(u)[i] + q * (double) f32(v)[i]);
    return out;
}

/* One batch element: n values, C channels; valid: [T] or NULL. */
typedef struct {
    int64_t first, n, C;
    const float *valid;
} element;

static element element_of(const tensor *t, const tensor *mask, int64_t b) {
    int64_t n = count(t) / t->shape[0], C = t->shape[t->rank - 1];
    return (element){b * n, n, C, mask ? f32(mask) + b * (n / C) : NULL};
}

static bool counts(element e, int64_t i) { return !e.valid || e.valid[i / e.C] > 0; }

static double dot(element e, const tensor *u, const tensor *v) {
    double sum = 0;
    for (int64_t i = 0; i < e.n; i++)
        if (counts(e, i)) sum += (double) f32(u)[e.first + i] * (double) f32(v)[e.first + i];
    return sum;
}

static void bound_norm(const guidance *g, tensor *difference, const tensor *mask) {
    for (int64_t b = 0; b < difference->shape[0]; b++) {
        element e = element_of(difference, mask, b);
        double norm = sqrt(dot(e, difference, difference)), keep = norm > g->most_norm ? g->most_norm / norm : 1;
        for (int64_t i = 0; i < e.n; i++) f32(difference)[e.first + i] *= (float) keep;
    }
}

/* The part along the prediction, of which only a share stays; none of the rest in padding. */
static void project(const guidance *g, tensor *difference, const tensor *along, const tensor *mask) {
    for (int64_t b = 0; b < difference->shape[0]; b++) {
        element e = element_of(difference, mask, b);
        double size = dot(e, along, along), share = size > 0 ? dot(e, difference, along) / size : 0;
        for (int64_t i = 0; i < e.n; i++) {
            double whole = (double) f32(difference)[e.first + i];
            double rest = counts(e, i) ? whole - share * (double) f32(along)[e.first + i] : 0;
            f32(difference)[e.first + i] = (float) (rest + g->parallel * (whole - rest));
        }
    }
}

/* The factor by which the unconditional prediction is closest to the conditional one. */
static tensor *matched(const tensor *cond, const tensor *uncond) {
    tensor *out = tensor_new(F32, shape_of(uncond));
    for (int64_t b = 0; b < uncond->shape[0]; b++) {
        element e = element_of(uncond, NULL, b);
        double factor = dot(e, cond, uncond) / (dot(e, uncond, uncond) + 1e-8);
        for (int64_t i = 0; i < e.n; i++) f32(out)[e.first + i] = (float) (factor * (double) f32(uncond)[e.first + i]);
    }
    return out;
}

/* Unbiased, of n values from `first`. */
static double deviation(const float *x, int64_t n) {
    double mean = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) mean += (double) x[i] / (double) n;
    for (int64_t i = 0; i < n; i++) sum += ((double) x[i] - mean) * ((double) x[i] - mean);
    return sqrt(sum / (double) (n - 1));
}

static void rescale(const guidance *g, tensor *x, const tensor *cond) {
    int64_t all = count(x), n = g->each_position ? x->shape[x->rank - 1] : all / x->shape[0];
    for (int64_t at = 0; n > 1 && at < all; at += n) {
        double own = deviation(f32(x) + at, n), factor = own > 0 ? deviation(f32(cond) + at, n) / own : 1;
        factor = g->rescale * factor + 1 - g->rescale;
        for (int64_t i = 0; i < n; i++) f32(x)[at + i] *= (float) factor;
    }
}

/* Without rescaling. */
static tensor *pushed(const guidance *g, const tensor *cond, const tensor *uncond, const tensor *mask,
                      guidance_memory *memory) {
    if (g->matched) uncond = matched(cond, uncond);
    tensor *difference = sum_of(1, cond, -1, uncond);
    if (memory) {
        if (memory->difference) {
            tensor *before = memory->difference;
            difference = sum_of(1, difference, g->momentum, before);
            memcpy(before->data, difference->data, tensor_bytes(before));
        } else {
            memory->difference = sum_of(1, difference, 0, difference);
        }
    }
    if (g->most_norm > 0) bound_norm(g, difference, mask);
    if (g->projected) project(g, difference, cond, mask);
    return g->from_cond ? sum_of(1, cond, g->scale - 1, difference) : sum_of(1, uncond, g->scale, difference);
}

tensor *guide(const guidance *g, const tensor *cond, const tensor *uncond, const tensor *mask,
              guidance_memory *memory) {
    tensor *out = pushed(g, cond, uncond, mask, memory);
    if (g->rescale > 0) rescale(g, out, cond);
    return out;
}

tensor *guide_prediction(const guidance *g, objective of, mixing at, const tensor *x, const tensor *cond,
                         const tensor *uncond, const tensor *mask) {
    if (!g->of_clean) return guide(g, cond, uncond, mask, NULL);
    estimate with = estimate_of(of, at, x, cond), without = estimate_of(of, at, x, uncond);
    tensor *clean = pushed(g, with.clean, without.clean, mask, NULL);
    tensor *out = prediction_of(of, at, estimate_of(PREDICT_CLEAN, at, x, clean));
    if (g->rescale > 0) rescale(g, out, cond);
    return out;
}

tensor *guide_twice(double s1, double s2, const tensor *uncond, const tensor *first, const tensor *second,
                    bool nested) {
    tensor *one = sum_of(1 - s1, uncond, s1, first), *other = sum_of(1, second, -1, nested ? first : uncond);
    return sum_of(1, one, s2, other);
}

/* x in units of the clean signal, as samplers have it; the network's own scale is that of its process. */
estimate guided_call(void *context, const tensor *x, double sigma) {
    const guided *d = context;
    mixing at = mixing_at(d->process, sigma);
    estimate with = d->cond.call(d->cond.context, x, sigma);
    if (!guides_at(d->g, at.b)) return with;
    estimate without = d->uncond.call(d->uncond.context, x, sigma);
    tensor *own = sum_of(sigma >= NO_SIGNAL && at.a == 0 ? 1 / NO_SIGNAL : at.a, x, 0, x);
    tensor *cond = prediction_of(d->of, at, with), *uncond = prediction_of(d->of, at, without);
    estimate e = estimate_of(d->of, at, own, guide_prediction(d->g, d->of, at, own, cond, uncond, d->mask));
    if (d->g->plus) e.noise = without.noise;
    return e;
}
