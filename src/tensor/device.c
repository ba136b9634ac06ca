/* The open device, what lies on it, and where operations run. See device.h and node.h. */
#include "tensor/device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/node.h"
#include "tensor/ops.h"

static const device *opened;
static int opened_index;
static _Thread_local bool working; /* this thread works there */

/* --- opening --- */

static void fail_with(int code, const char *message) { fail((hiss_code) code, "%s", message); }

/* The backend's library, beside this one or where the system looks; NULL, with the reason, if it is not there. */
static void *backend(char why[256]) {
    static void *library;
    if (!library) library = dlopen("libhiss-cuda.so", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        snprintf(why, 256, "this hiss was built without CUDA, or CUDA's libraries are missing (%.150s)", dlerror());
    return library;
}

static const device *open_cuda(int index, char why[256]) {
    void *library = backend(why);
    if (!library) return NULL;
    device_opener *open = NULL;
    void *symbol = dlsym(library, "hiss_cuda_open");
    memcpy(&open, &symbol, sizeof open); /* ISO C has no cast from an object's pointer to a function's */
    if (open) return open(index, fail_with, why);
    snprintf(why, 256, "libhiss-cuda.so is of another hiss");
    return NULL;
}

void device_open(const char *name) {
    char why[256] = "";
    bool any = !strcmp(name, "auto");
    int index = 0;
    if (!strcmp(name, "cpu")) return;
    if (!any && strcmp(name, "cuda")) {
        char *end;
        index = strncmp(name, "cuda:", 5) ? -1 : (int) strtol(name + 5, &end, 10);
        if (index < 0 || index > 255 || *end || end == name + 5)
            fail(HISS_ERROR_ARGUMENT, "device '%s': give cpu, auto, cuda or cuda:N", name);
    }
    if (opened && (any || opened_index == index)) return;
    if (opened)
        fail(HISS_ERROR_ARGUMENT, "device %s: cuda:%d is open already; one process uses one", name, opened_index);
    opened = open_cuda(index, why);
    opened_index = index;
    if (!opened && !any) fail(HISS_ERROR_ARGUMENT, "device %s: %s", name, why);
}

char *device_list(void) {
    char why[256] = "", text[256] = "";
    void *library = backend(why), *symbol = library ? dlsym(library, "hiss_cuda_count") : NULL,
         *other = library ? dlsym(library, "hiss_cuda_describe") : NULL;
    int (*counted)(char *) = NULL;
    void (*describe)(int, char *) = NULL;
    memcpy(&counted, &symbol, sizeof counted);
    memcpy(&describe, &other, sizeof describe);
    int n = counted && describe ? counted(why) : 0;
    char *lines = n > 0 ? "" : format("no GPU: %s\n", *why ? why : "none was found");
    for (int i = 0; i < n; i++) {
        describe(i, text);
        lines = format("%scuda:%d  %s\n", lines, i, text);
    }
    return lines;
}

const device *device_opened(void) { return opened; }
const device *device_current(void) { return working ? opened : NULL; }

bool device_switch(bool there) {
    bool was = working;
    working = there;
    return was;
}

static void back_on(void *unused) {
    (void) unused;
    working = true;
}

static void back_off(void *unused) {
    (void) unused;
    working = false;
}

/* Errors end the scope too. */
void device_begin(void) {
    defer(working ? back_on : back_off, NULL);
    working = true;
}

static void *take(size_t bytes, foreign **block) {
    void *data = opened->take(bytes ? bytes : 1);
    *block = foreign_keep(data, opened->give);
    return data;
}

void *device_alloc(size_t bytes) {
    foreign *block;
    return take(bytes, &block);
}

/* --- tensors there --- */

tensor *tensor_result(dtype type, shape s) {
    if (!device_current()) return tensor_new(type, s);
    tensor *t = tensor_wrap(type, s, NULL);
    t->view = false;
    t->device = true;
    t->home = scope_current();
    t->data = take(tensor_bytes(t), &t->block);
    return t;
}

tensor *tensor_there(float *gradient, const tensor *t) {
    tensor *g = tensor_wrap(F32, shape_of(t), gradient);
    g->device = device_current() != NULL;
    g->home = scope_current();
    return g;
}

void *alloc_there(size_t bytes) { return device_current() ? device_alloc(bytes) : alloc(bytes); }

void clear(void *to, size_t bytes) {
    if (device_current()) opened->clear(to, bytes);
    else memset(to, 0, bytes);
}

/* --- parameters there --- */

struct device_param {
    tensor *value, *narrow; /* F32; BF16 or NULL */
    uint64_t version, narrow_version;
    bool ahead; /* the host's values are older */
};

static struct device_param *param_there(param *p) {
    if (!p->on_device) {
        scope *before = scope_switch(p->home);
        p->on_device = NEW(struct device_param);
        p->on_device->value = tensor_result(F32, shape_of(p->value));
        p->on_device->value->param = p;
        p->on_device->version = p->version + 1;
        scope_switch(before);
    }
    struct device_param *there = p->on_device;
    if (there->version != p->version && !there->ahead) {
        scope_begin();
        const tensor *from = param_values(p);
        opened->upload(there->value->data, (from->type == F32 ? from : tensor_to_f32(from))->data,
                       tensor_bytes(p->value));
        scope_end();
        there->version = p->version;
    }
    return there;
}

static const tensor *narrow_param(param *p) {
    struct device_param *there = param_there(p);
    if (!there->narrow) {
        scope *before = scope_switch(p->home);
        there->narrow = tensor_result(BF16, shape_of(p->value));
        scope_switch(before);
        there->narrow_version = p->version + 1;
    }
    if (there->narrow_version != p->version) {
        opened->convert(there->narrow->data, BF16, there->value->data, F32, count(p->value));
        there->narrow_version = p->version;
    }
    return there->narrow;
}

float *param_on_device(param *p) { return param_there(p)->value->data; }

void param_changed_there(param *p) {
    p->version++;
    p->on_device->version = p->version;
    p->on_device->ahead = true;
}

void param_to_host(param *p) {
    if (!p->on_device || !p->on_device->ahead) return;
    p->on_device->ahead = false;
    opened->download(param_data(p), p->on_device->value->data, tensor_bytes(p->value));
}

/* --- inputs there --- */

/* Gradients go the other way: to the host's sink through a copy. */
static void upload_backward(node *n) {
    bool more;
    const tensor *x = n->in[0];
    float *d = gradient_sink(x, &more);
    size_t bytes = (size_t) count(x) * sizeof *d;
    float *g = more ? alloc(bytes) : d;
    opened->download(g, n->grad, bytes);
    for (int64_t i = 0, k = more ? count(x) : 0; i < k; i++) d[i] += g[i];
}

static const tensor *upload(const tensor *t) {
    tensor *copy = tensor_result(t->type, shape_of(t));
    opened->upload(copy->data, t->data, tensor_bytes(t));
    if (t->node) record(copy, upload_backward, INPUTS(t), NULL, 0);
    return copy;
}

static void bring_backward(node *n) {
    bool more;
    const tensor *x = n->in[0];
    float *d = gradient_sink(x, &more);
    if (!d) return;
    size_t bytes = (size_t) count(x) * sizeof *d;
    float *g = more ? device_alloc(bytes) : d;
    opened->upload(g, n->grad, bytes);
    if (more) add_to(d, g, count(x));
}

const tensor *brought(const tensor *t) {
    if (!t || !device_current() || (!t->device && !t->param)) return t;
    PLACE(t);
    tensor *copy = tensor_new(t->type, shape_of(t));
    opened->download(copy->data, t->data, tensor_bytes(t));
    record(copy, bring_backward, INPUTS(t), NULL, 0);
    return copy;
}

const tensor *placed_matrix(const tensor *t) { return t->param && !device_current() ? t : placed(t); }

const tensor *placed(const tensor *t) {
    if (!t) return NULL;
    if (!device_current()) {
        host_data(t);
        return t;
    }
    if (t->device) return t;
    return t->param ? param_there(t->param)->value : upload(t);
}

const tensor *placed_as(const tensor *t, dtype type) {
    if (t->type == type) return placed(t);
    if (device_current() && t->param && type == BF16) return narrow_param(t->param);
    return tensor_convert(placed(t), type);
}

const float *values(const tensor *t) {
    require(!t || t->type == F32);
    return t ? t->data : NULL;
}

void copy_to(void *to, const void *x, size_t bytes) {
    if (device_current()) opened->copy(to, x, bytes);
    else memcpy(to, x, bytes);
}

void add_to(float *to, const float *x, int64_t n) {
    if (device_current()) {
        width_only one = {1};
        rows from = {(void *) x, F32, 1};
        opened->map_rows(n, (rows){to, F32, 1}, true, &from, 1, ROW_COPY, &one, sizeof one);
        return;
    }
#pragma omp parallel for simd schedule(static) if (n > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) to[i] += x[i];
}
