/* Scopes over a pool of blocks (pool.h). Large allocations are a block each; small ones are cut from chunks, which are blocks too,
 * but under HISS_SANITIZE. */
#include "base/scope.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/pool.h"

enum {
    CHUNK_FIRST = 1 << 12, /* a scope's first chunk; each next one is twice as large */
    CHUNK_LAST = 1 << 16
};

typedef struct deferred {
    struct deferred *older;
    void (*close)(void *handle);
    void *handle;
} deferred;

struct foreign {
    ring link;
    void *data;
    void (*give)(void *data);
};

struct scope {
    scope *parent; /* current when this one was opened */
    scope *older;  /* opened before this one in its thread */
    scope *merged; /* what it held went there, and what is put into it from now on goes there too */
    ring chunks;   /* the first of them holds this struct */
    ring blocks, foreign;
    uint8_t *at, *end; /* free part of the newest chunk */
    size_t next_chunk;
    deferred *newest;
};

static _Thread_local scope *current, *newest;

static _Noreturn void out_of_memory(size_t size) {
    fail(HISS_ERROR_MEMORY, "out of memory: %.3f MiB more are wanted, %.1f MiB are in use", (double) size / 0x1p20,
         (double) memory_in_use() / 0x1p20);
}

/* ---- scopes */

scope *scope_create(void) {
#ifdef HISS_SANITIZE
    size_t size = sizeof(scope);
#else
    size_t size = CHUNK_FIRST - sizeof(block);
#endif
    block *b = fault_now(FAULT_ALLOC) ? NULL : pool_take(size);
    if (!b) out_of_memory(size);
    uint8_t *data = (uint8_t *) (b + 1);
    scope *s = (scope *) data;
    *s = (scope){.at = data + sizeof(scope), .end = data + size, .next_chunk = 2 * CHUNK_FIRST};
    ring_init(&s->chunks);
    ring_init(&s->blocks);
    ring_init(&s->foreign);
    ring_add(&s->chunks, &b->link);
    return s;
}

static void run_deferred(scope *s) {
    while (s->newest) {
        deferred *d = s->newest;
        s->newest = d->older; /* before the call: should it fail, it is not made twice */
        d->close(d->handle);
    }
}

static void give_foreign(scope *s) {
    while (s->foreign.next != &s->foreign) foreign_release((foreign *) s->foreign.next);
}

void scope_destroy(scope *s) {
    if (!s) return;
    require(s != current);
    run_deferred(s);
    give_foreign(s);
    pool_give_all(&s->blocks);
    pool_give_all(&s->chunks);
}

static void end_thread(void *unused) {
    (void) unused;
    scope_unwind((scope_mark){NULL, NULL});
}

static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static void make_thread_key(void) { pthread_key_create(&thread_key, end_thread); }

scope *scope_current(void) {
    if (!current) {
        pthread_once(&thread_once, make_thread_key);
        current = newest = scope_create();
        pthread_setspecific(thread_key, current);
    }
    return current;
}

scope *scope_parent(const scope *s) { return s->parent; }

/* The scope that stands for s: another one if s was merged while an object remembered it as its home. */
static scope *standing(scope *s) {
    while (s->merged) s = s->merged;
    return s;
}

scope *scope_switch(scope *to) {
    scope *before = scope_current();
    require(to != NULL);
    current = standing(to);
    return before;
}

scope *scope_begin(void) {
    scope *parent = scope_current();
    scope *s = scope_create();
    s->parent = parent;
    s->older = newest;
    current = newest = s;
    return s;
}

/* Takes the newest scope off the stack without freeing it. */
static scope *scope_pop(void) {
    scope *s = newest;
    newest = s->older;
    current = s->parent;
    return s;
}

void scope_end(void) {
    require(current && current == newest && current->parent);
    run_deferred(current);
    scope_destroy(scope_pop());
}

void scope_end_merge(void) {
    require(current && current == newest && current->parent);
    scope *s = scope_pop(), *into = s->parent;
    if (s->at == (uint8_t *) (s + 1) && s->blocks.next == &s->blocks) { /* nothing was allocated: nothing to keep */
        scope_destroy(s);
        return;
    }
    if (s->newest) {
        deferred *oldest = s->newest;
        while (oldest->older) oldest = oldest->older;
        oldest->older = into->newest;
        into->newest = s->newest;
    }
    if (s->end - s->at > into->end - into->at) {
        into->at = s->at;
        into->end = s->end;
    }
    s->merged = into;
    ring_splice(&into->blocks, &s->blocks);
    ring_splice(&into->foreign, &s->foreign);
    ring_splice(&into->chunks, &s->chunks);
}

scope_mark scope_position(void) { return (scope_mark){scope_current(), newest}; }

void scope_unwind(scope_mark mark) {
    while (newest && newest != mark.newest) {
        current = newest; /* deferred calls run in their own scope */
        run_deferred(newest);
        scope_destroy(scope_pop());
    }
    current = mark.current;
}

/* ---- allocation */

static void *alloc_block(scope *s, size_t size) {
    block *b = pool_take(size);
    if (!b) return NULL;
    ring_add(&s->blocks, &b->link);
    return b + 1;
}

#ifndef HISS_SANITIZE
/* The next multiple of ALIGN that leaves room for a tag. */
static uint8_t *place(uint8_t *at) {
    return (uint8_t *) (((uintptr_t) at + sizeof(tag) + ALIGN - 1) & ~(uintptr_t) (ALIGN - 1));
}

static void *alloc_small(scope *s, size_t size) {
    uint8_t *data = place(s->at);
    if (data > s->end || size > (size_t) (s->end - data)) {
        size_t room = s->next_chunk - sizeof(block);
        if (room < size + 2 * ALIGN) room = size + 2 * ALIGN;
        block *b = pool_take(room);
        if (!b) return NULL;
        ring_add(&s->chunks, &b->link);
        if (s->next_chunk < CHUNK_LAST) s->next_chunk *= 2;
        s->at = (uint8_t *) (b + 1);
        s->end = s->at + room;
        data = place(s->at);
    }
    s->at = data + size;
    ((tag *) (void *) data)[-1] = (tag){.size = size, .mark = LIVE};
    return data;
}
#endif

/* NULL when there is no memory. */
static void *alloc_try(scope *s, size_t size) {
    if (size > (size_t) 1 << 46 || fault_now(FAULT_ALLOC)) return NULL;
#ifdef HISS_SANITIZE
    return alloc_block(s, size);
#else
    return size >= SCOPE_LARGE ? alloc_block(s, size) : alloc_small(s, size);
#endif
}

static void *alloc_in(scope *s, size_t size) {
    void *data = alloc_try(s, size);
    if (!data) out_of_memory(size);
    return data;
}

void *alloc(size_t size) { return alloc_in(scope_current(), size); }

void *alloc_zero(size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        fail(HISS_ERROR_MEMORY, "out of memory: %zu elements of %zu bytes are wanted", count, size);
    void *p = alloc(total);
    return memset(p, 0, total);
}

static tag *tag_of(void *data) {
    tag *t = (tag *) data - 1;
    require(((uintptr_t) data & (ALIGN - 1)) == 0 && t->mark == LIVE);
    return t;
}

void *block_move(void *data, scope *to) {
    tag *t = tag_of(data);
    to = standing(to);
    if (t->size < SCOPE_LARGE) return memcpy(alloc_in(to, t->size), data, t->size);
    block *b = (block *) data - 1;
    ring_remove(&b->link);
    ring_add(&to->blocks, &b->link);
    return data;
}

void block_release(void *data) {
    if (!data || tag_of(data)->size < SCOPE_LARGE) return;
    block *b = (block *) data - 1;
    ring_remove(&b->link);
    pool_give(b);
}

foreign *foreign_keep(void *data, void (*give)(void *data)) {
    scope *s = scope_current();
    foreign *f = alloc_try(s, sizeof *f);
    if (!f) {
        give(data);
        out_of_memory(sizeof *f);
    }
    *f = (foreign){.data = data, .give = give};
    ring_add(&s->foreign, &f->link);
    return f;
}

foreign *foreign_move(foreign *f, scope *to) {
    to = standing(to);
    foreign *moved = alloc_in(to, sizeof *moved);
    ring_remove(&f->link);
    *moved = *f;
    ring_add(&to->foreign, &moved->link);
    return moved;
}

void foreign_release(foreign *f) {
    ring_remove(&f->link);
    f->give(f->data);
}

void defer(void (*close)(void *handle), void *handle) {
    scope *s = scope_current();
    deferred *d = alloc_try(s, sizeof *d);
    if (!d) { /* the handle must not outlive the error */
        close(handle);
        out_of_memory(sizeof *d);
    }
    *d = (deferred){.older = s->newest, .close = close, .handle = handle};
    s->newest = d;
}

/* ---- strings */

char *format(const char *pattern, ...) {
    va_list arguments, again;
    va_start(arguments, pattern);
    va_copy(again, arguments);
    char small[256];
    int length = vsnprintf(small, sizeof small, pattern, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 1 : (size_t) length + 1;
    char *text = alloc(size);
    if (length < 0) text[0] = 0;
    else if (size <= sizeof small) memcpy(text, small, size);
    else vsnprintf(text, size, pattern, again);
    va_end(again);
    return text;
}

char *copy_string(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(alloc(size), text, size);
}
