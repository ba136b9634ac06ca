#include "systems/shipped.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"

/* From the folder of the library or the program: installed (bin, lib, or lib/TRIPLET as Debian has it), or built in its source tree. */
static const char *const PLACES[] = {"../share/hiss/models", "../../share/hiss/models", "../models"};
enum { PLACE_COUNT = 3, MOST_PLACES = 1 + 2 * PLACE_COUNT };

static const char *program_path(void) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return NULL;
    path[length] = 0;
    return copy_string(path);
}

/* The shared library that this is in; NULL: it is part of the program. */
static const char *library_path(void) {
    Dl_info info;
    struct link_map *map;
    char path[PATH_MAX];
    if (!dladdr1(&PLACES, &info, (void **) &map, RTLD_DL_LINKMAP) || !*map->l_name) return NULL;
    return realpath(map->l_name, path) ? copy_string(path) : NULL;
}

/* Where NAME may be, in the order of looking; the number of places. */
static int places_of(const char *name, const char *paths[MOST_PLACES]) {
    const char *named = getenv("HISS_MODELS"), *beside[] = {library_path(), program_path()};
    int n = 0;
    if (named && *named) paths[n++] = path_join(named, name);
    for (int i = 0; i < 2; i++)
        for (int k = 0; beside[i] && k < PLACE_COUNT; k++)
            paths[n++] = path_join(path_join(path_folder(beside[i]), PLACES[k]), name);
    return n;
}

const char *shipped_find(const char *name) {
    const char *paths[MOST_PLACES];
    int n = places_of(name, paths);
    for (int i = 0; i < n; i++)
        if (folder_exists(paths[i])) return paths[i];
    return NULL;
}

const char *shipped_model(const char *name) {
    const char *found = shipped_find(name), *paths[MOST_PLACES], *seen = "";
    if (found) return found;
    int n = places_of(name, paths);
    for (int i = 0; i < n; i++) seen = format("%s%s%s", seen, i ? ", " : "", paths[i]);
    fail(HISS_ERROR_FILE, "the model '%s' is not there: looked at %s; set HISS_MODELS to the folder that holds it",
         name, n ? seen : "nothing");
}

const char *model_named(const char *path) {
    const char *name = starts_with(path, "models/") ? path + strlen("models/") : path;
    if (!*name || *name == '.' || strchr(name, '/') || file_exists(path) || folder_exists(path)) return path;
    const char *found = shipped_find(name);
    return found ? found : path;
}

const char *shipped_sound(void) {
    const char *few = shipped_find("sound-few-step");
    return few ? few : shipped_find("sound");
}
