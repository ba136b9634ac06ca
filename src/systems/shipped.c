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

enum { PLACES = 3 };

/* Where NAME may be, in the order of looking; the number of places. */
static int places_of(const char *name, const char *paths[PLACES]) {
    const char *named = getenv("HISS_MODELS"), *program = program_folder();
    int n = 0;
    if (named && *named) paths[n++] = path_join(named, name);
    if (program) paths[n++] = path_join(path_join(program, "../share/hiss/models"), name);
    if (program) paths[n++] = path_join(path_join(program, "../models"), name);
    return n;
}

const char *shipped_find(const char *name) {
    const char *paths[PLACES];
    int n = places_of(name, paths);
    for (int i = 0; i < n; i++)
        if (folder_exists(paths[i])) return paths[i];
    return NULL;
}

const char *shipped_model(const char *name) {
    const char *found = shipped_find(name), *paths[PLACES], *seen = "";
    if (found) return found;
    int n = places_of(name, paths);
    for (int i = 0; i < n; i++) seen = format("%s%s%s", seen, i ? ", " : "", paths[i]);
    fail(HISS_ERROR_FILE, "the model '%s' is not there: looked at %s; set HISS_MODELS to the folder that holds it",
         name, n ? seen : "nothing");
}

const char *shipped_sound(void) {
    const char *few = shipped_find("sound-few-step");
    return few ? few : shipped_find("sound");
}
