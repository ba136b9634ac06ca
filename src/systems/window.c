/* Time windows with exact halos. B batch, T samples. */
#include "systems/window.h"

#include <string.h>

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t whole_hops_up(int64_t samples, int64_t hop) { return (samples + hop - 1) / hop * hop; }

/* Samples first .. first + n - 1 of every row: [B, n]. */
static tensor *cut(const tensor *x, int64_t first, int64_t n) {
    int64_t B = x->shape[0], T = x->shape[1];
    tensor *part = tensor_new(F32, SHAPE(B, n));
    for (int64_t b = 0; b < B; b++) memcpy(f32(part) + b * n, f32(x) + b * T + first, (size_t) n * sizeof(float));
    return part;
}

tensor *predict_in_windows(window w, const tensor *x, window_predict predict, void *context) {
    int64_t B = x->shape[0], T = x->shape[1];
    int64_t length = most(whole_hops_up(w.length, w.hop), w.hop), halo = whole_hops_up(w.halo, w.hop);
    if (T <= length + 2 * halo) return predict(context, x, 0);
    tensor *out = tensor_new(F32, SHAPE(B, T));
    for (int64_t begin = 0; begin < T; begin += length) {
        int64_t end = least(begin + length, T), first = most(begin - halo, 0), last = least(end + halo, T);
        scope_begin();
        tensor *part = predict(context, cut(x, first, last - first), first);
        for (int64_t b = 0; b < B; b++)
            memcpy(f32(out) + b * T + begin, f32(part) + b * (last - first) + (begin - first),
                   (size_t) (end - begin) * sizeof(float));
        scope_end();
    }
    return out;
}
