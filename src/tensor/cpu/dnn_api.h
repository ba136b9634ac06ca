/* The differences between oneDNN 2.x and 3.x, as functions of one form. Included by dnn*.c and block_product.c alone. */
#ifndef HISS_TENSOR_CPU_DNN_API_H
#define HISS_TENSOR_CPU_DNN_API_H

#include <dnnl.h>
#include <dnnl_version.h>

#include "base/scope.h"

/* Every call is checked: what failed is named. */
static inline void check(dnnl_status_t status, const char *what) {
    if (status == dnnl_out_of_memory) fail(HISS_ERROR_MEMORY, "out of memory in oneDNN (%s)", what);
    if (status != dnnl_success) fail(HISS_ERROR_INTERNAL, "oneDNN: %s failed with status %d", what, (int) status);
}

/* A convolution's geometry; dims as oneDNN orders them: [n, c, h, w], [(g,) o, i, h, w]. */
typedef struct {
    dnnl_dims_t strides, dilates, before, after;
} geometry;

#if DNNL_VERSION_MAJOR >= 3

typedef const_dnnl_memory_desc_t layout;

static inline void layout_destroy(void *l) { dnnl_memory_desc_destroy(l); }

static inline layout layout_make(int rank, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag) {
    dnnl_memory_desc_t l;
    check(dnnl_memory_desc_create_with_tag(&l, rank, dims, type, tag), "memory_desc_create");
    defer(layout_destroy, l);
    return l;
}

static inline void append_sum(dnnl_post_ops_t ops) {
    check(dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef), "append_sum");
}

static inline dnnl_status_t describe_forward(dnnl_primitive_desc_t *d, dnnl_engine_t e, const layout *l,
                                             const geometry *g, dnnl_primitive_attr_t a) {
    return dnnl_convolution_forward_primitive_desc_create(d, e, dnnl_forward_inference, dnnl_convolution_direct, l[0],
                                                          l[1], l[2], l[3], g->strides, g->dilates, g->before, g->after,
                                                          a);
}

static inline dnnl_status_t describe_backward_data(dnnl_primitive_desc_t *d, dnnl_engine_t e, const layout *l,
                                                   const geometry *g, dnnl_primitive_attr_t a,
                                                   dnnl_primitive_desc_t hint) {
    return dnnl_convolution_backward_data_primitive_desc_create(d, e, dnnl_convolution_direct, l[0], l[1], l[3],
                                                                g->strides, g->dilates, g->before, g->after, hint, a);
}

static inline dnnl_status_t describe_backward_weights(dnnl_primitive_desc_t *d, dnnl_engine_t e, const layout *l,
                                                      const geometry *g, dnnl_primitive_attr_t a,
                                                      dnnl_primitive_desc_t hint) {
    return dnnl_convolution_backward_weights_primitive_desc_create(
        d, e, dnnl_convolution_direct, l[0], l[1], l[2], l[3], g->strides, g->dilates, g->before, g->after, hint, a);
}

static inline dnnl_status_t describe_matmul(dnnl_primitive_desc_t *d, dnnl_engine_t e, const layout *l,
                                            dnnl_primitive_attr_t a) {
    return dnnl_matmul_primitive_desc_create(d, e, l[0], l[1], l[2], l[3], a);
}

#else

typedef const dnnl_memory_desc_t *layout;

static inline layout layout_make(int rank, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag) {
    dnnl_memory_desc_t *l = NEW(dnnl_memory_desc_t);
    check(dnnl_memory_desc_init_by_tag(l, rank, dims, type, tag), "memory_desc_init");
    return l;
}

static inline void append_sum(dnnl_post_ops_t ops) { check(dnnl_post_ops_append_sum(ops, 1.0f), "append_sum"); }

static inline dnnl_status_t describe_forward(dnnl_primitive_desc_t *d, dnnl_engine_t e, const layout *l,
                                             const geometry *g, dnnl_primitive_attr_t a) {
    dnnl_convolution_desc_t c;
    dnnl_status_t s =
        dnnl_dilated_convolution_forward_desc_init(&c, dnnl_forward_inference, dnnl_convolution_direct, l[0], l[1],
                                                   l[2], l[3], g->strides, g->dilates, g->before, g->after);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(d, &c, a, e, NULL);
}

static inline dnnl_status_t describe_backward_data(dnnl_primitive_desc_t *d, dnnl_engine_t e, const layout *l,
                                                   const geometry *g, dnnl_primitive_attr_t a,
                                                   dnnl_primitive_desc_t hint) {
    dnnl_convolution_desc_t c;
    dnnl_status_t s = dnnl_dilated_convolution_backward_data_desc_init(&c, dnnl_convolution_direct, l[0], l[1], l[3],
                                                                       g->strides, g->dilates, g->before, g->after);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(d, &c, a, e, hint);
}

static inline dnnl_status_t describe_backward_weights(dnnl_primitive_desc_t *d, dnnl_engine_t e, const layout *l,
                                                      const geometry *g, dnnl_primitive_attr_t a,
                                                      dnnl_primitive_desc_t hint) {
    dnnl_convolution_desc_t c;
    dnnl_status_t s = dnnl_dilated_convolution_backward_weights_desc_init(
        &c, dnnl_convolution_direct, l[0], l[1], l[2], l[3], g->strides, g->dilates, g->before, g->after);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(d, &c, a, e, hint);
}

static inline dnnl_status_t describe_matmul(dnnl_primitive_desc_t *d, dnnl_engine_t e, const layout *l,
                                            dnnl_primitive_attr_t a) {
    dnnl_matmul_desc_t m;
    dnnl_status_t s = dnnl_matmul_desc_init(&m, l[0], l[1], l[2], l[3]);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(d, &m, a, e, NULL);
}

#endif

/* --- the same in both --- */

static inline void destroy_description(void *d) { dnnl_primitive_desc_destroy(d); }
static inline void destroy_memory(void *m) { dnnl_memory_destroy(m); }
static inline void destroy_attributes(void *a) { dnnl_primitive_attr_destroy(a); }

static inline dnnl_primitive_attr_t attributes(bool accumulate) {
    dnnl_primitive_attr_t a;
    check(dnnl_primitive_attr_create(&a), "attr_create");
    defer(destroy_attributes, a);
    check(dnnl_primitive_attr_set_scratchpad_mode(a, dnnl_scratchpad_mode_user), "set_scratchpad_mode");
    if (accumulate) {
        dnnl_post_ops_t ops;
        check(dnnl_post_ops_create(&ops), "post_ops_create");
        append_sum(ops);
        check(dnnl_primitive_attr_set_post_ops(a, ops), "set_post_ops");
        dnnl_post_ops_destroy(ops);
    }
    return a;
}

#endif
