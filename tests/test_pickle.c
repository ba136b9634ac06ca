/* PyTorch's files that are meant to do harm: hostile pickles, archives that lie about themselves. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/scope.h"
#include "refused.h"
#include "store/store.h"

/* ---- hostile pickles, in the older form, where no archive is around them */

static const char LEGACY[] = "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.\x80\2}.";
static const char STORAGE[] = "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\2tQ";
static const char KEYS[] = "\x80\2]X\1\0\0\0000a.\2\0\0\0\0\0\0\0\0\0\x80?\0\0\0@"; /* storage 0: 1, 2 */

static const char NO_KEYS[] = "\x80\2].";

typedef struct {
    uint8_t data[1 << 14];
    size_t size;
} builder;

static void add(builder *b, const char *data, size_t size) {
    assert_true(b->size + size <= sizeof b->data);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}
#define ADD(b, literal) add(b, literal, sizeof literal - 1)

static builder begin_legacy(void) {
    builder b = {.size = 0};
    ADD(&b, LEGACY);
    ADD(&b, "\x80\2");
    return b;
}

/* {"a": _rebuild_tensor_v2(storage 0 of two floats, offset, shape, stride, False, None)} */
static builder tensor_file(const char *offset, size_t offset_size, const char *shape_stride, size_t size) {
    builder b = begin_legacy();
    ADD(&b, "}X\1\0\0\0actorch._utils\n_rebuild_tensor_v2\n(");
    ADD(&b, STORAGE);
    add(&b, offset, offset_size);
    add(&b, shape_stride, size);
    ADD(&b, "\x89NtRs.");
    ADD(&b, KEYS);
    return b;
}

static bool tensor_survives(const char *offset, size_t offset_size, const char *shape_stride, size_t size) {
    builder b = tensor_file(offset, offset_size, shape_stride, size);
    return survives(b.data, b.size);
}
#define SURVIVES(offset, shape_stride) tensor_survives(offset, sizeof offset - 1, shape_stride, sizeof shape_stride - 1)

static void test_pickled_shapes(void **state) {
    (void) state;
    assert_true(SURVIVES("K\0", "K\2\x85K\1\x85"));                        /* [2] */
    assert_true(SURVIVES("K\1", "))"));                                    /* a scalar */
    assert_true(SURVIVES("K\0", "K\x08\x85K\0\x85"));                      /* [8], one value repeated */
    assert_true(SURVIVES("K\0", "K\0\x85K\1\x85"));                        /* [0] */
    assert_false(SURVIVES("K\0", "K\3\x85K\1\x85"));                       /* one too many */
    assert_false(SURVIVES("K\1", "K\2\x85K\1\x85"));                       /* begins one late */
    assert_false(SURVIVES("K\3", "))"));                                   /* begins past the end */
    assert_false(SURVIVES("J\xff\xff\xff\xff", "))"));                     /* offset -1 */
    assert_false(SURVIVES("K\0", "J\xff\xff\xff\xff\x85K\1\x85"));         /* shape -1 */
    assert_false(SURVIVES("K\1", "K\2\x85J\xff\xff\xff\xff\x85"));         /* stride -1 */
    assert_false(SURVIVES("K\0", "J\xff\xff\xff\x7f\x85K\0\x85"));         /* 2^31 copies of one value */
    assert_false(SURVIVES("K\0", "\x8a\x8\0\0\0\0\0\0\0\x40\x85K\0\x85")); /* 2^62 copies */
    assert_false(SURVIVES(
        "K\0", "K\2K\2\x86\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f\x86"));
    assert_false(SURVIVES("K\0", "K\1K\1\x86K\1\x85")); /* more dimensions than strides */
    assert_false(SURVIVES("K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1K\1K\1K\1K\1t"));
    assert_false(SURVIVES("N", "))"));
}

static void assert_pickle_refused(const char *pickle, size_t size, const char *why) {
    builder b = begin_legacy();
    add(&b, pickle, size);
    ADD(&b, NO_KEYS);
    assert_refused(b.data, b.size, why);
}
#define PICKLE_REFUSED(literal, why) assert_pickle_refused(literal, sizeof literal - 1, why)

static void test_hostile_pickles(void **state) {
    (void) state;
    PICKLE_REFUSED("cos\nsystem\nX\4\0\0\0true\x85R.", "os.system"); /* not run: an inert object without tensors */
    PICKLE_REFUSED("]q\0h\0a.", "nested more than");                 /* a list that holds itself */
    PICKLE_REFUSED("r\xff\xff\xff\xff.", "memo number");
    PICKLE_REFUSED("]r\xff\xff\xff\xff.", "memo number");
    PICKLE_REFUSED("h\x07.", "never kept");
    PICKLE_REFUSED("X\xff\xff\xff\xff.", "cut short");
    PICKLE_REFUSED("\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "cut short");
    PICKLE_REFUSED("\x8b\xff\xff\xff\x7f.", "cut short");
    PICKLE_REFUSED(".", "takes more than there is");
    PICKLE_REFUSED("(K\1.", "FILE");
    PICKLE_REFUSED("t.", "mark is missing");
    PICKLE_REFUSED("K\1K\2a.", "not a list");
    PICKLE_REFUSED("K\1K\2K\3s.", "not a dict");
    PICKLE_REFUSED("}(K\1u.", "no value");
    PICKLE_REFUSED("\xfe.", "unknown operation 0xfe");
    PICKLE_REFUSED("\x82\1.", "unknown operation"); /* the extension registry */
    PICKLE_REFUSED("N.", "holds no tensors");
    builder deep = begin_legacy();
    for (int i = 0; i < 2000; i++) ADD(&deep, "]");
    for (int i = 0; i < 1999; i++) ADD(&deep, "a");
    ADD(&deep, ".");
    ADD(&deep, NO_KEYS);
    assert_refused(deep.data, deep.size, "nested more than");
    /* Each list holds the one before ten times: 10^25 values in a few hundred bytes. */
    builder laughs = begin_legacy();
    ADD(&laughs, "]q\0");
    for (int i = 0; i < 25; i++) {
        ADD(&laughs, "](h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0eq\0");
    }
    ADD(&laughs, ".");
    ADD(&laughs, NO_KEYS);
    assert_refused(laughs.data, laughs.size, "unfold");
}

/* Memory stays bounded however long the pickle is: 5 million empty lists, marks, references. */
static void test_long_pickles(void **state) {
    (void) state;
    static const char operations[] = "](2";
    for (const char *o = operations; *o; o++) {
        scope_begin();
        size_t start = sizeof LEGACY - 1, size = start + 5000000;
        char *file = alloc(size);
        memcpy(file, LEGACY, start);
        memset(file + start, *o, size - start);
        memcpy(file + start, "\x80\2N", 3);
        assert_refused(file, size, "more than 4194304 values");
        scope_end();
    }
}

/* A class that is not known, in a dict with tensors: inert, and in nobody's way. An AttrDict is a dict with a class. */
static void test_unknown_classes(void **state) {
    (void) state;
    scope_begin();
    builder b = tensor_file("K\0", 2, "K\2\x85K\1\x85", 6);
    store *s = store_open_memory(b.data, b.size, "FILE", false);
    assert_true(f32(store_read(s, "a"))[1] == 2);
    builder c = begin_legacy();
    ADD(&c, "}(X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(");
    ADD(&c, STORAGE);
    ADD(&c, "K\0K\2\x85K\1\x85\x89NtR");
    ADD(&c, "X\6\0\0\0paramscthem\nAttrDict\n)\x81X\4\0\0\0rateM\x22\x56s");
    ADD(&c, "X\4\0\0\0evilcos\nsystem\nX\4\0\0\0true\x85Ru.");
    ADD(&c, KEYS);
    s = store_open_memory(c.data, c.size, "FILE", false);
    assert_int_equal(store_count(s), 1);
    assert_int_equal(config_int(config_get(store_metadata(s), "params"), "rate", 0, 0, 99999), 22050);
    scope_end();
}

/* ---- archives */

/* The last place of `old`: the archive's directory is behind the data. */
static void replace(uint8_t *in, size_t size, const char *old, const char *new, size_t length) {
    size_t at = size - length;
    while (at > 0 && memcmp(in + at, old, length) != 0) at--;
    assert_true(at > 0);
    memcpy(in + at, new, length);
}

static void test_bad_zip(void **state) {
    (void) state;
    scope_begin();
    bytes file = file_map(TEST_DATA "/store/half.pt");
    uint8_t *copy = alloc(file.size);
    memcpy(copy, file.data, file.size);
    uint8_t *directory = memmem(copy, file.size, "PK\1\2", 4);
    directory[10] = 8; /* as if compressed: no bomb is ever unpacked */
    assert_refused(copy, file.size, "compressed");
    directory[10] = 0;
    uint8_t *second = memmem(directory + 4, 400, "PK\1\2", 4);
    assert_non_null(second);
    memset(directory + 20, 0xff, 8); /* sizes of 4 GiB */
    assert_false(survives(copy, file.size));
    memcpy(copy, file.data, file.size);
    memset(directory + 42, 0xf0, 4); /* a local header far outside */
    assert_false(survives(copy, file.size));
    memcpy(copy, file.data, file.size);
    replace(copy, file.size, "half/data.pkl", "half\0data.pkl", 13); /* a name with a 0 byte */
    assert_refused(copy, file.size, "without FOLDER/data.pkl");
    replace(copy, file.size, "half/data/0", "half/data/1", 11);
    assert_refused(copy, file.size, "two files named 'half/data/1'");
    assert_refused("PK\3\4", 4, "damaged or cut short");
    static const uint8_t empty[26] = {'P', 'K', 3, 4, 'P', 'K', 5, 6};
    assert_refused(empty, sizeof empty, "without FOLDER/data.pkl");
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pickled_shapes), cmocka_unit_test(test_hostile_pickles),
                                       cmocka_unit_test(test_long_pickles), cmocka_unit_test(test_unknown_classes),
                                       cmocka_unit_test(test_bad_zip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
