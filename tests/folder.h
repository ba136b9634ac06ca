/* A folder for the files of one test program, gone after its tests. */
#ifndef HISS_TESTS_FOLDER_H
#define HISS_TESTS_FOLDER_H

#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"

static char folder[] = "/tmp/hiss-test-XXXXXX";

static inline char *in_folder(const char *name) { return path_join(folder, name); }

static inline char *write_in_folder(const char *name, const char *text) {
    char *path = in_folder(name);
    file_write(path, text, strlen(text));
    return path;
}

static inline int make_folder(void **state) {
    (void) state;
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state) {
    (void) state;
    scope_begin();
    const int code = system(format("rm -rf '%s'", folder));
    scope_end();
    return code;
}

#endif
