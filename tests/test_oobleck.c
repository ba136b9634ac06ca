/* The operations of autoencoders of sound: derivatives at odd shapes, and values beside plain loops. */
#include "gradient.h"

static tensor *call_snake(tensor **in) { return snake(in[0], in[1], in[2], F32); }
static tensor *call_elu(tensor **in) { return elu(in[0], F32); }
static tensor *call_transposed(tensor **in) {
    const transposed_options o = {.stride = 3, .width = 7, .pad = 2, .out = F32};
    return transposed_conv1d(in[0], transposed_kernel(in[1], 3), transposed_bias(in[2], 3), o);
}
static tensor *call_weight_norm(tensor **in) { return weight_norm(in[0], in[1]); }
static const float PLACES[] = {0.1f, 0.45f, -0.7f};
static tensor *call_waves(tensor **in) { return fourier_waves(PLACES, 3, in[0], true); }
static tensor *call_waves_sines_first(tensor **in) { return fourier_waves(PLACES, 3, in[0], false); }

static const operation operations[] = {
    {"snake", {{3, {2, 7, 5}}, {1, {5}}, {1, {5}}}, 3, call_snake},
    {"elu", {{3, {2, 7, 5}}}, 1, call_elu},
    {"transposed_conv1d", {{3, {2, 5, 3}}, {3, {3, 4, 7}}, {1, {4}}}, 3, call_transposed},
    {"weight_norm", {{3, {4, 3, 5}}, {3, {4, 1, 1}}}, 2, call_weight_norm},
    {"fourier_waves", {{2, {6, 1}}}, 1, call_waves},
    {"fourier_waves, sines first", {{1, {6}}}, 1, call_waves_sines_first},
};

static void test_gradients(void **state) {
    (void) state;
    precision_set(PRECISION_F32);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) check_operation(&operations[i]);
    precision_set(PRECISION_AUTO);
}

static void test_snake(void **state) {
    (void) state;
    scope_begin();
    enum { C = 37 };
    tensor *x = draw(SHAPE(2, 11, C), 1), *alpha = draw(SHAPE(C), 2), *beta = draw(SHAPE(C), 3);
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] *= 20; /* many periods */
    const tensor *y = snake(x, alpha, beta, F32);
    for (int64_t i = 0; i < count(x); i++) {
        const double v = f32(x)[i], a = (double) expf(f32(alpha)[i % C]), b = exp((double) f32(beta)[i % C]);
        const double expected = v + pow(sin(a * v), 2) / b;
        assert_true(fabs(f32(y)[i] - expected) < 3e-5 * (1 + 1 / b));
    }
    scope_end();
}

/* y[t stride - pad + k] += x[t] w[k], for strides that divide the width and others. */
static void test_transposed(void **state) {
    (void) state;
    static const transposed_options CASES[] = {
        {2, 4, 1, F32}, {4, 8, 2, F32}, {3, 6, 2, F32}, {3, 7, 1, F32}, {1, 3, 1, F32}};
    enum { B = 2, T = 6, CIN = 3, COUT = 5 };
    precision_set(PRECISION_F32);
    for (size_t n = 0; n < sizeof CASES / sizeof *CASES; n++) {
        scope_begin();
        const transposed_options o = CASES[n];
        const int64_t K = o.width, N = (T - 1) * o.stride - 2 * o.pad + K;
        const tensor *x = draw(SHAPE(B, T, CIN), 1), *w = draw(SHAPE(CIN, COUT, K), 2), *b = draw(SHAPE(COUT), 3);
        tensor *expected = tensor_new(F32, SHAPE(B, N, COUT));
        for (int64_t i = 0; i < count(expected); i++) f32(expected)[i] = f32(b)[i % COUT];
        for (int64_t i = 0; i < B * T * CIN; i++)
            for (int64_t c = 0; c < COUT; c++)
                for (int64_t k = 0; k < K; k++) {
                    const int64_t at = i / CIN % T * o.stride - o.pad + k;
                    if (at < 0 || at >= N) continue;
                    f32(expected)[(i / CIN / T * N + at) * COUT + c] +=
                        f32(x)[i] * f32(w)[(i % CIN * COUT + c) * K + k];
                }
        const tensor *y = transposed_conv1d(x, transposed_kernel(w, o.stride), transposed_bias(b, o.stride), o);
        assert_int_equal(y->shape[1], N);
        for (int64_t i = 0; i < count(y); i++) assert_true(fabsf(f32(y)[i] - f32(expected)[i]) < 1e-5f);
        scope_end();
    }
    precision_set(PRECISION_AUTO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_snake),
        cmocka_unit_test(test_transposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
