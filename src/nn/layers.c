#include "nn/layers.h"

affine bind_affine(binder *b, const char *name, shape weight, init how, bool bias_zero) {
    int64_t fan_in = 1;
    for (int i = 1; i < weight.rank; i++) fan_in *= weight.dims[i];
    affine a;
    bind_push(b, "%s", name);
    a.weight = bind(b, "weight", weight, how);
    a.bias = bind(b, "bias", SHAPE(weight.dims[0]), (init){bias_zero ? INIT_ZERO : INIT_TORCH_UNIFORM, fan_in, 0});
    bind_pop(b);
    return a;
}

affine bind_conv(binder *b, const char *name, int64_t out, int64_t in, int64_t kernel, init_kind how, bool bias_zero) {
    return bind_affine(b, name, SHAPE(out, in, kernel), (init){how, 0, 0}, bias_zero);
}

affine bind_linear(binder *b, const char *name, int64_t out, int64_t in) {
    return bind_affine(b, name, SHAPE(out, in), (init){INIT_TORCH_UNIFORM, 0, 0}, false);
}

tensor *apply_conv(affine a, const tensor *x, int dilation, dtype out) {
    return conv1d_same(x, a.weight, a.bias, dilation, out);
}

tensor *apply_conv_exactly(affine a, const tensor *x, int dilation, bool exact) {
    const int pad = (int) (a.weight->shape[2] / 2) * dilation;
    const conv1d_options o = {.dilation = dilation, .pad_left = pad, .pad_right = pad, .out = F32, .exact = exact};
    return conv1d(x, a.weight, a.bias, o);
}

tensor *apply_linear(affine a, const tensor *x) { return linear(x, a.weight, a.bias); }

const tensor *keep_packed(tensor *t, const char *name) {
    param *p = NEW(param);
    *p = (param){.name = name, .value = t, .version = 1, .home = scope_current()};
    t->param = p;
    return t;
}

const tensor *keep_made(shape s, param_source from, const char *name) {
    param_source *source = NEW(param_source);
    *source = from;
    tensor *t = tensor_wrap(F32, s, NULL);
    t->view = false;
    keep_packed(t, name);
    t->param->source = source;
    return t;
}

typedef struct {
    const tensor *w;
    int stride;
} turning;

static const tensor *make_transposed(void *context) {
    const turning *t = context;
    tensor *w = (tensor *) param_values(t->w->param);
    if (w->type != F32) w = tensor_to_f32(w);
    tensor *turned = transposed_kernel(w, t->stride);
    if (!w->param) tensor_release(w);
    return turned;
}

static void drop_turned(void *context) {
    const param *p = ((const turning *) context)->w->param;
    if (p->source && p->source->drop) p->source->drop(p->source->context);
}

const tensor *keep_transposed(const tensor *w, int stride) {
    turning *t = NEW(turning);
    *t = (turning){w, stride};
    const shape s = SHAPE(stride * w->shape[1], w->shape[0], (w->shape[2] + stride - 1) / stride);
    return keep_made(s, (param_source){make_transposed, drop_turned, t}, "transposed");
}

int64_t store_dimension(const store *s, const char *name, int axis, int64_t otherwise) {
    const store_entry *e = store_find(s, name);
    return e && e->shape.rank > axis ? e->shape.dims[axis] : otherwise;
}
