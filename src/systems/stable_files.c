/* See stable_files.h. */
#include "systems/stable_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"
#include "systems/shipped.h"

static bool has_file(const char *folder, const char *name) { return file_exists(path_join(folder, name)); }

const char *stable_kind(config settings) {
    const char *type = config_string(settings, "model_type", NULL);
    return type ? type : config_string(settings, "_class_name", NULL);
}

/* --- where a text encoder may be --- */

enum { MOST_PLACES = 8 };

/* Folders where it may be, in the order of looking. */
static int text_places(const stable_files *f, const char *name, const char *places[MOST_PLACES]) {
    int n = 0;
    places[n++] = path_join(f->folder, "text_encoder");
    if (!name) return n;
    const char *shipped = shipped_find(name);
    places[n++] = path_join(f->folder, name);
    places[n++] = path_join(path_join(f->folder, ".."), name);
    places[n++] = path_join(path_join(f->folder, "../.."), name);
    if (shipped) places[n++] = shipped;
    return n;
}

static bool is_text_encoder(const char *folder) { return has_file(folder, "config.json"); }

/* "google/flan-t5-base" lies in flan-t5-base. */
static const char *last_of(const char *name) {
    const char *last = name ? strrchr(name, '/') : NULL;
    return last ? last + 1 : name;
}

/* What to say of it beside other parts that are missing; "" where it is there. */
static const char *text_missing(const stable_files *f, const char *name) {
    const char *places[MOST_PLACES], *looked = "";
    const int n = text_places(f, last_of(name), places);
    for (int i = 0; i < n; i++) {
        if (is_text_encoder(places[i])) return "";
        looked = format("%s%s%s", looked, i ? ", " : "", places[i]);
    }
    return format("; its text encoder %s is missing too: looked at %s", name ? name : "(T5)", looked);
}

/* The text encoder that a native configuration names; NULL: none. */
static const char *named_text(config settings) {
    const config part = config_has(settings, "model") ? config_get(settings, "model") : settings;
    if (!config_has(part, "conditioning")) return NULL;
    const json_t *list = json_object_get(config_get(part, "conditioning").value, "configs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *type = json_string_value(json_object_get(one, "type")),
                   *name = json_string_value(json_object_get(json_object_get(one, "config"), "t5_model_name"));
        if (type && !strcmp(type, "t5")) return name ? name : "t5-base";
    }
    return NULL;
}

/* --- weights --- */

static const char *native_weights(const char *folder) {
    static const char *const NAMES[] = {"model.safetensors.index.json", "model.safetensors", "model.ckpt",
                                        "vae_model.safetensors", "vae_model.ckpt"};
    const char *looked = "", *only = NULL;
    int found = 0;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (has_file(folder, NAMES[i])) return i ? path_join(folder, NAMES[i]) : folder;
        looked = format("%s%s%s", looked, i ? ", " : "", NAMES[i]);
    }
    for (char **name = folder_list(folder); *name; name++)
        if (ends_with(*name, ".safetensors") || ends_with(*name, ".ckpt")) found++, only = path_join(folder, *name);
    if (found == 1) return only;
    if (found) fail(HISS_ERROR_ARGUMENT, "%s holds several files of weights: name the one you mean", folder);
    const char *text = named_text(config_load(path_join(folder, "model_config.json")));
    const stable_files f = {.folder = folder};
    fail(HISS_ERROR_FILE,
         "%s holds a model_config.json but no weights: looked for %s and for one other .safetensors or "
         ".ckpt%s",
         folder, looked, text ? text_missing(&f, text) : "");
}

/* A model_config.json of stable-audio-tools, not another program's. */
static bool is_native(const char *settings) {
    return file_exists(settings) && config_has(config_load(settings), "model_type");
}

static bool find_beside(const char *file, stable_files *to) {
    const char *extension = path_extension(file), *folder = path_folder(file), *stem = path_stem(file);
    static const char *const KINDS[] = {".safetensors", ".ckpt", ".pt", ".pth", ".bin"};
    bool weights = false;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) weights = weights || !strcmp(extension, KINDS[i]);
    const char *const settings[] = {format("%s.json", stem), format("%s_config.json", stem), "model_config.json"};
    for (size_t i = 0; weights && i < sizeof settings / sizeof *settings; i++) {
        const char *path = path_join(folder, settings[i]);
        if (!is_native(path)) continue;
        *to = (stable_files){false, folder, file, path};
        return true;
    }
    return false;
}

static bool find_diffusers(const char *folder, stable_files *to) {
    static const struct {
        const char *settings, *class, *weights; /* a folder in it, or "" */
    } KINDS[] = {{"model_index.json", "StableAudioPipeline", "transformer"}, {"config.json", "AutoencoderOobleck", ""}};
    for (int i = 0; i < 2; i++) {
        const char *settings = path_join(folder, KINDS[i].settings);
        if (!file_exists(settings)) continue;
        const char *class = config_string(config_load(settings), "_class_name", "");
        if (strcmp(class, KINDS[i].class) != 0) continue;
        *to = (stable_files){true, folder, *KINDS[i].weights ? path_join(folder, KINDS[i].weights) : folder, settings};
        return true;
    }
    return false;
}

bool stable_files_find(const char *path, stable_files *to) {
    if (!folder_exists(path)) return file_exists(path) && find_beside(path, to);
    const char *settings = path_join(path, "model_config.json");
    if (is_native(settings)) {
        *to = (stable_files){false, path, native_weights(path), settings};
        return true;
    }
    return find_diffusers(path, to);
}

static bool has_weights(const char *folder) {
    static const char *const ENDS[] = {".safetensors", ".safetensors.index.json", ".bin", ".ckpt", ".pt", ".pth"};
    if (!folder_exists(folder)) return false;
    for (char **name = folder_list(folder); *name; name++)
        for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
            if (ends_with(*name, ENDS[i])) return true;
    return false;
}

void stable_check_parts(const stable_files *f, const char *const *parts, bool text) {
    const char *missing = "";
    int count = 0;
    for (; *parts; parts++) {
        const bool settings = has_file(path_join(f->folder, *parts), "config.json"),
                   weights = has_weights(path_join(f->folder, *parts));
        if (settings && weights) continue;
        missing = format("%s%s%s/%s%s%s", missing, count++ ? ", " : "", *parts, settings ? "" : "config.json",
                         settings || weights ? "" : " and ", weights ? "" : "weights (a .safetensors or .bin)");
    }
    if (count)
        fail(HISS_ERROR_FILE, "%s: parts of the model are missing: looked for %s%s", f->folder, missing,
             text ? text_missing(f, NULL) : "");
}

/* --- the text encoder, found --- */

stable_text_files stable_text_find(const stable_files *f, const char *name, const char *given) {
    const char *own = path_join(f->folder, "tokenizer"), *tokenizer = folder_exists(own) ? own : NULL;
    if (given) {
        if (!is_text_encoder(given))
            fail(HISS_ERROR_FILE, "--text-encoder %s: not a folder with a T5: config.json is not there", given);
        return (stable_text_files){given, NULL};
    }
    const char *places[MOST_PLACES], *looked = "";
    const int n = text_places(f, last_of(name), places);
    for (int i = 0; i < n; i++) {
        if (is_text_encoder(places[i])) return (stable_text_files){places[i], i ? NULL : tokenizer};
        looked = format("%s%s%s", looked, i ? ", " : "", places[i]);
    }
    fail(HISS_ERROR_FILE,
         "%s: its text encoder %s is missing: looked at %s; put its folder (config.json, weights, "
         "tokenizer.json or spiece.model) there or name it by --text-encoder",
         f->folder, name ? name : "(T5)", looked);
}

static void link_to(const char *link, const char *place) {
    char *whole = realpath(place, NULL);
    if (!whole) return;
    if (symlink(whole, link) && errno != EEXIST) warn("%s: cannot be linked to %s", link, whole);
    free(whole);
}

void stable_text_link(const stable_files *f, config settings, const char *out) {
    const char *name = named_text(settings), *places[MOST_PLACES], *tokenizer = path_join(f->folder, "tokenizer");
    const int n = name ? text_places(f, last_of(name), places) : 0;
    for (int i = 0; i < n; i++) {
        if (!is_text_encoder(places[i])) continue;
        const bool apart = i == 0 && folder_exists(tokenizer);
        link_to(path_join(out, apart ? "text_encoder" : last_of(name)), places[i]);
        if (apart) link_to(path_join(out, "tokenizer"), tokenizer);
        return;
    }
}
