/* What the fuzz targets of readers share: a clear error or none; and for readers that take a path, the bytes as a file. */
#ifndef HISS_TESTS_FUZZ_FILE_H
#define HISS_TESTS_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"

static inline void fuzz_try(void (*read)(void *), void *argument) {
    hiss_error error;
    scope_begin();
    if (!try_run(read, argument, &error) && (error.code == HISS_ERROR_INTERNAL || !error.message[0])) __builtin_trap();
    scope_end();
}

/* read: gets the path of a file that holds the bytes and ends in `ending`. */
static inline void fuzz_try_file(void (*read)(void *), const char *ending, const uint8_t *data, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/hiss-fuzz-%ld%s", (long) getpid(), ending);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) __builtin_trap();
    fuzz_try(read, path);
    unlink(path);
}

#endif
