/* Stores: opening a file by its contents, finding and reading its tensors. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/entries.h"

static const struct {
    const char *kind;
    bool (*is)(bytes file);
    void (*read)(store *s, bytes file);
} formats[] = {
    {"PyTorch zip", torch_zip_is, torch_zip_read},
    {"PyTorch legacy", torch_legacy_is, torch_legacy_read},
    {"npy", npy_is, npy_parse},
    {"safetensors", safetensors_is, safetensors_read},
};
enum { FORMATS = sizeof formats / sizeof *formats };

/* What people open by mistake, by its first bytes. */
static const struct {
    const char *start, *what;
} mistakes[] = {
    {"version https://git-lfs", "is a Git LFS pointer, not the weights: fetch the file itself (git lfs pull)"},
    {"<", "is a web page or XML, not weights: download the file itself"},
    {"{", "is JSON, not weights: give the weights file or the folder"},
    {"RIFF", "is a sound file, not weights"},
    {"fLaC", "is a sound file, not weights"},
    {"GGUF", "is a GGUF file, which hiss does not read: give the .safetensors or .pt it was made from"},
    {"\x80", "is a pickle, but not one that torch.save wrote: save it again with torch.save or as safetensors"},
};

void packed_strides(shape s, int64_t stride[MAX_RANK]) {
    int64_t step = 1;
    for (int i = s.rank - 1; i >= 0; i--) {
        stride[i] = step;
        if (s.dims[i] > 0) step *= s.dims[i];
    }
}

bool shape_size(shape s, size_t element, uint64_t *size) {
    const uint64_t most = UINT64_C(1) << 62;
    uint64_t product = element;
    /* Dimensions after a 0 must not overflow either: strides are made from them. */
    for (int i = 0; i < s.rank; i++) {
        if (s.dims[i] < 0 || (s.dims[i] > 0 && (uint64_t) s.dims[i] > most / product)) return false;
        if (s.dims[i] > 0) product *= (uint64_t) s.dims[i];
    }
    for (int i = 0; i < s.rank; i++)
        if (s.dims[i] == 0) product = 0;
    *size = product;
    return true;
}

/* Elements from the first to the last one that the strides reach, in *span; false on a negative stride or overflow. */
static bool stride_span(shape s, const int64_t *stride, uint64_t *span) {
    int64_t last = 0, step;
    for (int i = 0; i < s.rank; i++) {
        if (stride[i] < 0 || __builtin_mul_overflow(s.dims[i] - 1, stride[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return false;
    }
    *span = (uint64_t) last + 1;
    return true;
}

static bool is_packed(shape s, const int64_t *stride) {
    int64_t packed[MAX_RANK];
    packed_strides(s, packed);
    for (int i = 0; i < s.rank; i++)
        if (s.dims[i] > 1 && stride[i] != packed[i]) return false;
    return true;
}

void store_add(store *s, const store_entry *entry, const uint8_t *data, size_t size, const int64_t *stride, bool swap,
               size_t file_size) {
    size_t element = dtype_size(entry->type);
    uint64_t needed, span = 0;
    if (!shape_size(entry->shape, element, &needed))
        fail(HISS_ERROR_FORMAT, "%s: tensor '%s' has an impossible shape %s: the file is damaged", s->path, entry->name,
             shape_text(entry->shape));
    if (needed > 0 && (!stride_span(entry->shape, stride, &span) || span > size / element))
        fail(HISS_ERROR_FORMAT, "%s: tensor '%s' %s reaches past its data: the file is damaged or cut short", s->path,
             entry->name, shape_text(entry->shape));
    if (needed > span * element) {
        s->expanded += needed < file_size ? needed : file_size + 1;
        if (s->expanded > file_size)
            fail(HISS_ERROR_FORMAT, "%s: tensor '%s' %s claims far more values than the file holds", s->path,
                 entry->name, shape_text(entry->shape));
    }
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        stored *grown = NEW_ARRAY(stored, room);
        if (s->count) memcpy(grown, s->items, s->count * sizeof *grown);
        s->items = grown;
        s->room = room;
    }
    stored *item = &s->items[s->count++];
    *item = (stored){.entry = *entry, .data = data, .swap = swap && element > 1};
    memcpy(item->stride, stride, sizeof item->stride);
    item->packed = is_packed(entry->shape, stride);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const stored *const *) a)->entry.name, (*(const stored *const *) b)->entry.name);
}

/* After the last store_add: the index by name, and a check that it is one. */
static void index_names(store *s) {
    s->by_name = (const stored **) alloc_zero(s->count + 1, sizeof *s->by_name);
    for (size_t i = 0; i < s->count; i++) s->by_name[i] = &s->items[i];
    qsort(s->by_name, s->count, sizeof *s->by_name, compare_names);
    for (size_t i = 1; i < s->count; i++)
        if (compare_names(&s->by_name[i - 1], &s->by_name[i]) == 0)
            fail(HISS_ERROR_FORMAT, "%s: two tensors are named '%s': the file is damaged", s->path,
                 s->by_name[i]->entry.name);
}

/* Takes what is not shown out of the list, and makes the index again. */
static void drop_hidden(store *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++)
        if (!s->items[i].hidden) s->items[kept++] = s->items[i];
    if (kept == s->count) return;
    s->count = kept;
    index_names(s);
}

_Noreturn static void fail_unknown(const char *path, bytes file) {
    if (file.size == 0) fail(HISS_ERROR_FORMAT, "%s is empty", path);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        size_t length = strlen(mistakes[i].start);
        if (file.size >= length && memcmp(file.data, mistakes[i].start, length) == 0)
            fail(HISS_ERROR_FORMAT, "%s %s", path, mistakes[i].what);
    }
    fail(HISS_ERROR_FORMAT,
         "%s is not a file of weights that hiss knows (safetensors, PyTorch .pt, .npy), or it is damaged", path);
}

static store *store_begin(const char *path, bool all) {
    store *s = NEW(store);
    s->path = copy_string(path);
    s->all = all;
    s->metadata = json_make_object();
    return s;
}

store *store_open_memory(const void *data, size_t size, const char *name, bool all) {
    store *s = store_begin(name, all);
    bytes file = {data, size};
    for (int i = 0; i < FORMATS && !s->kind; i++)
        if (formats[i].is(file)) {
            s->kind = formats[i].kind;
            formats[i].read(s, file);
        }
    if (!s->kind) fail_unknown(name, file);
    index_names(s);
    join_quantised(s);
    drop_hidden(s);
    return s;
}

/* Files that hold a folder's weights, by the habits of those who publish them; the first that is there counts. */
static const char *const folder_weights[] = {
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.safetensors",
    "diffusion_pytorch_model.safetensors",
    "weights.safetensors",
    "weights.pt",
    "pytorch_model.bin",
};

static const char *find_in_folder(const char *folder) {
    for (size_t i = 0; i < sizeof folder_weights / sizeof *folder_weights; i++) {
        const char *path = path_join(folder, folder_weights[i]);
        if (file_exists(path)) return path;
    }
    const char *found = NULL;
    for (char **name = folder_list(folder); *name; name++) {
        if (!ends_with(*name, ".safetensors") && !ends_with(*name, ".pt")) continue;
        if (found)
            fail(HISS_ERROR_ARGUMENT, "%s holds several files of weights (%s, %s): name the one you mean", folder,
                 found, *name);
        found = *name;
    }
    if (!found)
        fail(HISS_ERROR_FILE, "%s holds no weights (model.safetensors, weights.pt or one other such file)", folder);
    return path_join(folder, found);
}

static store *open_path(const char *path, bool all) {
    if (folder_exists(path)) path = find_in_folder(path);
    if (ends_with(path, ".safetensors.index.json")) {
        store *s = store_begin(path, all);
        s->kind = "safetensors";
        shards_read(s, path);
        index_names(s);
        return s;
    }
    bytes file = file_map(path);
    return store_open_memory(file.data, file.size, path, all);
}

store *store_open(const char *path) { return open_path(path, false); }
store *store_open_all(const char *path) { return open_path(path, true); }

const char *store_path(const store *s) { return s->path; }
const char *store_kind(const store *s) { return s->kind; }
size_t store_count(const store *s) { return s->count; }

const store_entry *store_at(const store *s, size_t index) {
    require(index < s->count);
    return &s->items[index].entry;
}

stored *find_stored(const store *s, const char *name) {
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, s->by_name[middle]->entry.name);
        if (order == 0) return (stored *) s->by_name[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

const store_entry *store_find(const store *s, const char *name) {
    const stored *item = find_stored(s, name);
    return item ? &item->entry : NULL;
}

config store_metadata(const store *s) { return (config){s->metadata, s->path, NULL}; }

static void copy_element(uint8_t *to, const uint8_t *from, size_t size, bool swap) {
    if (!swap) memcpy(to, from, size);
    else
        for (size_t i = 0; i < size; i++) to[i] = from[size - 1 - i];
}

/* Rows along the last axis, the other axes counted like an odometer. */
static void copy_strided(uint8_t *to, const stored *item) {
    const shape s = item->entry.shape;
    size_t size = dtype_size(item->entry.type);
    int last = s.rank - 1;
    int64_t row = s.rank ? s.dims[last] : 1, step = s.rank ? item->stride[last] : 1;
    int64_t at[MAX_RANK] = {0};
    for (;;) {
        int64_t first = 0;
        for (int i = 0; i < last; i++) first += at[i] * item->stride[i];
        const uint8_t *from = item->data + (size_t) first * size;
        if (step == 1 && !item->swap) memcpy(to, from, (size_t) row * size);
        else
            for (int64_t i = 0; i < row; i++)
                copy_element(to + (size_t) i * size, from + (size_t) (i * step) * size, size, item->swap);
        to += (size_t) row * size;
        int axis = last - 1;
        while (axis >= 0 && ++at[axis] == s.dims[axis]) at[axis--] = 0;
        if (axis < 0) return;
    }
}

tensor *store_read(const store *s, const char *name) {
    const stored *item = find_stored(s, name);
    if (!item) {
        const char **names = (const char **) alloc_zero(s->count + 1, sizeof *names);
        for (size_t i = 0; i < s->count; i++) names[i] = s->items[i].entry.name;
        fail(HISS_ERROR_FORMAT, "%s has no tensor '%s'; %s", s->path, name, suggest(name, names, s->count));
    }
    const store_entry *e = &item->entry;
    if (item->bits) {
        tensor *t = tensor_new(F32, e->shape);
        read_quantised(item, t->data);
        return t;
    }
    bool aligned = (uintptr_t) item->data % dtype_size(e->type) == 0;
    uint64_t size = 0;
    shape_size(e->shape, dtype_size(e->type), &size);
    if (item->packed && !item->swap && aligned && size > 0) return tensor_wrap(e->type, e->shape, (void *) item->data);
    tensor *t = tensor_new(e->type, e->shape);
    if (size > 0) copy_strided(t->data, item);
    return t;
}
