/* Files of weights that are damaged or meant to do harm: each is a clear error that names the file. */
#ifndef HISS_TESTS_REFUSED_H
#define HISS_TESTS_REFUSED_H

#include "test.h"

#include <string.h>

#include "base/scope.h"
#include "store/store.h"

typedef struct {
    const void *data;
    size_t size;
    const char *path;
} input;

static inline void read_all(void *argument) {
    const input *in = argument;
    store *s = in->path ? store_open(in->path) : store_open_memory(in->data, in->size, "FILE", true);
    for (size_t i = 0; i < store_count(s); i++) {
        scope_begin();
        tensor *t = store_read(s, store_at(s, i)->name);
        volatile uint8_t sum = 0;
        for (size_t k = 0; k < tensor_bytes(t); k++) sum ^= ((uint8_t *) t->data)[k];
        scope_end();
    }
}

/* Whether it was read; if not, the error is one about the file's contents. */
static inline bool survives(const void *data, size_t size) {
    hiss_error error = {0};
    input in = {data, size, NULL};
    scope_begin();
    bool read = try_run(read_all, &in, &error);
    scope_end();
    if (!read) {
        if (error.code != HISS_ERROR_FORMAT || !strstr(error.message, "FILE")) print_error("%s\n", error.message);
        assert_int_equal(error.code, HISS_ERROR_FORMAT);
        assert_non_null(strstr(error.message, "FILE"));
    }
    return read;
}

static inline void assert_refused(const void *data, size_t size, const char *why) {
    hiss_error error = {0};
    input in = {data, size, NULL};
    scope_begin();
    bool read = try_run(read_all, &in, &error);
    scope_end();
    if (read || !strstr(error.message, why))
        print_error("expected '%s', got '%s'\n", why, read ? "no error" : error.message);
    assert_false(read);
    assert_non_null(strstr(error.message, why));
}

static inline void assert_path_refused(const char *path, const char *why) {
    hiss_error error = {0};
    input in = {.path = path};
    bool read = try_run(read_all, &in, &error);
    if (read || !strstr(error.message, why))
        print_error("expected '%s', got '%s'\n", why, read ? "no error" : error.message);
    assert_false(read);
    assert_non_null(strstr(error.message, why));
}

#endif
