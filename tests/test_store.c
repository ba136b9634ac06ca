/* Weights on disk: what PyTorch wrote is read as PyTorch reads it, and nothing that a file may hold does harm. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/scope.h"
#include "folder.h"
#include "refused.h"
#include "store/store.h"

#define FOLDER TEST_DATA "/store/"
#define PARITY TEST_DATA "/parity/"
#define DIFFWAVE_LEGACY PARITY "diffwave/checkpoint_legacy/weights-2.pt"
#define DIFFWAVE_FLAT PARITY "diffwave/checkpoint_flat/weights.pt"
#define WAVEGRAD_ZIP PARITY "wavegrad/checkpoint_pt/weights-2.pt"

/* ---- what is read is right */

static void assert_same(const store *got, const char *name, const store *expected, const char *as) {
    tensor *a = tensor_to_f32(store_read(got, name)), *b = store_read(expected, as);
    assert_string_equal(shape_text(shape_of(a)), shape_text(shape_of(b)));
    assert_memory_equal(a->data, b->data, tensor_bytes(b));
}

static void test_forms(void **state) {
    (void) state;
    static const struct {
        const char *file, *kind;
    } forms[] = {{DIFFWAVE_LEGACY, "PyTorch legacy"}, {DIFFWAVE_FLAT, "PyTorch zip"}};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        scope_begin();
        store *expected = store_open(FOLDER "expected.safetensors");
        store *s = store_open(forms[f].file);
        assert_string_equal(store_kind(s), forms[f].kind);
        assert_int_equal(store_count(s), 46);
        for (size_t i = 0; i < 46; i++) {
            const char *name = store_at(s, i)->name;
            assert_same(s, name, expected, name);
        }
        scope_end();
    }
}

/* The same weights in half precision: names, types and bits. */
static void assert_halves(const char *half, const char *full, size_t tensors) {
    scope_begin();
    store *s = store_open(half), *expected = store_open(full);
    assert_int_equal(store_count(expected), tensors);
    for (size_t i = 0; i < tensors; i++) {
        const char *name = store_at(expected, i)->name;
        assert_int_equal(store_find(s, name)->type, F16);
        tensor *rounded = tensor_convert(store_read(expected, name), F16);
        assert_memory_equal(store_read(s, name)->data, rounded->data, tensor_bytes(rounded));
    }
    scope_end();
}

static void test_half(void **state) {
    (void) state;
    assert_halves(FOLDER "half.pt", FOLDER "expected.safetensors", 46);
    assert_halves(PARITY "wavegrad/checkpoint_f16/weights.pt", WAVEGRAD_ZIP, 108);
}

/* The optimizer beside the network: its tensors under their full path, its numbers in the metadata. */
static void test_checkpoint(void **state) {
    (void) state;
    static const struct {
        const char *file, *io, *second, *weight;
        int crop_frames, levels;
    } rows[] = {{DIFFWAVE_LEGACY, PARITY "diffwave/checkpoint_legacy/io.safetensors", "optimizer.state.44.exp_avg_sq",
                 "model.input_projection.weight", 62, 50},
                {WAVEGRAD_ZIP, PARITY "wavegrad/checkpoint_pt/io.safetensors", "optimizer.state.106.exp_avg_sq",
                 "model.last_conv.weight", 24, 1000}};
    for (int i = 0; i < 2; i++) {
        scope_begin();
        store *s = store_open_all(rows[i].file), *io = store_open(rows[i].io);
        assert_same(s, "optimizer.state.0.exp_avg", io, "out.exp_avg_a");
        assert_same(s, rows[i].second, io, "out.exp_avg_sq_b");
        assert_non_null(store_find(s, rows[i].weight));
        config m = store_metadata(s);
        assert_int_equal(config_int(m, "step", -1, -1, 100), 2);
        config params = config_get(m, "params");
        assert_int_equal(config_int(params, "crop_mel_frames", 0, 0, 100), rows[i].crop_frames);
        assert_int_equal(config_count(config_get(params, "noise_schedule")), rows[i].levels);
        config groups = config_get(config_get(m, "optimizer"), "param_groups");
        assert_true(config_number(config_at(groups, 0), "lr", 0, 0, 1) == 2e-4);
        assert_false(config_has(m, "model"));
        scope_end();
    }
    scope_begin();
    config params = config_get(store_metadata(store_open_all(DIFFWAVE_LEGACY)), "params");
    assert_false(config_bool(params, "unconditional", true));
    assert_false(config_has(params, "max_grad_norm"));
    scope_end();
}

/* ---- writing */

static void test_write_safetensors(void **state) {
    (void) state;
    scope_begin();
    tensor *a = tensor_from((float[]){1, 2, 3, 4, 5, 6}, SHAPE(2, 3)), *b = tensor_convert(a, BF16);
    tensor *scalar = tensor_from((float[]){7}, (shape){0}), *none = tensor_new(I64, SHAPE(0, 4));
    json_t *metadata = json_make_object();
    json_object_set_new(metadata, "config", json_string("{\"a\": 1}"));
    const char *path = in_folder("written.safetensors");
    safetensors_write(path, (named_tensor[]){{"z", a}, {"b", b}, {"scalar", scalar}, {"none", none}}, 4, metadata);
    store *s = store_open(path);
    assert_int_equal(store_count(s), 4);
    assert_string_equal(store_at(s, 0)->name, "z");
    assert_memory_equal(store_read(s, "z")->data, a->data, 24);
    assert_int_equal((uintptr_t) store_read(s, "z")->data % 64, 0);
    assert_memory_equal(store_read(s, "b")->data, b->data, 12);
    assert_int_equal(store_read(s, "scalar")->rank, 0);
    assert_true(f32(store_read(s, "scalar"))[0] == 7);
    assert_int_equal(count(store_read(s, "none")), 0);
    assert_string_equal(config_string(store_metadata(s), "config", ""), "{\"a\": 1}");
    scope_end();
}

static void test_npy(void **state) {
    (void) state;
    scope_begin();
    static const dtype types[] = {F32, F64, F16, I64, I32, I16, I8, U8};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        tensor *a = tensor_convert(tensor_from((float[]){1, 2, 3, 4, 5, 6}, SHAPE(3, 1, 2)), types[i]);
        npy_write(in_folder("a.npy"), a);
        tensor *b = npy_read(in_folder("a.npy"));
        assert_int_equal(b->type, types[i]);
        assert_string_equal(shape_text(shape_of(b)), "[3, 1, 2]");
        assert_memory_equal(a->data, b->data, tensor_bytes(a));
    }
    npy_write(in_folder("scalar.npy"), tensor_from((float[]){7}, (shape){0}));
    assert_int_equal(npy_read(in_folder("scalar.npy"))->rank, 0);
    scope_end();
}

/* numpy.save of arange(6).reshape(2, 3) as big-endian int16 in Fortran order. */
static void test_npy_fortran(void **state) {
    (void) state;
    scope_begin();
    static const char header[] = "\x93NUMPY\1\0\x76\0{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }";
    uint8_t file[128 + 12];
    memset(file, ' ', 128);
    memcpy(file, header, sizeof header - 1);
    file[127] = '\n';
    static const int order[] = {0, 3, 1, 4, 2, 5};
    for (int i = 0; i < 6; i++) file[128 + 2 * i] = 0, file[129 + 2 * i] = (uint8_t) order[i];
    const int16_t *v = store_read(store_open_memory(file, sizeof file, "fortran", false), "array")->data;
    for (int i = 0; i < 6; i++) assert_int_equal(v[i], i);
    scope_end();
}

/* ---- bad files: each is a clear error that names the file */

/* A copy that ends where the input ends, so that sanitizers and valgrind see a read past it. */
static void each_truncation(const char *path, size_t step) {
    scope_begin();
    bytes file = file_map(path);
    for (size_t size = 0; size < file.size; size += step) {
        uint8_t *part = malloc(size ? size : 1);
        memcpy(part, file.data, size);
        assert_false(survives(part, size));
        free(part);
    }
    scope_end();
}

/* A flipped bit may pass unseen (in a weight, in a name); it must not do harm. */
static void each_flip(const char *path, size_t step) {
    scope_begin();
    bytes file = file_map(path);
    uint8_t *copy = alloc(file.size);
    memcpy(copy, file.data, file.size);
    for (size_t i = 0; i < file.size; i += step) {
        copy[i] ^= (uint8_t) (1 << i % 8);
        survives(copy, file.size);
        copy[i] ^= (uint8_t) (1 << i % 8);
    }
    scope_end();
}

static void test_damage(void **state) {
    (void) state;
    scope_begin();
    each_truncation(in_folder("written.safetensors"), 1);
    each_truncation(in_folder("a.npy"), 1);
    each_truncation(FOLDER "half.pt", 97);
    each_truncation(DIFFWAVE_LEGACY, 977);
    each_flip(in_folder("written.safetensors"), 1);
    each_flip(in_folder("a.npy"), 1);
    each_flip(FOLDER "half.pt", 29);
    each_flip(DIFFWAVE_LEGACY, 211);
    scope_end();
}

static void assert_header_refused(const char *header, const char *why) {
    scope_begin();
    size_t length = strlen(header), size = 8 + length + 64;
    uint8_t *file = alloc_zero(size, 1);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t) ((uint64_t) length >> 8 * i);
    memcpy(file + 8, header, length);
    assert_refused(file, size, why);
    scope_end();
}

#define TENSOR(type, shape, begin, end)                                                                                \
    "{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void test_bad_safetensors(void **state) {
    (void) state;
    assert_header_refused("{\"a\":" TENSOR("F32", "[4]", 0, 16) ",\"b\":" TENSOR("F32", "[4]", 8, 24) "}", "overlap");
    assert_header_refused("{\"a\":" TENSOR("F32", "[4]", 0, 16) ",\"a\":" TENSOR("F32", "[4]", 16, 32) "}", "FILE");
    assert_header_refused("{\"a\":" TENSOR("F32", "[-4]", 0, 16) "}", "impossible shape");
    assert_header_refused("{\"a\":" TENSOR("F32", "[4.5]", 0, 16) "}", "impossible shape");
    assert_header_refused("{\"a\":" TENSOR("F32", "[5]", 0, 16) "}", "does not fit");
    assert_header_refused("{\"a\":" TENSOR("F32", "[40]", 0, 160) "}", "cut short");
    assert_header_refused("{\"a\":" TENSOR("F32", "[4]", 16, 0) "}", "data_offsets");
    assert_header_refused("{\"a\":" TENSOR("F8_E4M3", "[4]", 0, 4) "}", "F8_E4M3");
    assert_header_refused("{\"a\":" TENSOR("F32", "[4294967296,4294967296]", 0, 0) "}", "does not fit");
    assert_header_refused("{\"a\":" TENSOR("F32", "[9223372036854775807,9223372036854775807,0]", 0, 0) "}",
                          "does not fit");
    assert_header_refused("{\"a\":" TENSOR("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", "8 dimensions");
    assert_header_refused("{\"a\":5}", "FILE");
    assert_header_refused("{\"a\":", "header is damaged");
    assert_refused("\xff\xff\xff\xff\xff\xff\xff\x7f{\"a\":1}", 16, "not a file of weights");
    assert_refused("\x00\x00\x10\x00\x00\x00\x00\x00{\"a\":1}", 16, "cut short");
    char *deep = alloc_zero(100001, 1);
    memset(deep, '[', 100000);
    memcpy(deep, "{\"a\":", 5);
    assert_header_refused(deep, "header is damaged");
}

static void test_bad_npy(void **state) {
    (void) state;
    static const struct {
        const char *header, *why;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,), }", "cut short"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999, 99999999999), }",
         "impossible shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }", "damaged"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }", "<c8"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "|O"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }", "records"},
        {"{'descr': '<f4', 'fortran_order': False, }", "damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "8 dimensions"},
        {"", "damaged"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char file[256] = "\x93NUMPY\1";
        size_t length = strlen(cases[i].header);
        file[8] = (char) length;
        memcpy(file + 10, cases[i].header, length);
        assert_refused(file, 10 + length, cases[i].why);
    }
    assert_refused("\x93NUMPY\x09\0\0\0\0\0", 12, "version 9");
}

/* ---- what is no file of weights */

static void test_mistakes(void **state) {
    (void) state;
    assert_refused("", 0, "is empty");
    assert_refused("<!DOCTYPE html>", 15, "web page");
    assert_refused("version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS");
    assert_refused("hello, this is text", 19, "not a file of weights");
    assert_refused("\x80\4}.", 4, "torch.save");
    scope_begin();
    assert_path_refused(in_folder("missing.pt"), "missing.pt");
    store *s = store_open(FOLDER "expected.safetensors");
    assert_null(store_find(s, "input_projection.weigth"));
    scope_end();
}

static void read_misspelt(void *argument) {
    (void) argument;
    store_read(store_open(FOLDER "expected.safetensors"), "input_projection.weigth");
}

static void test_misspelt(void **state) {
    (void) state;
    hiss_error error = {0};
    assert_false(try_run(read_misspelt, NULL, &error));
    assert_non_null(strstr(error.message, "input_projection.weight"));
}

/* ---- memory and disk that fail */

/* Every allocation fails in turn; each time the error says so, and what was open is closed. */
static void each_fault(const char *path, fault_kind kind, hiss_code code) {
    input in = {.path = path};
    hiss_error error = {0};
    bool read = false;
    for (long n = 1; !read && n < 100000; n += 1 + n / 8) {
        scope_begin();
        fault_after(kind, n);
        read = try_run(read_all, &in, &error);
        bool met = fault_count(kind) >= n;
        fault_after(kind, 0);
        scope_end();
        assert_true(read != met);
        if (!read) assert_int_equal(error.code, code);
    }
    assert_true(read);
}

static void test_faults(void **state) {
    (void) state;
    each_fault(WAVEGRAD_ZIP, FAULT_ALLOC, HISS_ERROR_MEMORY);
    each_fault(DIFFWAVE_LEGACY, FAULT_ALLOC, HISS_ERROR_MEMORY);
    each_fault(FOLDER "expected.safetensors", FAULT_ALLOC, HISS_ERROR_MEMORY);
    each_fault(WAVEGRAD_ZIP, FAULT_READ, HISS_ERROR_FILE);
}

/* ---- shards */

static void write_shards(void) {
    tensor *a = tensor_from((float[]){1, 2}, SHAPE(2)), *b = tensor_from((float[]){3}, SHAPE(1));
    folder_make(in_folder("shards"));
    safetensors_write(in_folder("shards/one.safetensors"), (named_tensor[]){{"a", a}}, 1, NULL);
    safetensors_write(in_folder("shards/two.safetensors"), (named_tensor[]){{"b", b}}, 1, NULL);
}

static void test_shards(void **state) {
    (void) state;
    static const char index[] = "shards/model.safetensors.index.json";
    scope_begin();
    write_shards();
    write_in_folder(index, "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}}");
    store *s = store_open(in_folder("shards"));
    assert_int_equal(store_count(s), 2);
    assert_true(f32(store_read(s, "b"))[0] == 3);
    write_in_folder(index, "{\"weight_map\": {\"a\": \"one.safetensors\", \"c\": \"two.safetensors\"}}");
    assert_path_refused(in_folder("shards"), "'c' is not in");
    write_in_folder(index, "{\"weight_map\": {\"a\": \"../written.safetensors\"}}");
    assert_path_refused(in_folder("shards"), "same folder");
    write_in_folder(index, "{\"weight_map\": {\"a\": \"gone.safetensors\"}}");
    assert_path_refused(in_folder("shards"), "gone.safetensors");
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),      cmocka_unit_test(test_half),
        cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_write_safetensors),
        cmocka_unit_test(test_npy),        cmocka_unit_test(test_npy_fortran),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_bad_safetensors),
        cmocka_unit_test(test_bad_npy),    cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_misspelt),   cmocka_unit_test(test_shards),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
