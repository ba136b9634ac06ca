/* Lists of recordings: see recordings.h. */
#include "train/recordings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/scope.h"
#include "base/text.h"

enum { DEEPEST = 16, MOST_RECORDINGS = 1 << 24, MANIFEST_BYTES = 1 << 30 };

typedef struct {
    recordings *to;
    size_t capacity;
} list;

static sound_file *append(list *l) {
    recordings *r = l->to;
    if (r->count >= MOST_RECORDINGS) fail(HISS_ERROR_MEMORY, "more than %d recordings", MOST_RECORDINGS);
    if (r->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 256;
        sound_file *grown = NEW_ARRAY(sound_file, l->capacity);
        if (r->count) memcpy(grown, r->items, r->count * sizeof *grown);
        r->items = grown;
    }
    return &r->items[r->count++];
}

/* --- folders --- */

static bool is_sound(const char *name) {
    static const char *const known[] = {".wav",  ".flac", ".ogg", ".oga", ".opus", ".mp3",  ".aif", ".aiff",
                                        ".aifc", ".au",   ".snd", ".caf", ".w64",  ".rf64", ".voc", ".sd2"};
    const char *extension = path_extension(name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(extension, known[i])) return true;
    return false;
}

static void walk(list *l, const char *folder, const char *prefix, const char *label, int depth) {
    if (depth > DEEPEST) return; /* a folder that links to itself */
    for (char **names = folder_list(folder); *names; names++) {
        if (**names == '.') continue;
        char *path = path_join(folder, *names), *name = format("%s%s", prefix, *names);
        if (folder_exists(path)) {
            walk(l, path, format("%s/", name), label ? label : *names, depth + 1);
        } else if (is_sound(*names)) {
            sound_file *r = append(l);
            *r = (sound_file){.name = name, .path = path, .label = label};
        }
    }
}

/* --- manifests --- */

enum { PATH, CLASS, CAPTION, SPLIT, KIND, COLUMNS };
static const char *const COLUMN_NAMES[COLUMNS] = {"path", "class", "caption", "split", "kind"};

typedef struct {
    const char *file, *folder;
    size_t line;
    int column[COLUMNS]; /* where each is in a row; -1: nowhere */
} manifest;

static void add_row(list *l, const manifest *m, const char *const cell[COLUMNS]) {
    if (!cell[PATH] || !*cell[PATH]) fail(HISS_ERROR_FORMAT, "%s, line %zu: no path", m->file, m->line);
    sound_file *r = append(l);
    *r = (sound_file){.name = cell[PATH]};
    r->path = *cell[PATH] == '/' ? cell[PATH] : path_join(m->folder, cell[PATH]);
    if (cell[CLASS] && *cell[CLASS]) r->label = cell[CLASS];
    if (cell[CAPTION] && *cell[CAPTION]) r->caption = cell[CAPTION];
    if (cell[KIND] && *cell[KIND]) r->kind = cell[KIND];
    if (!cell[SPLIT] || !*cell[SPLIT]) return;
    static const char *const held[] = {"held-out", "held_out", "heldout", "test", "valid", "validation"};
    r->has_split = true;
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) r->held_out |= !strcmp(cell[SPLIT], held[i]);
    if (!r->held_out && strcmp(cell[SPLIT], "train"))
        fail(HISS_ERROR_FORMAT, "%s, line %zu: split '%s': expected train or held-out", m->file, m->line, cell[SPLIT]);
}

/* True if the line names the columns. */
static bool read_heading(manifest *m, char **cells, size_t n) {
    if (!n || strcmp(cells[0], "path")) return false;
    for (int c = 0; c < COLUMNS; c++) {
        m->column[c] = -1;
        for (size_t i = 0; i < n; i++)
            if (!strcmp(cells[i], COLUMN_NAMES[c])) m->column[c] = (int) i;
    }
    return true;
}

static void read_tabs(list *l, manifest *m, const char *line) {
    size_t n;
    char **cells = split(line, '\t', &n);
    if (m->line == 1 && read_heading(m, cells, n)) return;
    const char *cell[COLUMNS] = {0};
    for (int c = 0; c < COLUMNS; c++)
        if (m->column[c] >= 0 && (size_t) m->column[c] < n) cell[c] = cells[m->column[c]];
    add_row(l, m, cell);
}

static void read_json_line(list *l, manifest *m, const char *line) {
    config c = config_parse(line, strlen(line), format("%s, line %zu", m->file, m->line));
    const char *cell[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) cell[i] = config_string(c, COLUMN_NAMES[i], NULL);
    add_row(l, m, cell);
}

static void read_manifest(list *l, const char *path) {
    manifest m = {.file = path, .folder = path_folder(path), .column = {0, 1, 2, 3, 4}};
    const char *extension = path_extension(path);
    bool json = !strcmp(extension, ".jsonl") || !strcmp(extension, ".json") || !strcmp(extension, ".ndjson");
    bytes whole = file_read(path, MANIFEST_BYTES);
    char *text = (char *) whole.data;
    if (memchr(text, 0, whole.size))
        fail(HISS_ERROR_FORMAT, "%s: neither a folder nor a manifest (text: a path, a class, a caption a line)", path);
    for (char *line = text; line && *line;) {
        char *end = strchr(line, '\n'), *next = end ? end + 1 : NULL;
        if (end) *end = 0;
        size_t length = strlen(line);
        if (length && line[length - 1] == '\r') line[length - 1] = 0;
        m.line++;
        if (*line && *line != '#') json ? read_json_line(l, &m, line) : read_tabs(l, &m, line);
        line = next;
    }
}

/* --- classes and the held-out part --- */

static int by_name(const void *a, const void *b) {
    return strcmp(((const sound_file *) a)->name, ((const sound_file *) b)->name);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *) a, *(char *const *) b); }

static void number_classes(recordings *r) {
    const char **labels = NEW_ARRAY(const char *, r->count + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].label) labels[n++] = r->items[i].label;
    if (n) qsort(labels, n, sizeof *labels, by_text);
    for (size_t i = 0; i < n; i++)
        if (!r->class_count || strcmp(labels[r->class_count - 1], labels[i])) labels[r->class_count++] = labels[i];
    labels[r->class_count] = NULL;
    r->classes = labels;
    for (size_t i = 0; i < r->count; i++) {
        sound_file *item = &r->items[i];
        item->class_index = -1;
        if (!item->label) continue;
        const char **found = bsearch(&item->label, labels, r->class_count, sizeof *labels, by_text);
        item->class_index = (int32_t) (found - labels);
    }
}

void recordings_use_classes(recordings *r, const char *const *names, size_t count) {
    const char *stranger = NULL;
    size_t strangers = 0;
    r->classes = NEW_ARRAY(const char *, count + 1);
    r->class_count = count;
    memcpy(r->classes, names, count * sizeof *names);
    for (size_t i = 0; i < r->count; i++) {
        sound_file *item = &r->items[i];
        item->class_index = -1;
        for (size_t c = 0; item->label && c < count && item->class_index < 0; c++)
            if (!strcmp(item->label, names[c])) item->class_index = (int32_t) c;
        if (!item->label || item->class_index >= 0) continue;
        strangers++;
        stranger = item->label;
    }
    if (strangers) warn("%zu recordings are of classes the recipe does not list, such as '%s'", strangers, stranger);
}

void recordings_keep_held_out(recordings *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        if (!r->items[i].has_split || r->items[i].held_out) r->items[n++] = r->items[i];
    r->count = n;
}

/* The letters of a name without its extension, what lies between them as single spaces; NULL if there are none. */
static const char *words_of(const char *name) {
    char *words = copy_string(path_name(name)), *end = strrchr(words, '.'), *to = words;
    if (end && end > words) *end = 0;
    for (const char *c = words; *c; c++) {
        bool letter = isalpha((unsigned char) *c) || (unsigned char) *c >= 0x80 || *c == '\'';
        if (letter) *to++ = *c;
        else if (to > words && to[-1] != ' ') *to++ = ' ';
    }
    while (to > words && to[-1] == ' ') to--;
    *to = 0;
    return *words ? words : NULL;
}

void recordings_caption_by_name(recordings *r) {
    for (size_t i = 0; i < r->count; i++) {
        sound_file *item = &r->items[i];
        if (item->caption || item->class_index >= 0) continue;
        item->caption = words_of(item->label ? format("%s.", item->label) : item->name);
    }
}

/* FNV-1a and a final mix: uniform in [0, 1). */
static double hash_unit(const char *name) {
    uint64_t h = 0xCBF29CE484222325u;
    for (; *name; name++) h = (h ^ (uint8_t) *name) * 0x100000001B3u;
    h = (h ^ (h >> 32)) * 0x9E3779B97F4A7C15u;
    return (double) ((h ^ (h >> 29)) >> 11) * 0x1p-53;
}

recordings *recordings_find(const char *path, double held_out) {
    list l = {.to = NEW(recordings)};
    if (folder_exists(path)) walk(&l, path, "", NULL, 0);
    else if (file_exists(path) && is_sound(path)) *append(&l) = (sound_file){.name = path_name(path), .path = path};
    else if (file_exists(path)) read_manifest(&l, path);
    else fail(HISS_ERROR_FILE, "%s: no such folder or manifest; give a folder of recordings", path);
    if (!l.to->count)
        fail(HISS_ERROR_ARGUMENT, "%s: no recordings in it; hiss reads WAV, FLAC, Ogg, MP3, AIFF and the like", path);
    qsort(l.to->items, l.to->count, sizeof *l.to->items, by_name);
    number_classes(l.to);
    for (size_t i = 0; i < l.to->count; i++) {
        sound_file *r = &l.to->items[i];
        if (!r->has_split) r->held_out = hash_unit(r->name) < held_out;
    }
    return l.to;
}
