/* The gate and its slope where the result is rounded to bf16: with AVX-512 BF16 by exponentials and reciprocals that are
 * good to 1e-4, a fifth of that rounding; elsewhere by those of f32. */
#include "base/parallel.h"
#include "models/diffwave_bf16_block.h"
#include "tensor/convert.h"
#include "tensor/rows.h"

CLONES static void gate_plain(const float *restrict wide, int64_t n, int64_t C, uint16_t *restrict y) {
    for (int64_t i = 0; i < n; i++, wide += 2 * C, y += C)
        for (int64_t c = 0; c < C; c++) y[c] = bf16_of(fast_gate(wide[c], wide[C + c]));
}

CLONES static void slope_plain(const float *restrict wide, const float *restrict dy, int64_t n, int64_t C,
                               uint16_t *restrict y, uint16_t *restrict dwide, float *restrict sum) {
    for (int64_t i = 0; i < n; i++, wide += 2 * C, dwide += 2 * C, y += C, dy += C)
        for (int64_t c = 0; c < C; c++) {
            const float s = fast_sigmoid(wide[c]), t = fast_tanh(wide[C + c]);
            const float a = dy[c] * t * s * (1.0f - s), b = dy[c] * s * (1.0f - t * t);
            y[c] = bf16_of(s * t);
            dwide[c] = bf16_of(a);
            dwide[C + c] = bf16_of(b);
            sum[c] += a;
            sum[C + c] += b;
        }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
#define VECTOR __attribute__((TARGET, always_inline)) static inline

enum { WIDTH = 16 };

/* 2^(x scale), the exponent held within +-limit: 2^k (1 + r (c1 + r (c2 + r (c3 + r c4)))), |r| <= 1/2, fitted to the relative
 * error of 2^r - 1, which is 1.5e-5. NaN stays NaN. */
VECTOR __m512 power(__m512 x, float scale, float limit) {
    x = _mm512_mul_ps(x, _mm512_set1_ps(scale));
    x = _mm512_max_ps(_mm512_set1_ps(-limit), _mm512_min_ps(_mm512_set1_ps(limit), x));
    const __m512 k = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), r = _mm512_sub_ps(x, k);
    __m512 p = _mm512_set1_ps(0.009618112f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.05583729f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.24023253f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.6931369f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, k);
}

/* Of sigmoid(a) tanh(b): u = e^-a, v = e^-2b, and d = 1 / ((1 + u) (1 + v)). Beyond the limits both functions are flat, and no
 * product of these overflows. */
typedef struct {
    __m512 u, v, d;
} parts;

VECTOR parts parts_of(__m512 a, __m512 b) {
    const __m512 one = _mm512_set1_ps(1), u = power(a, -1.44269504f, 60), v = power(b, -2.88539008f, 50);
    const __m512 u1 = _mm512_add_ps(u, one);
    return (parts){u, v, _mm512_rcp14_ps(_mm512_fmadd_ps(u1, v, u1))};
}

VECTOR __mmask16 columns(int64_t c, int64_t C) { return (__mmask16) (C - c >= WIDTH ? 0xFFFF : (1 << (C - c)) - 1); }

VECTOR void narrow(uint16_t *to, __mmask16 m, __m512 x) {
    _mm256_mask_storeu_epi16(to, m, (__m256i) _mm512_cvtneps_pbh(x));
}

__attribute__((TARGET)) static void gate_avx512(const float *restrict wide, int64_t n, int64_t C,
                                                uint16_t *restrict y) {
    for (int64_t i = 0; i < n; i++, wide += 2 * C, y += C)
        for (int64_t c = 0; c < C; c += WIDTH) {
            const __mmask16 m = columns(c, C);
            const parts p = parts_of(_mm512_maskz_loadu_ps(m, wide + c), _mm512_maskz_loadu_ps(m, wide + C + c));
            narrow(y + c, m, _mm512_mul_ps(_mm512_sub_ps(_mm512_set1_ps(1), p.v), p.d));
        }
}

/* With s = (1 + v) d and w = (1 + u) d: sigmoid' = u s^2, tanh = (1 - v) w, tanh' = 4 v w^2. */
__attribute__((TARGET)) static void slope_avx512(const float *restrict wide, const float *restrict dy, int64_t n,
                                                 int64_t C, uint16_t *restrict y, uint16_t *restrict dwide,
                                                 float *restrict sum) {
    const __m512 one = _mm512_set1_ps(1), four = _mm512_set1_ps(4);
    for (int64_t c = 0; c < C; c += WIDTH) {
        const __mmask16 m = columns(c, C);
        __m512 sum_a = _mm512_setzero_ps(), sum_b = sum_a;
        for (int64_t i = 0; i < n; i++) {
            const float *a = wide + i * 2 * C + c;
            const parts p = parts_of(_mm512_maskz_loadu_ps(m, a), _mm512_maskz_loadu_ps(m, a + C));
            const __m512 s = _mm512_fmadd_ps(p.v, p.d, p.d), w = _mm512_fmadd_ps(p.u, p.d, p.d);
            const __m512 t = _mm512_mul_ps(_mm512_sub_ps(one, p.v), w), g = _mm512_maskz_loadu_ps(m, dy + i * C + c);
            const __m512 gs = _mm512_mul_ps(g, s);
            const __m512 da = _mm512_mul_ps(_mm512_mul_ps(gs, t), _mm512_mul_ps(p.u, s));
            const __m512 db = _mm512_mul_ps(_mm512_mul_ps(gs, four), _mm512_mul_ps(p.v, _mm512_mul_ps(w, w)));
            narrow(y + i * C + c, m, _mm512_mul_ps(s, t));
            narrow(dwide + i * 2 * C + c, m, da);
            narrow(dwide + i * 2 * C + C + c, m, db);
            sum_a = _mm512_add_ps(sum_a, da);
            sum_b = _mm512_add_ps(sum_b, db);
        }
        _mm512_mask_storeu_ps(sum + c, m, _mm512_add_ps(_mm512_maskz_loadu_ps(m, sum + c), sum_a));
        _mm512_mask_storeu_ps(sum + C + c, m, _mm512_add_ps(_mm512_maskz_loadu_ps(m, sum + C + c), sum_b));
    }
}

void bf16_gate(const float *wide, int64_t n, int64_t C, uint16_t *y) {
    (cpu()->avx512_bf16 ? gate_avx512 : gate_plain)(wide, n, C, y);
}

void bf16_gate_slope(const float *wide, const float *dy, int64_t n, int64_t C, uint16_t *y, uint16_t *dwide,
                     float *sum) {
    (cpu()->avx512_bf16 ? slope_avx512 : slope_plain)(wide, dy, n, C, y, dwide, sum);
}
#else
void bf16_gate(const float *wide, int64_t n, int64_t C, uint16_t *y) { gate_plain(wide, n, C, y); }

void bf16_gate_slope(const float *wide, const float *dy, int64_t n, int64_t C, uint16_t *y, uint16_t *dwide,
                     float *sum) {
    slope_plain(wide, dy, n, C, y, dwide, sum);
}
#endif
