/* Sharded safetensors: NAME.safetensors.index.json, whose "weight_map" tells for each tensor the file beside it. */
#include <string.h>

#include "store/entries.h"

/* The file must lie beside its index: no path leads out of the folder. */
static bool is_plain_name(const char *name) { return name && *name && *name != '.' && !strchr(name, '/'); }

void shards_read(store *s, const char *index_path) {
    const char *folder = path_folder(index_path);
    config map = config_get(config_load(index_path), "weight_map");
    json_t *opened = json_make_object(), *file_name;
    const char *name;
    if (!json_is_object(map.value)) fail(HISS_ERROR_FORMAT, "%s: weight_map is not an object", index_path);
    json_object_foreach(map.value, name, file_name) {
        const char *file = json_string_value(file_name);
        if (!is_plain_name(file))
            fail(HISS_ERROR_FORMAT, "%s: weight_map: '%s' must name a file in the same folder", index_path, name);
        if (json_object_get(opened, file)) continue;
        json_object_set(opened, file, json_true());
        bytes data = file_map(path_join(folder, file));
        if (!safetensors_is(data)) fail(HISS_ERROR_FORMAT, "%s/%s is not a safetensors file", folder, file);
        safetensors_read(s, data);
    }
    json_t *have = json_make_object();
    for (size_t i = 0; i < s->count; i++) json_object_set(have, s->items[i].entry.name, json_true());
    json_object_foreach(map.value, name, file_name) {
        if (!json_object_get(have, name))
            fail(HISS_ERROR_FORMAT, "%s: tensor '%s' is not in %s", index_path, name, json_string_value(file_name));
    }
}
