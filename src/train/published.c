/* See published.h. */
#include "train/published.h"

void published_write(const char *path, const char *source, const params *p,
                     const char *(*called)(const store *s, const char *name)) {
    scope_begin();
    const store *s = store_open(source);
    named_tensor *items = NEW_ARRAY(named_tensor, store_count(s) + 1);
    size_t n = 0;
    for (size_t i = 0; i < store_count(s); i++) {
        const char *name = store_at(s, i)->name, *published = called(s, name);
        if (!published) continue;
        param *of = params_find(p, name);
        const bool learned = of && of->trainable;
        if (learned) param_to_host(of); /* as it is now, wherever it was trained */
        items[n++] = (named_tensor){published, learned ? param_values(of) : store_read(s, name)};
    }
    safetensors_write(path, items, n, NULL);
    scope_end();
}
