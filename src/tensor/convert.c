#include "tensor/convert.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"

static inline float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

CLONES void bf16_to_f32(float *restrict to, const uint16_t *restrict from, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = float_of((uint32_t) from[i] << 16);
}

CLONES void f32_to_bf16(uint16_t *restrict to, const float *restrict from, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = bf16_of(from[i]);
}

static float f16_to_float(uint16_t h) {
    uint32_t sign = (uint32_t) (h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 0x3FF;
    if (exponent == 0) return float_of(sign | bits_of((float) mantissa * 0x1p-24f));
    if (exponent == 31) return float_of(sign | 0x7F800000 | mantissa << 13);
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* The same without branches: below 2^-14 the multiplication normalises what is a subnormal f32 before it. */
CLONES static void f16_to_f32(float *restrict to, const uint16_t *restrict from, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const uint32_t h = from[i], sign = (h & 0x8000) << 16, rest = (h & 0x7FFF) << 13;
        const uint32_t whole = bits_of(float_of(rest) * 0x1p112f), odd = 0x7F800000 | rest;
        to[i] = float_of(sign | ((h & 0x7C00) == 0x7C00 ? odd : whole));
    }
}

static uint16_t float_to_f16(float x) {
    uint32_t u = bits_of(x), sign = (u >> 16) & 0x8000;
    float a = fabsf(x);
    if (!(a < 65520.0f)) return (uint16_t) (sign | (isnan(x) ? 0x7E00 : 0x7C00));
    if (a < 0x1p-14f) return (uint16_t) (sign | (uint32_t) lrintf(a * 0x1p24f)); /* subnormal; lrintf rounds to even */
    uint32_t v = bits_of(a);
    v += 0xFFF + ((v >> 13) & 1);
    return (uint16_t) (sign | ((v - (112u << 23)) >> 13));
}

/* One element as double (exact for every type but large I64) and back. */
static double load(const void *from, dtype t, int64_t i) {
    switch (t) {
    case F32: return ((const float *) from)[i];
    case BF16: return float_of((uint32_t) ((const uint16_t *) from)[i] << 16);
    case F16: return f16_to_float(((const uint16_t *) from)[i]);
    case F64: return ((const double *) from)[i];
    case I64: return (double) ((const int64_t *) from)[i];
    case I32: return ((const int32_t *) from)[i];
    case I16: return ((const int16_t *) from)[i];
    case I8: return ((const int8_t *) from)[i];
    case U8: return ((const uint8_t *) from)[i];
    default: return ((const uint8_t *) from)[i] != 0;
    }
}

static int64_t to_integer(double x, double low, double high) {
    if (isnan(x)) return 0;
    return (int64_t) (x < low ? low : x > high ? high : x);
}

static void put(void *to, dtype t, int64_t i, double x) {
    switch (t) {
    case F32: ((float *) to)[i] = (float) x; break;
    case BF16: f32_to_bf16((uint16_t *) to + i, &(float){(float) x}, 1); break;
    case F16: ((uint16_t *) to)[i] = float_to_f16((float) x); break;
    case F64: ((double *) to)[i] = x; break;
    case I64: ((int64_t *) to)[i] = to_integer(x, -0x1p63, 0x1.fffffffffffffp62); break;
    case I32: ((int32_t *) to)[i] = (int32_t) to_integer(x, INT32_MIN, INT32_MAX); break;
    case I16: ((int16_t *) to)[i] = (int16_t) to_integer(x, INT16_MIN, INT16_MAX); break;
    case I8: ((int8_t *) to)[i] = (int8_t) to_integer(x, INT8_MIN, INT8_MAX); break;
    case U8: ((uint8_t *) to)[i] = (uint8_t) to_integer(x, 0, UINT8_MAX); break;
    default: ((uint8_t *) to)[i] = x != 0; break;
    }
}

static void convert_run(char *to, dtype to_type, const char *from, dtype from_type, int64_t n) {
    if (from_type == BF16 && to_type == F32) bf16_to_f32((float *) to, (const uint16_t *) from, n);
    else if (from_type == F32 && to_type == BF16) f32_to_bf16((uint16_t *) to, (const float *) from, n);
    else if (from_type == F16 && to_type == F32) f16_to_f32((float *) to, (const uint16_t *) from, n);
    else
        for (int64_t i = 0; i < n; i++) put(to, to_type, i, load(from, from_type, i));
}

void convert(void *to, dtype to_type, const void *from, dtype from_type, int64_t n) {
    size_t size_to = dtype_size(to_type), size_from = dtype_size(from_type);
    if (to_type == from_type) {
        memcpy(to, from, (size_t) n * size_to);
        return;
    }
    enum { RUN = 8192 };
#pragma omp parallel for if (n > PARALLEL_MIN) schedule(static)
    for (int64_t i = 0; i < n; i += RUN)
        convert_run((char *) to + (size_t) i * size_to, to_type, (const char *) from + (size_t) i * size_from,
                    from_type, n - i < RUN ? n - i : RUN);
}
