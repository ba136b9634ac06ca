/* What moves elements without changing them, or adds them where they belong: copies of blocks, repeated rows, conversions. Bytes
 * that need not be understood move in the largest units that all offsets allow, up to 16 bytes. */
#include "tensor/cuda/kernel.h"

namespace {

/* --- units --- */

/* The largest of 16, 8, 4, 2 and 1 that divides all these numbers. */
int unit_of(uint64_t numbers) {
    int unit = 16;
    while (numbers % (uint64_t) unit) unit /= 2;
    return unit;
}

template <int BYTES> struct unit;
template <> struct unit<16> { typedef pack<uint32_t, 4> type; };
template <> struct unit<8> { typedef pack<uint32_t, 2> type; };
template <> struct unit<4> { typedef uint32_t type; };
template <> struct unit<2> { typedef uint16_t type; };
template <> struct unit<1> { typedef uint8_t type; };

/* run<WORK, type of a unit>(arguments). */
#define BY_UNIT(bytes, run)                                                                                            \
    switch (bytes) {                                                                                                   \
    case 16: run(16); break;                                                                                           \
    case 8: run(8); break;                                                                                             \
    case 4: run(4); break;                                                                                             \
    case 2: run(2); break;                                                                                             \
    default: run(1); break;                                                                                            \
    }

/* --- blocks --- */

/* Where element i of all blocks lies. */
DEVICE void places(const copying &c, int64_t i, int64_t *from, int64_t *to) {
    const int64_t block = c.blocks == 1 ? 0 : quotient(i, c.length), at = i - block * c.length;
    *from = c.from + block * c.from_step + at;
    *to = c.to + block * c.to_step + at;
}

/* In units of `size` elements. */
copying divided(const copying &c, int64_t size) {
    return {c.blocks, c.length / size, c.from / size, c.from_step / size, c.to / size, c.to_step / size};
}

uint64_t all_numbers(const copying &c) { return (uint64_t) (c.length | c.from | c.from_step | c.to | c.to_step); }

template <class U> struct copy_work {
    copying c;
    U *to;
    const U *from;
    __device__ void operator()(int64_t i) const {
        int64_t there, here;
        places(c, i, &there, &here);
        to[here] = from[there];
    }
};

template <int V> struct return_work {
    copying c; /* in units of V */
    float *d;
    const float *g;
    __device__ void operator()(int64_t i) const {
        int64_t there, here;
        float v[V];
        places(c, i, &there, &here);
        load<V>(g, false, here * V, v);
        put<V>(d, there * V, true, v);
    }
};

/* y [rows, units] = x [rows / factor, units]. */
template <class U> struct repeat_work {
    U *y;
    const U *x;
    int64_t units, factor;
    __device__ void operator()(int64_t i) const {
        const int64_t row = quotient(i, units), at = i - row * units;
        y[i] = x[quotient(row, factor) * units + at];
    }
};

/* --- types --- */

enum { VECTOR = 8 };

template <int V> struct convert_work {
    void *to;
    const void *from;
    bool to_bf16, from_bf16;
    __device__ void operator()(int64_t item) const {
        float v[V];
        load<V>(from, from_bf16, item * V, v);
        store<V>(to, to_bf16, item * V, v);
    }
};

} // namespace

void cuda_copy_blocks(const copying *c, void *to, const void *from, size_t element) {
    if (c->blocks <= 0 || c->length <= 0) return;
    const uint64_t addresses = (uint64_t) (uintptr_t) to | (uint64_t) (uintptr_t) from;
    const int bytes = unit_of(all_numbers(*c) * (uint64_t) element | addresses);
    /* Elements are 1, 2 or 4 bytes and aligned: a unit is never smaller than one. */
    const copying units = divided(*c, bytes / (int64_t) element);
    const int64_t n = units.blocks * units.length;
#define RUN(B)                                                                                                         \
    for_each("copy_blocks", n, copy_work<unit<B>::type>{units, (unit<B>::type *) to, (const unit<B>::type *) from})
    BY_UNIT(bytes, RUN)
#undef RUN
}

void cuda_return_blocks(const copying *c, float *d, const float *g) {
    if (c->blocks <= 0 || c->length <= 0) return;
    const bool vectors = all_numbers(*c) % 4 == 0 && aligned(d) && aligned(g);
    const copying units = divided(*c, vectors ? 4 : 1);
    const int64_t n = units.blocks * units.length;
    if (vectors) for_each("return_blocks", n, return_work<4>{units, d, g});
    else for_each("return_blocks", n, return_work<1>{units, d, g});
}

void cuda_repeat_rows(void *y, const void *x, int64_t rows, int factor, int64_t row_bytes) {
    const int bytes = unit_of((uint64_t) row_bytes | (uint64_t) (uintptr_t) y | (uint64_t) (uintptr_t) x);
    const int64_t units = row_bytes / bytes;
#define RUN(B)                                                                                                         \
    for_each("repeat_rows", rows *units,                                                                               \
             repeat_work<unit<B>::type>{(unit<B>::type *) y, (const unit<B>::type *) x, units, factor})
    BY_UNIT(bytes, RUN)
#undef RUN
}

void cuda_convert(void *to, dtype to_type, const void *from, dtype from_type, int64_t n) {
    if (!n) return;
    if (to_type == from_type) {
        const size_t bytes = (size_t) n * (to_type == BF16 ? sizeof(uint16_t) : sizeof(float));
        cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda_stream), "convert");
        return;
    }
    const bool to_bf16 = to_type == BF16, from_bf16 = from_type == BF16;
    const int64_t vectors = aligned(to) && aligned(from) ? n / VECTOR : 0, rest = n - vectors * VECTOR;
    for_each("convert", vectors, convert_work<VECTOR>{to, from, to_bf16, from_bf16});
    char *end = (char *) to + vectors * VECTOR * (to_bf16 ? 2 : 4);
    const char *last = (const char *) from + vectors * VECTOR * (from_bf16 ? 2 : 4);
    for_each("convert", rest, convert_work<1>{end, last, to_bf16, from_bf16});
}
