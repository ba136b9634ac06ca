/* Every operation's derivative against central differences along random directions, at odd shapes; precision policy; the
 * tape's bookkeeping. */
#include "gradient.h"

#include "models/rician.h"
#include "models/upsample_mel.h"

static tensor *call_conv(tensor **in) {
    return conv1d(in[0], in[1], in[2], (conv1d_options){.dilation = 3, .pad_left = 2, .pad_right = 3});
}
static tensor *call_conv_stride(tensor **in) {
    return conv1d(in[0], in[1], NULL, (conv1d_options){.stride = 3, .pad_left = 1, .pad_right = 1});
}
static tensor *call_conv_same(tensor **in) { return conv1d_same(in[0], in[1], in[2], 4, F32); }
static tensor *call_conv_repeated(tensor **in) {
    return conv1d_repeated(in[0], in[1], in[2], (repeated_options){.factor = 3, .dilation = 1});
}
static tensor *call_conv_repeated_wide(tensor **in) {
    return conv1d_repeated(in[0], in[1], NULL, (repeated_options){.factor = 2, .dilation = 5});
}
static tensor *call_linear(tensor **in) { return linear(in[0], in[1], in[2]); }
static tensor *call_scale(tensor **in) { return scale(in[0], 1.7f, F32); }
static tensor *call_leaky(tensor **in) { return leaky_relu(in[0], 0.2f, F32); }
static tensor *call_silu(tensor **in) { return silu(in[0], F32); }
static tensor *call_add(tensor **in) { return add(in[0], in[1], F32); }
static tensor *call_add_rows(tensor **in) { return add_rows(in[0], in[1], F32); }
static tensor *call_gate(tensor **in) { return gated_tanh(in[0], in[1], F32); }
static tensor *call_gate_alone(tensor **in) { return gated_tanh(in[0], NULL, F32); }
static tensor *call_first(tensor **in) { return add_first_half(in[0], in[1], 0.7f); }
static tensor *call_second(tensor **in) { return add_second_half(in[0], in[1]); }
static tensor *call_second_alone(tensor **in) { return add_second_half(NULL, in[0]); }
static tensor *call_film(tensor **in) { return film(in[0], in[1], 0.2f, F32); }
static tensor *call_rms(tensor **in) { return rms_silu(in[0], in[1], F32); }
static tensor *call_rms_alone(tensor **in) { return rms_silu(in[0], NULL, F32); }
static tensor *call_pick(tensor **in) { return pick_time(in[0], 3); }
static tensor *call_repeat(tensor **in) { return repeat_time(in[0], 3, 0.2f, F32); }
static tensor *call_reshape(tensor **in) { return reshape(in[0], SHAPE(10, 7)); }
static tensor *call_embedding(tensor **in) { return embedding(in[0], (int32_t[]){2, 0, 2}, 3); }
static tensor *call_upsample(tensor **in) { return upsample_mel(in[0], in[1], in[2], 0.4f, F32); }
/* Outputs [.., 2 x 9]; magnitudes from noise alone to 4 times the envelope, so that both forms of the Bessel functions are
 * met. */
static tensor *call_rician(tensor **in) {
    const shape s = SHAPE(3, 5, 9);
    tensor *r = tensor_new(F32, s), *weight = tensor_new(F32, s);
    for (int64_t i = 0; i < count(r); i++) {
        f32(r)[i] = 0.01f + (float) (i % 31) * 0.13f;
        f32(weight)[i] = 0.1f + (float) (i % 4);
    }
    return rician_loss(in[0], r, weight);
}
static tensor *call_cross_entropy(tensor **in) { return cross_entropy(in[0], (int32_t[]){2, -1, 0, 4}); }
static tensor *call_twice(tensor **in) { return add(silu(in[0], F32), scale(in[0], 0.5f, F32), F32); }

static const operation operations[] = {
    {"conv1d dilated", {{3, {2, 17, 5}}, {3, {7, 5, 3}}, {1, {7}}}, 3, call_conv},
    {"conv1d strided", {{3, {2, 16, 3}}, {3, {4, 3, 5}}}, 2, call_conv_stride},
    {"conv1d same", {{3, {1, 29, 6}}, {3, {4, 6, 3}}, {1, {4}}}, 3, call_conv_same},
    {"conv1d repeated", {{3, {2, 9, 6}}, {3, {4, 6, 3}}, {1, {4}}}, 3, call_conv_repeated},
    {"conv1d repeated, dilated", {{3, {1, 7, 3}}, {3, {5, 3, 5}}}, 2, call_conv_repeated_wide},
    {"linear", {{2, {3, 5}}, {2, {4, 5}}, {1, {4}}}, 3, call_linear},
    {"scale", {{2, {3, 5}}}, 1, call_scale},
    {"leaky_relu", {{2, {3, 5}}}, 1, call_leaky},
    {"silu", {{3, {2, 3, 5}}}, 1, call_silu},
    {"add", {{2, {3, 5}}, {2, {3, 5}}}, 2, call_add},
    {"add_rows", {{3, {2, 7, 5}}, {2, {2, 5}}}, 2, call_add_rows},
    {"gated_tanh", {{3, {2, 3, 10}}, {3, {2, 3, 10}}}, 2, call_gate},
    {"gated_tanh alone", {{3, {2, 3, 10}}}, 1, call_gate_alone},
    {"add_first_half", {{3, {2, 3, 5}}, {3, {2, 3, 10}}}, 2, call_first},
    {"add_second_half", {{3, {2, 3, 5}}, {3, {2, 3, 10}}}, 2, call_second},
    {"add_second_half alone", {{3, {2, 3, 10}}}, 1, call_second_alone},
    {"film", {{3, {2, 3, 5}}, {3, {2, 3, 10}}}, 2, call_film},
    {"rms_silu", {{3, {2, 4, 5}}, {2, {2, 10}}}, 2, call_rms},
    {"rms_silu alone", {{3, {2, 4, 5}}}, 1, call_rms_alone},
    {"pick_time", {{3, {2, 9, 5}}}, 1, call_pick},
    {"repeat_time", {{3, {2, 3, 5}}}, 1, call_repeat},
    {"reshape", {{3, {2, 7, 5}}}, 1, call_reshape},
    {"embedding", {{2, {3, 5}}}, 1, call_embedding},
    {"upsample_mel", {{3, {2, 3, 5}}, {4, {1, 1, 3, 8}}, {1, {1}}}, 3, call_upsample},
    {"rician_loss", {{3, {3, 5, 18}}}, 1, call_rician},
    {"cross_entropy", {{2, {4, 5}}}, 1, call_cross_entropy},
    {"an input used twice", {{2, {3, 5}}}, 1, call_twice},
};

static void test_gradients(void **state) {
    (void) state;
    precision_set(PRECISION_F32);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) check_operation(&operations[i]);
    precision_set(PRECISION_AUTO);
}

/* bf16 operands: the same values and gradients within bf16's rounding. */
static void test_bf16(void **state) {
    (void) state;
    scope_begin();
    float *results[2], *gradients[2];
    for (int pass = 0; pass < 2; pass++) {
        precision_set(pass ? PRECISION_BF16 : PRECISION_F32);
        tensor *x = draw(SHAPE(2, 64, 16), 1), *w = draw(SHAPE(32, 16, 3), 2), *b = draw(SHAPE(32), 3);
        tape_begin();
        tape_watch(w);
        tensor *y = gated_tanh(conv1d_same(x, w, b, 2, operands()), NULL, operands());
        results[pass] = f32(tensor_to_f32(y));
        backward(mse_loss(y, draw(shape_of(y), 4)), 1.0f);
        gradients[pass] = tensor_from(tape_gradient(w), shape_of(w))->data;
    }
    double error[2] = {0}, size[2] = {0};
    for (int64_t i = 0; i < 2 * 64 * 16; i++) {
        error[0] += pow(results[1][i] - results[0][i], 2);
        size[0] += pow(results[0][i], 2);
    }
    for (int64_t i = 0; i < 32 * 16 * 3; i++) {
        error[1] += pow(gradients[1][i] - gradients[0][i], 2);
        size[1] += pow(gradients[0][i], 2);
    }
    assert_true(sqrt(error[0] / size[0]) < 2e-2 && error[0] > 0);
    assert_true(sqrt(error[1] / size[1]) < 4e-2);
    precision_set(PRECISION_AUTO);
    scope_end();
}

static void test_l1(void **state) {
    (void) state;
    scope_begin();
    tensor *p = tensor_from((float[]){1, 2, 3, -4}, SHAPE(2, 2)), *t = tensor_from((float[]){0, 2, 5, 0}, SHAPE(2, 2));
    tape_begin();
    tape_watch(p);
    tensor *loss = l1_loss(p, t);
    assert_float_equal(*f32(loss), (1 + 0 + 2 + 4) / 4.0, 1e-6);
    backward(loss, 2.0f);
    const float expected[4] = {0.5f, 0, -0.5f, -0.5f}; /* zero where they are equal */
    for (int i = 0; i < 4; i++) assert_float_equal(tape_gradient(p)[i], expected[i], 1e-6);
    scope_end();
}

static void test_keep(void **state) {
    (void) state;
    scope_begin();
    scope_begin();
    tensor *small = tensor_from((float[]){1, 2}, SHAPE(2)), *large = draw(SHAPE(100, 100), 1);
    float first = f32(large)[0];
    SCOPE_END_KEEP(&small, &large);
    for (int i = 0; i < 10; i++) memset(alloc(40000), 0xFF, 40000);
    assert_float_equal(f32(small)[1], 2, 0);
    assert_float_equal(f32(large)[0], first, 0);
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_l1),
        cmocka_unit_test(test_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
