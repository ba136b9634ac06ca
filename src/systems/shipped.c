#include "systems/shipped.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"

/* The folder of the running program, or NULL. */
static const char *program_folder(void) {
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return NULL;
    path[length] = 0;
    return path_folder(path);
}

const char *shipped_model(const char *name) {
    const char *named = getenv("HISS_MODELS"), *program = program_folder(), *places[4] = {0};
    int n = 0;
    if (named && *named) places[n++] = named;
    if (program) places[n++] = path_join(program, "../share/hiss/models");
    if (program) places[n++] = path_join(program, "../models");
    const char *seen = "";
    for (int i = 0; i < n; i++) {
        char *path = path_join(places[i], name);
        if (folder_exists(path)) return path;
        seen = format("%s%s%s", seen, i ? ", " : "", path);
    }
    fail(HISS_ERROR_FILE, "the model '%s' is not there: looked at %s; set HISS_MODELS to the folder that holds it",
         name, n ? seen : "nothing");
}
