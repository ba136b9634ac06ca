#include "models/mel_patches.h"

#include <math.h>
#include <string.h>

#include "tensor/cpu/dnn.h"
#include "tensor/ops.h"

static const float LIMIT = 6; /* deviations that a normalised value may have */

static tensor *bind_measured(binder *b, const char *name, shape s, init_kind how) {
    tensor *t = bind(b, name, s, (init){how, 0, 0});
    t->param->trainable = false;
    return t;
}

mel_patches mel_patches_bind(int64_t bands, int64_t frames, int64_t components, binder *b) {
    mel_patches p = {.bands = bands, .frames = frames, .components = components};
    p.mean = bind_measured(b, "mel.mean", SHAPE(bands), INIT_ZERO);
    p.deviation = bind_measured(b, "mel.deviation", SHAPE(bands), INIT_ONE);
    p.centre = bind_measured(b, "patch.centre", SHAPE(frames * bands), INIT_ZERO);
    p.basis = bind_measured(b, "patch.basis", SHAPE(components, frames * bands), INIT_ORTHOGONAL);
    p.scale = bind_measured(b, "patch.scale", SHAPE(components), INIT_ONE);
    return p;
}

tensor *mel_normalise(const mel_patches *p, const tensor *mel) {
    tensor *y = tensor_new(F32, shape_of(mel));
    int64_t M = p->bands, rows = count(mel) / M;
    const float *mean = f32(p->mean), *deviation = f32(p->deviation), *x = f32(mel);
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t m = 0; m < M; m++) {
            float v = (x[r * M + m] - mean[m]) / deviation[m];
            f32(y)[r * M + m] = v < -LIMIT ? -LIMIT : v > LIMIT ? LIMIT : v;
        }
    return y;
}

void mel_denormalise(const mel_patches *p, tensor *x) {
    int64_t M = p->bands, rows = count(x) / M;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t m = 0; m < M; m++) f32(x)[r * M + m] = f32(x)[r * M + m] * f32(p->deviation)[m] + f32(p->mean)[m];
}

tensor *mel_to_patches(const mel_patches *p, const tensor *x) {
    int64_t B = x->shape[0], R = p->frames, M = p->bands, N = x->shape[1] / R, wide = R * M, P = p->components;
    require(x->shape[1] == N * R && x->shape[2] == M);
    tensor *w = tensor_new(F32, SHAPE(B, N, P));
    scope_begin();
    float *moved = alloc((size_t) (B * N * wide) * sizeof(float));
    const float *centre = f32(p->centre), *from = f32(x);
    for (int64_t r = 0; r < B * N; r++)
        for (int64_t i = 0; i < wide; i++) moved[r * wide + i] = from[r * wide + i] - centre[i];
    matmul_problem product = {.m = B * N, .n = P, .k = wide, .in = F32, .out = F32};
    matmul_weights(&product, moved, p->basis, NULL, f32(w));
    for (int64_t r = 0; r < B * N; r++)
        for (int64_t i = 0; i < P; i++) f32(w)[r * P + i] *= f32(p->scale)[i];
    scope_end();
    return w;
}

tensor *mel_from_patches(const mel_patches *p, const tensor *w) {
    int64_t B = w->shape[0], N = w->shape[1], R = p->frames, M = p->bands, wide = R * M, P = p->components;
    tensor *x = tensor_new(F32, SHAPE(B, N * R, M));
    scope_begin();
    float *plain = alloc((size_t) (B * N * P) * sizeof(float));
    for (int64_t r = 0; r < B * N; r++)
        for (int64_t i = 0; i < P; i++) plain[r * P + i] = f32(w)[r * P + i] / f32(p->scale)[i];
    matmul(1, B * N, wide, P, F32, plain, false, f32(p->basis), false, F32, f32(x), false);
    for (int64_t r = 0; r < B * N; r++)
        for (int64_t i = 0; i < wide; i++) f32(x)[r * wide + i] += f32(p->centre)[i];
    scope_end();
    return x;
}

tensor *mel_coarse(const mel_patches *p, const tensor *x) {
    int64_t B = x->shape[0], R = p->frames, M = p->bands, N = x->shape[1] / R, C = M / COARSE_BANDS;
    tensor *y = tensor_zero(F32, SHAPE(B, N, C));
    for (int64_t r = 0; r < B * N * R; r++)
        for (int64_t m = 0; m < C * COARSE_BANDS; m++)
            f32(y)[r / R * C + m / COARSE_BANDS] += f32(x)[r * M + m] / (float) (R * COARSE_BANDS);
    return y;
}

tensor *mel_style(const mel_patches *p, const tensor *x, const int64_t *valid) {
    int64_t B = x->shape[0], F = x->shape[1], M = p->bands;
    tensor *y = tensor_zero(F32, SHAPE(B, 2 * M));
    for (int64_t b = 0; b < B; b++) {
        int64_t n = valid[b] < 1 ? 1 : valid[b] > F ? F : valid[b];
        const float *from = f32(x) + b * F * M;
        float *mean = f32(y) + b * 2 * M, *deviation = mean + M;
        for (int64_t f = 0; f < n; f++)
            for (int64_t m = 0; m < M; m++) mean[m] += from[f * M + m] / (float) n;
        for (int64_t f = 0; f < n; f++)
            for (int64_t m = 0; m < M; m++)
                deviation[m] += (from[f * M + m] - mean[m]) * (from[f * M + m] - mean[m]) / (float) n;
        for (int64_t m = 0; m < M; m++) deviation[m] = sqrtf(deviation[m]);
    }
    return y;
}
