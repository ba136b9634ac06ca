/* Tensors: making, converting and keeping them. */
#include "tensor/tensor.h"

#include <string.h>

#include "base/parallel.h"
#include "tensor/convert.h"
#include "tensor/node.h"

static const struct {
    const char *name;
    size_t size;
} types[DTYPES] = {
    [F32] = {"F32", 4}, [BF16] = {"BF16", 2}, [F16] = {"F16", 2}, [F64] = {"F64", 8}, [I64] = {"I64", 8},
    [I32] = {"I32", 4}, [I16] = {"I16", 2},   [I8] = {"I8", 1},   [U8] = {"U8", 1},   [BOOL8] = {"BOOL", 1},
};

size_t dtype_size(dtype t) { return types[t].size; }
const char *dtype_name(dtype t) { return types[t].name; }

/* Elements of a shape; a product that no memory could hold is an error. */
static int64_t shape_count(shape s, size_t element) {
    enum { MOST = INT64_C(1) << 40 };
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) {
        if (s.dims[i] < 0 || (n > 0 && s.dims[i] > (int64_t) MOST / (int64_t) element / n))
            fail(HISS_ERROR_MEMORY, "a tensor of shape %s is too large", shape_text(s));
        n *= s.dims[i];
    }
    return n;
}

static tensor *header(dtype type, shape s) {
    require(s.rank >= 0 && s.rank <= MAX_RANK);
    tensor *t = NEW(tensor);
    t->type = type;
    t->rank = s.rank;
    memcpy(t->shape, s.dims, sizeof t->shape);
    return t;
}

tensor *tensor_new(dtype type, shape s) {
    int64_t n = shape_count(s, dtype_size(type));
    tensor *t = header(type, s);
    t->data = alloc((size_t) (n > 0 ? n : 1) * dtype_size(type));
    return t;
}

tensor *tensor_zero(dtype type, shape s) {
    tensor *t = tensor_new(type, s);
    memset(t->data, 0, tensor_bytes(t));
    return t;
}

tensor *tensor_from(const float *values, shape s) {
    tensor *t = tensor_new(F32, s);
    memcpy(t->data, values, tensor_bytes(t));
    return t;
}

tensor *tensor_wrap(dtype type, shape s, void *data) {
    shape_count(s, dtype_size(type));
    tensor *t = header(type, s);
    t->data = data;
    t->view = true;
    return t;
}

tensor *tensor_view(const tensor *t, int64_t first, shape s) {
    if (!t->device) host_data(t);
    tensor *view = tensor_wrap(t->type, s, (char *) t->data + (size_t) first * dtype_size(t->type));
    view->device = t->device;
    view->home = scope_current();
    return view;
}

shape shape_of(const tensor *t) {
    shape s = {.rank = t->rank};
    memcpy(s.dims, t->shape, sizeof s.dims);
    return s;
}

int64_t count(const tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->shape[i];
    return n;
}

size_t tensor_bytes(const tensor *t) { return (size_t) count(t) * dtype_size(t->type); }

char *shape_text(shape s) {
    char *text = copy_string("[");
    for (int i = 0; i < s.rank; i++) text = format("%s%s%lld", text, i ? ", " : "", (long long) s.dims[i]);
    return format("%s]", text);
}

void *host_data(const tensor *t) {
    if (t->param && (t->device || t == t->param->value)) return param_data(t->param);
    if (!t->device) return t->data;
    tensor *moved = (tensor *) t; /* the values stay the same */
    scope *before = scope_switch(t->home);
    void *data = alloc(tensor_bytes(t) + 1);
    scope_switch(before);
    device_opened()->download(data, t->data, tensor_bytes(t));
    moved->data = data;
    moved->device = moved->view = false;
    moved->block = NULL; /* views of it may still be read there: it goes with its scope */
    return data;
}

float *f32(const tensor *t) {
    require(t->type == F32);
    return host_data(t);
}

uint16_t *bf16(const tensor *t) {
    require(t->type == BF16);
    return host_data(t);
}

tensor *tensor_convert(const tensor *t, dtype type) {
    /* A device knows F32 and BF16. */
    bool there = t->device && device_current() && (t->type == F32 || t->type == BF16) && (type == F32 || type == BF16);
    tensor *result = there ? tensor_result(type, shape_of(t)) : tensor_new(type, shape_of(t));
    if (there) device_current()->convert(result->data, type, t->data, t->type, count(t));
    else convert(result->data, type, host_data(t), t->type, count(t));
    return result;
}

tensor *tensor_to_f32(const tensor *t) { return tensor_convert(t, F32); }

/* Moves a tensor of the current scope to `outer`. While recording everything stays: the tape needs it. */
static tensor *keep(tensor *t, scope *outer) {
    scope *inner = scope_switch(outer);
    tensor *kept;
    if (t->view && t->device) {
        kept = tensor_result(t->type, shape_of(t));
        device_current()->copy(kept->data, t->data, tensor_bytes(t));
    } else if (t->view) {
        kept = tensor_new(t->type, shape_of(t));
        memcpy(kept->data, t->data, tensor_bytes(t));
    } else {
        kept = NEW(tensor);
        *kept = *t;
        if (t->device) kept->block = foreign_move(t->block, outer);
        else {
            scope_switch(inner); /* the block's own scope gives it away */
            kept->data = block_move(t->data, outer);
        }
        kept->home = outer;
    }
    scope_switch(inner);
    return kept;
}

void scope_end_keep_all(tensor **kept[], size_t n) {
    if (recording()) {
        scope_end_merge();
        return;
    }
    scope *outer = scope_parent(scope_current());
    for (size_t i = 0; i < n; i++) *kept[i] = keep(*kept[i], outer);
    scope_end();
}

tensor *scope_end_keep(tensor *result) {
    scope_end_keep_all((tensor **[]){&result}, 1);
    return result;
}

void tensor_forget(tensor *t) {
    if (!t || t->view) return;
    if (t->block) foreign_release(t->block);
    else if (t->device || tensor_bytes(t) < SCOPE_LARGE) return;
    else block_release(t->data);
    t->block = NULL;
    t->data = NULL;
}

void tensor_release(tensor *t) {
    if (!recording()) tensor_forget(t);
}
