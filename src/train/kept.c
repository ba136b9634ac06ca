/* See kept.h. */
#include "train/kept.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "store/store.h"

static const char VALUE[] = "value";

char *kept_path(const char *folder, const char *key) {
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */
    for (const char *c = key; *c; c++) h = (h ^ (uint8_t) *c) * 0x100000001B3u;
    return path_join(folder, format("%016" PRIx64 ".safetensors", h));
}

tensor *kept_read(const char *path, const char *key, const char **note) {
    if (!file_exists(path)) return NULL;
    const store *s = store_open(path);
    const config said = store_metadata(s);
    if (strcmp(config_string(said, "key", ""), key) != 0 || !store_find(s, VALUE)) return NULL;
    *note = config_string(said, "note", "");
    return store_read(s, VALUE);
}

void kept_write(const char *path, const char *key, const tensor *value, const char *note) {
    json_t *m = json_make_object();
    json_object_set_new(m, "key", json_string(key));
    json_object_set_new(m, "note", json_string(note));
    safetensors_write(path, &(named_tensor){VALUE, value}, 1, m);
}
