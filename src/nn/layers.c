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

tensor *apply_linear(affine a, const tensor *x) { return linear(x, a.weight, a.bias); }

const tensor *keep_packed(tensor *t, const char *name) {
    param *p = NEW(param);
    *p = (param){.name = name, .value = t, .version = 1, .home = scope_current()};
    t->param = p;
    return t;
}

int64_t store_dimension(const store *s, const char *name, int axis, int64_t otherwise) {
    const store_entry *e = store_find(s, name);
    return e && e->shape.rank > axis ? e->shape.dims[axis] : otherwise;
}
