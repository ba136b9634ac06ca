/* See dnn_primitive.h. */
#include "tensor/cpu/dnn_primitive.h"

#include <pthread.h>
#include <string.h>

#include "tensor/cpu/dnn.h"

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

dnnl_engine_t dnn_engine(void) { return cache.engine; }

dnnl_data_type_t dnn_type(dtype t) {
    require(t == F32 || t == BF16 || t == I8 || t == I32);
    return t == BF16 ? dnnl_bf16 : t == F32 ? dnnl_f32 : t == I8 ? dnnl_s8 : dnnl_s32;
}

/* --- for describers --- */

layout dnn_described(const primitive *p, dnnl_query_t what, int index) {
    return dnnl_primitive_desc_query_md(p->description, what, index);
}

void dnn_give_memory(primitive *p, int role, int argument, layout l) {
    p->argument[role] = argument;
    if (l && dnnl_memory_desc_get_size(l) > 0)
        check(dnnl_memory_create(&p->memory[role], l, cache.engine, DNNL_MEMORY_NONE), "memory_create");
}

void dnn_finish(primitive *p) {
    layout scratch = dnn_described(p, dnnl_query_scratchpad_md, 0);
    p->scratch = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (p->scratch) dnn_give_memory(p, SCRATCH, DNNL_ARG_SCRATCHPAD, scratch);
    check(dnnl_primitive_create(&p->handle, p->description), "primitive_create");
}

/* --- the cache --- */

static unsigned bucket_of(const problem_key *key) {
    uint64_t h = 0xCBF29CE484222325u;
    const int64_t *words = (const int64_t *) key;
    for (size_t i = 0; i < sizeof *key / sizeof *words; i++) h = (h ^ (uint64_t) words[i]) * 0x100000001B3u;
    return (unsigned) (h >> 32) % BUCKETS;
}

primitive *dnn_find(const problem_key *key, describer *describe, const void *problem) {
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

void dnn_begin(void) {
    scope_begin();
    pthread_mutex_lock(&cache.lock);
    defer(unlock, &cache.lock);
}

void dnn_run(primitive *p, void *const handles[ROLES]) {
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

void dnn_reorder(layout from, void *source, layout to, void *target) {
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
