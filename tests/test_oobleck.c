/* The operations of autoencoders of sound: derivatives at odd shapes, and values beside plain loops. Oobleck piece by piece beside
 * the same in one piece, and its memory. */
#include "gradient.h"

#include "models/discriminator.h"
#include "models/oobleck.h"
#include "models/spectral_loss.h"

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

/* x is what is reached: input 0. */
static tensor *call_spectral(tensor **in) {
    const stft_shape s = {8, 8, 3, STFT_CENTRED, false};
    return spectral_loss(in[0], in[1], &s, 1e-3f);
}
static tensor *call_stereo(tensor **in) {
    static const stft_shape SHAPES[] = {{16, 12, 4, STFT_CENTRED, false}, {8, 8, 2, STFT_CENTRED, false}};
    const spectral_losses l = {SHAPES, 2, 1e-3f, 44100};
    return add(sum_and_difference_loss(in[0], in[1], &l), channel_loss(in[0], in[1], 1, &l), F32);
}
static tensor *call_draw(tensor **in) { return draw_latents(in[0], draw(SHAPE(2, 5, 3), 77)); }
static tensor *call_divergence(tensor **in) { return divergence(in[0]); }

static tensor *call_spectrum(tensor **in) {
    const stft_shape padded = {8, 6, 3, STFT_CENTRED, false}, odd = {7, 7, 2, STFT_UNPADDED, false};
    const tensor *a = complex_spectrum(in[0], &padded, 0.5f), *b = complex_spectrum(in[0], &odd, 1);
    return concat_time(reshape(a, SHAPE(1, count(a), 1)), reshape(b, SHAPE(1, count(b), 1)));
}
static tensor *call_conv2d(tensor **in) {
    return conv2d(in[0], in[1], in[2], (conv2d_options){.stride = {1, 2}, .dilation = {2, 1}, .pad = {2, 1}});
}

static const operation operations[] = {
    {"complex_spectrum", {{3, {2, 23, 2}}}, 1, call_spectrum},
    {"conv2d", {{4, {2, 7, 9, 3}}, {4, {4, 3, 3, 5}}, {1, {4}}}, 3, call_conv2d},
    {"spectral_loss", {{2, {2, 29}}, {2, {2, 29}}}, 2, call_spectral},
    {"losses of stereo", {{3, {2, 61, 2}}, {3, {2, 61, 2}}}, 2, call_stereo},
    {"draw_latents", {{3, {2, 5, 6}}}, 1, call_draw},
    {"divergence", {{3, {2, 5, 6}}}, 1, call_divergence},
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
    static const transposed_options CASES[] = {{2, 4, 1, F32, false},
                                               {4, 8, 2, F32, false},
                                               {3, 6, 2, F32, false},
                                               {3, 7, 1, F32, false},
                                               {1, 3, 1, F32, false}};
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

/* --- piece by piece --- */

typedef struct {
    tensor *all; /* [1, T, A] */
    int64_t next;
} joined;

static void join(void *context, int64_t first, const tensor *samples) {
    joined *j = context;
    assert_int_equal(first, j->next);
    memcpy(f32(j->all) + first * j->all->shape[2], samples->data, tensor_bytes(samples));
    j->next += samples->shape[1];
}

static oobleck *draw_network(const char *settings) {
    config c = config_parse(settings, strlen(settings), "test");
    oobleck_config sizes = oobleck_config_read(c);
    binder *b = binder_new((random_key){3, 1});
    oobleck *net = oobleck_bind(&sizes, b, OOBLECK_BOTH, false);
    binder_finish(b, false);
    return net;
}

#define HALF(channels, latent, strides)                                                                                \
    "{\"type\":\"oobleck\",\"config\":{\"in_channels\":2,\"out_channels\":2,\"channels\":" channels                    \
    ",\"c_mults\":[1,2,2],\"strides\":" strides ",\"latent_dim\":" latent ",\"use_snake\":true,\"final_tanh\":false}}"
#define SETTINGS(channels, strides)                                                                                    \
    "{\"encoder\":" HALF(channels, "6", strides) ",\"decoder\":" HALF(channels, "3",                                   \
                                                                      strides) ",\"bottleneck\":{\"type\":\"vae\"}}"

#define DEEP_HALF(latent)                                                                                              \
    "{\"type\":\"oobleck\",\"config\":{\"in_channels\":2,\"out_channels\":2,\"channels\":16,"                          \
    "\"c_mults\":[1,2,4,8,16],\"strides\":[2,4,4,8,8],\"latent_dim\":" latent                                          \
    ",\"use_snake\":true,\"final_tanh\":false}}"
#define DEEP "{\"encoder\":" DEEP_HALF("6") ",\"decoder\":" DEEP_HALF("3") ",\"bottleneck\":{\"type\":\"vae\"}}"

static double difference(const tensor *a, const tensor *b) {
    double error = 0, size = 0;
    assert_int_equal(count(a), count(b));
    for (int64_t i = 0; i < count(a); i++) {
        error += pow((double) f32(a)[i] - f32(b)[i], 2);
        size += pow((double) f32(b)[i], 2);
    }
    return sqrt(error / size);
}

/* Lengths around whole pieces of 16 and 128 frames, even strides and odd ones. */
static void test_tiles(void **state) {
    (void) state;
    static const char *const NETWORKS[] = {SETTINGS("4", "[2,4,4]"), SETTINGS("4", "[3,2,5]"),
                                           SETTINGS("3", "[1,7,2]")};
    static const int64_t FRAMES[] = {1, 16, 33, 128, 129, 300};
    precision_set(PRECISION_F32);
    for (size_t n = 0; n < sizeof NETWORKS / sizeof *NETWORKS; n++) {
        scope_begin();
        const oobleck *net = draw_network(NETWORKS[n]);
        for (size_t i = 0; i < sizeof FRAMES / sizeof *FRAMES; i++) {
            scope_begin();
            const tensor *z = draw(SHAPE(1, FRAMES[i], 3), 5), *whole = oobleck_decode(net, z);
            assert_int_equal(whole->shape[1], oobleck_samples(net, FRAMES[i]));
            joined j = {tensor_zero(F32, shape_of(whole)), 0};
            oobleck_decode_tiles(net, z, 0, join, &j);
            assert_int_equal(j.next, whole->shape[1]);
            assert_true(difference(j.all, whole) < 1e-5);
            const tensor *x = draw(SHAPE(1, FRAMES[i] * oobleck_sizes(net)->ratio + 3, 2), 6);
            const tensor *pre = oobleck_encode(net, x);
            assert_int_equal(pre->shape[1], oobleck_frames(net, x->shape[1]));
            assert_true(difference(oobleck_encode_tiles(net, x), pre) < 1e-5);
            scope_end();
        }
        scope_end();
    }
    precision_set(PRECISION_AUTO);
}

/* Of the published shape, narrower: in bf16 each half stays near f32 (4.4e-3 and 4.2e-3; with every layer rounded 7.2e-3 and
 * 8.7e-3). */
static void test_bf16(void **state) {
    (void) state;
    scope_begin();
    const oobleck *net = draw_network(DEEP);
    const tensor *z = draw(SHAPE(1, 6, 3), 5), *x = draw(SHAPE(1, 16384, 2), 6);
    precision_set(PRECISION_F32);
    const tensor *sound = oobleck_decode(net, z), *encoded = oobleck_encode(net, x);
    precision_set(PRECISION_BF16);
    const double decoding = difference(oobleck_decode(net, z), sound),
                 encoding = difference(oobleck_encode(net, x), encoded);
    assert_true(decoding > 0 && decoding < 5.8e-3);
    assert_true(encoding > 0 && encoding < 6e-3);
    precision_set(PRECISION_AUTO);
    scope_end();
}

static void drop(void *context, int64_t first, const tensor *samples) { (void) context, (void) first, (void) samples; }

static size_t peak_of(const oobleck *net, int64_t frames) {
    scope_begin();
    const tensor *z = draw(SHAPE(1, frames, 3), 5);
    memory_peak_reset();
    oobleck_decode_tiles(net, z, 0, drop, NULL);
    const size_t decoding = memory_peak();
    scope_end();
    return decoding;
}

/* Ten times the length, the same memory but for the latents themselves. */
static void test_memory(void **state) {
    (void) state;
    scope_begin();
    const oobleck *net = draw_network(SETTINGS("16", "[2,4,4]"));
    peak_of(net, 400);
    const size_t shorter = peak_of(net, 400), longer = peak_of(net, 4000);
    assert_true(longer < shorter + shorter / 10 + 4000 * 3 * sizeof(float));
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients), cmocka_unit_test(test_snake),  cmocka_unit_test(test_transposed),
        cmocka_unit_test(test_tiles),     cmocka_unit_test(test_memory), cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
