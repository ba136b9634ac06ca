/* Tensors: making, converting and keeping them. */
#include "tensor/tensor.h"

#include <string.h>

#include "base/parallel.h"
#include "tensor/convert.h"
#include "tensor/tape.h"

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

float *f32(const tensor *t) {
    require(t->type == F32);
    return t->data;
}

uint16_t *bf16(const tensor *t) {
    require(t->type == BF16);
    return t->data;
}

tensor *tensor_convert(const tensor *t, dtype type) {
    tensor *result = tensor_new(type, shape_of(t));
    convert(result->data, type, t->data, t->type, count(t));
    return result;
}

tensor *tensor_to_f32(const tensor *t) { return tensor_convert(t, F32); }

/* Moves a tensor of the current scope to `outer`. While recording everything stays: the tape needs it. */
static tensor *keep(tensor *t, scope *outer) {
    tensor *kept;
    void *data = t->data;
    if (t->view) {
        scope *inner = scope_switch(outer);
        kept = tensor_new(t->type, shape_of(t));
        scope_switch(inner);
        memcpy(kept->data, data, tensor_bytes(t));
        return kept;
    }
    data = block_move(data, outer);
    scope *inner = scope_switch(outer);
    kept = NEW(tensor);
    scope_switch(inner);
    *kept = *t;
    kept->data = data;
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
    if (!t || t->view || tensor_bytes(t) < SCOPE_LARGE) return;
    block_release(t->data);
    t->data = NULL;
}

void tensor_release(tensor *t) {
    if (!recording()) tensor_forget(t);
}
