/* The walk over the parameters: loading, drawing, saving. */
#include "nn/bind.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/parallel.h"

enum { PREFIX_DEPTH = 16, NAME_LENGTH = 512, PROBLEMS_SHOWN = 20, MOST_PARAMS = 1 << 20 };

struct binder {
    const store *from; /* NULL: draw */
    random_key key;
    scope *home;
    bool once;
    param **items;
    size_t count, capacity;
    char prefix[NAME_LENGTH];
    size_t lengths[PREFIX_DEPTH]; /* of the prefix before each push */
    int depth;
    const char **ignored;
    size_t ignored_count;
    char *problems; /* one a line */
    int problem_count;
    const char **unexpected;
    size_t unexpected_count;
};

static binder *binder_make(void) {
    binder *b = NEW(binder);
    b->home = scope_current();
    b->problems = copy_string("");
    return b;
}

binder *binder_load(const store *s) {
    binder *b = binder_make();
    b->from = s;
    return b;
}

binder *binder_new(random_key key) {
    binder *b = binder_make();
    b->key = key;
    return b;
}

void binder_once(binder *b) { b->once = true; }

void bind_push(binder *b, const char *pattern, ...) {
    require(b->depth < PREFIX_DEPTH);
    size_t length = strlen(b->prefix);
    b->lengths[b->depth++] = length;
    va_list arguments;
    va_start(arguments, pattern);
    int added = vsnprintf(b->prefix + length, NAME_LENGTH - length, pattern, arguments);
    va_end(arguments);
    require(added >= 0 && length + (size_t) added + 2 < NAME_LENGTH);
    strcat(b->prefix, ".");
}

void bind_pop(binder *b) {
    require(b->depth > 0);
    b->prefix[b->lengths[--b->depth]] = 0;
}

static void problem(binder *b, char *line) {
    if (b->problem_count++ < PROBLEMS_SHOWN) b->problems = format("%s\n  %s", b->problems, line);
}

/* --- drawing --- */

static uint64_t hash_name(const char *name) { /* FNV-1a: a parameter's values depend on its name, not on its place */
    uint64_t h = 0xCBF29CE484222325u;
    for (; *name; name++) h = (h ^ (uint8_t) *name) * 0x100000001B3u;
    return h;
}

/* Rows of the smaller side made orthonormal (Saxe et al. 2014), by Gram-Schmidt twice for accuracy. */
static void orthogonalise(float *w, int64_t rows, int64_t columns) {
    int64_t vectors = rows <= columns ? rows : columns, length = rows <= columns ? columns : rows;
    int64_t step = rows <= columns ? 1 : columns, next = rows <= columns ? columns : 1;
    for (int64_t v = 0; v < vectors; v++) {
        float *x = w + v * next;
        for (int64_t pass = 0; pass < 2; pass++)
            for (int64_t u = 0; u < v; u++) {
                const float *y = w + u * next;
                double dot = 0;
                for (int64_t i = 0; i < length; i++) dot += (double) x[i * step] * y[i * step];
                for (int64_t i = 0; i < length; i++) x[i * step] -= (float) dot * y[i * step];
            }
        double norm = 0;
        for (int64_t i = 0; i < length; i++) norm += (double) x[i * step] * x[i * step];
        for (int64_t i = 0; i < length; i++) x[i * step] /= (float) sqrt(norm);
    }
}

static void draw_uniform(float *w, int64_t n, float bound, random_key key) {
    for (int64_t i = 0; i < n; i++) w[i] = bound * (float) (2 * random_uniform(key, (uint64_t) i) - 1);
}

static void draw(tensor *t, init how, random_key key) {
    int64_t n = count(t), fan_out = t->rank ? t->shape[0] : 1, fan_in = how.fan_in;
    int64_t inner = 1;
    for (int i = 1; i < t->rank; i++) inner *= t->shape[i];
    if (!fan_in) fan_in = inner;
    double kernel = t->rank > 2 ? (double) inner / (double) t->shape[1] : 1, in = (double) fan_in;
    double fans = in + (double) fan_out * kernel;
    float *w = f32(t), factor = how.scale != 0 ? how.scale : 1.0f;
    switch (how.kind) {
    case INIT_ZERO: memset(w, 0, tensor_bytes(t)); return;
    case INIT_ONE:
        for (int64_t i = 0; i < n; i++) w[i] = factor;
        return;
    case INIT_TORCH_UNIFORM: draw_uniform(w, n, factor * (float) (1 / sqrt(in)), key); return;
    case INIT_XAVIER_UNIFORM: draw_uniform(w, n, factor * (float) sqrt(6 / fans), key); return;
    case INIT_KAIMING_NORMAL: factor *= (float) sqrt(2 / in); break;
    case INIT_XAVIER_NORMAL: factor *= (float) sqrt(2 / fans); break;
    case INIT_NORMAL:
    case INIT_ORTHOGONAL: break;
    }
    random_normal(key, 0, w, (size_t) n);
    if (how.kind == INIT_ORTHOGONAL) orthogonalise(w, fan_out, inner);
    for (int64_t i = 0; i < n; i++) w[i] *= factor;
}

/* --- binding --- */

static bool same_shape(shape a, shape b) {
    return a.rank == b.rank && !memcmp(a.dims, b.dims, (size_t) a.rank * sizeof a.dims[0]);
}

static int64_t elements(shape s) {
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) n *= s.dims[i];
    return n;
}

static void ignore(binder *b, const char *whole_name) {
    const char **longer = NEW_ARRAY(const char *, b->ignored_count + 1);
    if (b->ignored_count) memcpy(longer, b->ignored, b->ignored_count * sizeof *longer);
    longer[b->ignored_count++] = whole_name;
    b->ignored = longer;
}

/* Weight norm (Salimans and Kingma 2016) as PyTorch saves it, before and since its parametrizations: a gain for each index of
 * the first dimension and a direction. */
static const char *const NORMED[][2] = {{"weight_g", "weight_v"},
                                        {"parametrizations.weight.original0", "parametrizations.weight.original1"}};

static tensor *unite(const tensor *gain, tensor *direction) {
    const int64_t n = direction->shape[0], each = count(direction) / n;
    const float *gains = f32(gain);
    float *rows = f32(direction);
#pragma omp parallel for schedule(static) if (n * each > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) {
        float *row = rows + i * each;
        double square = 0;
        for (int64_t k = 0; k < each; k++) square += (double) row[k] * row[k];
        const float factor = gains[i] / (float) sqrt(square);
        for (int64_t k = 0; k < each; k++) row[k] *= factor;
    }
    return direction;
}

/* --- values that stay in the file until they are asked for --- */

/* Larger ones do; the rest is read at once. */
enum { STAYS = 1 << 14 };

typedef struct {
    const store *from;
    const char *name, *gain; /* gain: of a direction, or NULL */
} stored_values;

static const tensor *read_plain(void *context) {
    const stored_values *v = context;
    return store_read(v->from, v->name);
}

static const tensor *read_normed(void *context) {
    const stored_values *v = context;
    const tensor *stored = store_read(v->from, v->name);
    tensor *direction = tensor_to_f32(stored);
    if (stored->view) file_unneeded(stored->data, tensor_bytes(stored));
    return unite(tensor_to_f32(store_read(v->from, v->gain)), direction);
}

static void drop_pages(void *context) {
    const stored_values *v = context;
    scope_begin();
    const tensor *t = store_read(v->from, v->name);
    if (t->view) file_unneeded(t->data, tensor_bytes(t));
    scope_end();
}

static void load_values(const binder *b, param *p, shape s, const char *name, const char *gain) {
    stored_values *v = NEW(stored_values);
    param_source *source = NEW(param_source);
    *v = (stored_values){b->from, name, gain};
    *source = (param_source){gain ? read_normed : read_plain, drop_pages, v};
    p->source = source;
    p->value = tensor_wrap(F32, s, NULL);
    p->value->view = false;
    p->value->home = b->home;
    p->value->param = p;
    if (count(p->value) < STAYS) param_data(p);
}

/* A weight that the file holds as gain and direction; false if it does not. */
static bool load_normed(binder *b, param *p, shape s) {
    const char *name = p->name;
    const size_t length = strlen(name), tail = strlen("weight");
    if (length < tail || strcmp(name + length - tail, "weight") != 0) return false;
    for (size_t i = 0; i < sizeof NORMED / sizeof *NORMED; i++) {
        const char *gain = format("%.*s%s", (int) (length - tail), name, NORMED[i][0]),
                   *direction = format("%.*s%s", (int) (length - tail), name, NORMED[i][1]);
        const store_entry *g = store_find(b->from, gain), *v = store_find(b->from, direction);
        if (!g || !v) continue;
        ignore(b, gain);
        ignore(b, direction);
        if (same_shape(v->shape, s) && elements(g->shape) == s.dims[0]) load_values(b, p, s, direction, gain);
        else
            problem(b, format("%s is %s with gains %s, expected %s", direction, shape_text(v->shape),
                              shape_text(g->shape), shape_text(s)));
        return true;
    }
    return false;
}

static void load(binder *b, param *p, shape s) {
    const store_entry *e = store_find(b->from, p->name);
    if (!e && load_normed(b, p, s)) return;
    if (!e) problem(b, format("%s %s is missing", p->name, shape_text(s)));
    else if (!same_shape(e->shape, s))
        problem(b, format("%s is %s, expected %s", p->name, shape_text(e->shape), shape_text(s)));
    else load_values(b, p, s, p->name, NULL);
}

tensor *bind(binder *b, const char *name, shape s, init how) {
    require(scope_current() == b->home && b->count < MOST_PARAMS);
    if (b->count == b->capacity) {
        size_t grown = b->capacity ? 2 * b->capacity : 64;
        param **items = NEW_ARRAY(param *, grown);
        if (b->count) memcpy(items, b->items, b->count * sizeof *items);
        b->items = items;
        b->capacity = grown;
    }
    param *p = NEW(param);
    p->name = format("%s%s", b->prefix, name);
    p->trainable = true;
    p->once = b->once;
    p->version = 1;
    p->home = b->home;
    if (b->from) load(b, p, s);
    else draw(p->value = tensor_new(F32, s), how, random_child(b->key, hash_name(p->name)));
    if (!p->value) p->value = tensor_zero(F32, s); /* a problem: the walk goes on */
    p->value->param = p;
    b->items[b->count++] = p;
    return p->value;
}

void bind_ignore(binder *b, const char *name) { ignore(b, format("%s%s", b->prefix, name)); }

static bool is_known(const binder *b, const char *name) {
    for (size_t i = 0; i < b->count; i++)
        if (!strcmp(b->items[i]->name, name)) return true;
    for (size_t i = 0; i < b->ignored_count; i++)
        if (!strcmp(b->ignored[i], name)) return true;
    return false;
}

static void find_unexpected(binder *b) {
    size_t n = store_count(b->from);
    b->unexpected = NEW_ARRAY(const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *name = store_at(b->from, i)->name;
        if (!is_known(b, name)) b->unexpected[b->unexpected_count++] = name;
    }
}

params *binder_finish(binder *b, bool strict) {
    require(b->depth == 0);
    if (b->from) find_unexpected(b);
    for (size_t i = 0; strict && i < b->unexpected_count; i++)
        problem(b, format("%s is not part of this network", b->unexpected[i]));
    if (b->problem_count)
        fail(HISS_ERROR_FORMAT, "%s: %d tensors do not fit the network:%s%s", store_path(b->from), b->problem_count,
             b->problems, b->problem_count > PROBLEMS_SHOWN ? "\n  ..." : "");
    params *p = NEW(params);
    *p = (params){b->items, b->count, b->home};
    return p;
}

const char *const *binder_unexpected(const binder *b, size_t *count) {
    *count = b->unexpected_count;
    return b->unexpected;
}

void params_save(const params *p, const char *path, dtype type, json_t *metadata) {
    scope_begin();
    named_tensor *items = NEW_ARRAY(named_tensor, p->count + 1);
    for (size_t i = 0; i < p->count; i++) {
        param_to_host(p->items[i]); /* as it is now, wherever it was trained */
        const tensor *value = param_values(p->items[i]);
        items[i] = (named_tensor){p->items[i]->name, value->type == type ? value : tensor_convert(value, type)};
    }
    safetensors_write(path, items, p->count, metadata);
    scope_end();
}
