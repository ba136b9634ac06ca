/* The Gaussian error linear unit (Hendrycks and Gimpel 2016), exact and in its tanh form, as short forms that compilers
 * vectorise, with their slopes. */
#ifndef HISS_TENSOR_GELU_H
#define HISS_TENSOR_GELU_H

#include "tensor/rows.h"

/* Absolute error under 5e-7: Abramowitz and Stegun, 7.1.26. */
static inline float fast_erf(float x) {
    float a = x < 0 ? -x : x, t = 1.0f / (1.0f + 0.3275911f * a);
    float p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    float y = 1.0f - p * fast_exp(-a * a);
    return x < 0 ? -y : y;
}

/* x Phi(x), Phi the normal distribution function. */
static inline float fast_gelu(float x) { return 0.5f * x * (1.0f + fast_erf(x * 0.70710678f)); }
static inline float gelu_slope(float x) {
    return 0.5f * (1.0f + fast_erf(x * 0.70710678f)) + x * 0.39894228f * fast_exp(-0.5f * x * x);
}

/* 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3). */
static inline float fast_gelu_tanh(float x) { return x * fast_sigmoid(1.59576912f * (x + 0.044715f * x * x * x)); }
static inline float gelu_tanh_slope(float x) {
    float s = fast_sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
    return s + x * s * (1.0f - s) * 1.59576912f * (1.0f + 0.134145f * x * x);
}

#endif
