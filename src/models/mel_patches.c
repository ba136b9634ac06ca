#include "models/mel_patches.h"

#include <string.h>

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
    return standardize(mel, p->mean, p->deviation, LIMIT);
}

void mel_denormalise(const mel_patches *p, tensor *x) {
    int64_t M = p->bands, rows = count(x) / M;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t m = 0; m < M; m++) f32(x)[r * M + m] = f32(x)[r * M + m] * f32(p->deviation)[m] + f32(p->mean)[m];
}

/* The numbers of a parameter, each turned by f, as a constant. */
static tensor *turned(const tensor *of, shape s, float (*f)(float)) {
    tensor *t = tensor_new(F32, s);
    for (int64_t i = 0, n = count(t); i < n; i++) f32(t)[i] = f(f32(of)[i]);
    return t;
}

static float negative(float x) { return -x; }
static float same(float x) { return x; }
static float inverse(float x) { return 1 / x; }

tensor *mel_to_patches(const mel_patches *p, const tensor *x) {
    int64_t B = x->shape[0], R = p->frames, M = p->bands, N = x->shape[1] / R, wide = R * M;
    require(x->shape[1] == N * R && x->shape[2] == M);
    scope_begin();
    tensor *moved = add_rows(reshape(x, SHAPE(1, B * N, wide)), turned(p->centre, SHAPE(1, wide), negative), F32);
    return scope_end_keep(scale_channels(linear(reshape(moved, SHAPE(B, N, wide)), p->basis, NULL), p->scale, F32));
}

tensor *mel_from_patches(const mel_patches *p, const tensor *w) {
    int64_t B = w->shape[0], N = w->shape[1], R = p->frames, M = p->bands, wide = R * M;
    scope_begin();
    tensor *plain = scale_channels(w, turned(p->scale, SHAPE(p->components), inverse), F32);
    tensor *x = reshape(linear_columns(plain, p->basis, NULL), SHAPE(1, B * N, wide));
    return scope_end_keep(reshape(add_rows(x, turned(p->centre, SHAPE(1, wide), same), F32), SHAPE(B, N * R, M)));
}

/* Each row takes the mean of a block of frames by COARSE_BANDS bands: [C, R M]. */
static tensor *averaging(int64_t R, int64_t M, int64_t C) {
    tensor *w = tensor_zero(F32, SHAPE(C, R * M));
    for (int64_t i = 0; i < R * M; i++)
        if (i % M < C * COARSE_BANDS) f32(w)[i % M / COARSE_BANDS * R * M + i] = 1.0f / (float) (R * COARSE_BANDS);
    return w;
}

tensor *mel_coarse(const mel_patches *p, const tensor *x) {
    int64_t B = x->shape[0], R = p->frames, M = p->bands, N = x->shape[1] / R, C = M / COARSE_BANDS;
    return linear(reshape(x, SHAPE(B, N, R * M)), averaging(R, M, C), NULL);
}

tensor *mel_style(const mel_patches *p, const tensor *x, const int64_t *valid) {
    int64_t B = x->shape[0], F = x->shape[1];
    (void) p;
    scope_begin();
    tensor *mask = tensor_zero(U8, SHAPE(B, F));
    for (int64_t b = 0; b < B; b++) {
        int64_t n = valid[b] < 1 ? 1 : valid[b] > F ? F : valid[b];
        memset((uint8_t *) mask->data + b * F, 1, (size_t) n);
    }
    tensor *mean = mean_time(x, mask), *apart = add_rows(x, scale(mean, -1, F32), F32);
    tensor *deviation = square_root(mean_time(multiply(apart, apart, F32), mask), F32);
    return scope_end_keep(concat_channels(mean, deviation));
}
