/* What hiss asks of oneDNN: convolutions forward and backward, products of matrices. Where a processor's oneDNN has no bf16, in f32. */
#include "tensor/cpu/dnn.h"

#include <stdio.h>

#include "base/parallel.h"
#include "tensor/convert.h"
#include "tensor/cpu/dnn_primitive.h"

typedef enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, MATMUL } work;

/* --- descriptions --- */

static layout activation(int64_t n, int64_t c, int64_t h, int64_t w, dnnl_data_type_t type) {
    return layout_make(4, (dnnl_dims_t){n, c, h, w}, type, dnnl_nhwc);
}

/* Weights as oneDNN numbers them; `tag` any, or plain for what stands in the checkpoint. */
static layout weights_layout(const conv_problem *c, dnnl_data_type_t type, bool plain) {
    int64_t g = c->groups > 1 ? c->groups : 1;
    if (g > 1)
        return layout_make(5, (dnnl_dims_t){g, c->out_c / g, c->in_c / g, c->kernel_h, c->kernel_w}, type,
                           plain ? dnnl_goihw : dnnl_format_tag_any);
    return layout_make(4, (dnnl_dims_t){c->out_c, c->in_c, c->kernel_h, c->kernel_w}, type,
                       plain ? dnnl_oihw : dnnl_format_tag_any);
}

static geometry geometry_of(const conv_problem *c) {
    int64_t reach_h = (int64_t) c->dilation_h * (c->kernel_h - 1) + 1,
            reach_w = (int64_t) c->dilation_w * (c->kernel_w - 1) + 1;
    return (geometry){
        .strides = {c->stride_h, c->stride_w},
        .dilates = {c->dilation_h - 1, c->dilation_w - 1},
        .before = {c->pad_h, c->pad_w},
        .after = {(c->out_h - 1) * c->stride_h + reach_h - c->in_h - c->pad_h,
                  (c->out_w - 1) * c->stride_w + reach_w - c->in_w - c->pad_w},
    };
}

static void describe_conv(primitive *p, const void *problem) {
    const conv_problem *c = problem;
    work kind = (work) p->key.work;
    dnnl_data_type_t in = dnn_type(c->in), out = dnn_type(c->out);
    /* The type of the side away from the operands: y forward, dx backward; dw is always f32. */
    layout l[4] = {activation(c->batch, c->in_c, c->in_h, c->in_w, kind == BACKWARD_DATA ? out : in),
                   weights_layout(c, kind == BACKWARD_WEIGHTS ? dnnl_f32 : in, false),
                   c->bias ? layout_make(1, (dnnl_dims_t){c->out_c}, dnnl_f32, dnnl_a) : NULL,
                   activation(c->batch, c->out_c, c->out_h, c->out_w, kind == FORWARD ? out : in)};
    geometry g = geometry_of(c);
    dnnl_primitive_attr_t a = attributes(c->accumulate);
    dnnl_status_t status;
    if (kind == FORWARD) status = describe_forward(&p->description, dnn_engine(), l, &g, a);
    else {
        layout f[4] = {activation(c->batch, c->in_c, c->in_h, c->in_w, in), weights_layout(c, in, false), NULL,
                       activation(c->batch, c->out_c, c->out_h, c->out_w, in)};
        dnnl_primitive_desc_t hint;
        status = describe_forward(&hint, dnn_engine(), f, &g, attributes(false));
        if (status == dnnl_success) {
            defer(destroy_description, hint);
            status = kind == BACKWARD_DATA ? describe_backward_data(&p->description, dnn_engine(), l, &g, a, hint)
                                           : describe_backward_weights(&p->description, dnn_engine(), l, &g, a, hint);
        }
    }
    p->unsupported = status == dnnl_unimplemented;
    if (p->unsupported) return;
    check(status, "convolution description");
    if (kind == FORWARD) {
        dnn_give_memory(p, X, DNNL_ARG_SRC, dnn_described(p, dnnl_query_src_md, 0));
        dnn_give_memory(p, W, DNNL_ARG_WEIGHTS, dnn_described(p, dnnl_query_weights_md, 0));
        if (c->bias) dnn_give_memory(p, BIAS, DNNL_ARG_BIAS, dnn_described(p, dnnl_query_weights_md, 1));
        dnn_give_memory(p, Y, DNNL_ARG_DST, dnn_described(p, dnnl_query_dst_md, 0));
    } else if (kind == BACKWARD_DATA) {
        dnn_give_memory(p, X, DNNL_ARG_DIFF_SRC, dnn_described(p, dnnl_query_diff_src_md, 0));
        dnn_give_memory(p, W, DNNL_ARG_WEIGHTS, dnn_described(p, dnnl_query_weights_md, 0));
        dnn_give_memory(p, Y, DNNL_ARG_DIFF_DST, dnn_described(p, dnnl_query_diff_dst_md, 0));
    } else {
        dnn_give_memory(p, X, DNNL_ARG_SRC, dnn_described(p, dnnl_query_src_md, 0));
        dnn_give_memory(p, W, DNNL_ARG_DIFF_WEIGHTS, dnn_described(p, dnnl_query_diff_weights_md, 0));
        if (c->bias) dnn_give_memory(p, BIAS, DNNL_ARG_DIFF_BIAS, dnn_described(p, dnnl_query_diff_weights_md, 1));
        dnn_give_memory(p, Y, DNNL_ARG_DIFF_DST, dnn_described(p, dnnl_query_diff_dst_md, 0));
    }
    dnn_finish(p);
}

/* A product of matrices, y [batch, m, n]. */
typedef struct {
    int64_t batch, m, n, k;
    dtype in, out;
    bool a_transposed, b_transposed, b_packed, bias, accumulate;
} product;

static layout matrix(int64_t batch, int64_t rows, int64_t columns, dnnl_data_type_t type, bool transposed) {
    return layout_make(3, (dnnl_dims_t){batch, rows, columns}, type, transposed ? dnnl_acb : dnnl_abc);
}

static void describe_product(primitive *p, const void *problem) {
    const product *m = problem;
    dnnl_data_type_t in = dnn_type(m->in);
    layout l[4] = {matrix(m->batch, m->m, m->k, in, m->a_transposed),
                   m->b_packed ? layout_make(3, (dnnl_dims_t){m->batch, m->k, m->n}, in, dnnl_format_tag_any)
                               : matrix(m->batch, m->k, m->n, in, m->b_transposed),
                   m->bias ? layout_make(3, (dnnl_dims_t){1, 1, m->n}, dnnl_f32, dnnl_abc) : NULL,
                   matrix(m->batch, m->m, m->n, dnn_type(m->out), false)};
    dnnl_status_t status = describe_matmul(&p->description, dnn_engine(), l, attributes(m->accumulate));
    p->unsupported = status == dnnl_unimplemented;
    if (p->unsupported) return;
    check(status, "matmul description");
    dnn_give_memory(p, X, DNNL_ARG_SRC, dnn_described(p, dnnl_query_src_md, 0));
    dnn_give_memory(p, W, DNNL_ARG_WEIGHTS, dnn_described(p, dnnl_query_weights_md, 0));
    if (m->bias) dnn_give_memory(p, BIAS, DNNL_ARG_BIAS, dnn_described(p, dnnl_query_weights_md, 1));
    dnn_give_memory(p, Y, DNNL_ARG_DST, dnn_described(p, dnnl_query_dst_md, 0));
    dnn_finish(p);
}

/* --- convolutions --- */

static layout plain_weights(const void *c, dnnl_data_type_t type) { return weights_layout(c, type, true); }

static problem_key conv_key(const conv_problem *c, work kind) {
    return (problem_key){kind,
                         threads_get(),
                         c->in,
                         c->out,
                         c->bias,
                         c->accumulate,
                         {c->batch, c->in_h, c->in_w, c->in_c, c->out_h, c->out_w, c->out_c, c->kernel_h, c->kernel_w,
                          c->stride_h, c->stride_w, c->dilation_h, c->dilation_w, c->pad_h, c->pad_w, c->groups}};
}

static primitive *find_conv(const conv_problem *c, work kind) {
    problem_key key = conv_key(c, kind);
    return dnn_find(&key, describe_conv, c);
}

static int64_t in_elements(const conv_problem *c) { return c->batch * c->in_h * c->in_w * c->in_c; }
static int64_t out_elements(const conv_problem *c) { return c->batch * c->out_h * c->out_w * c->out_c; }

/* n elements of type `from` as F32: for processors whose oneDNN has no bf16. */
static float *widened(const void *x, dtype from, int64_t n) {
    float *wide = alloc((size_t) n * sizeof(float));
    convert(wide, F32, x, from, n);
    return wide;
}

static conv_problem in_f32(const conv_problem *c) {
    conv_problem wide = *c;
    wide.in = wide.out = F32;
    return wide;
}

void conv_forward(const conv_problem *c, const void *x, const tensor *w, const float *bias, void *y) {
    dnn_begin();
    primitive *p = find_conv(c, FORWARD);
    if (!p->unsupported)
        dnn_run(p,
                (void *[ROLES]){[X] = (void *) x,
                                [W] = dnn_pack(w, plain_weights, c, false, dnn_described(p, dnnl_query_weights_md, 0)),
                                [BIAS] = (void *) bias,
                                [Y] = y});
    bool unsupported = p->unsupported;
    scope_end();
    if (!unsupported) return;
    require(c->in == BF16 || c->out == BF16);
    scope_begin();
    conv_problem wide = in_f32(c);
    float *result = c->out == F32 ? y : alloc((size_t) out_elements(c) * sizeof(float));
    conv_forward(&wide, widened(x, c->in, in_elements(c)), w, bias, result);
    if (c->out != F32) convert(y, c->out, result, F32, out_elements(c));
    scope_end();
}

void conv_backward_data(const conv_problem *c, const void *dy, const tensor *w, void *dx, dtype dx_type) {
    conv_problem b = *c;
    b.out = dx_type; /* of the result */
    b.bias = b.accumulate = false;
    dnn_begin();
    primitive *p = find_conv(&b, BACKWARD_DATA);
    if (!p->unsupported)
        dnn_run(p,
                (void *[ROLES]){[X] = dx,
                                [W] = dnn_pack(w, plain_weights, c, false, dnn_described(p, dnnl_query_weights_md, 0)),
                                [Y] = (void *) dy});
    bool unsupported = p->unsupported;
    scope_end();
    if (!unsupported) return;
    require(c->in == BF16);
    scope_begin();
    conv_problem wide = in_f32(c);
    float *result = dx_type == F32 ? dx : alloc((size_t) in_elements(c) * sizeof(float));
    conv_backward_data(&wide, widened(dy, c->in, out_elements(c)), w, result, F32);
    if (dx_type != F32) convert(dx, dx_type, result, F32, in_elements(c));
    scope_end();
}

void conv_backward_weights(const conv_problem *c, const void *x, const void *dy, float *dw, float *dbias) {
    conv_problem b = *c;
    b.out = F32;
    b.bias = dbias != NULL;
    b.accumulate = false;
    dnn_begin();
    primitive *p = find_conv(&b, BACKWARD_WEIGHTS);
    bool unsupported = p->unsupported;
    if (!unsupported) {
        layout made = dnn_described(p, dnnl_query_diff_weights_md, 0), plain = weights_layout(c, dnnl_f32, true);
        float *blocked = alloc(dnnl_memory_desc_get_size(made)), *flat = alloc(dnnl_memory_desc_get_size(plain));
        float *db = alloc((size_t) c->out_c * sizeof(float));
        dnn_run(p, (void *[ROLES]){[X] = (void *) x, [W] = blocked, [BIAS] = db, [Y] = (void *) dy});
        dnn_reorder(made, blocked, plain, flat);
        size_t n = dnnl_memory_desc_get_size(plain) / sizeof(float);
        for (size_t i = 0; i < n; i++) dw[i] += flat[i];
        for (int64_t i = 0; dbias && i < c->out_c; i++) dbias[i] += db[i];
    }
    scope_end();
    if (!unsupported) return;
    require(c->in == BF16);
    scope_begin();
    conv_problem wide = in_f32(c);
    conv_backward_weights(&wide, widened(x, c->in, in_elements(c)), widened(dy, c->in, out_elements(c)), dw, dbias);
    scope_end();
}

/* --- matrix products --- */

static primitive *find_product(const product *m) {
    problem_key key = {MATMUL,
                       threads_get(),
                       m->in,
                       m->out,
                       m->bias,
                       m->accumulate,
                       {m->batch, m->m, m->n, m->k, m->a_transposed, m->b_transposed, m->b_packed}};
    return dnn_find(&key, describe_product, m);
}

static layout plain_matrix(const void *problem, dnnl_data_type_t type) {
    const matmul_problem *q = problem;
    return matrix(1, q->k, q->n, type, !q->b_transposed);
}

void matmul_weights(const matmul_problem *q, const void *a, const tensor *b, const float *bias, void *y) {
    product m = {1, q->m, q->n, q->k, q->in, q->out, false, false, true, q->bias, q->accumulate};
    dnn_begin();
    primitive *p = find_product(&m);
    bool unsupported = p->unsupported;
    if (!unsupported) {
        dnn_run(p, (void *[ROLES]){
                       [X] = (void *) a,
                       [W] = dnn_pack(b, plain_matrix, q, q->b_transposed, dnn_described(p, dnnl_query_weights_md, 0)),
                       [BIAS] = (void *) bias,
                       [Y] = y});
    }
    scope_end();
    if (!unsupported) return;
    require(q->in == BF16 || q->out == BF16);
    scope_begin();
    matmul_problem wide = *q;
    wide.in = wide.out = F32;
    float *result = q->out == F32 ? y : alloc((size_t) (q->m * q->n) * sizeof(float));
    matmul_weights(&wide, widened(a, q->in, q->m * q->k), b, bias, result);
    if (q->out != F32) convert(y, q->out, result, F32, q->m * q->n);
    scope_end();
}

bool matmul_int8(int64_t M, int64_t N, int64_t K, const int8_t *a, const tensor *b, int32_t *y) {
    const matmul_problem q = {.m = M, .n = N, .k = K, .in = I8, .out = I32};
    const product m = {1, M, N, K, I8, I32, false, false, true, false, false};
    dnn_begin();
    primitive *p = find_product(&m);
    const bool there = !p->unsupported;
    if (there)
        dnn_run(p,
                (void *[ROLES]){[X] = (void *) a,
                                [W] = dnn_pack(b, plain_matrix, &q, false, dnn_described(p, dnnl_query_weights_md, 0)),
                                [Y] = y});
    scope_end();
    return there;
}

void matmul(int64_t batch, int64_t m, int64_t n, int64_t k, dtype in, const void *a, bool a_transposed, const void *b,
            bool b_transposed, dtype out, void *y, bool accumulate) {
    product q = {batch, m, n, k, in, out, a_transposed, b_transposed, false, false, accumulate};
    dnn_begin();
    primitive *p = find_product(&q);
    bool unsupported = p->unsupported;
    if (!unsupported) dnn_run(p, (void *[ROLES]){[X] = (void *) a, [W] = (void *) b, [Y] = y});
    scope_end();
    if (!unsupported) return;
    require(in == BF16 || out == BF16);
    scope_begin();
    float *result = out == F32 ? y : alloc((size_t) (batch * m * n) * sizeof(float));
    matmul(batch, m, n, k, F32, widened(a, in, batch * m * k), a_transposed, widened(b, in, batch * k * n),
           b_transposed, F32, result, accumulate);
    if (out != F32) convert(y, out, result, F32, batch * m * n);
    scope_end();
}

/* --- what it is --- */

const char *dnn_version(void) {
    static char text[48];
    const dnnl_version_t *v = dnnl_version();
    if (!text[0]) snprintf(text, sizeof text, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

const char *dnn_isa(void) {
    if (cpu()->amx_bf16) return "AMX bf16";
    if (cpu()->avx512_bf16) return "AVX-512 bf16";
    return cpu()->avx512 ? "AVX-512" : cpu()->avx2 ? "AVX2" : "plain x86-64";
}
