/* Scopes over a pool of blocks.
 *
 * A block is what the pool hands out: a 64-byte header and the data. Large allocations are a block each; small ones are
 * cut from chunks, which are blocks too. Lists are rings through a head inside the scope, so that a block leaves its
 * list, and a whole list joins another, without a search. Under HISS_SANITIZE every allocation, small ones too, is a
 * malloc of its own, so that the sanitizer sees the first byte beyond it. */
#include "base/scope.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"

enum {
    ALIGN = 64,
    CHUNK_FIRST = 1 << 12, /* a scope's first chunk; each next one is twice as large */
    CHUNK_LAST = 1 << 16,
    HUGE_PAGE = 1 << 21,
    MAPPED = 1 << 18, /* a block of so many bytes is a mapping: freed, it goes back whatever lies behind it */
    CLASSES = 4 * 48
};

/* Right before the data of every allocation. */
typedef struct {
    size_t size; /* as asked for */
    uint32_t mark;
} tag;
#define LIVE UINT32_C(0x5C09EB10)

typedef struct ring {
    struct ring *prev, *next;
} ring;

typedef struct block {
    ring link;    /* among a scope's blocks, or the free ones of its size class */
    ring age;     /* free blocks: among all free ones, oldest first */
    size_t taken; /* bytes with header */
    uint64_t unused;
    tag tag;
} block;
_Static_assert(sizeof(block) == ALIGN, "the data follow the header");

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

static void ring_init(ring *r) { r->prev = r->next = r; }

static void ring_add(ring *head, ring *r) {
    r->prev = head->prev;
    r->next = head;
    head->prev->next = r;
    head->prev = r;
}

static void ring_remove(ring *r) {
    r->prev->next = r->next;
    r->next->prev = r->prev;
}

/* All of `from` goes to the end of `to`. */
static void ring_splice(ring *to, ring *from) {
    if (from->next == from) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    ring_init(from);
}

/* ---- the pool */

static struct {
    pthread_mutex_t lock;
    ring free[CLASSES], oldest;
    size_t cached, limit, in_use, peak;
    bool ready;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void pool_prepare(void) {
    if (pool.ready) return;
    for (int i = 0; i < CLASSES; i++) ring_init(&pool.free[i]);
    ring_init(&pool.oldest);
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    pool.limit = pages > 0 && page > 0 ? (size_t) pages / 8 * (size_t) page : (size_t) 1 << 30;
    pool.ready = true;
}

#ifndef HISS_SANITIZE
/* Rounds up to 2^k * {4, 5, 6, 7} / 4 and numbers that size. */
static int size_class(size_t *size) {
    int k = 63 - __builtin_clzll((unsigned long long) *size);
    size_t quarter = (size_t) 1 << (k - 2);
    size_t steps = (*size - ((size_t) 1 << k) + quarter - 1) / quarter;
    *size = ((size_t) 1 << k) + steps * quarter;
    return (k - 6) * 4 + (int) steps;
}
#endif

#ifndef HISS_SANITIZE
/* Large blocks: the data begin on a 2 MiB boundary, as huge pages where there are any, so that of the last one no more is touched
 * than the data are long. The header stands at the end of a small page before. */
typedef struct {
    size_t page, whole; /* of the system; from that page to the end */
} span;

static span span_of(size_t size) {
    const size_t page = (size_t) sysconf(_SC_PAGESIZE);
    return (span){page, page + (size - sizeof(block) + page - 1) / page * page};
}

static block *system_map(size_t size) {
    const span s = span_of(size);
    uint8_t *p = mmap(NULL, s.whole + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    uint8_t *data = (uint8_t *) (((uintptr_t) p + s.page + HUGE_PAGE - 1) & ~(uintptr_t) (HUGE_PAGE - 1)),
            *start = data - s.page;
    if (start > p) munmap(p, (size_t) (start - p));
    if (start < p + HUGE_PAGE) munmap(start + s.whole, (size_t) (p + HUGE_PAGE - start));
    madvise(data, s.whole - s.page, MADV_HUGEPAGE);
    return (block *) data - 1;
}
#endif

static block *system_take(size_t size) {
#ifndef HISS_SANITIZE
    if (size >= HUGE_PAGE) return system_map(size);
    if (size >= MAPPED) {
        void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return start == MAP_FAILED ? NULL : start;
    }
#endif
    void *p;
    return posix_memalign(&p, ALIGN, size) ? NULL : p;
}

static void system_give(block *b) {
#ifndef HISS_SANITIZE
    if (b->taken >= HUGE_PAGE) {
        const span s = span_of(b->taken);
        munmap((uint8_t *) (b + 1) - s.page, s.whole);
        return;
    }
    if (b->taken >= MAPPED) {
        munmap(b, b->taken);
        return;
    }
#endif
    free(b);
}

/* Frees the blocks unused for longest until at most `limit` bytes stay cached. */
static void pool_shrink(size_t limit) {
    while (pool.cached > limit) {
        block *b = (block *) ((uint8_t *) pool.oldest.next - offsetof(block, age));
        ring_remove(&b->age);
        ring_remove(&b->link);
        pool.cached -= b->taken;
        system_give(b);
    }
}

static block *pool_find(size_t *taken) {
#ifdef HISS_SANITIZE
    (void) taken;
    return NULL;
#else
    ring *list = &pool.free[size_class(taken)];
    if (list->next == list) return NULL;
    block *b = (block *) list->prev; /* the last one freed: the warmest */
    ring_remove(&b->link);
    ring_remove(&b->age);
    pool.cached -= b->taken;
    return b;
#endif
}

/* NULL when there is no memory. */
static block *pool_take(size_t size) {
    size_t taken = size + sizeof(block);
    pthread_mutex_lock(&pool.lock);
    pool_prepare();
    block *b = pool_find(&taken);
    if (!b) {
        b = system_take(taken);
        if (!b) { /* what is cached may be what is missing */
            pool_shrink(0);
            b = system_take(taken);
        }
    }
    if (b) {
        b->taken = taken;
        b->tag = (tag){.size = size, .mark = LIVE};
        pool.in_use += taken;
        if (pool.in_use > pool.peak) pool.peak = pool.in_use;
    }
    pthread_mutex_unlock(&pool.lock);
    return b;
}

/* With the lock held. */
static void pool_give(block *b) {
    pool.in_use -= b->taken;
    b->tag.mark = 0;
#ifdef HISS_SANITIZE
    system_give(b);
#else
    size_t taken = b->taken;
    ring_add(&pool.free[size_class(&taken)], &b->link);
    ring_add(&pool.oldest, &b->age);
    pool.cached += b->taken;
    pool_shrink(pool.limit);
#endif
}

/* All blocks of a ring, whose head may stand in one of them. */
static void pool_give_all(ring *head) {
    ring *r = head->next == head ? NULL : head->next;
    if (!r) return;
    head->prev->next = NULL;
    pthread_mutex_lock(&pool.lock);
    for (ring *next; r; r = next) {
        next = r->next;
        pool_give((block *) r);
    }
    pthread_mutex_unlock(&pool.lock);
}

size_t memory_in_use(void) {
    pthread_mutex_lock(&pool.lock);
    size_t n = pool.in_use;
    pthread_mutex_unlock(&pool.lock);
    return n;
}

size_t memory_peak(void) {
    pthread_mutex_lock(&pool.lock);
    size_t n = pool.peak;
    pthread_mutex_unlock(&pool.lock);
    return n;
}

void memory_peak_reset(void) {
    pthread_mutex_lock(&pool.lock);
    pool.peak = pool.in_use;
    pthread_mutex_unlock(&pool.lock);
}

void memory_trim(void) {
    pthread_mutex_lock(&pool.lock);
    pool_prepare();
    pool_shrink(0);
    pthread_mutex_unlock(&pool.lock);
}

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
    pthread_mutex_lock(&pool.lock);
    pool_give(b);
    pthread_mutex_unlock(&pool.lock);
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
