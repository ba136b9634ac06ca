/* The operations of transformers: derivatives at odd shapes, values against slow references that follow the formula, the
 * same result for any number of threads. */
#include "gradient.h"

#include "base/parallel.h"
#include "nn/bind.h"
#include "tensor/gelu.h"

/* --- derivatives --- */

static const uint8_t kept_keys[2 * 7] = {1, 1, 0, 1, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1};
static tensor *mask(int64_t S) { return tensor_wrap(U8, SHAPE(2, S), (void *) kept_keys); }

static tensor *call_layer(tensor **in) { return layer_norm(in[0], in[1], in[2], 1e-5f, F32); }
static tensor *call_layer_bare(tensor **in) { return layer_norm(in[0], NULL, NULL, 1e-5f, F32); }
static tensor *call_rms(tensor **in) { return rms_norm(in[0], in[1], 1e-6f, F32); }
static tensor *call_rms_bare(tensor **in) { return rms_norm(in[0], NULL, 1e-6f, F32); }
static tensor *call_ada(tensor **in) { return modulated_norm(NORM_LAYER, in[0], NULL, NULL, in[1], in[2], 1e-6f, F32); }
static tensor *call_ada_gain(tensor **in) {
    return modulated_norm(NORM_LAYER, in[0], in[1], in[2], in[3], NULL, 1e-6f, F32);
}
static tensor *call_ada_rms(tensor **in) {
    return modulated_norm(NORM_RMS, in[0], in[1], NULL, in[2], in[3], 1e-6f, F32);
}
static tensor *call_gated_add(tensor **in) { return gated_add(in[0], in[1], in[2]); }
static tensor *call_plain_add(tensor **in) { return gated_add(in[0], in[1], NULL); }
static tensor *call_scale(tensor **in) { return scale_channels(in[0], in[1], F32); }
static tensor *call_multiply(tensor **in) { return multiply(in[0], in[1], F32); }
static tensor *call_columns(tensor **in) { return linear_columns(in[0], in[1], in[2]); }
static tensor *call_tanh(tensor **in) { return tanh_of(in[0], F32); }
static tensor *call_gelu(tensor **in) { return gelu(in[0], F32); }
static tensor *call_gelu_tanh(tensor **in) { return gelu_tanh(in[0], F32); }
static tensor *call_swiglu(tensor **in) { return glu(in[0], GLU_SILU, 0, F32); }
static tensor *call_geglu(tensor **in) { return glu(in[0], GLU_GELU, 1, F32); }
static tensor *call_geglu_tanh(tensor **in) { return glu(in[0], GLU_GELU_TANH, 0, F32); }
static tensor *call_glu(tensor **in) { return glu(in[0], GLU_SIGMOID, 1, F32); }
static tensor *call_softmax(tensor **in) { return softmax(in[0]); }
static tensor *call_halves(tensor **in) { return rotary(in[0], (rotary_options){.heads = 3, .dims = 4, .offset = 2}); }
static tensor *call_pairs(tensor **in) {
    return rotary(in[0], (rotary_options){.heads = 2, .base = 100, .interleaved = true});
}
static tensor *call_depthwise(tensor **in) { return depthwise_conv1d(in[0], in[1], in[2], 2); }
static tensor *call_depthwise_even(tensor **in) { return depthwise_conv1d(in[0], in[1], NULL, 1); }
static tensor *call_slice_time(tensor **in) { return slice_time(in[0], 2, 3); }
static tensor *call_slice_channels(tensor **in) { return slice_channels(in[0], 1, 3); }
static tensor *call_concat_time(tensor **in) { return concat_time(in[0], in[1]); }
static tensor *call_concat_channels(tensor **in) { return concat_channels(in[0], in[1]); }
static tensor *call_mean(tensor **in) { return mean_time(in[0], NULL); }
static tensor *call_mean_masked(tensor **in) { return mean_time(in[0], mask(7)); }
static tensor *call_twice(tensor **in) { /* sinks that already hold something */
    tensor *x = rotary(add(in[0], in[0], F32), (rotary_options){.heads = 1});
    tensor *y = concat_channels(slice_channels(x, 0, 4), slice_channels(x, 2, 4));
    return add(y, concat_channels(slice_channels(layer_norm(x, NULL, NULL, 1e-5f, F32), 0, 4), slice_channels(x, 0, 4)),
               F32);
}

static tensor *call_attention(tensor **in) { return attention(in[0], in[1], in[2], (attention_options){.heads = 2}); }
static tensor *call_grouped(tensor **in) {
    return attention(in[0], in[1], in[2],
                     (attention_options){.heads = 6, .key_heads = 2, .scale = 0.7f, .mask = mask(7)});
}
static tensor *call_causal(tensor **in) {
    return attention(in[0], in[1], in[2], (attention_options){.heads = 2, .causal = true});
}
static tensor *call_biased(tensor **in) {
    return attention(in[0], in[1], in[2], (attention_options){.heads = 2, .bias = in[3], .mask = mask(7)});
}

static const operation operations[] = {
    {"layer_norm", {{3, {2, 7, 5}}, {1, {5}}, {1, {5}}}, 3, call_layer},
    {"layer_norm bare", {{3, {2, 7, 19}}}, 1, call_layer_bare},
    {"rms_norm", {{3, {2, 7, 5}}, {1, {5}}}, 2, call_rms},
    {"rms_norm bare", {{2, {7, 5}}}, 1, call_rms_bare},
    {"adaLN", {{3, {2, 71, 5}}, {2, {2, 5}}, {2, {2, 5}}}, 3, call_ada},
    {"adaLN with gain", {{3, {2, 7, 5}}, {1, {5}}, {1, {5}}, {2, {2, 5}}}, 4, call_ada_gain},
    {"adaLN over rms", {{3, {3, 7, 5}}, {1, {5}}, {2, {3, 5}}, {2, {3, 5}}}, 4, call_ada_rms},
    {"gated_add", {{3, {2, 7, 5}}, {3, {2, 7, 5}}, {2, {2, 5}}}, 3, call_gated_add},
    {"gated_add without gate", {{3, {2, 7, 5}}, {3, {2, 7, 5}}}, 2, call_plain_add},
    {"scale_channels", {{3, {2, 7, 5}}, {1, {5}}}, 2, call_scale},
    {"multiply", {{3, {2, 7, 5}}, {3, {2, 7, 5}}}, 2, call_multiply},
    {"linear_columns", {{3, {2, 7, 5}}, {2, {5, 3}}, {1, {3}}}, 3, call_columns},
    {"tanh_of", {{3, {2, 7, 5}}}, 1, call_tanh},
    {"gelu", {{3, {2, 7, 5}}}, 1, call_gelu},
    {"gelu_tanh", {{3, {2, 7, 5}}}, 1, call_gelu_tanh},
    {"swiglu", {{3, {2, 7, 10}}}, 1, call_swiglu},
    {"geglu", {{3, {2, 7, 10}}}, 1, call_geglu},
    {"geglu with tanh", {{3, {2, 7, 10}}}, 1, call_geglu_tanh},
    {"glu", {{3, {2, 7, 10}}}, 1, call_glu},
    {"softmax", {{3, {2, 3, 7}}}, 1, call_softmax},
    {"rotary, halves", {{3, {2, 7, 15}}}, 1, call_halves},
    {"rotary, pairs", {{3, {2, 7, 12}}}, 1, call_pairs},
    {"depthwise_conv1d", {{3, {2, 11, 5}}, {3, {5, 1, 3}}, {1, {5}}}, 3, call_depthwise},
    {"depthwise_conv1d, even", {{3, {2, 3, 5}}, {3, {5, 1, 8}}}, 2, call_depthwise_even},
    {"slice_time", {{3, {2, 7, 5}}}, 1, call_slice_time},
    {"slice_channels", {{3, {2, 7, 5}}}, 1, call_slice_channels},
    {"concat_time", {{3, {2, 7, 5}}, {3, {2, 3, 5}}}, 2, call_concat_time},
    {"concat_channels", {{3, {2, 7, 5}}, {3, {2, 7, 3}}}, 2, call_concat_channels},
    {"mean_time", {{3, {2, 7, 5}}}, 1, call_mean},
    {"mean_time masked", {{3, {2, 7, 5}}}, 1, call_mean_masked},
    {"inputs used several times", {{3, {2, 7, 6}}}, 1, call_twice},
    {"attention", {{3, {2, 5, 10}}, {3, {2, 7, 10}}, {3, {2, 7, 10}}}, 3, call_attention},
    {"attention, long", {{3, {1, 71, 38}}, {3, {1, 133, 38}}, {3, {1, 133, 38}}}, 3, call_attention},
    {"attention, grouped and masked", {{3, {2, 5, 18}}, {3, {2, 7, 6}}, {3, {2, 7, 6}}}, 3, call_grouped},
    {"attention, causal", {{3, {2, 70, 6}}, {3, {2, 72, 6}}, {3, {2, 72, 6}}}, 3, call_causal},
    {"attention, biased", {{3, {2, 5, 10}}, {3, {2, 7, 10}}, {3, {2, 7, 10}}, {3, {2, 5, 7}}}, 4, call_biased},
    {"attention, one bias for all",
     {{3, {2, 5, 10}}, {3, {2, 7, 10}}, {3, {2, 7, 10}}, {4, {1, 1, 5, 7}}},
     4,
     call_biased},
    {"attention, a bias each", {{3, {2, 5, 10}}, {3, {2, 7, 10}}, {3, {2, 7, 10}}, {4, {2, 2, 5, 7}}}, 4, call_biased},
};

static void test_gradients(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) check_operation(&operations[i]);
}

/* --- values --- */

static void expect_close(const char *what, const float *got, const double *expected, int64_t n, double tolerance) {
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        error += (got[i] - expected[i]) * (got[i] - expected[i]);
        size += expected[i] * expected[i];
    }
    if (!(sqrt(error) <= tolerance * sqrt(size))) {
        print_error("%s: relative error %g\n", what, sqrt(error / size));
        assert_true(false);
    }
}

/* The formula, in double. */
static double *attention_reference(const tensor *q, const tensor *k, const tensor *v, const attention_options *o) {
    int64_t B = q->shape[0], T = q->shape[1], S = k->shape[1], H = o->heads, G = o->key_heads ? o->key_heads : H;
    int64_t D = q->shape[2] / H;
    double *y = alloc_zero((size_t) count(q), sizeof *y), *w = alloc((size_t) S * sizeof *w);
    for (int64_t row = 0; row < B * T * H; row++) {
        int64_t b = row / (T * H), t = row / H % T, h = row % H;
        double most = -INFINITY, sum = 0;
        for (int64_t s = 0; s < S; s++) {
            double dot = 0;
            for (int64_t d = 0; d < D; d++)
                dot += (double) f32(q)[row * D + d] * f32(k)[((b * S + s) * G + h / (H / G)) * D + d];
            w[s] = dot / sqrt((double) D) + (o->bias ? f32(o->bias)[(h * T + t) * S + s] : 0);
            if (o->mask && !((const uint8_t *) o->mask->data)[b * S + s]) w[s] = -INFINITY;
            if (o->causal && s > t + S - T) w[s] = -INFINITY;
            most = w[s] > most ? w[s] : most;
        }
        for (int64_t s = 0; s < S; s++) sum += w[s] = exp(w[s] - most);
        for (int64_t s = 0; s < S; s++)
            for (int64_t d = 0; d < D; d++)
                y[row * D + d] += w[s] / sum * f32(v)[((b * S + s) * G + h / (H / G)) * D + d];
    }
    return y;
}

static void test_attention(void **state) {
    (void) state;
    scope_begin();
    uint8_t *keep = alloc_zero(2 * 193, 1);
    for (int i = 0; i < 2 * 193; i++) keep[i] = i % 3 != 1;
    memset(keep + 193, 0, 70); /* the first block of the second item is wholly hidden */
    const attention_options variants[] = {
        {.heads = 4},
        {.heads = 4, .key_heads = 2, .causal = true},
        {.heads = 4, .mask = tensor_wrap(U8, SHAPE(2, 193), keep), .bias = draw(SHAPE(4, 131, 193), 5)},
    };
    for (size_t i = 0; i < 3; i++) {
        int64_t G = variants[i].key_heads ? 2 : 4;
        tensor *q = scale(draw(SHAPE(2, 131, 4 * 24), 1), 3.0f, F32), *k = draw(SHAPE(2, 193, G * 24), 2);
        tensor *v = draw(SHAPE(2, 193, G * 24), 3);
        tensor *y = attention(q, k, v, variants[i]);
        expect_close("attention", f32(y), attention_reference(q, k, v, &variants[i]), count(y), 2e-6);
    }
    scope_end();
}

static void test_attention_sees_nothing(void **state) {
    (void) state;
    scope_begin();
    uint8_t hidden[3] = {0};
    tensor *x = draw(SHAPE(1, 3, 8), 1);
    tape_begin();
    tape_watch(x);
    tensor *y = attention(x, x, x, (attention_options){.heads = 2, .mask = tensor_wrap(U8, SHAPE(1, 3), hidden)});
    for (int i = 0; i < 24; i++) assert_float_equal(f32(y)[i], 0, 0);
    backward(mse_loss(y, draw(SHAPE(1, 3, 8), 2)), 1.0f);
    for (int i = 0; i < 24; i++) assert_float_equal(tape_gradient(x)[i], 0, 0);
    scope_end();
}

static void test_activations(void **state) {
    (void) state;
    for (double x = -9; x < 9; x += 0.01) {
        double tanh_form = 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
        assert_true(fabs(fast_erf((float) x) - erf((double) (float) x)) < 5e-7);
        assert_true(fabs(fast_gelu((float) x) - 0.5 * x * (1 + erf(x / M_SQRT2))) < 2e-6);
        assert_true(fabs(fast_gelu_tanh((float) x) - tanh_form) < 2e-6);
    }
}

/* softmax, norms and depthwise convolution by their formulas. */
static void test_values(void **state) {
    (void) state;
    scope_begin();
    tensor *x = draw(SHAPE(3, 37), 1), *y = softmax(x), *z = layer_norm(x, NULL, NULL, 1e-5f, F32);
    double soft[3 * 37], normal[3 * 37];
    for (int r = 0; r < 3; r++) {
        double sum = 0, mean = 0, square = 0;
        for (int i = 0; i < 37; i++) {
            double v = f32(x)[r * 37 + i];
            sum += exp(v), mean += v / 37, square += v * v / 37;
        }
        for (int i = 0; i < 37; i++) {
            double v = f32(x)[r * 37 + i];
            soft[r * 37 + i] = exp(v) / sum;
            normal[r * 37 + i] = (v - mean) / sqrt(square - mean * mean + 1e-5);
        }
    }
    expect_close("softmax", f32(y), soft, 3 * 37, 1e-6);
    expect_close("layer_norm", f32(z), normal, 3 * 37, 1e-6);
    tensor *w = draw(SHAPE(5, 1, 3), 2), *c = draw(SHAPE(2, 9, 5), 3), *filtered = depthwise_conv1d(c, w, NULL, 2);
    double direct[2 * 9 * 5];
    for (int i = 0; i < 90; i++) {
        int t = i / 5 % 9, channel = i % 5;
        direct[i] = 0;
        for (int k = 0; k < 3; k++)
            if (t + 2 * k - 2 >= 0 && t + 2 * k - 2 < 9)
                direct[i] += (double) f32(c)[i + (2 * k - 2) * 5] * f32(w)[channel * 3 + k];
    }
    expect_close("depthwise_conv1d", f32(filtered), direct, 90, 1e-6);
    scope_end();
}

/* --- threads --- */

/* Turns of many kinds and lengths one after another, more than the tables that are kept: each row by its own angle. */
static void test_rotary_tables(void **state) {
    (void) state;
    scope_begin();
    for (int round = 0; round < 2; round++)
        for (int64_t k = 0; k < 7; k++) {
            const int64_t T = k == 5 ? 40000 : 3 + 40 * k; /* the sixth is too long to be kept */
            const rotary_options o = {.heads = 1, .dims = 4, .base = k % 2 ? 50 : 0, .offset = k / 2};
            tensor *x = tensor_new(F32, SHAPE(1, T, 4));
            for (int64_t i = 0; i < 4 * T; i++) f32(x)[i] = i % 4 == 1; /* the pair (1, 3) alone */
            const float *y = f32(rotary(x, o));
            const double rate = 1 / sqrt(k % 2 ? 50 : 10000);
            for (int64_t t = 0; t < T; t += T - 1) {
                assert_true(fabs(y[4 * t + 1] - cos((double) (t + o.offset) * rate)) < 1e-3);
                assert_true(fabs(y[4 * t + 3] - sin((double) (t + o.offset) * rate)) < 1e-3);
            }
        }
    scope_end();
}

/* A block of a transformer, forward and backward: outputs and gradients into `to`. */
static size_t run_block(float *to) {
    scope_begin();
    tensor *x = draw(SHAPE(2, 190, 96), 1), *w = draw(SHAPE(96, 1, 7), 2), *s = draw(SHAPE(2, 96), 3);
    tape_begin();
    tensor *watched[3] = {x, w, s};
    for (int i = 0; i < 3; i++) tape_watch(watched[i]);
    tensor *h = modulated_norm(NORM_LAYER, x, NULL, NULL, s, s, 1e-5f, F32);
    tensor *r = rotary(h, (rotary_options){.heads = 4});
    h = gated_add(x, attention(r, r, h, (attention_options){.heads = 4}), s);
    h = glu(concat_channels(depthwise_conv1d(h, w, NULL, 1), gelu(h, F32)), GLU_SILU, 0, F32);
    memcpy(to, f32(h), tensor_bytes(h));
    size_t n = (size_t) count(h);
    backward(mse_loss(h, draw(shape_of(h), 4)), 1.0f);
    for (int i = 0; i < 3; i++) {
        memcpy(to + n, tape_gradient(watched[i]), tensor_bytes(watched[i]));
        n += (size_t) count(watched[i]);
    }
    scope_end();
    return n;
}

static void test_threads(void **state) {
    (void) state;
    scope_begin();
    float *one = alloc(1 << 20), *three = alloc(1 << 20);
    threads_set(1);
    size_t n = run_block(one);
    threads_set(3);
    assert_int_equal(n, run_block(three));
    assert_memory_equal(one, three, n * sizeof(float));
    threads_set(0);
    scope_end();
}

/* --- parts computed twice --- */

enum { WIDE = 64, ROWS = 512, PARTS = 8 };

/* A part with a parameter that is not among its inputs. */
static tensor *part_body(const void *w, const tensor *const *in) {
    scope_begin();
    const tensor *h = gelu(conv1d(in[0], *(const tensor *const *) w, NULL, (conv1d_options){.out = F32}), F32);
    for (int i = 0; i < 4; i++) h = layer_norm(silu(h, F32), NULL, NULL, 1e-5f, F32);
    return scope_end_keep(add(in[1] ? gated_add(in[0], h, in[1]) : add(in[0], h, F32), h, F32));
}

/* Gradients of the input, the gate and the parameter into `to`; the memory that it took. */
static size_t run_parts(float *to, params *p, bool twice) {
    scope_begin();
    tensor *x = draw(SHAPE(1, ROWS, WIDE), 1), *gate = draw(SHAPE(1, WIDE), 2), *target = draw(SHAPE(1, ROWS, WIDE), 3);
    const tensor *w = p->items[0]->value, *h = x;
    params_zero_grad(p);
    memory_peak_reset();
    const size_t before = memory_in_use();
    tape_begin();
    tape_watch(x);
    tape_watch(gate);
    for (int i = 0; i < PARTS; i++) {
        const tensor *in[] = {h, i % 2 ? gate : NULL};
        h = twice ? tape_recompute(part_body, &w, sizeof(w), in, 2) : part_body(&w, in);
    }
    backward(mse_loss(h, target), 1);
    const size_t took = memory_peak() - before;
    memcpy(to, tape_gradient(x), tensor_bytes(x));
    memcpy(to + count(x), tape_gradient(gate), tensor_bytes(gate));
    memcpy(to + count(x) + count(gate), p->items[0]->grad, tensor_bytes(w));
    scope_end();
    return took;
}

/* Bit for bit the gradients of parts that keep all, in less memory; also where only the parameter inside wants one. */
static void test_recompute(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    binder *b = binder_new((random_key){1, 1});
    tensor *w = bind(b, "weight", SHAPE(WIDE, WIDE, 1), (init){INIT_TORCH_UNIFORM, 0, 0});
    params *p = binder_finish(b, true);
    const size_t n = ROWS * WIDE + WIDE + WIDE * WIDE;
    float *kept = NEW_ARRAY(float, n), *again = NEW_ARRAY(float, n);
    run_parts(kept, p, false);
    const size_t much = run_parts(kept, p, false), little = run_parts(again, p, true);
    assert_memory_equal(kept, again, n * sizeof(float));
    if (little > much / 2) print_error("%zu bytes, %zu where all is kept\n", little, much);
    assert_true(little <= much / 2);
    params_zero_grad(p);
    scope_begin();
    tape_begin();
    const tensor *x = draw(SHAPE(1, 3, WIDE), 1), *in[] = {x, NULL};
    backward(mse_loss(tape_recompute(part_body, &(const tensor *){w}, sizeof(w), in, 2), draw(SHAPE(1, 3, WIDE), 3)),
             1);
    scope_end();
    double sum = 0;
    for (int i = 0; i < WIDE * WIDE; i++) sum += fabs((double) w->param->grad[i]);
    assert_true(sum > 0);
    precision_set(PRECISION_AUTO);
    scope_end();
}

/* bf16 in and out: the values of f32 within its rounding. */
static void test_bf16(void **state) {
    (void) state;
    scope_begin();
    tensor *x = draw(SHAPE(2, 70, 48), 1), *h = tensor_convert(x, BF16), *wide = tensor_to_f32(h);
    attention_options o = {.heads = 3};
    double *expected = attention_reference(wide, wide, wide, &o);
    o.out = BF16;
    tensor *y = attention(h, h, h, o);
    assert_int_equal(y->type, BF16);
    expect_close("attention of bf16", f32(tensor_to_f32(y)), expected, count(y), 4e-3);
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_sees_nothing),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_rotary_tables),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
