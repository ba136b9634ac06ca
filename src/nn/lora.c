#include "nn/lora.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "base/text.h"
#include "tensor/cpu/dnn.h"

static const char WEIGHT[] = ".weight";

/* Ends of the names of A and B in files. */
typedef struct {
    const char *down, *up;
    bool tools; /* stable-audio-tools': the matrix's name may have more in front */
} naming;
static const naming NAMINGS[] = {{".lora_A.weight", ".lora_B.weight", false},
                                 {".parametrizations.weight.0.lora_A", ".parametrizations.weight.0.lora_B", true}};
static const naming *const OWN = &NAMINGS[0];

/* A matrix that lies elsewhere and what is added to it. */
typedef struct {
    const param_source *base;
    const tensor *up, *down;
    float scale;
    param_source source;
} merged;

typedef struct {
    param *matrix;      /* [M, N] */
    const float *own;   /* its values without the adapter, or NULL */
    const merged *with; /* where they lie elsewhere */
    param *down, *up;   /* A [R, N], B [M, R] */
} adapter;

struct lora {
    adapter *items;
    int64_t rank;
    params *learned;
};

/* w [M, N] += scale B A. Plain loops: values are read while weights are packed, when products wait for the same lock. */
static void add_product(float *w, const tensor *up, const tensor *down, float scale) {
    const int64_t M = up->shape[0], R = up->shape[1], N = down->shape[1];
    const float *b = f32(up), *a = f32(down);
#pragma omp parallel for schedule(static) if (M * N > PARALLEL_MIN)
    for (int64_t m = 0; m < M; m++) {
        float *restrict row = w + m * N;
        for (int64_t r = 0; r < R; r++) {
            const float *restrict from = a + r * N, factor = scale * b[m * R + r];
#pragma omp simd
            for (int64_t n = 0; n < N; n++) row[n] += factor * from[n];
        }
    }
}

static void drop_base(void *context) {
    const merged *m = context;
    if (m->base->drop) m->base->drop(m->base->context);
}

static const tensor *read_merged(void *context) {
    const merged *m = context;
    tensor *w = tensor_to_f32(m->base->read(m->base->context));
    drop_base(context);
    add_product(f32(w), m->up, m->down, m->scale);
    return w;
}

/* Whether the values are still where they came from. */
static bool lies_elsewhere(const param *p) { return p->source && !p->value->data; }

/* In the current scope, which lives as long as the parameter's values are read. */
static const merged *merge_on_reading(param *p, const tensor *up, const tensor *down, float scale) {
    merged *m = NEW(merged);
    *m = (merged){p->source, up, down, scale, {read_merged, drop_base, m}};
    p->source = &m->source;
    param_changed(p);
    return m;
}

/* dB += dW A^T, dA += B^T dW: of one operation's dW, which is not kept. */
static void spend(void *spender, const float *dw) {
    const adapter *a = spender;
    const int64_t M = a->up->value->shape[0], R = a->up->value->shape[1], N = a->down->value->shape[1];
    matmul(1, M, R, N, F32, dw, false, f32(a->down->value), true, F32, a->up->grad, true);
    matmul(1, R, N, M, F32, f32(a->up->value), true, dw, false, F32, a->down->grad, true);
}

static char *stem_of(const char *name, const char *end) {
    return format("%.*s", (int) (strlen(name) - strlen(end)), name);
}

static bool named(const char *const *layers, const char *name) {
    for (; layers && *layers; layers++)
        if (strstr(name, *layers)) return true;
    return !layers;
}

static bool takes_adapter(const param *p, const lora_settings *s, const char *const *layers) {
    const tensor *w = p->value;
    return p->trainable && w->rank == 2 && w->shape[0] > s->rank && w->shape[1] > s->rank &&
           ends_with(p->name, WEIGHT) && named(layers, p->name) && !(s->except && strstr(p->name, s->except));
}

static bool any_takes(const params *p, const lora_settings *s, const char *const *layers) {
    for (size_t i = 0; i < p->count; i++)
        if (takes_adapter(p->items[i], s, layers)) return true;
    return false;
}

static void check_settings(const params *p, const lora_settings *s) {
    for (const char *const *part = s->layers; part && *part; part++)
        if (!any_takes(p, s, (const char *const[]){*part, NULL}))
            fail(HISS_ERROR_ARGUMENT, "lora_layers: no matrix of more than %lld rows and columns has '%s' in its name",
                 (long long) s->rank, *part);
    if (!any_takes(p, s, s->layers))
        fail(HISS_ERROR_ARGUMENT, "no matrix of the network has more than %lld rows and columns", (long long) s->rank);
}

lora *lora_new(params *p, const lora_settings *s, random_key key) {
    lora *l = NEW(lora);
    binder *b = binder_new(key);
    check_settings(p, s);
    l->rank = s->rank;
    l->items = NEW_ARRAY(adapter, p->count + 1);
    adapter *to = l->items;
    for (size_t i = 0; i < p->count; i++) {
        param *m = p->items[i];
        if (!(m->trainable = takes_adapter(m, s, s->layers))) continue;
        const char *stem = stem_of(m->name, WEIGHT);
        const int64_t M = m->value->shape[0], N = m->value->shape[1];
        tensor *down = bind(b, format("%s%s", stem, OWN->down), SHAPE(s->rank, N), (init){INIT_TORCH_UNIFORM, 0, 0});
        tensor *up = bind(b, format("%s%s", stem, OWN->up), SHAPE(M, s->rank), (init){INIT_ZERO, 0, 0});
        const bool elsewhere = lies_elsewhere(m);
        *to = (adapter){m, elsewhere ? NULL : f32(tensor_to_f32(m->value)),
                        elsewhere ? merge_on_reading(m, up, down, 1) : NULL, down->param, up->param};
        m->spend = spend;
        m->spender = to++;
    }
    l->learned = binder_finish(b, true);
    return l;
}

params *lora_params(const lora *l) { return l->learned; }

void lora_merge(lora *l) {
    for (size_t i = 0; i < l->learned->count / 2; i++) {
        const adapter *a = &l->items[i];
        if (a->own) {
            float *w = f32(a->matrix->value);
            memcpy(w, a->own, tensor_bytes(a->matrix->value));
            add_product(w, a->up->value, a->down->value, 1);
        } else if (a->matrix->value->data) { /* somebody asked for them */
            scope_begin();
            memcpy(f32(a->matrix->value), read_merged((void *) a->with)->data, tensor_bytes(a->matrix->value));
            scope_end();
        }
        param_changed(a->matrix);
    }
}

void lora_save(const lora *l, const char *path) {
    json_t *m = json_make_object();
    json_object_set_new(m, "alpha", json_string(format("%lld", (long long) l->rank)));
    params_save(l->learned, path, F32, m);
}

/* --- files --- */

/* What stable-audio-tools says of its adapters: text in safetensors, an object in a checkpoint. */
static config tools_settings(const store *s) {
    const config said = store_metadata(s);
    if (!config_has(said, "lora_config")) return config_parse("{}", 2, "lora_config");
    const config own = config_get(said, "lora_config");
    const char *words = json_string_value(own.value);
    return words ? config_parse(words, strlen(words), format("%s: lora_config", store_path(s))) : own;
}

static double scale_of(const store *s, const naming *n, int64_t rank) {
    double alpha;
    if (n->tools) {
        const config c = tools_settings(s);
        const double R = config_number(c, "rank", (double) rank, 1, 1 << 20);
        return config_number(c, "alpha", R, -1e6, 1e6) / R;
    }
    const char *said = config_string(store_metadata(s), "alpha", NULL);
    if (!said) return 1;
    if (!parse_double(said, -1e6, 1e6, &alpha))
        fail(HISS_ERROR_FORMAT, "%s: alpha '%s' is not a number", store_path(s), said);
    return alpha / (double) rank;
}

/* Other kinds of adapters have A and B too, and more. */
static void check_kind(const store *s) {
    const char *kind = config_string(tools_settings(s), "adapter_type", "lora");
    bool more = strcmp(kind, "lora") != 0;
    for (size_t i = 0; i < store_count(s); i++) more = more || strstr(store_at(s, i)->name, ".magnitude");
    if (more)
        fail(HISS_ERROR_ARGUMENT, "%s: adapters of type '%s': hiss applies plain 'lora'", store_path(s),
             strcmp(kind, "lora") != 0 ? kind : "dora");
}

/* One adapter of a file and the matrix it is for. */
typedef struct {
    const naming *naming;
    param *matrix;
    const store_entry *down, *up;
} found;

/* Of this name, or of one that ends with it. */
static param *matrix_named(const params *p, const char *name, bool longer) {
    param *m = params_find(p, name);
    const char *end = format(".%s", name);
    for (size_t i = 0; longer && !m && i < p->count; i++)
        if (ends_with(p->items[i]->name, end)) m = p->items[i];
    return m;
}

static found find_one(const params *p, const store *s, const store_entry *down, const naming *n) {
    const char *stem = stem_of(down->name, n->down), *name = format("%s%s", stem, WEIGHT),
               *up_name = format("%s%s", stem, n->up);
    const store_entry *up = store_find(s, up_name);
    param *m = matrix_named(p, name, n->tools);
    if (!up) fail(HISS_ERROR_FORMAT, "%s: %s is missing", store_path(s), up_name);
    if (!m)
        fail(HISS_ERROR_ARGUMENT, "%s: adapts %s, which the network does not have: is it for another model?",
             store_path(s), name);
    const shape *a = &down->shape, *b = &up->shape;
    const tensor *w = m->value;
    bool fits = a->rank == 2 && b->rank == 2 && (w->rank == 2 || (w->rank == 3 && w->shape[2] == 1)) &&
                a->dims[0] == b->dims[1] && a->dims[0] >= 1 && a->dims[1] == w->shape[1] && b->dims[0] == w->shape[0];
    if (!fits)
        fail(HISS_ERROR_ARGUMENT, "%s: adapters %s and %s do not fit %s %s: is it for another model?", store_path(s),
             shape_text(*a), shape_text(*b), name, shape_text(shape_of(w)));
    return (found){n, m, down, up};
}

static void apply_one(const store *s, const found *f, double weight) {
    const float scale = (float) (weight * scale_of(s, f->naming, f->down->shape.dims[0]));
    param *m = f->matrix;
    if (lies_elsewhere(m)) {
        scope *before = param_home_enter(m);
        merge_on_reading(m, tensor_to_f32(store_read(s, f->up->name)), tensor_to_f32(store_read(s, f->down->name)),
                         scale);
        param_home_leave(before);
        return;
    }
    scope_begin();
    add_product(f32(m->value), tensor_to_f32(store_read(s, f->up->name)), tensor_to_f32(store_read(s, f->down->name)),
                scale);
    scope_end();
    param_changed(m);
}

/* All are found before the first is applied: on errors the network stays as it was. */
void lora_apply(params *p, const char *path, double weight) {
    scope_begin();
    const store *s = store_open(path);
    found *all = NEW_ARRAY(found, store_count(s) + 1);
    size_t n = 0;
    check_kind(s);
    for (size_t i = 0; i < store_count(s); i++)
        for (int k = 0; k < 2; k++)
            if (ends_with(store_at(s, i)->name, NAMINGS[k].down))
                all[n++] = find_one(p, s, store_at(s, i), &NAMINGS[k]);
    if (!n) fail(HISS_ERROR_FORMAT, "%s: holds no adapters (NAME%s): hiss train --lora makes them", path, OWN->down);
    for (size_t i = 0; i < n; i++) apply_one(s, &all[i], weight);
    scope_end();
}
