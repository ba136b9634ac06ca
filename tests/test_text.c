/* Tokenizers: pieces by hand, damaged files; the shipped encoder. */
#include "folder.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "store/store.h"
#include "systems/text_embed.h"
#include "text/tokenizer.h"

static const char *write_words(const char *name, const char *text) {
    const char *path = in_folder(name);
    file_write(path, text, strlen(text));
    return path;
}

static void expect_ids(const tokenizer *t, const char *text, size_t most, const int32_t *ids, size_t n) {
    token_list got = tokenize(t, text, most);
    bool same = got.count == n;
    for (size_t i = 0; same && i < n; i++) same = got.ids[i] == ids[i];
    if (same) return;
    print_error("'%s':", text);
    for (size_t i = 0; i < got.count; i++) print_error(" %d", got.ids[i]);
    print_error("\n");
    assert_true(false);
}
#define EXPECT(t, text, most, ...)                                                                                     \
    expect_ids(t, text, most, (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void test_wordpiece(void **state) {
    (void) state;
    scope_begin();
    const char *path =
        write_words("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nrain\nthe\n##s\n##ing\nrai\n.\n\xe9\x9b\xa8\n");
    tokenizer *t = tokenizer_open(path);
    assert_string_equal(tokenizer_kind(t), "WordPiece");
    assert_int_equal(tokenizer_size(t), 12);
    EXPECT(t, "", 0, 2, 3);
    EXPECT(t, "The RAINS raining.", 0, 2, 6, 5, 7, 5, 8, 10, 3);
    EXPECT(t, "r\xc3\xa4in train", 0, 2, 5, 1, 3); /* marks fall away; no piece begins "train" */
    EXPECT(t, "the\xe9\x9b\xa8rain", 0, 2, 6, 11, 5, 3);
    EXPECT(t, "rain[MASK]rain", 0, 2, 5, 4, 5, 3);
    EXPECT(t, "rain rain rain", 4, 2, 5, 5, 3);
    EXPECT(t, "rain\xff\x01", 0, 2, 5, 3); /* what is no text is dropped */
    const char *texts[] = {"rain", "the rain."};
    token_batch b = tokenize_all(t, texts, 2, 0, 0);
    assert_int_equal(b.width, 5);
    assert_memory_equal(b.ids, ((int32_t[]){2, 5, 3, 0, 0, 2, 6, 5, 10, 3}), 40);
    assert_memory_equal(b.mask->data, ((uint8_t[]){1, 1, 1, 0, 0, 1, 1, 1, 1, 1}), 10);
    scope_end();
}

/* A list of pieces and scores by hand: the best cut is not the longest match. */
static void test_unigram(void **state) {
    (void) state;
    scope_begin();
    const char *path =
        write_words("unigram.json",
                    "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"<unk>\", 0], "
                    "[\"\u2581\", -2], [\"\u2581a\", -1], [\"ab\", -1], [\"abc\", -4], [\"c\", -1.5], [\"b\", -6]]}, "
                    "\"pre_tokenizer\": {\"type\": \"Metaspace\"}}");
    tokenizer *t = tokenizer_open(path);
    EXPECT(t, "abc", 0, 1, 3, 5); /* -4.5: before _a b c, -8.5, and _ abc, -6 */
    EXPECT(t, "a abb", 0, 2, 1, 3, 6);
    EXPECT(t, "xyc", 0, 1, 0, 5); /* a run of unknown characters is one */
    EXPECT(t, "a<unk>a", 0, 2, 0, 2);
    scope_end();
}

static void open_path(void *path) { tokenizer_open(path); }

static void test_errors(void **state) {
    (void) state;
    scope_begin();
    static const struct {
        const char *name, *text, *message;
    } files[] = {
        {"a.txt", "one\ntwo\n", "has no '[UNK]'"},
        {"a.json", "{\"model\": {\"type\": \"Word\"}}", "kind 'Word'"},
        {"b.json", "{}", "tokenizer.json"},
        {"a.model", "\x0a\xff\xff\xff\xff\x7f", "damaged"},
        {"b.model", "\x08\x01", "without pieces"},
        {"c.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": -1}}}", "no possible id"},
        {"d.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": 3}}", "not a vocabulary"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        expect_failure(open_path, (void *) write_words(files[i].name, files[i].text), HISS_ERROR_FORMAT,
                       files[i].message);
    expect_failure(open_path, in_folder("none"), HISS_ERROR_FILE, "none");
    expect_failure(open_path, (void *) write_words("a.bin", "x"), HISS_ERROR_ARGUMENT, "ends in");
    scope_end();
}

/* The shipped encoder against the published one's embeddings (the parity case minilm): its first 15 texts describe sounds. */
static void test_shipped(void **state) {
    (void) state;
    enum { TEXTS = 15 };
    scope_begin();
    config rows = config_load(TEST_DATA "/text/minilm/tokens.json");
    const char *texts[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) texts[i] = config_need_string(config_at(rows, i), "text");
    text_encoder *e = text_encoder_open(SOURCE_FOLDER "/models/text");
    const float *expected = f32(store_read(store_open(TEST_DATA "/text/minilm/io.safetensors"), "out.embedding"));
    const float *got = f32(text_embed(e, texts, TEXTS)), *alone = f32(text_embed(e, texts + 3, 1));
    double sum = 0;
    for (int i = 0; i < TEXTS; i++) {
        double dot = 0;
        for (int k = 0; k < 384; k++) dot += (double) expected[i * 384 + k] * got[i * 384 + k];
        assert_true(1 - dot < 2e-2);
        sum += 1 - dot;
    }
    assert_true(sum / TEXTS < 1e-2);
    for (int k = 0; k < 384; k++) assert_float_equal(alone[k], got[3 * 384 + k], 1e-5); /* padding changes nothing */
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wordpiece), cmocka_unit_test(test_unigram),
                                       cmocka_unit_test(test_errors), cmocka_unit_test(test_shipped)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
