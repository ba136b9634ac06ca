/* See rician.h. Bessel functions by the polynomials of Abramowitz and Stegun 1964, 9.8.1 to 9.8.4 (errors below 3e-7). */
#include "models/rician.h"

#include <math.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/rows.h"

static const float STEEP = 4, AMPLITUDE_START = 0.3f, NOISE_START = -0.3f, NOISE_LEAST = -6, NOISE_MOST = 3, MOST = 50;

static inline float softplus(float x) {
    const float size = x < 0 ? -x : x;
    return (x > 0 ? x : 0) + fast_log(1 + fast_exp(-size));
}

/* ln(I0(z) e^-z) and 1 - I1(z) / I0(z), z >= 0. The second is a polynomial of its own for large z, where the quotient is
 * nearly 1. */
static inline void bessel(float z, float *log_i0e, float *gap) {
    const float small = z < 3.75f ? z : 3.75f, large = z > 3.75f ? z : 3.75f;
    float t = small * (1 / 3.75f);
    t *= t;
    const float i0 =
        1 +
        t * (3.5156229f + t * (3.0899424f + t * (1.2067492f + t * (0.2659732f + t * (0.0360768f + t * 0.0045813f)))));
    const float i1 =
        small *
        (0.5f + t * (0.87890594f +
                     t * (0.51498869f + t * (0.15084934f + t * (0.02658733f + t * (0.00301532f + t * 0.00032411f))))));
    const float q = 3.75f / large;
    const float p0 =
        0.39894228f +
        q * (0.01328592f +
             q * (0.00225319f +
                  q * (-0.00157565f +
                       q * (0.00916281f +
                            q * (-0.02057706f + q * (0.02635537f + q * (-0.01647633f + q * 0.00392377f)))))));
    const float difference = /* of the polynomials of I0 and I1, over q */
        0.05316616f +
        q * (0.00587337f +
             q * (-0.00321366f +
                  q * (0.01947836f + q * (-0.04340673f + q * (0.05530849f + q * (-0.03435287f + q * 0.00812436f))))));
    /* Both forms are computed and one is chosen: branches would keep the loops from being vectorised. */
    const bool few = z < 3.75f;
    const float high = p0 / sqrtf(large), gap_low = 1 - i1 / i0, gap_high = q * difference / p0;
    *log_i0e = fast_log(few ? i0 : high) - (few ? small : 0);
    *gap = few ? gap_low : gap_high;
}

/* What a bin's two outputs mean. */
typedef struct {
    float a, log_s, variance;
} bin;

static inline bin read_bin(float amplitude, float noise) {
    float u = STEEP * noise + NOISE_START;
    u = u < NOISE_LEAST ? NOISE_LEAST : u > NOISE_MOST ? NOISE_MOST : u;
    return (bin){softplus(STEEP * amplitude + AMPLITUDE_START), u, fast_exp(2 * u)};
}

CLONES void rician_read(const float *restrict o, int64_t n, int64_t bins, float *restrict a, float *restrict s) {
    for (int64_t i = 0; i < n; i++, o += 2 * bins, a += bins, s += bins)
        for (int64_t k = 0; k < bins; k++) {
            const bin b = read_bin(o[k], o[bins + k]);
            a[k] = b.a;
            s[k] = fast_exp(b.log_s);
        }
}

/* Before the limit; and what its slopes need. */
static inline float unlikeliness(bin b, float r, float *gap) {
    float log_i0e;
    bessel(r * b.a / b.variance, &log_i0e, gap);
    return (r - b.a) * (r - b.a) / (2 * b.variance) - log_i0e + 2 * b.log_s;
}

typedef struct {
    int64_t bins;
    double weight; /* sum of all weights */
    float grad;    /* of the mean, over the sum of weights */
    const tensor *r, *w;
} problem;

/* in: o, r, weight -> the weighted sum of a row. */
CLONES static void value_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const int64_t K = ((const problem *) context)->bins;
    (void) first;
    for (int64_t i = 0; i < n; i++) {
        const float *restrict o = in[0] + i * 2 * K, *restrict r = in[1] + i * K, *restrict w = in[2] + i * K;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t k = 0; k < K; k++) {
            float gap, l = unlikeliness(read_bin(o[k], o[K + k]), r[k], &gap);
            l = l < MOST ? l : MOST;
            sum += w[k] * l;
        }
        out[i] = sum;
    }
}

/* in: o, r, weight -> the slope with regard to o. d/da = (a - r I1/I0) / s^2;
 * d/d ln s = 2 - (r - a)^2 / s^2 - 2 z (1 - I1/I0). */
CLONES static void slope_kernel(const float *const *in, float *out, int64_t first, int64_t n, const void *context) {
    const problem *p = context;
    const int64_t K = p->bins;
    const float grad = p->grad;
    (void) first;
    for (int64_t i = 0; i < n; i++) {
        const float *restrict o = in[0] + i * 2 * K, *restrict r = in[1] + i * K, *restrict w = in[2] + i * K;
        float *restrict d = out + i * 2 * K;
#pragma omp simd
        for (int64_t k = 0; k < K; k++) {
            const bin b = read_bin(o[k], o[K + k]);
            const float u = STEEP * o[K + k] + NOISE_START, error = r[k] - b.a;
            float gap, l = unlikeliness(b, r[k], &gap);
            const float whole = STEEP * w[k] * grad, unit = l < MOST ? whole : 0;
            d[k] = unit * (r[k] * gap - error) / b.variance * fast_sigmoid(STEEP * o[k] + AMPLITUDE_START);
            const float slope = unit * (2 - (error * error + 2 * r[k] * b.a * gap) / b.variance);
            const float inside = u > NOISE_LEAST ? slope : 0;
            d[K + k] = u < NOISE_MOST ? inside : 0;
        }
    }
}

/* No device knows them: the loss is the host's. */
static const row_op value_op = {.kernel = value_kernel}, slope_op = {.kernel = slope_kernel};

static void rician_backward(node *n) {
    problem p = *(const problem *) n->options;
    const tensor *o = n->in[0];
    bool more;
    float *d = gradient_sink(o, &more);
    if (!d) return;
    p.grad = (float) (n->grad[0] / p.weight);
    const rows in[3] = {rows_of(o), rows_of(p.r), rows_of(p.w)};
    map_rows(row_count(o), rows_of_gradient(d, o), more, in, 3, &slope_op, &p);
}

static const double LEAST_WEIGHT = 1e-6;

static double sum_of(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

tensor *rician_loss(const tensor *o, const tensor *r, const tensor *weight) {
    const int64_t n = row_count(o), K = o->shape[o->rank - 1] / 2;
    require(count(r) == n * K && count(weight) == n * K && r->shape[r->rank - 1] == K);
    o = brought(o);
    bool was = device_switch(false);
    problem p = {.bins = K, .weight = sum_of(f32(weight), n * K), .r = r, .w = weight};
    if (p.weight < LEAST_WEIGHT) p.weight = LEAST_WEIGHT; /* nothing counts: the loss is 0 */
    tensor *loss = tensor_new(F32, SHAPE(1));
    scope_begin();
    float *sums = alloc((size_t) n * sizeof(float));
    const rows in[3] = {rows_of(o), rows_of(r), rows_of(weight)};
    map_rows(n, (rows){sums, F32, 1}, false, in, 3, &value_op, &p);
    *f32(loss) = (float) (sum_of(sums, n) / p.weight);
    scope_end();
    record(loss, rician_backward, INPUTS(o), &p, sizeof p);
    device_switch(was);
    return loss;
}
