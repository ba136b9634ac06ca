/* Tensors stored in few bits: what comes back, and files that lie. */
#include "folder.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/random.h"
#include "store/quantise.h"

static tensor *draw(shape s) {
    tensor *t = tensor_new(F32, s);
    random_normal((random_key){3, 4}, 0, f32(t), (size_t) count(t));
    return t;
}

/* Root mean square error of values of variance 1, stored in `bits`. */
static double error_of(shape s, int bits) {
    scope_begin();
    tensor *t = draw(s), *plain = draw(SHAPE(5));
    named_tensor items[] = {{"plain", plain}, {"few", t}};
    const int each[] = {0, bits};
    size_t n = 2;
    json_t *metadata = json_make_object();
    named_tensor *stored = quantise_all(items, &n, each, metadata);
    assert_int_equal(n, 3);
    const char *path = in_folder("few.safetensors");
    safetensors_write(path, stored, n, metadata);
    store *file = store_open(path);
    assert_int_equal(store_count(file), 2);
    assert_null(store_find(file, "few.scale"));
    const store_entry *e = store_find(file, "few");
    assert_int_equal(e->type, F32);
    assert_int_equal(e->shape.rank, s.rank);
    tensor *back = store_read(file, "few"), *same = store_read(file, "plain");
    assert_memory_equal(same->data, plain->data, tensor_bytes(plain));
    double error = 0;
    for (int64_t i = 0; i < count(t); i++) error += pow((double) f32(t)[i] - f32(back)[i], 2);
    error = sqrt(error / (double) count(t));
    scope_end();
    return error;
}

static void test_round_trip(void **state) {
    (void) state;
    /* A step is about 2 x 2.2 / 2^bits (the largest of 32 normal values is 2.2), its error that / sqrt(12). */
    for (int bits = 2; bits <= 8; bits++) {
        double step = 4.4 / (1 << bits);
        assert_true(error_of(SHAPE(33, 71), bits) < step / sqrt(12) * 1.15);
        assert_true(error_of(SHAPE(7, 5, 19), bits) < step / sqrt(12) * 1.15);
        assert_true(error_of(SHAPE(3, 1), bits) < step); /* rows of one element */
    }
}

static void test_extremes(void **state) {
    (void) state;
    scope_begin();
    float values[64] = {0};
    values[32] = -3e38f;
    values[33] = 1e38f;
    named_tensor item = {"x", tensor_from(values, SHAPE(2, 32))};
    size_t n = 1;
    json_t *metadata = json_make_object();
    named_tensor *stored = quantise_all(&item, &n, (const int[]){8}, metadata);
    const char *path = in_folder("extremes.safetensors");
    safetensors_write(path, stored, n, metadata);
    const float *back = f32(store_read(store_open(path), "x"));
    for (int i = 0; i < 32; i++) assert_float_equal(back[i], 0, 0);
    assert_float_equal(back[32] / 3e38f, -1, 1e-2);
    assert_float_equal(back[33] / 1e38f, 1, 2e-2);
    scope_end();
}

static void store_nan(void *unused) {
    (void) unused;
    float values[32] = {NAN};
    named_tensor item = {"x", tensor_from(values, SHAPE(1, 32))};
    size_t n = 1;
    quantise_all(&item, &n, (const int[]){8}, json_make_object());
}

/* A file with a [2, 3] tensor of 4 bits whose metadata say `text`. */
static const char *lying_file(const char *text, bool with_scale) {
    const char *path = in_folder("lying.safetensors");
    tensor *q = tensor_zero(U8, SHAPE(2, 2)), *scale = tensor_zero(BF16, SHAPE(2, 1));
    named_tensor items[] = {{"x", q}, {"x.scale", scale}};
    json_t *metadata = json_make_object();
    json_object_set_new(metadata, "quantised", json_string(text));
    safetensors_write(path, items, with_scale ? 2 : 1, metadata);
    return path;
}

static void open_path(void *path) { store_read(store_open(path), "x"); }

static void test_lies(void **state) {
    (void) state;
    static const struct {
        const char *text, *message;
    } lies[] = {
        {"{", "quantised"},
        {"{\"group\": 32, \"tensors\": 3}", "no object"},
        {"{\"group\": 0, \"tensors\": {}}", "group"},
        {"{\"group\": 32, \"tensors\": {\"y\": {\"bits\": 4, \"shape\": [2, 3]}}}", "missing"},
        {"{\"group\": 32, \"tensors\": {\"x\": {\"bits\": 9, \"shape\": [2, 3]}}}", "bits"},
        {"{\"group\": 32, \"tensors\": {\"x\": {\"bits\": 4, \"shape\": [2, 5]}}}", "does not fit"},
        {"{\"group\": 2, \"tensors\": {\"x\": {\"bits\": 4, \"shape\": [2, 3]}}}", "does not fit"},
        {"{\"group\": 32, \"tensors\": {\"x\": {\"bits\": 4, \"shape\": [2, 1099511627776, 1099511627776]}}}", "large"},
        {"{\"group\": 32, \"tensors\": {\"x\": {\"bits\": 4, \"shape\": [0, 3]}}}", "no possible shape"},
        {"{\"group\": 32, \"tensors\": {\"x\": {\"bits\": 4, \"shape\": []}}}", "no possible shape"},
        {"{\"group\": 32, \"tensors\": {\"x\": 1}}", "should be an object"},
    };
    scope_begin();
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        expect_failure(open_path, (void *) lying_file(lies[i].text, true), HISS_ERROR_FORMAT, lies[i].message);
    const char *good = "{\"group\": 32, \"tensors\": {\"x\": {\"bits\": 4, \"shape\": [2, 3]}}}";
    expect_failure(open_path, (void *) lying_file(good, false), HISS_ERROR_FORMAT, "missing");
    open_path((void *) lying_file(good, true));
    expect_failure(store_nan, NULL, HISS_ERROR_ARGUMENT, "no numbers");
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_extremes),
                                       cmocka_unit_test(test_lies)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
