/* The kernels of map_rows that need a whole row at a time: norms (normalize.c, norm.c) and softmax (softmax.c). A team of threads
 * works on a row: a warp on one of up to 1,024 elements, a block on a longer one. Means first, then squared differences,
 * as on the CPU. x [rows, C]; V elements move at once. */
#include "tensor/cuda/row_norms.h"

#include "tensor/cuda/formulas.h"
#include "tensor/cuda/rows.h"

namespace {

/* --- norms with their modulation: normalize.c --- */

struct norm_value {
    normal m;
    operand x, y;
    bool add;

    template <class T, int V> __device__ void run(int64_t row) const {
        const moments o = moments_of<T, V>(m, x, row);
        const int64_t start = row * m.C, b = quotient(row, m.positions) * m.C;
        each<T, V>(m.C, [&](int c) {
            float v[V], gain[V], bias[V], scale[V], shift[V];
            load<V>(x.data, x.bf16, start + c, v);
            load_or<V>(m.part[NORM_GAIN], c, 1.0f, gain);
            load_or<V>(m.part[NORM_BIAS], c, 0.0f, bias);
            load_or<V>(m.part[NORM_SCALE], b + c, 0.0f, scale);
            load_or<V>(m.part[NORM_SHIFT], b + c, 0.0f, shift);
#pragma unroll
            for (int k = 0; k < V; k++) {
                const float u = (v[k] - o.mean) * o.inverse * gain[k] + bias[k];
                v[k] = u * (1.0f + scale[k]) + shift[k];
            }
            write<V>(y, add, start + c, v);
        });
    }
};

/* x, dy -> dx. */
struct norm_change {
    normal m;
    operand x, dy, dx;
    bool add;

    /* n = the normed x, u = its gradient. */
    template <int V> __device__ void read(int64_t start, int64_t b, int c, const moments &o, float *n, float *u) const {
        float gain[V], scale[V];
        load<V>(x.data, x.bf16, start + c, n);
        load<V>(dy.data, dy.bf16, start + c, u);
        load_or<V>(m.part[NORM_GAIN], c, 1.0f, gain);
        load_or<V>(m.part[NORM_SCALE], b + c, 0.0f, scale);
#pragma unroll
        for (int k = 0; k < V; k++) {
            n[k] = (n[k] - o.mean) * o.inverse;
            u[k] = u[k] * (1.0f + scale[k]) * gain[k];
        }
    }

    template <class T, int V> __device__ void run(int64_t row) const {
        const moments o = moments_of<T, V>(m, x, row);
        const int64_t start = row * m.C, b = quotient(row, m.positions) * m.C;
        float sum = 0, dot = 0;
        each<T, V>(m.C, [&](int c) {
            float n[V], u[V];
            read<V>(start, b, c, o, n, u);
#pragma unroll
            for (int k = 0; k < V; k++) {
                sum += u[k];
                dot += u[k] * n[k];
            }
        });
        sum = m.centred ? T::sum(sum) / (float) m.C : 0.0f;
        dot = T::sum(dot) / (float) m.C;
        each<T, V>(m.C, [&](int c) {
            float n[V], u[V];
            read<V>(start, b, c, o, n, u);
#pragma unroll
            for (int k = 0; k < V; k++) u[k] = o.inverse * (u[k] - sum - dot * n[k]);
            write<V>(dx, add, start + c, u);
        });
    }
};

/* --- root mean square, modulation and SiLU: norm.c --- */

struct rms_silu {
    rms_modulation m;
    operand x, dy, to;
    bool add;

    template <class T, int V> __device__ float inverse(int64_t row) const {
        const normal plain = {{NULL, NULL, NULL, NULL, NULL}, 1, m.C, 1e-6f, false};
        return moments_of<T, V>(plain, x, row).inverse;
    }

    /* n = the normed x, gain and shift of it. */
    template <int V> __device__ void read(int64_t row, int c, float scale, float *n, float *gain, float *shift) const {
        const int64_t f = quotient(row, m.positions) * 2 * m.C + c;
        load<V>(x.data, x.bf16, row * m.C + c, n);
        load_or<V>(m.f, f, 0.0f, gain);
        load_or<V>(m.f, f + m.C, 0.0f, shift);
#pragma unroll
        for (int k = 0; k < V; k++) {
            n[k] *= scale;
            gain[k] += 1.0f;
        }
    }

    /* As above, and du = the gradient of u = n gain + shift. */
    template <int V>
    __device__ void read_change(int64_t row, int c, float scale, float *n, float *gain, float *du) const {
        float shift[V];
        read<V>(row, c, scale, n, gain, shift);
        load<V>(dy.data, dy.bf16, row * m.C + c, du);
#pragma unroll
        for (int k = 0; k < V; k++) du[k] *= formulas::swish_slope(n[k] * gain[k] + shift[k]);
    }
};

struct rms_silu_value : rms_silu {
    template <class T, int V> __device__ void run(int64_t row) const {
        const float scale = inverse<T, V>(row);
        each<T, V>(m.C, [&](int c) {
            float n[V], gain[V], shift[V];
            read<V>(row, c, scale, n, gain, shift);
#pragma unroll
            for (int k = 0; k < V; k++) n[k] = formulas::swish(n[k] * gain[k] + shift[k]);
            write<V>(to, add, row * m.C + c, n);
        });
    }
};

struct rms_silu_change_x : rms_silu {
    template <class T, int V> __device__ void run(int64_t row) const {
        const float scale = inverse<T, V>(row);
        float dot = 0;
        each<T, V>(m.C, [&](int c) {
            float n[V], gain[V], du[V];
            read_change<V>(row, c, scale, n, gain, du);
#pragma unroll
            for (int k = 0; k < V; k++) dot += du[k] * gain[k] * n[k];
        });
        dot = T::sum(dot) / (float) m.C;
        each<T, V>(m.C, [&](int c) {
            float n[V], gain[V], du[V];
            read_change<V>(row, c, scale, n, gain, du);
#pragma unroll
            for (int k = 0; k < V; k++) du[k] = scale * (du[k] * gain[k] - dot * n[k]);
            write<V>(to, add, row * m.C + c, du);
        });
    }
};

/* To [rows, 2C]: what each row adds to the gradients of gain and shift. */
struct rms_silu_change_f : rms_silu {
    template <class T, int V> __device__ void run(int64_t row) const {
        const float scale = inverse<T, V>(row);
        each<T, V>(m.C, [&](int c) {
            float n[V], gain[V], du[V];
            read_change<V>(row, c, scale, n, gain, du);
#pragma unroll
            for (int k = 0; k < V; k++) n[k] *= du[k];
            write<V>(to, add, row * 2 * m.C + c, n);
            write<V>(to, add, (row * 2 + 1) * m.C + c, du);
        });
    }
};

/* --- softmax --- */

struct softmax_value {
    int64_t C;
    operand x, y;
    bool add;

    template <class T, int V> __device__ void run(int64_t row) const {
        const int64_t start = row * C;
        float most = -INFINITY, sum = 0;
        each<T, V>(C, [&](int c) {
            float v[V];
            load<V>(x.data, x.bf16, start + c, v);
#pragma unroll
            for (int k = 0; k < V; k++) most = fmaxf(most, v[k]);
        });
        most = T::most(most);
        each<T, V>(C, [&](int c) {
            float v[V];
            load<V>(x.data, x.bf16, start + c, v);
#pragma unroll
            for (int k = 0; k < V; k++) sum += expf(v[k] - most);
        });
        sum = T::sum(sum);
        each<T, V>(C, [&](int c) {
            float v[V];
            load<V>(x.data, x.bf16, start + c, v);
#pragma unroll
            for (int k = 0; k < V; k++) v[k] = expf(v[k] - most) / sum;
            write<V>(y, add, start + c, v);
        });
    }
};

/* y, dy -> y (dy - sum of y dy). */
struct softmax_change {
    int64_t C;
    operand y, dy, dx;
    bool add;

    template <class T, int V> __device__ void run(int64_t row) const {
        const int64_t start = row * C;
        float dot = 0;
        each<T, V>(C, [&](int c) {
            float v[V], g[V];
            load<V>(y.data, y.bf16, start + c, v);
            load<V>(dy.data, dy.bf16, start + c, g);
#pragma unroll
            for (int k = 0; k < V; k++) dot += v[k] * g[k];
        });
        dot = T::sum(dot);
        each<T, V>(C, [&](int c) {
            float v[V], g[V];
            load<V>(y.data, y.bf16, start + c, v);
            load<V>(dy.data, dy.bf16, start + c, g);
#pragma unroll
            for (int k = 0; k < V; k++) v[k] *= g[k] - dot;
            write<V>(dx, add, start + c, v);
        });
    }
};

bool aligned_call(const row_call &c) {
    bool all = aligned(c.out.data);
    for (int i = 0; i < c.inputs; i++) all = all && aligned(c.in[i].data);
    return all;
}

bool aligned_parts(const normal &m) {
    bool all = true;
    for (int i = NORM_GAIN; i < NORM_PARTS; i++) all = all && aligned(m.part[i]);
    return all;
}

template <class K> void run_rms(const row_call &c) {
    const rms_modulation *m = c.numbers<rms_modulation>();
    const operand x = operand_of(c.in[0]), dy = c.inputs > 1 ? operand_of(c.in[1]) : operand{NULL, false};
    for_rows(c.count, m->C, aligned_call(c) && aligned(m->f), K{{*m, x, dy, operand_of(c.out), c.add}});
}

} // namespace

void map_norm(const row_call &c) {
    const normal *m = c.numbers<normal>();
    const norm_value kernel = {*m, operand_of(c.in[0]), operand_of(c.out), c.add};
    for_rows(c.count, m->C, aligned_call(c) && aligned_parts(*m), kernel);
}

void map_norm_change(const row_call &c) {
    const normal *m = c.numbers<normal>();
    const norm_change kernel = {*m, operand_of(c.in[0]), operand_of(c.in[1]), operand_of(c.out), c.add};
    for_rows(c.count, m->C, aligned_call(c) && aligned_parts(*m), kernel);
}

void map_rms_silu(const row_call &c) { run_rms<rms_silu_value>(c); }
void map_rms_silu_change_x(const row_call &c) { run_rms<rms_silu_change_x>(c); }
void map_rms_silu_change_f(const row_call &c) { run_rms<rms_silu_change_f>(c); }

void map_softmax(const row_call &c) {
    const int64_t C = c.numbers<width_only>()->width;
    for_rows(c.count, C, aligned_call(c), softmax_value{C, operand_of(c.in[0]), operand_of(c.out), c.add});
}

void map_softmax_change(const row_call &c) {
    const int64_t C = c.numbers<width_only>()->width;
    const softmax_change kernel = {C, operand_of(c.in[0]), operand_of(c.in[1]), operand_of(c.out), c.add};
    for_rows(c.count, C, aligned_call(c), kernel);
}
