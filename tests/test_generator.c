/* The generators of HiFi-GAN and BigVGAN: how far they see, what is recorded, configurations that cannot be. That they compute what the
 * originals do is shown by the parity cases. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "models/generator.h"
#include "tensor/ops.h"

static const uint8_t NO_TENSORS[] = {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'};

static generator_config sizes_of(const char *text) {
    return generator_config_read(config_parse(text, strlen(text), "config.json"),
                                 store_open_memory(NO_TENSORS, sizeof NO_TENSORS, "none", false));
}

/* A part of the frames with the halo around them gives what the whole gives there. */
static void check_halo(const char *text) {
    enum { FRAMES = 140, MELS = 10 };
    scope_begin();
    const generator_config c = sizes_of(text);
    binder *b = binder_new((random_key){4, 4});
    const generator *net = generator_bind(&c, b);
    binder_finish(b, true);
    tensor *mel = tensor_new(F32, SHAPE(1, FRAMES, MELS));
    random_normal((random_key){2, 2}, 0, f32(mel), (size_t) count(mel));
    const tensor *whole = generator_forward(net, mel);
    assert_int_equal(whole->shape[1], generator_samples(&c, FRAMES));
    const int64_t halo = generator_halo(&c), hop = generator_hop(&c), first = 60, n = 8;
    assert_true(halo < 60);
    const tensor *part = tensor_wrap(F32, SHAPE(1, n + 2 * halo, MELS), f32(mel) + (first - halo) * MELS);
    const tensor *seen = generator_forward(net, part);
    for (int64_t i = 0; i < n * hop; i++)
        assert_float_equal(f32(whole)[first * hop + i], f32(seen)[halo * hop + i], 1e-5);
    scope_end();
}

static void test_halo(void **state) {
    (void) state;
    check_halo("{\"num_mels\": 10, \"upsample_rates\": [5, 3], \"upsample_kernel_sizes\": [16, 5],"
               " \"upsample_initial_channel\": 16}");
    check_halo("{\"num_mels\": 10, \"upsample_rates\": [4, 2], \"upsample_kernel_sizes\": [8, 4],"
               " \"upsample_initial_channel\": 16, \"activation\": \"snakebeta\", \"snake_logscale\": true}");
}

/* The sum of what a generator makes times fixed numbers, and where it is recorded the gradients of its parameters, times `factor`. */
static double generator_sum(const generator *net, const tensor *mel, const tensor *numbers, bool recorded,
                            float factor) {
    scope_begin();
    if (recorded) tape_begin();
    const tensor *y = generator_forward(net, mel);
    const tensor *sum = linear(reshape(y, SHAPE(1, count(y))), numbers, NULL);
    const double value = *f32(sum);
    if (recorded) backward(sum, factor);
    scope_end();
    return value;
}

/* Recorded it makes the same sound; its derivative is that of differences along the gradient. */
static void test_gradient(void **state) {
    (void) state;
    static const char TEXT[] = "{\"num_mels\": 6, \"upsample_rates\": [5, 2], \"upsample_kernel_sizes\": [16, 4],"
                               " \"upsample_initial_channel\": 12, \"resblock_kernel_sizes\": [3]}";
    enum { FRAMES = 7 };
    scope_begin();
    precision_set(PRECISION_F32);
    const generator_config c = sizes_of(TEXT);
    binder *b = binder_new((random_key){3, 0});
    const generator *net = generator_bind(&c, b);
    params *p = binder_finish(b, true);
    tensor *mel = tensor_new(F32, SHAPE(1, FRAMES, 6));
    tensor *numbers = tensor_new(F32, SHAPE(1, generator_samples(&c, FRAMES)));
    random_normal((random_key){4, 0}, 0, f32(mel), (size_t) count(mel));
    random_normal((random_key){4, 1}, 0, f32(numbers), (size_t) count(numbers));
    params_zero_grad(p);
    const double there = generator_sum(net, mel, numbers, true, 1);
    assert_float_equal(there, generator_sum(net, mel, numbers, false, 0), 1e-4 * fabs(there));
    double square = 0, ends[2];
    for (size_t i = 0; i < p->count; i++)
        for (int64_t k = 0; k < count(p->items[i]->value); k++) square += pow(param_gradient(p->items[i])[k], 2);
    const double step = 1e-3 / sqrt(square);
    for (int end = 0; end < 2; end++) {
        const double way = end ? -2 * step : step;
        for (size_t i = 0; i < p->count; i++) {
            param *of = p->items[i];
            for (int64_t k = 0; k < count(of->value); k++) f32(of->value)[k] += (float) (way * param_gradient(of)[k]);
            param_changed(of);
        }
        ends[end] = generator_sum(net, mel, numbers, true, 0);
    }
    const double slope = (ends[0] - ends[1]) / (2 * step);
    if (!(fabs(slope / square - 1) < 1e-2)) print_error("slope %g, gradient %g\n", slope, square);
    assert_true(square > 1e-3 && fabs(slope / square - 1) < 1e-2);
    precision_set(PRECISION_AUTO);
    scope_end();
}

static void read_generator(void *text) {
    scope_begin();
    sizes_of(text);
    scope_end();
}

static void test_configuration(void **state) {
    (void) state;
    read_generator("{}");
    expect_failure(read_generator, "{\"upsample_rates\": [4]}", HISS_ERROR_FORMAT, "upsample_kernel_sizes");
    expect_failure(read_generator, "{\"upsample_rates\": [4], \"upsample_kernel_sizes\": [3]}", HISS_ERROR_FORMAT,
                   "less than its rate");
    expect_failure(read_generator, "{\"activation\": \"snak\"}", HISS_ERROR_FORMAT, "snake");
    expect_failure(read_generator, "{\"resblock_dilation_sizes\": [[1], [1, 3], [1]]}", HISS_ERROR_FORMAT,
                   "one length");
    expect_failure(read_generator, "{\"resblock_kernel_sizes\": [4]}", HISS_ERROR_FORMAT, "odd");
    expect_failure(read_generator, "{\"normalize_before\": true}", HISS_ERROR_FORMAT, "mean and scale");
    expect_failure(read_generator, "{\"upsample_initial_channel\": 8}", HISS_ERROR_FORMAT, "halved");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_halo), cmocka_unit_test(test_gradient),
                                       cmocka_unit_test(test_configuration)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
