/* Parameters that stay in their file: what is computed with them is what copies give, and they take no memory before, little after. */
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "folder.h"
#include "nn/layers.h"

enum { N = 192, M = 160, K = 3, ROWS = 12, STRIDE = 2 };

static tensor *drawn(shape s, uint64_t stream) {
    tensor *t = tensor_new(F32, s);
    random_normal((random_key){7, stream}, 0, t->data, (size_t) count(t));
    return t;
}

/* matrix [M, N], table [M, N], and a kernel [M, N, K] as gain and direction, in this type. */
static const char *write_file(dtype type, const char *name) {
    const char *path = in_folder(name);
    const named_tensor items[] = {{"matrix", tensor_convert(drawn(SHAPE(M, N), 1), type)},
                                  {"kernel.weight_g", tensor_convert(drawn(SHAPE(M, 1, 1), 2), type)},
                                  {"kernel.weight_v", tensor_convert(drawn(SHAPE(M, N, K), 3), type)}};
    safetensors_write(path, items, 3, NULL);
    return path;
}

static void assert_near(const tensor *a, const tensor *b, float least) {
    assert_int_equal(count(a), count(b));
    for (int64_t i = 0; i < count(a); i++) assert_true(fabsf(f32(a)[i] - f32(b)[i]) <= least);
}

typedef struct {
    const tensor *matrix, *kernel;
    params *all;
} net;

static net load(const char *path) {
    binder *b = binder_load(store_open(path));
    net n = {.matrix = bind(b, "matrix", SHAPE(M, N), (init){0})};
    n.kernel = bind(b, "kernel.weight", SHAPE(M, N, K), (init){0});
    n.all = binder_finish(b, true);
    return n;
}

/* The same values as plain tensors. */
static net copy(const char *path) {
    const store *s = store_open(path);
    const tensor *g = tensor_to_f32(store_read(s, "kernel.weight_g")),
                 *v = tensor_to_f32(store_read(s, "kernel.weight_v"));
    return (net){.matrix = tensor_to_f32(store_read(s, "matrix")), .kernel = weight_norm(v, g)};
}

static void assert_same_products(const net *a, const net *b) {
    const tensor *x = drawn(SHAPE(1, ROWS, N), 4), *y = drawn(SHAPE(1, ROWS, M), 5);
    static const int32_t INDEX[] = {3, 0, M - 1};
    const conv1d_options o = {.pad_left = 1, .pad_right = 1, .out = F32};
    const transposed_options t = {.stride = STRIDE, .width = K, .pad = 0, .out = F32};
    assert_near(linear(x, a->matrix, NULL), linear(x, b->matrix, NULL), 0);
    assert_near(embedding(a->matrix, INDEX, 3), embedding(b->matrix, INDEX, 3), 0);
    assert_near(conv1d(x, a->kernel, NULL, o), conv1d(x, b->kernel, NULL, o), 1e-4f);
    assert_near(transposed_conv1d(y, keep_transposed(a->kernel, STRIDE), NULL, t),
                transposed_conv1d(y, transposed_kernel(b->kernel, STRIDE), NULL, t), 1e-4f);
}

/* In every type of file and of products; the values are not made for it. */
static void test_products(void **state) {
    (void) state;
    static const dtype TYPES[] = {F32, BF16, F16};
    static const precision WITH[] = {PRECISION_F32, PRECISION_BF16};
    for (int t = 0; t < 3; t++)
        for (int p = 0; p < 2; p++) {
            scope_begin();
            precision_set(WITH[p]);
            const char *path = write_file(TYPES[t], "products.safetensors");
            const net n = load(path), c = copy(path);
            assert_same_products(&n, &c);
            assert_null(n.matrix->data);
            assert_null(n.kernel->data);
            assert_same_products(&n, &c); /* packed by now */
            assert_near(n.matrix, c.matrix, 0);
            assert_near(n.kernel, c.kernel, 1e-6f);
            scope_end();
        }
    precision_set(PRECISION_AUTO);
}

/* Values that were asked for are the parameter's from then on. */
static void test_changes(void **state) {
    (void) state;
    scope_begin();
    const net n = load(write_file(BF16, "changes.safetensors"));
    const tensor *x = drawn(SHAPE(ROWS, N), 6), *before = linear(x, n.matrix, NULL);
    for (int64_t i = 0; i < count(n.matrix); i++) f32(n.matrix)[i] *= 2;
    param_changed(n.matrix->param);
    const tensor *after = linear(x, n.matrix, NULL);
    for (int64_t i = 0; i < count(before); i++) assert_true(f32(after)[i] == 2 * f32(before)[i]);
    const char *path = in_folder("saved.safetensors");
    params_save(n.all, path, F32, NULL);
    assert_near(tensor_to_f32(store_read(store_open(path), "matrix")), n.matrix, 0);
    scope_end();
}

/* Coarse products in int8: near the others, not while training, and following changes. */
static void test_int8(void **state) {
    (void) state;
    scope_begin();
    const net n = load(write_file(BF16, "int8.safetensors"));
    const tensor *x = drawn(SHAPE(2, ROWS, N), 8), *b = drawn(SHAPE(M), 9);
    const conv1d_options o = {.out = F32, .coarse = true};
    precision_set(PRECISION_F32);
    const tensor *exact = conv1d(x, n.matrix, b, o);
    precision_set(PRECISION_INT8);
    const tensor *coarse = conv1d(x, n.matrix, b, o);
    double error = 0, size = 0;
    for (int64_t i = 0; i < count(exact); i++) {
        error += pow((double) f32(coarse)[i] - f32(exact)[i], 2);
        size += pow((double) f32(exact)[i], 2);
    }
    assert_true(error > 1e-6 * size && error < 2.25e-4 * size); /* 1.5 % */
    assert_null(n.matrix->data);
    for (int64_t i = 0; i < count(n.matrix); i++) f32(n.matrix)[i] *= 2;
    param_changed(n.matrix->param);
    const tensor *twice = conv1d(x, n.matrix, NULL, o), *once = coarse;
    for (int64_t i = 0; i < count(exact); i++)
        assert_true(fabsf(f32(twice)[i] - 2 * (f32(once)[i] - f32(b)[i % M])) < 1e-4f);
    tape_begin();
    const tensor *trained = conv1d(x, n.matrix, NULL, o);
    precision_set(PRECISION_AUTO);
    const tensor *as_auto = conv1d(x, n.matrix, NULL, o);
    assert_memory_equal(trained->data, as_auto->data, tensor_bytes(trained));
    scope_end();
}

/* A file of 8 MiB: opened, it takes next to nothing; used in bf16, what its packed copy takes and some rows. */
static void test_memory(void **state) {
    (void) state;
    enum { SIDE = 2048, LITTLE = 1 << 20 };
    scope_begin();
    const char *path = in_folder("large.safetensors");
    const named_tensor item = {"matrix", tensor_convert(drawn(SHAPE(SIDE, SIDE), 1), BF16)};
    safetensors_write(path, &item, 1, NULL);
    const tensor *x = drawn(SHAPE(1, 1, SIDE), 2);
    precision_set(PRECISION_BF16);
    const size_t start = memory_in_use();
    binder *b = binder_load(store_open(path));
    const tensor *w = bind(b, "matrix", SHAPE(SIDE, SIDE), (init){0});
    binder_finish(b, true);
    assert_true(memory_in_use() - start < LITTLE);
    conv1d(x, w, NULL, (conv1d_options){.out = F32});
    assert_true(memory_in_use() - start < 2 * (size_t) SIDE * SIDE * 5 / 4 + LITTLE);
    precision_set(PRECISION_AUTO);
    scope_end();
}

/* Every half, and NaN stays NaN. */
static void test_halves(void **state) {
    (void) state;
    enum { ALL = 1 << 16 };
    scope_begin();
    uint16_t *halves = NEW_ARRAY(uint16_t, ALL);
    for (int i = 0; i < ALL; i++) halves[i] = (uint16_t) i;
    const tensor *from = tensor_wrap(F16, SHAPE(ALL), halves);
    const float *narrow = f32(tensor_convert(from, F32));
    const double *wide = tensor_convert(from, F64)->data;
    for (int i = 0; i < ALL; i++) assert_true(isnan(wide[i]) ? isnan(narrow[i]) : (double) narrow[i] == wide[i]);
    scope_end();
}

/* Pages are given back of files alone. */
static void test_unneeded(void **state) {
    (void) state;
    enum { SIZE = 1 << 16 };
    scope_begin();
    const char *path = in_folder("pages");
    uint8_t *own = alloc(SIZE);
    memset(own, 7, SIZE);
    file_write(path, own, SIZE);
    const bytes file = file_map(path);
    file_unneeded(file.data, file.size);
    file_unneeded(own, SIZE);
    assert_memory_equal(file.data, own, SIZE);
    assert_int_equal(own[SIZE / 2], 7);
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products), cmocka_unit_test(test_int8),   cmocka_unit_test(test_changes),
        cmocka_unit_test(test_memory),   cmocka_unit_test(test_halves), cmocka_unit_test(test_unneeded),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
