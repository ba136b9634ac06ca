/* Convolutions as products: the columns [out_time, in_c, kernel] that a kernel sees of x [in_time, in_c], zero outside, and the
 * way back. Row o of the result reads rows o stride - pad_left + k dilation of x. */
#include "tensor/cuda/kernel.h"

namespace {

struct window {
    int64_t in_time, in_c, out_time;
    int kernel, stride, dilation, pad_left;
};

/* Rows first .. of columns, one element U each. */
template <class U> struct unfold_work {
    window w;
    U *columns;
    const U *x;
    int64_t first;

    __device__ void operator()(int64_t i) const {
        const int64_t across = w.in_c * w.kernel, row = quotient(i, across), at = i - row * across;
        const int64_t c = quotient(at, w.kernel), k = at - c * w.kernel;
        const int64_t t = (first + row) * w.stride - w.pad_left + k * w.dilation;
        columns[i] = t >= 0 && t < w.in_time ? x[t * w.in_c + c] : (U) 0;
    }
};

/* x[t, c] (+)= all that read it. */
DEVICE float folded(const window &w, const float *columns, int64_t t, int64_t c) {
    float sum = 0;
    for (int k = 0; k < w.kernel; k++) {
        const int64_t place = t + w.pad_left - (int64_t) k * w.dilation;
        if (place < 0) break;
        const int64_t o = w.stride == 1 ? place : quotient(place, w.stride);
        if (o * w.stride == place && o < w.out_time) sum += columns[(o * w.in_c + c) * w.kernel + k];
    }
    return sum;
}

enum { ACROSS = 32, DOWN = 8, DEPTH = 64 }; /* a block: ACROSS channels of DEPTH rows, whose columns overlap */

__global__ void fold(const window w, float *x, const float *columns, bool add) {
    const int64_t tiles = pieces(w.in_c, ACROSS), blocks = tiles * pieces(w.in_time, DEPTH);
    for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
        const int64_t slab = block / tiles, c = (block - slab * tiles) * ACROSS + threadIdx.x;
        const int64_t last = smaller((slab + 1) * DEPTH, w.in_time);
        if (c >= w.in_c) continue;
        for (int64_t t = slab * DEPTH + threadIdx.y; t < last; t += DOWN) {
            const float v = folded(w, columns, t, c);
            float *to = x + t * w.in_c + c;
            *to = add ? *to + v : v;
        }
    }
}

} // namespace

void cuda_unfold(void *columns, const void *x, int64_t in_time, int64_t in_c, int kernel, int stride, int dilation,
                 int pad_left, int64_t first, int64_t n, size_t element) {
    const window w = {in_time, in_c, 0, kernel, stride, dilation, pad_left};
    const int64_t all = n * in_c * kernel;
    if (element == sizeof(uint16_t))
        for_each("unfold", all, unfold_work<uint16_t>{w, (uint16_t *) columns, (const uint16_t *) x, first});
    else for_each("unfold", all, unfold_work<uint32_t>{w, (uint32_t *) columns, (const uint32_t *) x, first});
}

void cuda_fold(float *x, const float *columns, int64_t in_time, int64_t in_c, int64_t out_time, int kernel, int stride,
               int dilation, int pad_left, bool add) {
    const window w = {in_time, in_c, out_time, kernel, stride, dilation, pad_left};
    launch("fold", fold, pieces(in_c, ACROSS) * pieces(in_time, DEPTH), dim3(ACROSS, DOWN), w, x, columns, add);
}
