/* PyTorch's way of pickling tensors. A storage is a persistent id ("storage", class, key, device, count); a tensor is a
 * call of _rebuild_tensor_v2(storage, offset, shape, stride, ..); a state dict is an OrderedDict of them. */
#include "store/torch.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

enum { TAG_STORAGE = 1, TAG_TENSOR };

/* Walks over a pickle's values end at this depth: they may contain themselves. */
enum { DEPTH_MAX = 32, NAME_MAX_BYTES = 1024 };

typedef struct {
    const torch_storage *storage;
    dtype type;
    const char *type_name;
    int64_t offset, stride[MAX_RANK];
    shape shape;
    bool sound; /* rank, offset and strides could be read */
} torch_tensor;

/* torch.FloatStorage and torch.float32 */
static const struct {
    const char *storage, *type;
    dtype dtype;
} types[] = {
    {"FloatStorage", "float32", F32},      {"DoubleStorage", "float64", F64}, {"HalfStorage", "float16", F16},
    {"BFloat16Storage", "bfloat16", BF16}, {"LongStorage", "int64", I64},     {"IntStorage", "int32", I32},
    {"ShortStorage", "int16", I16},        {"CharStorage", "int8", I8},       {"ByteStorage", "uint8", U8},
    {"BoolStorage", "bool", BOOL8},
};
enum { TYPES = sizeof types / sizeof *types };

static bool int_of(const pickle_value *v, int64_t *out) {
    if (v->kind != PICKLE_INT) return false;
    *out = v->integer;
    return true;
}

static const char *after_last_dot(const char *text) {
    const char *dot = strrchr(text, '.');
    return dot ? dot + 1 : text;
}

/* ---- persistent ids */

static const char *key_text(const pickle_value *v) {
    if (v->kind == PICKLE_TEXT) return v->text;
    return v->kind == PICKLE_INT ? format("%lld", (long long) v->integer) : NULL;
}

static void set_storage_type(torch_storage *s, const char *class_name) {
    s->name = after_last_dot(class_name);
    s->type = DTYPES;
    s->untyped = strcmp(s->name, "UntypedStorage") == 0 || strcmp(s->name, "_UntypedStorage") == 0;
    for (int i = 0; i < TYPES; i++)
        if (strcmp(s->name, types[i].storage) == 0) s->type = types[i].dtype;
    if (s->untyped) s->type = U8;
}

/* ("storage", class, key, device, count[, None or (view key, offset, view count)]) */
static void make_storage(void *context, const pickle_value *id, pickle_value *result) {
    torch_reader *r = context;
    int64_t whole;
    bool sound = id->kind == PICKLE_TUPLE && id->count >= 5 && pickle_is_text(id->items[0], "storage") &&
                 id->items[1]->kind == PICKLE_GLOBAL && key_text(id->items[2]) && int_of(id->items[4], &whole) &&
                 whole >= 0;
    if (!sound) return; /* something else kept outside: None */
    torch_storage *s = NEW(torch_storage);
    s->key = key_text(id->items[2]);
    set_storage_type(s, id->items[1]->text);
    s->count = whole;
    if (id->count >= 6 && id->items[5]->kind == PICKLE_TUPLE) {
        int64_t first, n;
        if (!pickle_int_at(id->items[5], 1, &first) || !pickle_int_at(id->items[5], 2, &n) || first < 0 || n < 0 ||
            first > whole || n > whole - first)
            fail(HISS_ERROR_FORMAT, "%s: a view of storage '%s' lies outside it: the file is damaged", r->store->path,
                 s->key);
        s->first = first;
        s->count = n;
    }
    s->next = r->storages;
    r->storages = s;
    r->storage_count++;
    *result = (pickle_value){.kind = PICKLE_FOREIGN, .tag = TAG_STORAGE, .foreign = s};
}

/* ---- calls */

static bool read_ints(const pickle_value *tuple, int64_t *out, int *n) {
    if ((tuple->kind != PICKLE_TUPLE && tuple->kind != PICKLE_LIST) || tuple->count > MAX_RANK) return false;
    for (size_t i = 0; i < tuple->count; i++)
        if (!pickle_int_at(tuple, i, &out[i])) return false;
    *n = (int) tuple->count;
    return true;
}

/* The type that a call with an untyped storage gives: torch.float32 as a global. */
static dtype named_type(const pickle_value *v) {
    for (int i = 0; v->kind == PICKLE_GLOBAL && i < TYPES; i++)
        if (strcmp(after_last_dot(v->text), types[i].type) == 0) return types[i].dtype;
    return DTYPES;
}

/* _rebuild_tensor(storage, offset, shape, stride), _v2(.., requires_grad, hooks), _v3(.., dtype). */
static bool rebuild_tensor(torch_reader *r, const pickle_value *args, pickle_value *result) {
    (void) r;
    if (args->count < 4 || args->items[0]->kind != PICKLE_FOREIGN || args->items[0]->tag != TAG_STORAGE) return false;
    torch_tensor *t = NEW(torch_tensor);
    t->storage = args->items[0]->foreign;
    t->type = t->storage->type;
    t->type_name = t->storage->name;
    if (t->storage->untyped && args->count > 6 && args->items[6]->kind == PICKLE_GLOBAL) {
        t->type = named_type(args->items[6]);
        t->type_name = args->items[6]->text;
    } else if (t->storage->untyped) t->type = DTYPES;
    int strides;
    t->sound = int_of(args->items[1], &t->offset) && t->offset >= 0 &&
               read_ints(args->items[2], t->shape.dims, &t->shape.rank) &&
               read_ints(args->items[3], t->stride, &strides) && strides == t->shape.rank;
    *result = (pickle_value){.kind = PICKLE_FOREIGN, .tag = TAG_TENSOR, .foreign = t};
    return true;
}

/* The result is the first argument: a parameter of a tensor, a Size of a tuple. */
static bool pass_first(torch_reader *r, const pickle_value *args, pickle_value *result) {
    (void) r;
    if (args->count < 1) return false;
    *result = *args->items[0];
    result->room = result->kind >= PICKLE_TUPLE && result->kind <= PICKLE_DICT ? result->count : result->room;
    return true;
}

/* _rebuild_from_type_v2(function, type, arguments, state): the tensor that the function makes. */
static bool rebuild_from_type(torch_reader *r, const pickle_value *args, pickle_value *result) {
    return args->count >= 3 && args->items[2]->kind == PICKLE_TUPLE && rebuild_tensor(r, args->items[2], result);
}

/* OrderedDict(), dict(), defaultdict(factory); old ones carry their items as a list of pairs. */
static bool make_dict(torch_reader *r, const pickle_value *args, pickle_value *result) {
    (void) r;
    const pickle_value *pairs = args->count ? args->items[args->count - 1] : NULL;
    *result = (pickle_value){.kind = PICKLE_DICT};
    if (!pairs || pairs->kind != PICKLE_LIST || pairs->count == 0) return true;
    result->items = NEW_ARRAY(pickle_value *, 2 * pairs->count);
    for (size_t i = 0; i < pairs->count; i++) {
        const pickle_value *pair = pairs->items[i];
        if ((pair->kind != PICKLE_LIST && pair->kind != PICKLE_TUPLE) || pair->count != 2) continue;
        result->items[result->count++] = pair->items[0];
        result->items[result->count++] = pair->items[1];
    }
    result->room = result->count;
    return true;
}

/* _codecs.encode(text, "latin1"): how bytes are written for Python 2. Each character below 256 is one byte. */
static bool encode_latin1(torch_reader *r, const pickle_value *args, pickle_value *result) {
    (void) r;
    if (args->count < 1 || args->items[0]->kind != PICKLE_TEXT) return false;
    const uint8_t *from = (const uint8_t *) args->items[0]->text;
    size_t size = args->items[0]->size, n = 0;
    char *to = alloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        if (from[i] < 0x80) to[n++] = (char) from[i];
        else if ((from[i] & 0xfe) == 0xc2 && i + 1 < size)
            to[n++] = (char) ((from[i] & 3) << 6 | (from[i + 1] & 63)), i++;
        else return false;
    }
    to[n] = 0;
    *result = (pickle_value){.kind = PICKLE_BYTES, .text = to, .size = n};
    return true;
}

/* numpy's scalar(dtype, bytes): numbers such as a best loss. The dtype is an inert object: dtype("f8", ..). */
static bool numpy_scalar(torch_reader *r, const pickle_value *args, pickle_value *result) {
    (void) r;
    if (args->count < 2 || args->items[0]->kind != PICKLE_OBJECT || args->items[1]->kind != PICKLE_BYTES) return false;
    const pickle_value *how = args->items[0]->args, *data = args->items[1];
    if (how->kind != PICKLE_TUPLE || how->count < 1 || how->items[0]->kind != PICKLE_TEXT) return false;
    const char *name = how->items[0]->text;
    float single;
    if (strcmp(name, "f8") == 0 && data->size == 8) {
        *result = (pickle_value){.kind = PICKLE_FLOAT};
        memcpy(&result->number, data->text, 8);
    } else if (strcmp(name, "f4") == 0 && data->size == 4) {
        memcpy(&single, data->text, 4);
        *result = (pickle_value){.kind = PICKLE_FLOAT, .number = single};
    } else if ((name[0] == 'i' || name[0] == 'u') && data->size >= 1 && data->size <= 8) {
        int unused = 64 - 8 * (int) data->size;
        uint64_t bits = read_little((const uint8_t *) data->text, (int) data->size) << unused;
        *result = (pickle_value){.kind = PICKLE_INT,
                                 .integer = name[0] == 'i' ? (int64_t) bits >> unused : (int64_t) (bits >> unused)};
    } else return false;
    return true;
}

static const struct {
    const char *name;
    bool (*make)(torch_reader *r, const pickle_value *args, pickle_value *result);
} calls[] = {
    {"torch._utils._rebuild_tensor_v2", rebuild_tensor},
    {"torch._utils._rebuild_tensor", rebuild_tensor},
    {"torch._utils._rebuild_tensor_v3", rebuild_tensor},
    {"torch._utils._rebuild_parameter", pass_first},
    {"torch._utils._rebuild_parameter_with_state", pass_first},
    {"torch.nn.parameter.Parameter", pass_first},
    {"torch._tensor._rebuild_from_type_v2", rebuild_from_type},
    {"torch.Size", pass_first},
    {"torch.device", pass_first},
    {"collections.OrderedDict", make_dict},
    {"collections.defaultdict", make_dict},
    {"builtins.dict", make_dict},
    {"__builtin__.dict", make_dict},
    {"builtins.set", pass_first},
    {"__builtin__.set", pass_first},
    {"_codecs.encode", encode_latin1},
    {"numpy.core.multiarray.scalar", numpy_scalar},
    {"numpy._core.multiarray.scalar", numpy_scalar},
};

static bool make_call(void *context, const char *name, const pickle_value *args, pickle_value *result) {
    torch_reader *r = context;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(name, calls[i].name) == 0) return calls[i].make(r, args, result);
    if (!r->unknown) r->unknown = copy_string(name);
    return false;
}

pickle_hooks torch_hooks(torch_reader *r) { return (pickle_hooks){make_call, make_storage, r}; }

/* ---- the walk over the values */

typedef struct {
    torch_reader *reader;
    bool swap;
    size_t budget; /* steps left: a pickle may name one value many times over */
    char name[NAME_MAX_BYTES];
} walk;

static void spend(walk *w, size_t steps) {
    if (steps >= w->budget)
        fail(HISS_ERROR_FORMAT, "%s: the pickle's values unfold to far more than the file holds",
             w->reader->store->path);
    w->budget -= steps;
}

static void add_tensor(walk *w, const torch_tensor *t) {
    torch_reader *r = w->reader;
    const char *path = r->store->path;
    if (!t->sound)
        fail(HISS_ERROR_FORMAT, "%s: tensor '%s' has no valid shape (or more than 8 dimensions): the file is damaged",
             path, w->name);
    if (t->type == DTYPES)
        fail(HISS_ERROR_FORMAT, "%s: tensor '%s' is of a type (%s) that hiss does not read", path, w->name,
             t->type_name);
    size_t element = dtype_size(t->type), size = t->storage->size;
    if ((uint64_t) t->offset > size / element)
        fail(HISS_ERROR_FORMAT, "%s: tensor '%s' begins past its storage: the file is damaged", path, w->name);
    store_entry e = {copy_string(w->name), t->type, t->shape};
    size_t before = (size_t) t->offset * element;
    const uint8_t *data = t->storage->data ? t->storage->data + before : NULL;
    store_add(r->store, &e, data, size - before, t->stride, w->swap, r->file.size);
}

/* Adds ".key" to the name; false for keys that are neither text nor numbers. */
static bool name_push(walk *w, size_t length, const pickle_value *key, size_t index) {
    const char *text = key ? key_text(key) : format("%zu", index);
    if (!text || (key && key->kind == PICKLE_TEXT && strlen(text) != key->size)) return false;
    int n = snprintf(w->name + length, NAME_MAX_BYTES - length, "%s%s", length ? "." : "", text);
    if (n < 0 || (size_t) n >= NAME_MAX_BYTES - length)
        fail(HISS_ERROR_FORMAT, "%s: a tensor's name is longer than %d bytes: the file is damaged",
             w->reader->store->path, NAME_MAX_BYTES - 1);
    return true;
}

static bool is_mapping(const pickle_value *v) { return v->kind == PICKLE_DICT || v->kind == PICKLE_OBJECT; }
static bool is_sequence(const pickle_value *v) { return v->kind == PICKLE_LIST || v->kind == PICKLE_TUPLE; }

static void collect_tensors(walk *w, const pickle_value *v, int depth) {
    spend(w, 1);
    size_t length = strlen(w->name);
    if (v->kind == PICKLE_FOREIGN && v->tag == TAG_TENSOR) {
        spend(w, length);
        if (length == 0) snprintf(w->name, sizeof w->name, "tensor");
        add_tensor(w, v->foreign);
    }
    if (!is_mapping(v) && !is_sequence(v)) return;
    if (depth == DEPTH_MAX)
        fail(HISS_ERROR_FORMAT, "%s: the pickle's values are nested more than %d deep", w->reader->store->path,
             DEPTH_MAX);
    size_t step = is_mapping(v) ? 2 : 1;
    for (size_t i = 0; i + step <= v->count; i += step) {
        if (name_push(w, length, step == 2 ? v->items[i] : NULL, i))
            collect_tensors(w, v->items[i + step - 1], depth + 1);
        w->name[length] = 0;
    }
}

static json_t *plain_value(walk *w, const pickle_value *v, int depth);

/* A mapping's plain values into `to`, which its owner holds: an error on the way loses nothing. */
static void plain_items(walk *w, json_t *to, const pickle_value *v, int depth) {
    for (size_t i = 0; i + 2 <= v->count; i += 2) {
        spend(w, 1);
        const char *key = key_text(v->items[i]);
        if (!key) continue;
        spend(w, strlen(key));
        json_t *value = plain_value(w, v->items[i + 1], depth);
        if (!value) continue;
        json_object_set_new(to, key, value);
    }
}

/* Containers are made empty, handed to a holder in the scope, and filled. */
static json_t *plain_container(walk *w, const pickle_value *v, int depth) {
    if (depth == DEPTH_MAX) return NULL;
    scope *inner = scope_begin();
    json_t *holder = json_make_object(), *made = is_mapping(v) ? json_object() : json_array();
    json_object_set_new(holder, "value", made);
    if (is_mapping(v)) {
        plain_items(w, made, v, depth + 1);
        if (v->kind == PICKLE_OBJECT && v->state && v->state->kind == PICKLE_DICT)
            plain_items(w, made, v->state, depth + 1);
    } else
        for (size_t i = 0; i < v->count; i++) {
            json_t *item = plain_value(w, v->items[i], depth + 1);
            if (item) json_array_append_new(made, item);
        }
    /* A dict of nothing but tensors is no plain value; an empty one is. */
    bool empty = v->count > 0 && (is_mapping(v) ? json_object_size(made) : json_array_size(made)) == 0;
    json_incref(made);
    require(scope_current() == inner);
    scope_end();
    if (!empty) return made;
    json_decref(made);
    return NULL;
}

/* The value as JSON, or NULL for what is not plain: tensors, classes, bytes, text that is not UTF-8. */
static json_t *plain_value(walk *w, const pickle_value *v, int depth) {
    spend(w, 1);
    switch (v->kind) {
    case PICKLE_NONE: return json_null();
    case PICKLE_BOOL: return json_boolean(v->integer);
    case PICKLE_INT: return json_integer(v->integer);
    case PICKLE_FLOAT: return isfinite(v->number) ? json_real(v->number) : json_null();
    case PICKLE_TEXT: spend(w, v->size); return json_stringn(v->text, v->size);
    case PICKLE_TUPLE:
    case PICKLE_LIST:
    case PICKLE_DICT:
    case PICKLE_OBJECT: return plain_container(w, v, depth);
    default: return NULL;
    }
}

/* Under these keys a training checkpoint keeps the network. */
static const char *const weights_keys[] = {"model", "state_dict", "generator"};

static bool holds_tensor(walk *w, const pickle_value *v, int depth) {
    spend(w, 1);
    if (v->kind == PICKLE_FOREIGN) return v->tag == TAG_TENSOR;
    if ((!is_mapping(v) && !is_sequence(v)) || depth == DEPTH_MAX) return false;
    size_t step = is_mapping(v) ? 2 : 1;
    for (size_t i = step - 1; i < v->count; i += step)
        if (holds_tensor(w, v->items[i], depth + 1)) return true;
    return false;
}

static const pickle_value *find_weights(walk *w, const pickle_value *root) {
    for (size_t i = 0; i < sizeof weights_keys / sizeof *weights_keys; i++) {
        const pickle_value *v = pickle_get(root, weights_keys[i]);
        if (v && is_mapping(v) && holds_tensor(w, v, 0)) return v;
    }
    return root;
}

void torch_collect(torch_reader *r, const pickle_value *root, bool swap) {
    store *s = r->store;
    walk *w = NEW(walk);
    *w = (walk){.reader = r, .swap = swap, .budget = 64 * r->pickle_size + 4096};
    collect_tensors(w, s->all ? root : find_weights(w, root), 0);
    if (s->count == 0)
        fail(HISS_ERROR_FORMAT, "%s holds no tensors%s%s%s", s->path, r->unknown ? ": it holds a pickled " : "",
             r->unknown ? r->unknown : "",
             r->unknown ? ", of which hiss runs nothing; save its state_dict() instead" : "");
    /* Text in JSON costs its own size: the same bound for it, of its own. */
    w->budget = 64 * r->pickle_size + 4096;
    if (is_mapping(root)) plain_items(w, s->metadata, root, 0);
}
