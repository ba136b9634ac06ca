#include "nn/lora.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "tensor/cpu/dnn.h"

static const char WEIGHT[] = ".weight", DOWN[] = ".lora_A.weight", UP[] = ".lora_B.weight";

typedef struct {
    param *matrix;    /* [M, N] */
    const float *own; /* its values without the adapter */
    param *down, *up; /* A [R, N], B [M, R] */
} adapter;

struct lora {
    adapter *items;
    int64_t rank;
    params learned;
};

static char *stem_of(const char *name, const char *end) {
    return format("%.*s", (int) (strlen(name) - strlen(end)), name);
}

static bool takes_adapter(const param *p, int64_t rank) {
    const tensor *w = p->value;
    return p->trainable && w->rank == 2 && w->shape[0] > rank && w->shape[1] > rank && ends_with(p->name, WEIGHT);
}

lora *lora_new(params *p, int64_t rank, random_key key) {
    lora *l = NEW(lora);
    binder *b = binder_new(key);
    l->rank = rank;
    l->items = NEW_ARRAY(adapter, p->count + 1);
    adapter *to = l->items;
    for (size_t i = 0; i < p->count; i++) {
        param *m = p->items[i];
        if (!(m->trainable = takes_adapter(m, rank))) continue;
        const char *stem = stem_of(m->name, WEIGHT);
        tensor *down =
            bind(b, format("%s%s", stem, DOWN), SHAPE(rank, m->value->shape[1]), (init){INIT_TORCH_UNIFORM, 0, 0});
        tensor *up = bind(b, format("%s%s", stem, UP), SHAPE(m->value->shape[0], rank), (init){INIT_ZERO, 0, 0});
        const float *own = f32(tensor_to_f32(m->value));
        *to++ = (adapter){m, own, down->param, up->param};
    }
    if (to == l->items)
        fail(HISS_ERROR_ARGUMENT, "no matrix of the network has more than %lld rows and columns", (long long) rank);
    l->learned = *binder_finish(b, true);
    return l;
}

params *lora_params(lora *l) { return &l->learned; }

/* w [M, N] += scale B A */
static void add_product(float *w, const tensor *up, const tensor *down, float scale) {
    int64_t M = up->shape[0], R = up->shape[1], N = down->shape[1];
    scope_begin();
    float *scaled = f32(tensor_to_f32(up));
    for (int64_t i = 0; i < M * R; i++) scaled[i] *= scale;
    matmul(1, M, N, R, F32, scaled, false, f32(down), false, F32, w, true);
    scope_end();
}

void lora_merge(lora *l) {
    for (size_t i = 0; i < l->learned.count / 2; i++) {
        const adapter *a = &l->items[i];
        float *w = f32(a->matrix->value);
        memcpy(w, a->own, tensor_bytes(a->matrix->value));
        add_product(w, a->up->value, a->down->value, 1);
        param_changed(a->matrix);
    }
}

/* dB = dW A^T, dA = B^T dW */
void lora_gradients(lora *l) {
    for (size_t i = 0; i < l->learned.count / 2; i++) {
        const adapter *a = &l->items[i];
        const float *dw = a->matrix->grad;
        int64_t M = a->up->value->shape[0], R = l->rank, N = a->down->value->shape[1];
        matmul(1, M, R, N, F32, dw, false, f32(a->down->value), true, F32, a->up->grad, false);
        matmul(1, R, N, M, F32, f32(a->up->value), true, dw, false, F32, a->down->grad, false);
    }
}

void lora_save(const lora *l, const char *path) {
    json_t *m = json_make_object();
    json_object_set_new(m, "alpha", json_string(format("%lld", (long long) l->rank)));
    params_save(&l->learned, path, F32, m);
}

/* --- files --- */

static double scale_of(const store *s, int64_t rank) {
    double alpha;
    const char *said = config_string(store_metadata(s), "alpha", NULL);
    if (!said) return 1;
    if (!parse_double(said, -1e6, 1e6, &alpha))
        fail(HISS_ERROR_FORMAT, "%s: alpha '%s' is not a number", store_path(s), said);
    return alpha / (double) rank;
}

/* One adapter of a file and the matrix it is for. */
typedef struct {
    param *matrix;
    const store_entry *down, *up;
} found;

static found find_one(const params *p, const store *s, const store_entry *down) {
    const char *stem = stem_of(down->name, DOWN), *name = format("%s%s", stem, WEIGHT),
               *up_name = format("%s%s", stem, UP);
    const store_entry *up = store_find(s, up_name);
    param *m = params_find(p, name);
    if (!up) fail(HISS_ERROR_FORMAT, "%s: %s is missing", store_path(s), up_name);
    if (!m)
        fail(HISS_ERROR_ARGUMENT, "%s: adapts %s, which the network does not have: is it for another model?",
             store_path(s), name);
    const shape *a = &down->shape, *b = &up->shape;
    bool fits = a->rank == 2 && b->rank == 2 && m->value->rank == 2 && a->dims[0] == b->dims[1] && a->dims[0] >= 1 &&
                a->dims[1] == m->value->shape[1] && b->dims[0] == m->value->shape[0];
    if (!fits)
        fail(HISS_ERROR_ARGUMENT, "%s: adapters %s and %s do not fit %s %s: is it for another model?", store_path(s),
             shape_text(*a), shape_text(*b), name, shape_text(shape_of(m->value)));
    return (found){m, down, up};
}

static void apply_one(const store *s, const found *f, double weight) {
    scope_begin();
    const tensor *up = tensor_to_f32(store_read(s, f->up->name)), *down = tensor_to_f32(store_read(s, f->down->name));
    double scale = weight * scale_of(s, f->down->shape.dims[0]);
    add_product(f32(f->matrix->value), up, down, (float) scale);
    param_changed(f->matrix);
    scope_end();
}

/* All are found before the first is applied: on errors the network stays as it was. */
void lora_apply(params *p, const char *path, double weight) {
    scope_begin();
    const store *s = store_open(path);
    found *all = NEW_ARRAY(found, store_count(s) + 1);
    size_t n = 0;
    for (size_t i = 0; i < store_count(s); i++)
        if (ends_with(store_at(s, i)->name, DOWN)) all[n++] = find_one(p, s, store_at(s, i));
    if (!n) fail(HISS_ERROR_FORMAT, "%s: holds no adapters (NAME%s): hiss train --lora makes them", path, DOWN);
    for (size_t i = 0; i < n; i++) apply_one(s, &all[i], weight);
    scope_end();
}
