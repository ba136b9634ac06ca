/* See published.h. */
#include "train/published.h"

typedef struct {
    const store *from;
    const char **names; /* there */
    param **learned;    /* or NULL */
} published;

static const tensor *read_one(void *context, size_t i) {
    const published *p = context;
    if (!p->learned[i]) return store_read(p->from, p->names[i]);
    const tensor *t = param_values(p->learned[i]);
    return t->type == F32 ? t : tensor_to_f32(t);
}

void published_write(const char *path, const char *source, const params *p,
                     const char *(*called)(const store *s, const char *name)) {
    scope_begin();
    const store *s = store_open(source);
    const size_t most = store_count(s) + 1;
    published all = {s, NEW_ARRAY(const char *, most), NEW_ARRAY(param *, most)};
    store_entry *entries = NEW_ARRAY(store_entry, most);
    size_t n = 0;
    for (size_t i = 0; i < store_count(s); i++) {
        const store_entry *e = store_at(s, i);
        const char *name = called(s, e->name);
        if (!name) continue;
        param *of = params_find(p, e->name);
        const bool learned = of && of->trainable;
        if (learned) param_to_host(of); /* as it is now, wherever it was trained */
        entries[n] = (store_entry){name, learned ? F32 : e->type, e->shape};
        all.names[n] = e->name;
        all.learned[n++] = learned ? of : NULL;
    }
    safetensors_write_each(path, entries, n, read_one, &all, NULL);
    scope_end();
}
