/* DiffWave computes its layers in tiles of rows when nothing is recorded: the prediction must be that of whole layers. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "models/diffwave.h"

static tensor *noise(shape s, uint64_t stream) {
    tensor *t = tensor_new(F32, s);
    random_normal((random_key){3, stream}, 0, f32(t), (size_t) count(t));
    return t;
}

/* B batch, F frames: lengths of one tile, several, and a short last one. */
static void check_tiles(int64_t mels, int64_t B, int64_t F) {
    scope_begin();
    diffwave_config c = {.layers = 11, .channels = 8, .cycle = 11, .embedding = 16, .mels = mels, .steps = 50};
    binder *b = binder_new((random_key){1, 1});
    diffwave *net = diffwave_bind(&c, b);
    params *p = binder_finish(b, true);
    param *last = params_find(p, "output_projection.weight"); /* starts at zero */
    random_normal((random_key){3, 9}, 0, f32(last->value), (size_t) count(last->value));
    param_changed(last);
    tensor *audio = noise(SHAPE(B, F * DIFFWAVE_HOP), 1), *mel = mels ? noise(SHAPE(B, F, mels), 2) : NULL;
    const float step[] = {3, 40};
    const tensor *tiled = diffwave_forward(net, audio, step, mel, NULL);
    tape_begin();
    const tensor *whole = diffwave_forward(net, audio, step, mel, NULL);
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count(whole); i++) {
        difference += pow(f32(tiled)[i] - f32(whole)[i], 2);
        size += pow(f32(whole)[i], 2);
    }
    assert_true(size > 0);
    assert_true(sqrt(difference / size) < (operands() == F32 ? 1e-5 : 1e-2));
    scope_end();
}

static void test_tiles(void **state) {
    (void) state;
    check_tiles(5, 2, 2);
    check_tiles(5, 1, 4);
    check_tiles(0, 2, 9);
}

/* With bf16 operands too: tiles then take the dense view. */
static void test_tiles_bf16(void **state) {
    (void) state;
    precision_set(PRECISION_BF16);
    check_tiles(5, 2, 9);
    precision_set(PRECISION_AUTO);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tiles), cmocka_unit_test(test_tiles_bf16)};
    scope_begin();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scope_end();
    return failed;
}
