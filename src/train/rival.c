#include "train/rival.h"

rival *rival_new(const rival_row *row, void *model, random_key key) {
    if (!row) return NULL;
    rival *r = NEW(rival);
    *r = (rival){.row = row, .parameters = row->make(model, key), .settings = row->optimizer(model)};
    r->optimizer = optimizer_new(&r->settings, r->parameters);
    return r;
}

bool rival_begins(rival *r, void *model, int64_t step) {
    if (!r) return false;
    const bool own = r->row->turn(model, step);
    for (size_t i = 0; i < r->parameters->count; i++) r->parameters->items[i]->trainable = own;
    if (own) params_zero_grad(r->parameters);
    return own;
}
