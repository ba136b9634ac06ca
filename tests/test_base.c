/* Scopes, errors, files, JSON, text. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mapped.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/scope.h"
#include "base/text.h"
#include "test.h"

/* A folder of this test's own, removed with what is in it at the end. */
static char folder[64];

static const char *in_folder(const char *name) { return path_join(folder, name); }

static size_t names_in_folder(void) {
    size_t n = 0;
    for (char **names = folder_list(folder); names[n]; n++) {
    }
    return n;
}

static int set_up(void **state) {
    (void) state;
    strcpy(folder, "/tmp/hiss-test-base-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void) state;
    for (char **name = folder_list(folder); *name; name++) remove(in_folder(*name));
    return rmdir(folder);
}

static void expect_error(void (*body)(void *), void *argument, hiss_code code, const char *part) {
    hiss_error error;
    size_t before = memory_in_use();
    assert_false(try_run(body, argument, &error));
    assert_int_equal(error.code, code);
    if (!strstr(error.message, part)) print_error("\"%s\" is not in \"%s\"\n", part, error.message);
    assert_non_null(strstr(error.message, part));
    assert_int_equal(memory_in_use(), before);
}

static int closed[8], closings;
static void note_closing(void *handle) { closed[closings++] = (int) (intptr_t) handle; }
static void defer_number(int n) { defer(note_closing, (void *) (intptr_t) n); }

static void test_blocks_are_aligned_and_apart(void **state) {
    (void) state;
    scope_begin();
    uint8_t *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        blocks[i] = alloc(i * i);
        assert_int_equal((uintptr_t) blocks[i] % 64, 0);
        memset(blocks[i], (int) i, i * i);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k < i * i; k++) assert_int_equal(blocks[i][k], (uint8_t) i);
    int64_t *zero = NEW_ARRAY(int64_t, 5000);
    for (size_t i = 0; i < 5000; i++) assert_int_equal(zero[i], 0);
    scope_end();
}

static void test_scopes_free_and_defer(void **state) {
    (void) state;
    size_t before = memory_in_use();
    closings = 0;
    scope_begin();
    defer_number(1);
    scope_begin();
    defer_number(2);
    defer_number(3);
    alloc(100000);
    assert_true(memory_in_use() > before + 100000);
    scope_end_merge();
    assert_int_equal(closings, 0);
    scope_begin();
    defer_number(4);
    scope_end();
    assert_int_equal(closings, 1);
    scope_end();
    assert_int_equal(closings, 4);
    assert_int_equal(closed[0], 4);
    assert_int_equal(closed[1], 3);
    assert_int_equal(closed[2], 2);
    assert_int_equal(closed[3], 1);
    assert_int_equal(memory_in_use(), before);
}

static void test_blocks_move_and_go(void **state) {
    (void) state;
    scope *outer = scope_begin();
    size_t before = memory_in_use();
    scope_begin();
    char *large = alloc(200000), *small = copy_string("small"), *gone = alloc(1 << 20);
    memset(large, 7, 200000);
    block_release(gone);
    char *kept = block_move(large, outer);
    assert_ptr_equal(kept, large);
    small = block_move(small, outer);
    scope_end();
    assert_string_equal(small, "small");
    for (int i = 0; i < 200000; i++) assert_int_equal(kept[i], 7);
    block_release(kept);
    assert_true(memory_in_use() <= before + 100);
    scope_end();
}

static void test_merged_scopes_are_homes(void **state) {
    (void) state;
    size_t before = memory_in_use();
    scope_begin();
    scope *home = scope_begin();
    copy_string("something to keep");
    scope_end_merge();
    scope *here = scope_switch(home);
    assert_ptr_equal(scope_current(), here);
    alloc(100000);
    scope_switch(here);
    char *moved = alloc(100000);
    block_move(moved, home);
    scope_end();
    assert_int_equal(memory_in_use(), before);
}

static void test_memory_peak(void **state) {
    (void) state;
    memory_peak_reset();
    size_t before = memory_peak();
    for (int i = 0; i < 10; i++) {
        scope_begin();
        alloc(8 << 20);
        scope_end();
    }
    size_t grown = memory_peak() - before;
    assert_true(grown >= 8 << 20 && grown < 12 << 20);
    memory_trim();
}

static void test_scope_of_its_own(void **state) {
    (void) state;
    closings = 0;
    scope *own = scope_create();
    scope_begin();
    scope *before = scope_switch(own);
    char *text = format("%s %d", "kept", 5);
    defer_number(9);
    scope_switch(before);
    scope_end();
    assert_string_equal(text, "kept 5");
    assert_int_equal(closings, 0);
    scope_destroy(own);
    assert_int_equal(closings, 1);
}

static void *use_thread(void *unused) {
    (void) unused;
    scope_begin();
    alloc(50000);
    return copy_string("in a scope that the thread never ended") ? NULL : NULL;
}

static void test_threads_leave_nothing(void **state) {
    (void) state;
    size_t before = memory_in_use();
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, use_thread, NULL), 0);
        pthread_join(thread, NULL);
    }
    assert_int_equal(memory_in_use(), before);
}

static void fail_deep(void *depth);
static void (*volatile deeper)(void *depth) = fail_deep; /* volatile: the compiler warns of a recursion without end */

static void fail_deep(void *depth) {
    scope_begin();
    alloc(30000);
    defer_number((int) (intptr_t) depth);
    if (depth) deeper((void *) ((uintptr_t) depth - 1));
    scope_switch(scope_parent(scope_parent(scope_current()))); /* an error may come while another scope is current */
    fail(HISS_ERROR_FORMAT, "model.pt: tensor \"%s\" is cut off", "a.weight");
}

static void catch_and_raise(void *unused) {
    (void) unused;
    hiss_error error;
    if (!try_run(fail_deep, (void *) 2, &error)) fail_again(&error);
}

static void test_errors_unwind(void **state) {
    (void) state;
    closings = 0;
    scope *here = scope_current();
    expect_error(catch_and_raise, NULL, HISS_ERROR_FORMAT, "model.pt: tensor \"a.weight\" is cut off");
    assert_ptr_equal(scope_current(), here);
    assert_int_equal(closings, 3);
    assert_int_equal(closed[0], 0);
}

static void succeed(void *argument) {
    *(char **) argument = copy_string("kept");
    scope_end_merge();
    scope_begin();
    defer_number(1);
}

static void test_success_keeps(void **state) {
    (void) state;
    char *text = NULL;
    hiss_error error;
    closings = 0;
    scope_begin();
    assert_true(try_run(succeed, &text, &error));
    assert_int_equal(error.code, HISS_OK);
    assert_string_equal(text, "kept");
    assert_int_equal(closings, 1);
    scope_end();
}

static void fail_long(void *unused) {
    (void) unused;
    char text[4000] = "";
    for (int i = 0; i < 900; i++) strcat(text, "\u00e9");
    fail(HISS_ERROR_ARGUMENT, "x%s", text);
}
static void fail_bug(void *unused) { require(unused != NULL); }
static void fail_size(void *unused) { alloc_zero(SIZE_MAX / 2, unused ? 1 : 3); }
static void fail_huge(void *unused) { alloc(unused ? 1 : (size_t) 1 << 45); }

static void test_messages(void **state) {
    (void) state;
    hiss_error error;
    assert_false(try_run(fail_long, NULL, &error));
    size_t length = strlen(error.message);
    assert_int_equal(length % 2, 1); /* x and whole characters of two bytes */
    assert_true(length > 1000);
    expect_error(fail_bug, NULL, HISS_ERROR_INTERNAL, "not met");
    expect_error(fail_size, NULL, HISS_ERROR_MEMORY, "out of memory");
#ifndef HISS_SANITIZE
    expect_error(fail_huge, NULL, HISS_ERROR_MEMORY, "out of memory");
#else
    (void) fail_huge;
#endif
}

static char warned[100];
static void note_warning(const char *message) { snprintf(warned, sizeof warned, "%s", message); }

static void test_warnings(void **state) {
    (void) state;
    warn("nobody listens to %d", 1);
    warn_to(note_warning);
    warn("%s is skipped", "a.wav");
    warn_to(NULL);
    assert_string_equal(warned, "a.wav is skipped");
}

static void test_paths(void **state) {
    (void) state;
    assert_string_equal(path_join("a", "b"), "a/b");
    assert_string_equal(path_join("a/", "b"), "a/b");
    assert_string_equal(path_join("a", "/b"), "/b");
    assert_string_equal(path_extension("x/y.tar.WAV"), ".wav");
    assert_string_equal(path_extension("x.y/z"), "");
    assert_string_equal(path_extension(".hidden"), "");
    assert_string_equal(path_name("x/y.wav"), "y.wav");
    assert_string_equal(path_stem("x/y.b.wav"), "y.b");
    assert_string_equal(path_folder("x/y.wav"), "x");
    assert_string_equal(path_folder("x//y/"), "x");
    assert_string_equal(path_folder("y.wav"), ".");
    assert_string_equal(path_folder("/y.wav"), "/");
}

static void write_half(void *path) {
    writer *w = writer_open(path);
    for (int i = 0; i < 10000; i++) writer_print(w, "line %d\n", i);
    fail(HISS_ERROR_INTERRUPTED, "stopped");
}

static void test_writer(void **state) {
    (void) state;
    const char *path = in_folder("out.txt");
    expect_error(write_half, (void *) path, HISS_ERROR_INTERRUPTED, "stopped");
    assert_int_equal(names_in_folder(), 0);
    scope_begin();
    writer *w = writer_open(path);
    writer_put(w, "abc", 3);
    char big[100001];
    memset(big, 'x', 100000);
    big[100000] = 0;
    writer_print(w, "%s", big);
    assert_false(file_exists(path));
    assert_true(file_exists(writer_path(w)));
    writer_commit(w);
    scope_end();
    assert_int_equal(names_in_folder(), 1);
    bytes read = file_read(path, 1 << 20), mapped = file_map(path);
    assert_int_equal(read.size, 100003);
    assert_int_equal(mapped.size, 100003);
    assert_memory_equal(read.data, mapped.data, mapped.size);
    assert_memory_equal(read.data, "abcxxx", 6);
    file_write(path, "", 0);
    assert_int_equal(file_map(path).size, 0);
    assert_int_equal(file_read(path, 0).data[0], 0);
    file_write("/dev/null", "x", 1);
}

/* Another program cuts a file while it is mapped: who reads it goes on, on every thread, and then fails with its name; nothing made of it
 * takes its place. Without the guard this test ends by SIGBUS. */
enum { CUT_SIZE = 1 << 20 };

static void cut_and_read(const char *path) {
    char *whole = NEW_ARRAY(char, CUT_SIZE);
    memset(whole, 'x', CUT_SIZE);
    file_write(path, whole, CUT_SIZE);
    const bytes mapped = file_map(path);
    assert_int_equal(truncate(path, 100), 0);
    int64_t found = 0;
#pragma omp parallel for reduction(+ : found)
    for (int i = 0; i < CUT_SIZE; i++) found += mapped.data[i] == 'x';
    assert_int_equal(found, 100);
}

static void read_cut(void *path) { cut_and_read(path); }

static void write_of_cut(void *path) {
    cut_and_read(path);
    file_write(in_folder("made.txt"), "of zeros", 8);
}

static void progress_of_cut(void *path) {
    cut_and_read(path);
    progress("working", 1, 2);
    fail(HISS_ERROR_INTERNAL, "went on");
}

static void fail_of_cut(void *path) {
    cut_and_read(path);
    fail(HISS_ERROR_FORMAT, "these zeros are no model");
}

static void test_cut_while_mapped(void **state) {
    (void) state;
    void (*const bodies[])(void *) = {read_cut, write_of_cut, progress_of_cut, fail_of_cut};
    mapped_guard();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        expect_error(bodies[i], (void *) in_folder("cut.bin"), HISS_ERROR_FILE, "cut.bin: was cut short");
    assert_false(file_exists(in_folder("made.txt")));
    mapped_check(); /* told, and unmapped */
}

static void test_links_are_followed(void **state) {
    (void) state;
    const char *link = in_folder("link"), *target = in_folder("target");
    file_write(target, "old", 3);
    assert_int_equal(symlink(target, link), 0);
    file_write(link, "new", 3);
    struct stat about;
    assert_int_equal(lstat(link, &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    assert_memory_equal(file_read(target, 10).data, "new", 3);
}

static void read_it(void *path) { file_read(path, 4); }
static void map_it(void *path) { file_map(path); }
static void write_it(void *path) { file_write(path, "0123456789", 10); }
static void check_it(void *path) { folder_check_writable(path); }
static void list_it(void *path) { folder_list(path); }
static void make_it(void *path) { folder_make(path); }

static void test_bad_files(void **state) {
    (void) state;
    char *missing = (char *) in_folder("missing"), *big = (char *) in_folder("big");
    file_write(big, "0123456789", 10);
    expect_error(read_it, missing, HISS_ERROR_FILE, "missing: cannot be opened: No such file");
    expect_error(map_it, missing, HISS_ERROR_FILE, "missing: cannot be opened: No such file");
    expect_error(map_it, folder, HISS_ERROR_FILE, "is a folder");
    expect_error(read_it, big, HISS_ERROR_FORMAT, "more than the 4 expected");
    expect_error(write_it, folder, HISS_ERROR_FILE, "is a folder");
    expect_error(write_it, path_join(missing, "x"), HISS_ERROR_FILE, "there is no folder");
    expect_error(check_it, missing, HISS_ERROR_FILE, "there is no such folder");
    expect_error(list_it, missing, HISS_ERROR_FILE, "cannot be opened");
    expect_error(make_it, path_join(big, "x"), HISS_ERROR_FILE, "cannot be made");
    folder_check_writable(folder);
    char *deep = path_join(missing, "a/b");
    folder_make(deep);
    folder_make(deep);
    assert_true(folder_exists(deep) && !file_exists(deep));
    for (char *path = deep; strcmp(path, folder) != 0; path = path_folder(path)) assert_int_equal(rmdir(path), 0);
}

static void test_full_disk(void **state) {
    (void) state;
    char *path = (char *) in_folder("full");
    file_write(path, "old", 3);
    fault_after(FAULT_WRITE, 0);
    file_write(path, "old", 3);
    long events = fault_count(FAULT_WRITE);
    assert_true(events >= 3);
    for (long n = 1; n <= events; n++) {
        fault_after(FAULT_WRITE, n);
        expect_error(write_it, path, HISS_ERROR_FILE, "full: the disk is full");
        assert_memory_equal(file_read(path, 10).data, "old", 4);
        assert_int_equal(names_in_folder(), 1);
    }
    fault_after(FAULT_WRITE, 0);
    assert_int_equal(access("/dev/full", W_OK), 0);
    expect_error(write_it, "/dev/full", HISS_ERROR_FILE, "the disk is full");
}

static config parse(const char *text) { return config_parse(text, strlen(text), "c.json"); }

static void test_json(void **state) {
    (void) state;
    config c = parse("{\"a\": {\"n\": 3, \"x\": 0.5, \"s\": \"text\", \"t\": true, \"none\": null}, \"l\": [1, 2.5]}");
    config a = config_get(c, "a");
    assert_int_equal(config_int(a, "n", 1, 0, 5), 3);
    assert_int_equal(config_int(a, "m", 1, 0, 5), 1);
    assert_true(config_number(a, "x", 0, 0, 1) == 0.5);
    assert_string_equal(config_string(a, "s", ""), "text");
    assert_true(config_bool(a, "t", false));
    assert_false(config_has(a, "none"));
    size_t n;
    double *l = config_numbers(c, "l", 2, &n);
    assert_int_equal(n, 2);
    assert_true(l[1] == 2.5);
    assert_int_equal(config_count(c), 2);
    assert_string_equal(config_at(config_get(c, "l"), 1).where, "c.json: l[1]");
    json_t *o = json_make_object();
    json_object_set_new(o, "k", json_real(0.1));
    assert_non_null(strstr(json_text(o), "\"k\": 0.1"));
}

/* Messages about a file tell the line of the key, or of the object that lacks it. */
static void only_known(void *c) {
    static const char *const KNOWN[] = {"gain", "pan", NULL};
    config_only(*(config *) c, KNOWN);
}

static void too_wide(void *c) { config_number(*(config *) c, "pan", 0, -1, 1); }

static void need_prompt(void *c) { config_need_string(*(config *) c, "prompt"); }

static void test_json_lines(void **state) {
    (void) state;
    const char *text =
        "{\n \"a.b\": {\"c\": \"}\\\"]\"},\n \"a\": [[],\n  {\"gain\": 1,\n   \"pan\": 3,\n   \"gian\": 2}]}";
    config c = parse(text);
    c.text = text;
    config inner = config_at(config_get(c, "a"), 1);
    expect_error(only_known, &inner, HISS_ERROR_FORMAT, "c.json: a[1].gian (line 6): is not a known setting; did you");
    expect_error(too_wide, &inner, HISS_ERROR_FORMAT, "c.json: a[1].pan (line 5): is 3");
    expect_error(need_prompt, &inner, HISS_ERROR_FORMAT, "c.json: a[1].prompt (line 4): is missing");
    expect_error(need_prompt, &c, HISS_ERROR_FORMAT, "c.json: prompt: is missing");
    assert_string_equal(config_place(config_get(config_get(c, "a.b"), "c")), "c.json: a.b.c (line 2)");
}

static void bad_json(void *text) { parse(text); }
static void bad_range(void *text) { config_int(config_get(parse(text), "a"), "n", 0, 0, 2); }
static void bad_need(void *text) { config_need_string(parse(text), "name"); }
static void bad_key(void *text) { config_only(parse(text), (const char *const[]){"layers", "channels", NULL}); }
static void bad_list(void *text) {
    size_t n;
    config_numbers(parse(text), "l", 2, &n);
}

static void test_bad_json(void **state) {
    (void) state;
    expect_error(bad_json, "{\"a\": ", HISS_ERROR_FORMAT, "c.json: line 1");
    expect_error(bad_json, "{\"a\": 1, \"a\": 2}", HISS_ERROR_FORMAT, "duplicate");
    expect_error(bad_range, "{\"a\": {\"n\": 3}}", HISS_ERROR_FORMAT, "c.json: a.n: is 3, should be from 0 to 2");
    expect_error(bad_range, "{\"a\": {\"n\": \"3\"}}", HISS_ERROR_FORMAT, "c.json: a.n: should be a whole number");
    expect_error(bad_range, "{\"a\": {\"n\": 1e300}}", HISS_ERROR_FORMAT, "should be a whole number");
    expect_error(bad_range, "{\"a\": [1]}", HISS_ERROR_FORMAT, "c.json: a: should be an object");
    expect_error(bad_need, "{}", HISS_ERROR_FORMAT, "c.json: name: is missing");
    expect_error(bad_key, "{\"layer\": 1}", HISS_ERROR_FORMAT, "did you mean 'layers'?");
    expect_error(bad_list, "{\"l\": [1, 2, 3]}", HISS_ERROR_FORMAT, "at most 2");
    expect_error(bad_list, "{\"l\": [1, \"x\"]}", HISS_ERROR_FORMAT, "c.json: l[1]: should be a number");
}

static void test_suggest(void **state) {
    (void) state;
    const char *const names[] = {"ddim", "ddpm", "dpmpp-2m", "euler", "heun"};
    assert_non_null(strstr(suggest("dpm", names, 5), "'dpmpp-2m'"));
    assert_non_null(strstr(suggest("eluer", names, 5), "did you mean 'euler'?"));
    assert_non_null(strstr(suggest("EULER", names, 5), "did you mean 'euler'?"));
    assert_string_equal(suggest("xylophone", names, 2), "known: ddim, ddpm");
    assert_string_equal(suggest("x", names, 0), "");
}

static void test_text(void **state) {
    (void) state;
    double d = 7;
    long long l = 7;
    assert_true(parse_double("1e-3", 0, 1, &d) && d == 1e-3);
    assert_false(parse_double("2", 0, 1, &d) || parse_double("nan", 0, 1, &d) || parse_double("0.5s", 0, 1, &d));
    assert_true(d == 1e-3);
    assert_true(parse_long("-12", -20, 0, &l) && l == -12);
    assert_false(parse_long("99999999999999999999", 0, INT64_MAX, &l) || parse_long("", 0, 9, &l));
    size_t n;
    char **pieces = split(" a, b b ,,c", ',', &n);
    assert_int_equal(n, 4);
    assert_string_equal(pieces[0], "a");
    assert_string_equal(pieces[1], "b b");
    assert_string_equal(pieces[2], "");
    assert_string_equal(pieces[3], "c");
    assert_null(pieces[4]);
    assert_true(starts_with("abc", "ab") && ends_with("abc", "bc") && !ends_with("c", "bc"));
}

static void test_threads_and_cpu(void **state) {
    (void) state;
    threads_set(2);
    assert_int_equal(threads_get(), 2);
    threads_set(0);
    assert_true(threads_get() >= 1);
    assert_true(cpu()->name[0] != 0);
    if (cpu()->avx512) assert_true(cpu()->avx2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_apart),
        cmocka_unit_test(test_scopes_free_and_defer),
        cmocka_unit_test(test_blocks_move_and_go),
        cmocka_unit_test(test_merged_scopes_are_homes),
        cmocka_unit_test(test_memory_peak),
        cmocka_unit_test(test_scope_of_its_own),
        cmocka_unit_test(test_threads_leave_nothing),
        cmocka_unit_test(test_errors_unwind),
        cmocka_unit_test(test_success_keeps),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_paths),
        cmocka_unit_test_setup_teardown(test_writer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_while_mapped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_links_are_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_suggest),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_threads_and_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
