/* Reads scene files: two tables of keys, and what must hold between them. */
#include "scene/scene.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/scope.h"
#include "base/text.h"
#include "systems/shipped.h"

enum { MAX_SCENE_BYTES = 1 << 20, MAX_MOMENTS = 4096 };

typedef struct {
    const char *key;
    size_t at;        /* of a double */
    double otherwise; /* for events where beds differ, see BED_DEFAULTS */
    double low, high;
} number_row;

static const number_row SCENE_NUMBERS[] = {
    {"seconds", offsetof(scene, seconds), 30, 0.1, SCENE_MAX_SECONDS},
    {"loudness", offsetof(scene, loudness), -20, -60, -5},
    {"peak", offsetof(scene, peak), -1, -20, 0},
    {"fade_in", offsetof(scene, fade_in), 0.01, 0, 600},
    {"fade_out", offsetof(scene, fade_out), 0.5, 0, 600},
    {"guidance", offsetof(scene, guidance), -1, 0, 100},
};

static const number_row LAYER_NUMBERS[] = {
    {"seconds", offsetof(layer, seconds), 0, 0.02, 600},
    {"start", offsetof(layer, start), 0, 0, SCENE_MAX_SECONDS},
    {"end", offsetof(layer, end), 0, 0, SCENE_MAX_SECONDS},
    {"fade_in", offsetof(layer, fade_in), 0, 0, 600},
    {"fade_out", offsetof(layer, fade_out), 0.02, 0, 600},
    {"cross_fade", offsetof(layer, cross_fade), 1, 0, 60},
    {"width", offsetof(layer, width), 0, 0, 1},
    {"every", offsetof(layer, every), 0, 0.02, SCENE_MAX_SECONDS},
    {"per_minute", offsetof(layer, per_minute), 0, 0.001, 1200},
    {"jitter", offsetof(layer, jitter), 0, 0, 60},
};

static const number_row LAYER_SPANS[] = {
    {"gain", offsetof(layer, gain), 0, -80, 40},
    {"pan", offsetof(layer, pan), 0, -1, 1},
    {"distance", offsetof(layer, distance), 0, 0, 10000},
};

static const struct {
    size_t at;
    double otherwise;
} BED_DEFAULTS[] = {{offsetof(layer, fade_in), 2}, {offsetof(layer, fade_out), 2}, {offsetof(layer, width), 1}};

#define ROWS(table) (sizeof(table) / sizeof *(table))

static double *number_at(void *object, size_t at) { return (double *) ((char *) object + at); }

static void set_defaults(void *object, const number_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) *number_at(object, rows[i].at) = rows[i].otherwise;
}

scene scene_default(void) {
    scene s = {.title = "", .rate = 44100};
    set_defaults(&s, SCENE_NUMBERS, ROWS(SCENE_NUMBERS));
    return s;
}

layer layer_default(layer_kind kind) {
    layer l = {.kind = kind, .takes = kind == LAYER_BED ? 1 : 4};
    set_defaults(&l, LAYER_NUMBERS, ROWS(LAYER_NUMBERS));
    for (size_t i = 0; i < ROWS(BED_DEFAULTS) && kind == LAYER_BED; i++)
        *number_at(&l, BED_DEFAULTS[i].at) = BED_DEFAULTS[i].otherwise;
    return l;
}

/* --- values --- */

static void read_numbers(config c, void *object, const number_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double *number = number_at(object, rows[i].at);
        *number = config_number(c, rows[i].key, *number, rows[i].low, rows[i].high);
    }
}

/* A number, or [low, high]. */
static span read_span(config c, const number_row *row) {
    if (!config_has(c, row->key)) return (span){row->otherwise, row->otherwise};
    const config found = config_get(c, row->key);
    size_t count;
    if (!json_is_array(found.value)) {
        const double value = config_number(c, row->key, 0, row->low, row->high);
        return (span){value, value};
    }
    const double *bounds = config_numbers(c, row->key, 2, &count);
    if (count != 2 || !(bounds[0] >= row->low && bounds[0] <= bounds[1] && bounds[1] <= row->high))
        fail(HISS_ERROR_FORMAT, "%s: give a number, or [low, high], from %g to %g", config_place(found), row->low,
             row->high);
    return (span){bounds[0], bounds[1]};
}

/* Words that are shown or sent to a model: some, on one line. */
static const char *read_words(config c, const char *key) {
    const char *words = config_string(c, key, NULL);
    if (!words) return NULL;
    bool fine = *words && strlen(words) <= SCENE_MAX_NAME && words[strspn(words, " ")];
    for (const char *p = words; *p; p++) fine = fine && (unsigned char) *p >= ' ' && *p != 127;
    if (!fine)
        fail(HISS_ERROR_FORMAT, "%s: give 1 to %d bytes of text on one line", config_place(config_get(c, key)),
             SCENE_MAX_NAME);
    return words;
}

/* --- a layer --- */

static layer_kind read_kind(config c) {
    static const char *const KINDS[] = {"bed", "events"};
    const char *kind = config_string(c, "kind", NULL);
    if (!kind) return config_has(c, "at") || config_has(c, "every") || config_has(c, "per_minute");
    for (int i = 0; i < 2; i++)
        if (!strcmp(kind, KINDS[i])) return (layer_kind) i;
    fail(HISS_ERROR_FORMAT, "%s: '%s' is not known; %s", config_place(config_get(c, "kind")), kind,
         suggest(kind, KINDS, 2));
}

/* Paths in a scene start from its folder. */
static const char *path_from(const char *folder, const char *path) {
    return path && folder && *path != '/' ? path_join(folder, path) : path;
}

/* Where none lies there, the name of a shipped one. */
static const char *model_from(const char *folder, const char *path) {
    const char *there = path_from(folder, path);
    if (!path || file_exists(there) || folder_exists(there)) return there;
    const char *shipped = model_named(path);
    return folder_exists(shipped) ? shipped : there;
}

static void read_source(config c, layer *l, const char *folder) {
    l->place = config_place(c);
    l->prompt = read_words(c, "prompt");
    l->class = read_words(c, "class");
    l->file = read_words(c, "file");
    l->model = model_from(folder, read_words(c, "model"));
    if (!!l->prompt + !!l->class + !!l->file != 1)
        fail(HISS_ERROR_FORMAT, "%s: give one of \"prompt\", \"class\" and \"file\"", config_place(c));
    if (l->file && l->model) fail(HISS_ERROR_FORMAT, "%s: a file needs no model", config_place(config_get(c, "model")));
    l->name = read_words(c, "name");
    if (!l->name) l->name = l->prompt ? l->prompt : l->class ? l->class : path_stem(l->file);
    if (!*l->name) l->name = l->file;
    l->file = path_from(folder, l->file);
}

static void refuse(config c, const char *const *keys, const char *why) {
    for (; *keys; keys++)
        if (config_has(c, *keys)) fail(HISS_ERROR_FORMAT, "%s: %s", config_place(config_get(c, *keys)), why);
}

/* A list of seconds, or one. */
static void read_at(config c, layer *l) {
    if (config_has(c, "at") && json_is_number(config_get(c, "at").value)) {
        l->at = NEW(double);
        *l->at = config_number(c, "at", 0, 0, SCENE_MAX_SECONDS);
        l->at_count = 1;
        return;
    }
    l->at = config_numbers(c, "at", MAX_MOMENTS, &l->at_count);
    for (size_t i = 0; i < l->at_count; i++)
        if (!(l->at[i] >= 0 && l->at[i] <= SCENE_MAX_SECONDS))
            fail(HISS_ERROR_FORMAT, "%s: give seconds from 0 to %g", config_place(config_at(config_get(c, "at"), i)),
                 SCENE_MAX_SECONDS);
}

static void read_moments(config c, layer *l) {
    static const char *const FOR_EVENTS[] = {"at", "every", "per_minute", "jitter", "takes", NULL};
    static const char *const FOR_BEDS[] = {"width", "cross_fade", NULL};
    static const char *const FOR_MOMENTS[] = {"at", "every", "jitter", NULL};
    if (l->kind == LAYER_BED) return refuse(c, FOR_EVENTS, "only events have it; this layer is a bed");
    refuse(c, FOR_BEDS, "only beds have it; this layer is of events");
    if (l->per_minute > 0) return refuse(c, FOR_MOMENTS, "events at a random rate (per_minute) cannot have it");
    read_at(c, l);
    if (!l->at_count && l->every > 0) {
        l->at = NEW(double);
        l->at_count = 1;
    }
    if (!l->at_count)
        fail(HISS_ERROR_FORMAT, "%s: say when its events are: \"at\", \"every\" or \"per_minute\"", config_place(c));
}

static const char *const LAYER_KEYS[] = {
    "name", "prompt",  "class", "file",     "model",      "kind", "seconds", "gain",   "pan",   "distance",   "start",
    "end",  "fade_in", "width", "fade_out", "cross_fade", "at",   "every",   "jitter", "takes", "per_minute", NULL};

static layer read_layer(config c, const char *folder) {
    config_only(c, LAYER_KEYS);
    layer l = layer_default(read_kind(c));
    read_source(c, &l, folder);
    read_numbers(c, &l, LAYER_NUMBERS, ROWS(LAYER_NUMBERS));
    l.gain = read_span(c, &LAYER_SPANS[0]);
    l.pan = read_span(c, &LAYER_SPANS[1]);
    l.distance = read_span(c, &LAYER_SPANS[2]);
    l.takes = l.file ? 1 : config_int(c, "takes", l.takes, 1, SCENE_MAX_TAKES);
    read_moments(c, &l);
    if (l.end > 0 && l.end <= l.start)
        fail(HISS_ERROR_FORMAT, "%s: should be after its start at %g s", config_place(config_get(c, "end")), l.start);
    return l;
}

/* --- the scene --- */

static const char *const SCENE_KEYS[] = {"title",   "seconds",  "rate",  "seed",    "model",    "loudness", "peak",
                                         "fade_in", "fade_out", "steps", "sampler", "guidance", "layers",   NULL};

scene *scene_parse(const char *text, size_t size, const char *name, const char *folder) {
    config c = config_parse(text, size, name);
    c.text = text;
    config_only(c, SCENE_KEYS);
    scene *s = NEW(scene);
    *s = scene_default();
    if (config_has(c, "title")) s->title = read_words(c, "title");
    read_numbers(c, s, SCENE_NUMBERS, ROWS(SCENE_NUMBERS));
    s->rate = (int) config_int(c, "rate", s->rate, 8000, 192000);
    s->seed = (uint64_t) config_int(c, "seed", 0, 0, (int64_t) 1 << 53);
    s->model = model_from(folder, read_words(c, "model"));
    s->steps = config_int(c, "steps", 0, 1, 10000);
    s->sampler = read_words(c, "sampler");
    const config list = config_get(c, "layers");
    s->layer_count = json_is_array(list.value) ? config_count(list) : 0;
    if (s->layer_count < 1 || s->layer_count > SCENE_MAX_LAYERS)
        fail(HISS_ERROR_FORMAT, "%s: should be a list of 1 to %d layers", config_place(list), SCENE_MAX_LAYERS);
    s->layers = NEW_ARRAY(layer, s->layer_count);
    for (size_t i = 0; i < s->layer_count; i++) s->layers[i] = read_layer(config_at(list, i), folder);
    return s;
}

scene *scene_read(const char *path) {
    const bytes text = file_read(path, MAX_SCENE_BYTES);
    return scene_parse((const char *) text.data, text.size, path, path_folder(path));
}

bool scene_is_file(const char *argument) {
    return ends_with(argument, ".json") || file_exists(argument) || !strcmp(argument, "-");
}

scene *scene_named(const char *argument) {
    scene *s = scene_is_file(argument) ? scene_read(argument) : scene_from_words(argument);
    if (!s->model) s->model = shipped_sound();
    if (!s->model) s->model = shipped_find("drums");
    return s;
}
