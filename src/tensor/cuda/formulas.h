/* The formulas of elementwise kernels: from the values v read for one element to the one or two r that it gives. Their meaning
 * is that of the CPU's kernels of the same names (elementwise.c, broadcast.c, glu.c, gates.c); what is read for v stands in
 * rows.cu. Exact functions of the mathematical library where the CPU has short forms. */
#ifndef HISS_TENSOR_CUDA_FORMULAS_H
#define HISS_TENSOR_CUDA_FORMULAS_H

#include <math.h>

#include "tensor/cuda/kernel.h"

namespace formulas {

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
DEVICE float sigmoid_slope(float x) {
    const float s = sigmoid(x);
    return s * (1.0f - s);
}
DEVICE float swish(float x) { return x * sigmoid(x); }
DEVICE float swish_slope(float x) {
    const float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}
DEVICE float tangent(float x) { return tanhf(x); }
DEVICE float tangent_slope(float x) {
    const float t = tanhf(x);
    return 1.0f - t * t;
}
/* x Phi(x), Phi the normal distribution function. */
DEVICE float gauss(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
DEVICE float gauss_slope(float x) {
    return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
}
/* 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3). */
DEVICE float gauss_tanh(float x) { return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x)); }
DEVICE float gauss_tanh_slope(float x) {
    const float s = sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
    return s + x * s * (1.0f - s) * 1.59576912f * (1.0f + 0.134145f * x * x);
}

/* A formula of READS values, the parameter `a` and WRITES results. */
#define FORMULA(NAME, READS, WRITES, BODY)                                                                             \
    struct NAME {                                                                                                      \
        enum { reads = READS, writes = WRITES };                                                                       \
        float a;                                                                                                       \
        __device__ void operator()(const float *v, float *r) const { BODY; }                                           \
    };

/* NAME: v = x; NAME_slope: v = x, dy. */
#define UNARY(NAME, VALUE, SLOPE)                                                                                      \
    FORMULA(NAME##_value, 1, 1, const float x = v[0]; r[0] = (VALUE))                                                  \
    FORMULA(NAME##_change, 2, 1, const float x = v[0]; (void) x; r[0] = v[1] * (SLOPE))

UNARY(scaled, a *x, a)
UNARY(leaky, x > 0 ? x : a * x, x > 0 ? 1.0f : a)
UNARY(swish, swish(x), swish_slope(x))
UNARY(tangent, tangent(x), tangent_slope(x))
UNARY(rooted, sqrtf(x > 0 ? x : 0), 0.5f / sqrtf(x > 1e-12f ? x : 1e-12f))
UNARY(exponential, x > 0 ? x : expm1f(x), x > 0 ? 1.0f : expf(x))
UNARY(gauss, gauss(x), gauss_slope(x))
UNARY(gauss_tanh, gauss_tanh(x), gauss_tanh_slope(x))

FORMULA(copied, 1, 1, r[0] = v[0])
FORMULA(sum, 2, 1, r[0] = v[0] + v[1])
FORMULA(product, 2, 1, r[0] = v[0] * v[1])
FORMULA(gated, 3, 1, r[0] = v[1] * v[2] + v[0])       /* x, y, gate */
FORMULA(half_added, 2, 1, r[0] = (v[0] + v[1]) * a)   /* x, half of r */
FORMULA(half_given, 1, 2, r[0] = v[0] * a; r[1] = 0;) /* dy; the other half of r has none of it */
/* x, mean, deviation */
FORMULA(normalised, 3, 1, const float z = (v[0] - v[1]) / v[2]; r[0] = z < -a ? -a : z > a ? a : z)

/* v = x, a, 1 / b (, dy): x + sin(a x)^2 / b, and its slopes with regard to x, ln a and ln b. */
FORMULA(snake, 3, 1, const float s = sinf(v[1] * v[0]); r[0] = v[0] + s * s * v[2])
FORMULA(snake_change, 4, 1, r[0] = v[3] * (1.0f + v[1] * v[2] * sinf(2.0f * v[1] * v[0])))
FORMULA(snake_change_a, 4, 1, r[0] = v[3] * v[1] * v[0] * v[2] * sinf(2.0f * v[1] * v[0]))
FORMULA(snake_change_b, 4, 1, const float s = sinf(v[1] * v[0]); r[0] = -v[3] * s * s * v[2] * (1.0f - 1e-9f * v[2]))

/* Gated linear units. v = gate half, plain half (, dy). */
#define UNIT(NAME)                                                                                                     \
    FORMULA(NAME##_unit, 2, 1, r[0] = NAME(v[0]) * v[1])                                                               \
    FORMULA(NAME##_unit_change, 3, 2, r[0] = v[2] * v[1] * NAME##_slope(v[0]); r[1] = v[2] * NAME(v[0]))

UNIT(swish)
UNIT(gauss)
UNIT(gauss_tanh)
UNIT(sigmoid)

/* v = both halves of a, both of b (, dy). */
FORMULA(gated_tanh, 4, 1, r[0] = sigmoid(v[0] + v[2]) * tanhf(v[1] + v[3]))
FORMULA(gated_tanh_change, 5, 2, const float s = sigmoid(v[0] + v[2]); const float t = tanhf(v[1] + v[3]);
        r[0] = v[4] * t * s * (1.0f - s); r[1] = v[4] * s * (1.0f - t * t))

/* v = x, both halves of f (, dy): y = the leaky rectifier of u = f0 + f1 x. */
FORMULA(film, 3, 1, const float u = v[1] + v[2] * v[0]; r[0] = u > 0 ? u : a * u)
FORMULA(film_change_x, 4, 1, r[0] = v[3] * v[2] * (v[1] + v[2] * v[0] > 0 ? 1.0f : a))
FORMULA(film_change_f, 4, 2, const float d = v[3] * (v[1] + v[2] * v[0] > 0 ? 1.0f : a); r[0] = d; r[1] = d * v[0])

#undef UNIT
#undef UNARY
#undef FORMULA

} // namespace formulas

#endif
