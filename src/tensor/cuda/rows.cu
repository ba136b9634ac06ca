/* map_rows on the device: one kernel for all elementwise work. An element of the result is a formula (formulas.h) of values read
 * from strips: columns of an operand's rows, or of a context's vectors, which several rows share. */
#include "tensor/cuda/rows.h"

#include "tensor/cuda/formulas.h"

namespace {

enum { READS = 5, WRITES = 2, VECTOR = 8 };

/* Column c of row r is data[r / shared * width + offset + c]; an absent one (data NULL) reads `absent`. */
struct strip {
    void *data;
    bool bf16;
    int64_t width, offset, shared;
    float absent;
};

struct strips {
    strip read[READS], write[WRITES];
    int64_t rows, width; /* of the result's strips */
    bool add;
};

template <int V> DEVICE void read_strip(const strip &s, int64_t row, int64_t column, float (*v)[READS], int at) {
    float values[V];
    if (s.data) {
        const int64_t r = s.shared == 1 ? row : quotient(row, s.shared);
        load<V>(s.data, s.bf16, r * s.width + s.offset + column, values);
    }
#pragma unroll
    for (int k = 0; k < V; k++) v[k][at] = s.data ? values[k] : s.absent;
}

template <int V> DEVICE void write_strip(const strip &s, int64_t row, int64_t column, bool add, float *v) {
    const int64_t i = row * s.width + s.offset + column;
    if (s.bf16) store<V>(s.data, true, i, v);
    else put<V>((float *) s.data, i, add, v);
}

/* V neighbouring columns of one row. */
template <class F, int V> struct element_work {
    F formula;
    strips s;
    __device__ void operator()(int64_t item) const {
        const int64_t across = s.width / V, row = s.rows == 1 ? 0 : quotient(item, across);
        const int64_t column = (item - row * across) * V;
        float v[V][READS], r[V][WRITES];
#pragma unroll
        for (int i = 0; i < F::reads; i++) read_strip<V>(s.read[i], row, column, v, i);
#pragma unroll
        for (int k = 0; k < V; k++) formula(v[k], r[k]);
#pragma unroll
        for (int i = 0; i < F::writes; i++) {
            float out[V];
#pragma unroll
            for (int k = 0; k < V; k++) out[k] = r[k][i];
            write_strip<V>(s.write[i], row, column, s.add, out);
        }
    }
};

bool whole(const strip &s, int64_t width) { return !s.data || (s.width == width && !s.offset && s.shared == 1); }

/* Can VECTOR columns move at once? With one row, its end need not be a multiple of them. */
bool vectors(const strip &s, bool one_row) {
    return !s.data || (aligned(s.data) && s.offset % VECTOR == 0 && (one_row || s.width % VECTOR == 0));
}

/* Where all strips are whole rows, all is one long row. */
void flatten(strips *s, int reads, int writes) {
    bool flat = true;
    for (int i = 0; i < reads; i++) flat = flat && whole(s->read[i], s->width);
    for (int i = 0; i < writes; i++) flat = flat && whole(s->write[i], s->width);
    if (!flat) return;
    s->width *= s->rows;
    s->rows = 1;
    for (strip &r : s->read) r.width = s->width;
    for (strip &w : s->write) w.width = s->width;
}

template <class F, int V> void run(const strips &s, F formula) {
    for_each("map_rows", s.rows * (s.width / V), element_work<F, V>{formula, s});
}

/* The last elements of one long row. */
template <class F> void run_rest(strips s, F formula) {
    const int64_t done = s.width / VECTOR * VECTOR;
    for (strip &r : s.read) r.offset += done;
    for (strip &w : s.write) w.offset += done;
    s.width -= done;
    run<F, 1>(s, formula);
}

template <class F> void apply(strips s, float parameter) {
    const F formula = {parameter};
    flatten(&s, F::reads, F::writes);
    const bool one_row = s.rows == 1;
    bool wide = one_row || s.width % VECTOR == 0;
    for (int i = 0; i < F::reads; i++) wide = wide && vectors(s.read[i], one_row);
    for (int i = 0; i < F::writes; i++) wide = wide && vectors(s.write[i], one_row);
    if (!wide) {
        run<F, 1>(s, formula);
        return;
    }
    run<F, VECTOR>(s, formula);
    if (s.width % VECTOR) run_rest(s, formula);
}

/* --- what each kernel reads and writes --- */

strip columns(const rows &r, int64_t offset) { return {r.data, r.type == BF16, r.width, offset, 1, 0.0f}; }
strip all(const rows &r) { return columns(r, 0); }
strip vector(const float *data, int64_t width, int64_t shared, float absent) {
    return {(void *) data, false, width, 0, shared, absent};
}

/* Strips of results `width` wide: the first, and (wide ones) the second beside it. */
strips results(const row_call &c, int64_t width, int64_t first, int64_t second) {
    strips s = {};
    s.write[0] = columns(c.out, first);
    s.write[1] = columns(c.out, second);
    s.rows = c.count;
    s.width = width;
    s.add = c.add;
    return s;
}

/* Operands of the result's width. */
strips plain(const row_call &c) {
    strips s = results(c, c.out.width, 0, 0);
    for (int i = 0; i < c.inputs && i < READS; i++) s.read[i] = all(c.in[i]);
    return s;
}

template <class F> void map_unary(const row_call &c) {
    const unary_numbers *u = c.numbers<unary_numbers>();
    apply<F>(plain(c), u->parameter);
}

template <class F> void map_plain(const row_call &c) { apply<F>(plain(c), 0); }

void map_add_rows(const row_call &c) {
    const shared_row *d = c.numbers<shared_row>();
    strips s = plain(c);
    s.read[1] = vector(d->d, d->width, d->positions, 0);
    apply<formulas::sum>(s, 0);
}

void map_gate(const row_call &c) {
    const gating *m = c.numbers<gating>();
    strips s = plain(c);
    s.read[2] = vector(m->gate, m->C, m->positions, 1);
    apply<formulas::gated>(s, 0);
}

template <class VALUE> void map_unit(const row_call &c) {
    const glu_halves *u = c.numbers<glu_halves>();
    strips s = results(c, u->C, 0, 0);
    s.read[0] = columns(c.in[0], u->gate);
    s.read[1] = columns(c.in[0], u->plain);
    apply<VALUE>(s, 0);
}

template <class CHANGE> void map_unit_change(const row_call &c) {
    const glu_halves *u = c.numbers<glu_halves>();
    strips s = results(c, u->C, u->gate, u->plain);
    s.read[0] = columns(c.in[0], u->gate);
    s.read[1] = columns(c.in[0], u->plain);
    s.read[2] = all(c.in[1]);
    apply<CHANGE>(s, 0);
}

/* By glu_kind: swish, exact and tanh gauss, sigmoid. */
void map_glu(const row_call &c) {
    static row_mapper *const kinds[] = {map_unit<formulas::swish_unit>, map_unit<formulas::gauss_unit>,
                                        map_unit<formulas::gauss_tanh_unit>, map_unit<formulas::sigmoid_unit>};
    kinds[c.numbers<glu_halves>()->kind](c);
}

void map_glu_change(const row_call &c) {
    static row_mapper *const kinds[] = {
        map_unit_change<formulas::swish_unit_change>, map_unit_change<formulas::gauss_unit_change>,
        map_unit_change<formulas::gauss_tanh_unit_change>, map_unit_change<formulas::sigmoid_unit_change>};
    kinds[c.numbers<glu_halves>()->kind](c);
}

strips gated_tanh_strips(const row_call &c) {
    const int64_t C = c.numbers<width_only>()->width;
    strips s = results(c, C, 0, C);
    for (int i = 0; i < 4; i++) s.read[i] = columns(c.in[i / 2], i % 2 * C);
    return s;
}

void map_gated_tanh(const row_call &c) { apply<formulas::gated_tanh>(gated_tanh_strips(c), 0); }

void map_gated_tanh_change(const row_call &c) {
    strips s = gated_tanh_strips(c);
    s.read[4] = all(c.in[2]);
    apply<formulas::gated_tanh_change>(s, 0);
}

void map_half(const row_call &c) {
    const residual_half *h = c.numbers<residual_half>();
    strips s = results(c, h->C, 0, 0);
    s.read[0] = all(c.in[0]);
    s.read[1] = columns(c.in[1], h->offset);
    apply<formulas::half_added>(s, h->factor);
}

void map_half_change_x(const row_call &c) {
    apply<formulas::scaled_value>(plain(c), c.numbers<residual_half>()->factor);
}

void map_half_change_r(const row_call &c) {
    const residual_half *h = c.numbers<residual_half>();
    strips s = results(c, h->C, h->offset, h->C - h->offset);
    s.read[0] = all(c.in[0]);
    apply<formulas::half_given>(s, h->factor);
}

template <class F> void map_film(const row_call &c) {
    const film_modulation *m = c.numbers<film_modulation>();
    strips s = results(c, m->C, 0, m->C);
    s.read[0] = all(c.in[0]);
    s.read[1] = all(c.in[1]);
    s.read[2] = columns(c.in[1], m->C);
    if (c.inputs > 2) s.read[3] = all(c.in[2]);
    apply<F>(s, m->slope);
}

void map_normalised(const row_call &c) {
    const normalising *m = c.numbers<normalising>();
    strips s = plain(c);
    s.read[1] = vector(m->mean, m->width, c.count, 0);
    s.read[2] = vector(m->deviation, m->width, c.count, 1);
    apply<formulas::normalised>(s, m->limit);
}

template <class F> void map_snake(const row_call &c) {
    const snake_waves *w = c.numbers<snake_waves>();
    strips s = plain(c);
    s.read[3] = s.read[1];
    s.read[1] = vector(w->a, w->C, c.count, 0);
    s.read[2] = vector(w->inverse_b, w->C, c.count, 0);
    apply<F>(s, 0);
}

row_mapper *mapper(row_name name) {
    using namespace formulas;
    switch (name) {
    case ROW_SCALE: return map_unary<scaled_value>;
    case ROW_SCALE_SLOPE: return map_unary<scaled_change>;
    case ROW_LEAKY: return map_unary<leaky_value>;
    case ROW_LEAKY_SLOPE: return map_unary<leaky_change>;
    case ROW_SILU: return map_unary<swish_value>;
    case ROW_SILU_SLOPE: return map_unary<swish_change>;
    case ROW_TANH: return map_unary<tangent_value>;
    case ROW_TANH_SLOPE: return map_unary<tangent_change>;
    case ROW_GELU: return map_unary<gauss_value>;
    case ROW_GELU_SLOPE: return map_unary<gauss_change>;
    case ROW_GELU_TANH: return map_unary<gauss_tanh_value>;
    case ROW_GELU_TANH_SLOPE: return map_unary<gauss_tanh_change>;
    case ROW_ROOT: return map_unary<rooted_value>;
    case ROW_ROOT_SLOPE: return map_unary<rooted_change>;
    case ROW_ELU: return map_unary<exponential_value>;
    case ROW_ELU_SLOPE: return map_unary<exponential_change>;
    case ROW_ADD: return map_plain<sum>;
    case ROW_ADD_ROWS: return map_add_rows;
    case ROW_GATE: return map_gate;
    case ROW_MULTIPLY: return map_plain<product>;
    case ROW_NORM: return map_norm;
    case ROW_NORM_SLOPE: return map_norm_change;
    case ROW_RMS_SILU: return map_rms_silu;
    case ROW_RMS_SILU_SLOPE_X: return map_rms_silu_change_x;
    case ROW_RMS_SILU_SLOPE_F: return map_rms_silu_change_f;
    case ROW_GLU: return map_glu;
    case ROW_GLU_SLOPE: return map_glu_change;
    case ROW_SOFTMAX: return map_softmax;
    case ROW_SOFTMAX_SLOPE: return map_softmax_change;
    case ROW_GATED_TANH: return map_gated_tanh;
    case ROW_GATED_TANH_SLOPE: return map_gated_tanh_change;
    case ROW_COPY: return map_plain<copied>;
    case ROW_HALF: return map_half;
    case ROW_HALF_SLOPE_X: return map_half_change_x;
    case ROW_HALF_SLOPE_R: return map_half_change_r;
    case ROW_FILM: return map_film<film>;
    case ROW_FILM_SLOPE_X: return map_film<film_change_x>;
    case ROW_FILM_SLOPE_F: return map_film<film_change_f>;
    case ROW_NORMALISE: return map_normalised;
    case ROW_SNAKE: return map_snake<snake>;
    case ROW_SNAKE_SLOPE: return map_snake<snake_change>;
    case ROW_SNAKE_SLOPE_ALPHA: return map_snake<snake_change_a>;
    case ROW_SNAKE_SLOPE_BETA: return map_snake<snake_change_b>;
    default: cuda_check(cudaErrorInvalidValue, "a row kernel that the device does not know"); return NULL;
    }
}

} // namespace

void cuda_map_rows(int64_t count, rows out, bool add, const rows *in, int inputs, row_name kernel, const void *context,
                   size_t context_size) {
    if (!count || !out.width) return;
    mapper(kernel)(row_call{count, out, add, in, inputs, context, context_size});
}
