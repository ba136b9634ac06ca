/* The gradients of a norm's learned parts (normalize.c): A = the sum of dy and N = the sum of dy n over the positions P of each
 * batch item, and from those each part's. x [batch, P, C]; n the normed x. */
#include "tensor/cuda/column_sums.h"
#include "tensor/cuda/row_norms.h"

namespace {

struct moments_kernel {
    normal m;
    operand x;
    moments *to; /* [batch P] */
    template <class T, int V> __device__ void run(int64_t row) const {
        const moments o = moments_of<T, V>(m, x, row);
        if (T::lane() == 0) to[row] = o;
    }
};

struct norm_source {
    enum { sums = 2 };
    operand x;
    const float *dy;
    const moments *of;
    int64_t positions, C;
    __device__ void add(int64_t b, int64_t t, int64_t column, float *sum) const {
        const int64_t row = b * positions + t;
        const moments o = of[row];
        const float g = dy[row * C + column];
        float v;
        load<1>(x.data, x.bf16, row * C + column, &v);
        sum[0] += g;
        sum[1] += g * ((v - o.mean) * o.inverse);
    }
};

/* sums [batch, 2, C]. */
struct norm_sink {
    float *to;
    int64_t C;
    __device__ void put(int64_t b, int64_t, const float *sum, int64_t column) const {
        to[b * 2 * C + column] = sum[0];
        to[(b * 2 + 1) * C + column] = sum[1];
    }
};

/* d [C] or [batch, C] from sums. */
struct part_work {
    normal m;
    int part;
    const float *sums;
    int64_t batch;
    float *d;
    bool more;

    __device__ float over_batch(int64_t c) const {
        const int64_t C = m.C;
        float sum = 0;
        for (int64_t b = 0; b < batch; b++) {
            const float scale = m.part[NORM_SCALE] ? 1.0f + m.part[NORM_SCALE][b * C + c] : 1.0f;
            sum += scale * sums[(b * 2 + (part == NORM_GAIN)) * C + c];
        }
        return sum;
    }

    __device__ float of_item(int64_t b, int64_t c) const {
        const int64_t C = m.C;
        const float A = sums[b * 2 * C + c], N = sums[(b * 2 + 1) * C + c];
        if (part == NORM_SHIFT) return A;
        const float gain = m.part[NORM_GAIN] ? m.part[NORM_GAIN][c] : 1.0f;
        return gain * N + (m.part[NORM_BIAS] ? m.part[NORM_BIAS][c] * A : 0.0f);
    }

    __device__ void operator()(int64_t i) const {
        const int64_t b = quotient(i, m.C), c = i - b * m.C;
        const float value = part <= NORM_BIAS ? over_batch(c) : of_item(b, c);
        d[i] = more ? d[i] + value : value;
    }
};

} // namespace

void cuda_norm_sums(const normal *m, const void *x, dtype x_type, const float *dy, int64_t batch, float *sums) {
    const int64_t rows = batch * m->positions;
    if (!batch || !m->C) return;
    const column_plan p = plan_columns(batch, m->positions, m->C);
    const size_t all = (size_t) rows * sizeof(moments) + (size_t) p.partials(2) * sizeof(float);
    moments *of = (moments *) cuda_scratch(all + sizeof(moments));
    const operand from = {(void *) x, x_type == BF16};
    for_rows(rows, m->C, aligned(x), moments_kernel{*m, from, of});
    run_columns("norm_sums", p, norm_source{from, dy, of, m->positions, m->C}, norm_sink{sums, m->C},
                (float *) (of + rows));
}

void cuda_norm_part(const normal *m, int part, const float *sums, int64_t batch, float *d, bool add) {
    for_each("norm_part", part <= NORM_BIAS ? m->C : batch * m->C, part_work{*m, part, sums, batch, d, add});
}
