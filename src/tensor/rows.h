/* Elementwise work over the rows of channels-last tensors, [rows, width], of any float type: a kernel sees f32 blocks that
 * fit the first-level cache, whatever the types outside, and is written once. */
#ifndef HISS_TENSOR_ROWS_H
#define HISS_TENSOR_ROWS_H

#include "tensor/kernels.h"
#include "tensor/tensor.h"

/* Rows of a tensor: all dimensions but the last. A gradient buffer has its tensor's rows. */
rows rows_of(const tensor *t);
rows rows_of_gradient(float *gradient, const tensor *t);
int64_t row_count(const tensor *t);

enum { ROWS_INPUTS = 4 };
/* Computes `n` rows starting at row `first`; in[i] and out point at the block's first row, f32. in[i] is NULL where the
 * input was. */
typedef void row_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context);

/* A kernel of the CPU's, the name by which a device knows the same one, and the size of its context (at most 128 bytes). */
typedef struct {
    row_kernel *kernel;
    row_name name;
    size_t context;
} row_op;

/* out = or (add) += op(in...) over count rows, where operations run; on the CPU blocks in parallel. Inputs with .data NULL are
 * passed as NULL. */
void map_rows(int64_t count, rows out, bool add, const rows *in, int inputs, const row_op *op, const void *context);

/* Widest row: a block of one row must fit the scratch memory of a thread. */
enum { ROW_BLOCK = 4096, ROW_WIDEST = 1 << 16 };

/* exp, ln, sigmoid and tanh as short branch-free forms that compilers vectorise; relative error of exp about 2e-7 (Cephes'
 * degree-5 polynomial over [-ln 2 / 2, ln 2 / 2]), absolute error of the others under 2e-7. */
static inline float fast_exp(float x) {
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to the nearest integer */
    float k = shifted - 12582912.0f;
    float r = x - k * 0.693359375f + k * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union {
        float value;
        uint32_t bits;
    } power = {shifted}; /* k is in its lowest bits: no number that is not one is turned into an integer */
    power.bits = (power.bits - 0x4B400000u + 127u) << 23;
    return p * power.value;
}
/* Natural logarithm of a normal positive number, branch-free (Cephes' logf); relative error about 1e-7. */
static inline float fast_log(float x) {
    union {
        float value;
        uint32_t bits;
    } u = {x};
    const uint32_t shifted = u.bits - 0x3F3504F3u; /* the mantissa goes to [sqrt(1/2), sqrt(2)) */
    const float exponent = (float) ((int32_t) shifted >> 23);
    u.bits = (shifted & 0x007FFFFFu) + 0x3F3504F3u;
    const float m = u.value - 1, square = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    return m + (m * square * p - 2.12194440e-4f * exponent - 0.5f * square) + 0.693359375f * exponent;
}
static inline float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }
static inline float fast_tanh(float x) {
    float a = x < 0 ? -x : x;
    float e = fast_exp(-2.0f * a);
    float big = (1.0f - e) / (1.0f + e), square = x * x;
    float small = a * (1.0f - square * (0.33333333f - square * 0.13333333f));
    float y = a < 0.05f ? small : big;
    return x < 0 ? -y : y;
}
/* sigmoid(a) tanh(b) by one division. */
static inline float fast_gate(float a, float b) {
    float size = b < 0 ? -b : b, square = size * size;
    float ea = fast_exp(-a), eb = fast_exp(-2.0f * size);
    float small = size * (1.0f - square * (0.33333333f - square * 0.13333333f));
    float over = size < 0.05f ? small : 1.0f - eb, under = size < 0.05f ? 1.0f : 1.0f + eb;
    float y = over / ((1.0f + ea) * under);
    return b < 0 ? -y : y;
}

#endif
