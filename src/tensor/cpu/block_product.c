#include "tensor/cpu/block_product.h"

#include <omp.h>
#include <stdatomic.h>

#include "base/parallel.h"
#include "tensor/cpu/dnn_api.h"

enum { A, B, BIAS, Y, SCRATCH, ROLES };

/* A thread's memory objects: execution reads the pointers in them. */
typedef struct {
    dnnl_memory_t memory[ROLES];
} seat;

struct block_product {
    block_problem problem;
    dnnl_engine_t engine;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t handle, reorder; /* reorder: of weights, if packed */
    layout plain;                     /* [k, n] F32 */
    seat *seats;
    dnnl_stream_t *streams;
    atomic_int status;
};

struct block_weights {
    dnnl_memory_t memory;
};

static void destroy_engine(void *e) { dnnl_engine_destroy(e); }
static void destroy_stream(void *s) { dnnl_stream_destroy(s); }
static void destroy_primitive(void *p) { dnnl_primitive_destroy(p); }

static layout matrix(int64_t rows, int64_t columns, dnnl_data_type_t type, dnnl_format_tag_t tag) {
    return layout_make(2, (dnnl_dims_t){rows, columns}, type, tag);
}

/* What oneDNN makes while it sees one thread must be run by one. Nothing may fail in between. */
#define ALONE(MAKE)                                                                                                    \
    do {                                                                                                               \
        const int threads = omp_get_max_threads();                                                                     \
        omp_set_num_threads(1);                                                                                        \
        MAKE;                                                                                                          \
        omp_set_num_threads(threads);                                                                                  \
    } while (0)

static dnnl_status_t make(block_product *p) {
    const block_problem *q = &p->problem;
    const layout l[4] = {matrix(q->m, q->k, dnnl_bf16, q->a_transposed ? dnnl_ba : dnnl_ab),
                         matrix(q->k, q->n, dnnl_bf16, q->packed ? dnnl_format_tag_any : dnnl_ab),
                         q->bias ? matrix(1, q->n, dnnl_f32, dnnl_ab) : NULL, matrix(q->m, q->n, dnnl_f32, dnnl_ab)};
    dnnl_primitive_attr_t a = attributes(q->accumulate);
    dnnl_status_t status;
    ALONE(status = describe_matmul(&p->description, p->engine, l, a));
    if (status != dnnl_success) return status;
    defer(destroy_description, p->description);
    ALONE(status = dnnl_primitive_create(&p->handle, p->description));
    if (status == dnnl_success) defer(destroy_primitive, p->handle);
    return status;
}

static layout described(const block_product *p, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(p->description, what, 0);
}

static dnnl_memory_t memory_of(const block_product *p, layout l, void *data) {
    dnnl_memory_t m;
    check(dnnl_memory_create(&m, l, p->engine, data), "memory_create");
    defer(destroy_memory, m);
    return m;
}

static void take_seat(const block_product *p, seat *s) {
    const block_problem *q = &p->problem;
    const layout scratch = described(p, dnnl_query_scratchpad_md);
    const size_t size = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    s->memory[A] = memory_of(p, described(p, dnnl_query_src_md), DNNL_MEMORY_NONE);
    if (!q->packed) s->memory[B] = memory_of(p, described(p, dnnl_query_weights_md), DNNL_MEMORY_NONE);
    if (q->bias) s->memory[BIAS] = memory_of(p, matrix(1, q->n, dnnl_f32, dnnl_ab), DNNL_MEMORY_NONE);
    s->memory[Y] = memory_of(p, described(p, dnnl_query_dst_md), DNNL_MEMORY_NONE);
    if (size) s->memory[SCRATCH] = memory_of(p, scratch, alloc(size));
}

static void describe_reorder(block_product *p) {
    dnnl_primitive_desc_t d;
    p->plain = matrix(p->problem.k, p->problem.n, dnnl_f32, dnnl_ab);
    check(dnnl_reorder_primitive_desc_create(&d, p->plain, p->engine, described(p, dnnl_query_weights_md), p->engine,
                                             NULL),
          "reorder description");
    defer(destroy_description, d);
    check(dnnl_primitive_create(&p->reorder, d), "reorder");
    defer(destroy_primitive, p->reorder);
}

static block_product *start(const block_problem *q) {
    block_product *p = NEW(block_product);
    p->problem = *q;
    check(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "engine_create");
    defer(destroy_engine, p->engine);
    return p;
}

block_product *block_product_new(const block_problem *q, int threads) {
    block_product *p = start(q);
    check(make(p), "matmul description");
    p->seats = NEW_ARRAY(seat, threads);
    p->streams = NEW_ARRAY(dnnl_stream_t, threads);
    for (int i = 0; i < threads; i++) {
        take_seat(p, &p->seats[i]);
        check(dnnl_stream_create(&p->streams[i], p->engine, dnnl_stream_default_flags), "stream_create");
        defer(destroy_stream, p->streams[i]);
    }
    if (q->packed) describe_reorder(p);
    return p;
}

bool block_products_exist(void) {
    static atomic_int known; /* 1 yes, 2 no; threads may find it out twice */
    if (!known) {
        scope_begin();
        block_product *p = start(&(block_problem){.m = 32, .n = 32, .k = 32, .packed = true});
        const dnnl_status_t status = make(p);
        if (status != dnnl_unimplemented) check(status, "matmul description");
        known = status == dnnl_success ? 1 : 2;
        scope_end();
    }
    return known == 1;
}

const block_weights *block_weights_of(const block_product *p, const float *b) {
    block_weights *w = NEW(block_weights);
    const layout wanted = described(p, dnnl_query_weights_md);
    w->memory = memory_of(p, wanted, alloc(dnnl_memory_desc_get_size(wanted)));
    scope_begin();
    const dnnl_exec_arg_t arguments[2] = {{DNNL_ARG_FROM, memory_of(p, p->plain, (void *) b)},
                                          {DNNL_ARG_TO, w->memory}};
    check(dnnl_primitive_execute(p->reorder, p->streams[0], 2, arguments), "reorder");
    check(dnnl_stream_wait(p->streams[0]), "stream_wait");
    scope_end();
    return w;
}

void block_product_run(block_product *p, int thread, const block_operands *o) {
    static const int names[ROLES] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};
    const seat *s = &p->seats[thread];
    const void *data[SCRATCH] = {[A] = o->a, [B] = o->b, [BIAS] = o->bias, [Y] = o->y};
    dnnl_exec_arg_t arguments[ROLES];
    dnnl_status_t status = dnnl_success;
    int n = 0;
    for (int i = 0; i < ROLES; i++) {
        const bool weights = i == B && p->problem.packed;
        if (!weights && !s->memory[i]) continue;
        if (!weights && i != SCRATCH && status == dnnl_success)
            status = dnnl_memory_set_data_handle(s->memory[i], (void *) data[i]);
        arguments[n++] = (dnnl_exec_arg_t){names[i], weights ? o->w->memory : s->memory[i]};
    }
    if (status == dnnl_success) status = dnnl_primitive_execute(p->handle, p->streams[thread], n, arguments);
    if (status == dnnl_success) status = dnnl_stream_wait(p->streams[thread]);
    if (status != dnnl_success) p->status = (int) status;
}

void block_product_check(const block_product *p) { check((dnnl_status_t) p->status, "a product of blocks"); }
