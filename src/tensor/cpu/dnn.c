/* oneDNN: problems become primitives, made once and kept; weights are reordered to the layout a primitive wants, once per
 * version of the parameter. One thread at a time runs a primitive (each uses all cores). */
#include "tensor/cpu/dnn.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/convert.h"
#include "tensor/cpu/dnn_api.h"

typedef enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, MATMUL } work;

/* What a primitive is found by: all numbers, no padding bytes (memcmp). */
typedef struct {
    int64_t work, threads, in, out, bias, accumulate, dims[20];
} problem_key;

enum { X, W, BIAS, Y, SCRATCH, ROLES };

typedef struct primitive {
    problem_key key;
    struct primitive *next;
    dnnl_primitive_t handle;
    dnnl_primitive_desc_t description;
    dnnl_memory_t memory[ROLES];
    int argument[ROLES];
    size_t scratch;
    bool unsupported;
} primitive;

enum { BUCKETS = 1024 };
static struct {
    pthread_mutex_t lock;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    primitive *bucket[BUCKETS];
    scope *home;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void start(void) {
    if (cache.engine) return;
    check(dnnl_engine_create(&cache.engine, dnnl_cpu, 0), "engine_create");
    check(dnnl_stream_create(&cache.stream, cache.engine, dnnl_stream_default_flags), "stream_create");
}

static dnnl_data_type_t type_of(dtype t) {
    require(t == F32 || t == BF16 || t == I8 || t == I32);
    return t == BF16 ? dnnl_bf16 : t == F32 ? dnnl_f32 : t == I8 ? dnnl_s8 : dnnl_s32;
}

/* --- making primitives --- */

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

static layout described(const primitive *p, dnnl_query_t what, int index) {
    return dnnl_primitive_desc_query_md(p->description, what, index);
}

static void give_memory(primitive *p, int role, int argument, layout l) {
    p->argument[role] = argument;
    if (l && dnnl_memory_desc_get_size(l) > 0)
        check(dnnl_memory_create(&p->memory[role], l, cache.engine, DNNL_MEMORY_NONE), "memory_create");
}

static void finish_primitive(primitive *p) {
    layout scratch = described(p, dnnl_query_scratchpad_md, 0);
    p->scratch = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (p->scratch) give_memory(p, SCRATCH, DNNL_ARG_SCRATCHPAD, scratch);
    check(dnnl_primitive_create(&p->handle, p->description), "primitive_create");
}

static void describe_conv(primitive *p, const conv_problem *c) {
    work kind = (work) p->key.work;
    dnnl_data_type_t in = type_of(c->in), out = type_of(c->out);
    /* The type of the side away from the operands: y forward, dx backward; dw is always f32. */
    layout l[4] = {activation(c->batch, c->in_c, c->in_h, c->in_w, kind == BACKWARD_DATA ? out : in),
                   weights_layout(c, kind == BACKWARD_WEIGHTS ? dnnl_f32 : in, false),
                   c->bias ? layout_make(1, (dnnl_dims_t){c->out_c}, dnnl_f32, dnnl_a) : NULL,
                   activation(c->batch, c->out_c, c->out_h, c->out_w, kind == FORWARD ? out : in)};
    geometry g = geometry_of(c);
    dnnl_primitive_attr_t a = attributes(c->accumulate);
    dnnl_status_t status;
    if (kind == FORWARD) status = describe_forward(&p->description, cache.engine, l, &g, a);
    else {
        layout f[4] = {activation(c->batch, c->in_c, c->in_h, c->in_w, in), weights_layout(c, in, false), NULL,
                       activation(c->batch, c->out_c, c->out_h, c->out_w, in)};
        dnnl_primitive_desc_t hint;
        status = describe_forward(&hint, cache.engine, f, &g, attributes(false));
        if (status == dnnl_success) {
            defer(destroy_description, hint);
            status = kind == BACKWARD_DATA ? describe_backward_data(&p->description, cache.engine, l, &g, a, hint)
                                           : describe_backward_weights(&p->description, cache.engine, l, &g, a, hint);
        }
    }
    p->unsupported = status == dnnl_unimplemented;
    if (p->unsupported) return;
    check(status, "convolution description");
    if (kind == FORWARD) {
        give_memory(p, X, DNNL_ARG_SRC, described(p, dnnl_query_src_md, 0));
        give_memory(p, W, DNNL_ARG_WEIGHTS, described(p, dnnl_query_weights_md, 0));
        if (c->bias) give_memory(p, BIAS, DNNL_ARG_BIAS, described(p, dnnl_query_weights_md, 1));
        give_memory(p, Y, DNNL_ARG_DST, described(p, dnnl_query_dst_md, 0));
    } else if (kind == BACKWARD_DATA) {
        give_memory(p, X, DNNL_ARG_DIFF_SRC, described(p, dnnl_query_diff_src_md, 0));
        give_memory(p, W, DNNL_ARG_WEIGHTS, described(p, dnnl_query_weights_md, 0));
        give_memory(p, Y, DNNL_ARG_DIFF_DST, described(p, dnnl_query_diff_dst_md, 0));
    } else {
        give_memory(p, X, DNNL_ARG_SRC, described(p, dnnl_query_src_md, 0));
        give_memory(p, W, DNNL_ARG_DIFF_WEIGHTS, described(p, dnnl_query_diff_weights_md, 0));
        if (c->bias) give_memory(p, BIAS, DNNL_ARG_DIFF_BIAS, described(p, dnnl_query_diff_weights_md, 1));
        give_memory(p, Y, DNNL_ARG_DIFF_DST, described(p, dnnl_query_diff_dst_md, 0));
    }
    finish_primitive(p);
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

static void describe_product(primitive *p, const product *m) {
    dnnl_data_type_t in = type_of(m->in);
    layout l[4] = {matrix(m->batch, m->m, m->k, in, m->a_transposed),
                   m->b_packed ? layout_make(3, (dnnl_dims_t){m->batch, m->k, m->n}, in, dnnl_format_tag_any)
                               : matrix(m->batch, m->k, m->n, in, m->b_transposed),
                   m->bias ? layout_make(3, (dnnl_dims_t){1, 1, m->n}, dnnl_f32, dnnl_abc) : NULL,
                   matrix(m->batch, m->m, m->n, type_of(m->out), false)};
    dnnl_status_t status = describe_matmul(&p->description, cache.engine, l, attributes(m->accumulate));
    p->unsupported = status == dnnl_unimplemented;
    if (p->unsupported) return;
    check(status, "matmul description");
    give_memory(p, X, DNNL_ARG_SRC, described(p, dnnl_query_src_md, 0));
    give_memory(p, W, DNNL_ARG_WEIGHTS, described(p, dnnl_query_weights_md, 0));
    if (m->bias) give_memory(p, BIAS, DNNL_ARG_BIAS, described(p, dnnl_query_weights_md, 1));
    give_memory(p, Y, DNNL_ARG_DST, described(p, dnnl_query_dst_md, 0));
    finish_primitive(p);
}

/* --- the cache --- */

static unsigned bucket_of(const problem_key *key) {
    uint64_t h = 0xCBF29CE484222325u;
    const int64_t *words = (const int64_t *) key;
    for (size_t i = 0; i < sizeof *key / sizeof *words; i++) h = (h ^ (uint64_t) words[i]) * 0x100000001B3u;
    return (unsigned) (h >> 32) % BUCKETS;
}

typedef void describer(primitive *p, const void *problem);
static void describe_conv_any(primitive *p, const void *c) { describe_conv(p, c); }
static void describe_product_any(primitive *p, const void *m) { describe_product(p, m); }

/* Holding the lock. */
static primitive *find(const problem_key *key, describer *describe, const void *problem) {
    start();
    unsigned bucket = bucket_of(key);
    for (primitive *p = cache.bucket[bucket]; p; p = p->next)
        if (!memcmp(&p->key, key, sizeof *key)) return p;
    if (!cache.home) cache.home = scope_create();
    scope *before = scope_switch(cache.home);
    primitive *p = NEW(primitive);
    scope_switch(before);
    p->key = *key;
    scope_begin();
    describe(p, problem);
    scope_end();
    p->next = cache.bucket[bucket];
    cache.bucket[bucket] = p;
    return p;
}

static void destroy_primitive(primitive *p) {
    for (int i = 0; i < ROLES; i++)
        if (p->memory[i]) dnnl_memory_destroy(p->memory[i]);
    if (p->handle) dnnl_primitive_destroy(p->handle);
    if (p->description) dnnl_primitive_desc_destroy(p->description);
}

void dnn_trim(void) {
    pthread_mutex_lock(&cache.lock);
    for (int i = 0; i < BUCKETS; i++) {
        for (primitive *p = cache.bucket[i]; p; p = p->next) destroy_primitive(p);
        cache.bucket[i] = NULL;
    }
    scope_destroy(cache.home);
    cache.home = NULL;
    pthread_mutex_unlock(&cache.lock);
}

static void unlock(void *lock) { pthread_mutex_unlock(lock); }

/* Opens a scope that holds the lock; scope_end() lets it go, on errors too. */
static void begin_locked(void) {
    scope_begin();
    pthread_mutex_lock(&cache.lock);
    defer(unlock, &cache.lock);
}

static void run(primitive *p, void *const handles[ROLES]) {
    dnnl_exec_arg_t arguments[ROLES];
    int n = 0;
    for (int i = 0; i < ROLES; i++) {
        if (!p->memory[i]) continue;
        void *handle = i == SCRATCH ? alloc(p->scratch) : handles[i];
        check(dnnl_memory_set_data_handle(p->memory[i], handle), "set_data_handle");
        arguments[n++] = (dnnl_exec_arg_t){p->argument[i], p->memory[i]};
    }
    check(dnnl_primitive_execute(p->handle, cache.stream, n, arguments), "execute");
    check(dnnl_stream_wait(cache.stream), "stream_wait");
}

/* --- weights --- */

/* A copy of a parameter in the layout some primitives want. */
struct packed {
    struct packed *next;
    dnnl_memory_t memory; /* its layout; the handle is data */
    bool turned;          /* packed from the transposed matrix: the layout of a square one does not tell */
    uint64_t version;
    void *data;
};
typedef struct packed packed;

static layout layout_of(dnnl_memory_t m) {
    layout l;
    check(dnnl_memory_get_memory_desc(m, (void *) &l), "get_memory_desc");
    return l;
}

static void reorder(layout from, void *source, layout to, void *target) {
    dnnl_memory_t a, b;
    check(dnnl_memory_create(&a, from, cache.engine, source), "memory_create");
    defer(destroy_memory, a);
    check(dnnl_memory_create(&b, to, cache.engine, target), "memory_create");
    defer(destroy_memory, b);
    dnnl_primitive_desc_t d;
    check(dnnl_reorder_primitive_desc_create(&d, from, cache.engine, to, cache.engine, NULL), "reorder description");
    defer(destroy_description, d);
    dnnl_primitive_t p;
    check(dnnl_primitive_create(&p, d), "reorder");
    dnnl_exec_arg_t arguments[2] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}};
    dnnl_status_t status = dnnl_primitive_execute(p, cache.stream, 2, arguments);
    dnnl_stream_wait(cache.stream);
    dnnl_primitive_destroy(p);
    check(status, "reorder");
}

static void forget_packed(void *slot) { *(struct packed **) slot = NULL; }

/* How the checkpoint's values lie, in this type. */
typedef layout plain_layout(const void *problem, dnnl_data_type_t type);

/* From the type that the values have at hand, which oneDNN need not know. */
static void reorder_values(const tensor *w, plain_layout *plain, const void *problem, layout to, void *target) {
    scope_begin();
    const tensor *at_hand = w->param ? param_values(w->param) : w,
                 *v = at_hand->type == F32 || at_hand->type == BF16 || at_hand->type == I8 ? at_hand
                                                                                           : tensor_to_f32(at_hand);
    reorder(plain(problem, type_of(v->type)), v->data, to, target);
    if (w->param) param_packed(w->param, at_hand);
    scope_end();
}

/* w in the layout `wanted`; kept with its parameter. */
static void *pack(const tensor *w, plain_layout *plain, const void *problem, bool turned, layout wanted) {
    size_t size = dnnl_memory_desc_get_size(wanted);
    param *owner = w->param;
    if (!owner || owner->once) {
        void *data = alloc(size);
        reorder_values(w, plain, problem, wanted, data);
        return data;
    }
    packed *k = owner->packed;
    while (k && (k->turned != turned || !dnnl_memory_desc_equal(layout_of(k->memory), wanted))) k = k->next;
    if (!k) {
        scope *before = param_home_enter(owner);
        k = NEW(packed);
        k->data = alloc(size);
        k->turned = turned;
        check(dnnl_memory_create(&k->memory, wanted, cache.engine, k->data), "memory_create");
        defer(destroy_memory, k->memory);
        if (!owner->packed) defer(forget_packed, &owner->packed);
        param_home_leave(before);
        k->next = owner->packed;
        owner->packed = k;
    }
    if (k->version != owner->version) {
        reorder_values(w, plain, problem, wanted, k->data);
        k->version = owner->version;
    }
    return k->data;
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
    return find(&key, describe_conv_any, c);
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
    begin_locked();
    primitive *p = find_conv(c, FORWARD);
    if (!p->unsupported)
        run(p, (void *[ROLES]){[X] = (void *) x,
                               [W] = pack(w, plain_weights, c, false, described(p, dnnl_query_weights_md, 0)),
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
    begin_locked();
    primitive *p = find_conv(&b, BACKWARD_DATA);
    if (!p->unsupported)
        run(p, (void *[ROLES]){[X] = dx,
                               [W] = pack(w, plain_weights, c, false, described(p, dnnl_query_weights_md, 0)),
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
    begin_locked();
    primitive *p = find_conv(&b, BACKWARD_WEIGHTS);
    bool unsupported = p->unsupported;
    if (!unsupported) {
        layout made = described(p, dnnl_query_diff_weights_md, 0), plain = weights_layout(c, dnnl_f32, true);
        float *blocked = alloc(dnnl_memory_desc_get_size(made)), *flat = alloc(dnnl_memory_desc_get_size(plain));
        float *db = alloc((size_t) c->out_c * sizeof(float));
        run(p, (void *[ROLES]){[X] = (void *) x, [W] = blocked, [BIAS] = db, [Y] = (void *) dy});
        reorder(made, blocked, plain, flat);
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
    return find(&key, describe_product_any, m);
}

static layout plain_matrix(const void *problem, dnnl_data_type_t type) {
    const matmul_problem *q = problem;
    return matrix(1, q->k, q->n, type, !q->b_transposed);
}

void matmul_weights(const matmul_problem *q, const void *a, const tensor *b, const float *bias, void *y) {
    product m = {1, q->m, q->n, q->k, q->in, q->out, false, false, true, q->bias, q->accumulate};
    begin_locked();
    primitive *p = find_product(&m);
    bool unsupported = p->unsupported;
    if (!unsupported) {
        run(p, (void *[ROLES]){[X] = (void *) a,
                               [W] = pack(b, plain_matrix, q, q->b_transposed, described(p, dnnl_query_weights_md, 0)),
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
    begin_locked();
    primitive *p = find_product(&m);
    const bool there = !p->unsupported;
    if (there)
        run(p, (void *[ROLES]){[X] = (void *) a,
                               [W] = pack(b, plain_matrix, &q, false, described(p, dnnl_query_weights_md, 0)),
                               [Y] = y});
    scope_end();
    return there;
}

void matmul(int64_t batch, int64_t m, int64_t n, int64_t k, dtype in, const void *a, bool a_transposed, const void *b,
            bool b_transposed, dtype out, void *y, bool accumulate) {
    product q = {batch, m, n, k, in, out, a_transposed, b_transposed, false, false, accumulate};
    begin_locked();
    primitive *p = find_product(&q);
    bool unsupported = p->unsupported;
    if (!unsupported) run(p, (void *[ROLES]){[X] = (void *) a, [W] = (void *) b, [Y] = y});
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
