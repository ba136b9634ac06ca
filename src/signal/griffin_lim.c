/* See griffin_lim.h. */
#include "signal/griffin_lim.h"

#include <math.h>

#include "base/error.h"
#include "base/scope.h"

static void set_pair(float *to, float size, const float *direction) {
    for (int p = 0; p < 2; p++) to[p] = size * direction[p];
}

/* The direction of what the sound's spectrum is, less a share of what it was in the round before. */
static void turn(float *spectrum, float *before, const float *now, float size, float share) {
    static const float NO_DIRECTION = 1e-16f;
    float c[2];
    for (int p = 0; p < 2; p++) {
        c[p] = now[p] - share * before[p];
        before[p] = now[p];
    }
    const float length = hypotf(c[0], c[1]) + NO_DIRECTION;
    for (int p = 0; p < 2; p++) c[p] /= length;
    set_pair(spectrum, size, c);
}

tensor *griffin_lim(const stft_shape *s, const tensor *magnitude, const tensor *start, int rounds, float momentum,
                    int64_t samples) {
    const int64_t F = magnitude->shape[0], K = magnitude->shape[1];
    const float *size = f32(magnitude), share = momentum / (1 + momentum);
    require(K == s->n_fft / 2 + 1 && count(start) == 2 * F * K && momentum >= 0 && momentum < 1);
    scope_begin();
    tensor *spectrum = tensor_new(F32, SHAPE(F, K, 2));
    float *before = NEW_ARRAY(float, 2 * F * K);
    for (int64_t i = 0; i < F * K; i++) set_pair(f32(spectrum) + 2 * i, size[i], f32(start) + 2 * i);
    for (int round = 0; round < rounds; round++) {
        scope_begin();
        const tensor *sound = stft_inverse(s, spectrum, samples), *again = stft(s, f32(sound), count(sound));
        require(again->shape[0] == F);
        for (int64_t i = 0; i < F * K; i++)
            turn(f32(spectrum) + 2 * i, before + 2 * i, f32(again) + 2 * i, size[i], share);
        scope_end();
    }
    return scope_end_keep(stft_inverse(s, spectrum, samples));
}
