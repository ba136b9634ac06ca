/* Conversion between element types: rounding to nearest even, like the hardware. */
#ifndef HISS_TENSOR_CONVERT_H
#define HISS_TENSOR_CONVERT_H

#include "tensor/tensor.h"

/* n elements from one type to another; integers become their values. Parallel for long arrays. */
void convert(void *to, dtype to_type, const void *from, dtype from_type, int64_t n);

/* One element, for loops that compilers vectorise. */
static inline uint16_t bf16_of(float x) {
    union {
        float value;
        uint32_t bits;
    } u = {x};
    const uint32_t rounded = (u.bits + 0x7FFF + ((u.bits >> 16) & 1)) >> 16;
    return (uint16_t) ((u.bits & 0x7FFFFFFF) > 0x7F800000 ? (u.bits >> 16) | 0x40 : rounded); /* NaN stays NaN */
}

/* Short runs inside kernels, not parallel. */
void bf16_to_f32(float *to, const uint16_t *from, int64_t n);
void f32_to_bf16(uint16_t *to, const float *from, int64_t n);

#endif
