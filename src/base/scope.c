/* Scopes. Small blocks come from chunks that a scope owns, large ones from a process-wide pool of blocks in size classes
 * of a quarter power of two, so that a loop that opens and closes scopes meets the same, already mapped memory. Under
 * sanitizers every block is a malloc of its own, so that they see its borders. */
#include "base/scope.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"

enum { ALIGNMENT = 64, CHUNK = 1 << 16, CLASSES = 4 * 48, HUGE_PAGE = 1 << 21 };
static const size_t POOL_MOST = (size_t) 1 << 30; /* bytes kept for reuse */

/* Before every block. A large one is in its scope's ring; a small one only knows its size. */
typedef struct head {
    struct head *next, *previous;
    scope *owner;
    size_t size;  /* asked for */
    size_t whole; /* with head and rounding; 0 for a small block */
} __attribute__((aligned(ALIGNMENT))) head;

typedef struct chunk {
    struct chunk *next;
    size_t used;
} __attribute__((aligned(ALIGNMENT))) chunk;

typedef struct deferred {
    void (*close)(void *handle);
    void *handle;
    struct deferred *before;
} deferred;

struct scope {
    scope *around;
    chunk *chunks;
    head large; /* the ring's start */
    deferred *last;
};

static _Thread_local scope *current;

/* --- the pool --- */

static struct {
    pthread_mutex_t lock;
    head *free[CLASSES];
    size_t kept;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};
static atomic_size_t in_use, peak;

/* Rounds up to a class: 2^k (4 + q) / 4. */
static size_t class_of(size_t size, size_t *rounded) {
    size_t k = 63 - (size_t) __builtin_clzll(size), quarter = (size_t) 1 << (k > 2 ? k - 2 : 0);
    size_t up = (size + quarter - 1) / quarter * quarter;
    *rounded = up;
    k = 63 - (size_t) __builtin_clzll(up);
    return 4 * k + ((up >> (k > 2 ? k - 2 : 0)) & 3);
}

static void count_up(size_t size) {
    size_t now = atomic_fetch_add(&in_use, size) + size, top = atomic_load(&peak);
    while (now > top && !atomic_compare_exchange_weak(&peak, &top, now)) {}
}

static void *system_memory(size_t size) {
    void *p = NULL;
    bool huge = size >= 4 * (size_t) HUGE_PAGE;
    if (posix_memalign(&p, huge ? HUGE_PAGE : ALIGNMENT, size)) return NULL;
    if (huge) madvise(p, size, MADV_HUGEPAGE);
    return p;
}

static head *take(size_t size) {
    if (fault_now(FAULT_ALLOC)) return NULL;
    head *h = NULL;
    size_t whole = size + sizeof(head);
#ifndef HISS_SANITIZE
    size_t index = class_of(whole, &whole);
    pthread_mutex_lock(&pool.lock);
    h = pool.free[index];
    if (h) {
        pool.free[index] = h->next;
        pool.kept -= whole;
    }
    pthread_mutex_unlock(&pool.lock);
#endif
    if (!h) h = system_memory(whole);
    if (!h) return NULL;
    h->size = size;
    h->whole = whole;
    count_up(whole);
    return h;
}

static void give(head *h) {
    size_t whole = h->whole;
    atomic_fetch_sub(&in_use, whole);
#ifndef HISS_SANITIZE
    size_t index = class_of(whole, &whole);
    pthread_mutex_lock(&pool.lock);
    bool keep = pool.kept + whole <= POOL_MOST;
    if (keep) {
        h->next = pool.free[index];
        pool.free[index] = h;
        pool.kept += whole;
    }
    pthread_mutex_unlock(&pool.lock);
    if (keep) return;
#endif
    free(h);
}

void memory_trim(void) {
    pthread_mutex_lock(&pool.lock);
    for (size_t i = 0; i < CLASSES; i++)
        while (pool.free[i]) {
            head *h = pool.free[i];
            pool.free[i] = h->next;
            free(h);
        }
    pool.kept = 0;
    pthread_mutex_unlock(&pool.lock);
}

size_t memory_in_use(void) { return atomic_load(&in_use); }
size_t memory_peak(void) { return atomic_load(&peak); }
void memory_peak_reset(void) { atomic_store(&peak, atomic_load(&in_use)); }

/* --- scopes --- */

static scope *scope_make(scope *around) {
    scope *s = calloc(1, sizeof *s);
    if (!s) fail(HISS_ERROR_MEMORY, "out of memory");
    s->around = around;
    s->large.next = s->large.previous = &s->large;
    return s;
}

static void scope_free(scope *s) {
    scope *before = current;
    current = s; /* deferred calls may allocate */
    while (s->last) {
        deferred *d = s->last;
        s->last = d->before;
        d->close(d->handle);
    }
    current = before;
    while (s->large.next != &s->large) {
        head *h = s->large.next;
        s->large.next = h->next;
        give(h);
    }
    while (s->chunks) {
        chunk *c = s->chunks;
        s->chunks = c->next;
        atomic_fetch_sub(&in_use, CHUNK);
        free(c);
    }
    free(s);
}

/* The root scope of a thread: dropped when the thread ends. */
static pthread_key_t root_key;
static pthread_once_t root_once = PTHREAD_ONCE_INIT;

static void drop_root(void *s) {
    scope_unwind(s);
    current = NULL;
    scope_free(s);
}

static void make_root_key(void) { pthread_key_create(&root_key, drop_root); }

scope *scope_current(void) {
    if (!current) {
        pthread_once(&root_once, make_root_key);
        current = scope_make(NULL);
        pthread_setspecific(root_key, current);
    }
    return current;
}

scope *scope_begin(void) { return current = scope_make(scope_current()); }

void scope_end(void) {
    scope *s = current;
    require(s && s->around);
    current = s->around;
    scope_free(s);
}

void scope_unwind(scope *to) {
    while (current && current != to) {
        scope *s = current;
        if (!s->around) break; /* a scope apart, made current by scope_switch: its owner drops it */
        current = s->around;
        scope_free(s);
    }
    current = to;
}

static void adopt(scope *to, scope *from) {
    for (head *h = from->large.next; h != &from->large; h = h->next) h->owner = to;
    if (from->large.next != &from->large) {
        from->large.next->previous = to->large.previous;
        to->large.previous->next = from->large.next;
        from->large.previous->next = &to->large;
        to->large.previous = from->large.previous;
        from->large.next = from->large.previous = &from->large;
    }
    if (from->chunks) { /* behind the newest chunk, which goes on being filled */
        chunk *last = from->chunks;
        while (last->next) last = last->next;
        if (to->chunks) {
            last->next = to->chunks->next;
            to->chunks->next = from->chunks;
        } else to->chunks = from->chunks;
        from->chunks = NULL;
    }
    if (from->last) {
        deferred *first = from->last;
        while (first->before) first = first->before;
        first->before = to->last;
        to->last = from->last;
        from->last = NULL;
    }
}

void scope_end_merge(void) {
    scope *s = current;
    require(s && s->around);
    current = s->around;
    adopt(current, s);
    scope_free(s);
}

scope *scope_parent(const scope *s) { return s->around; }

scope *scope_switch(scope *to) {
    scope *before = scope_current();
    current = to;
    return before;
}

scope *scope_create(void) { return scope_make(NULL); }
void scope_destroy(scope *s) {
    if (s) scope_free(s);
}

/* --- blocks --- */

static void *alloc_large(scope *s, size_t size) {
    head *h = take(size);
    if (!h) fail(HISS_ERROR_MEMORY, "out of memory: %zu MiB were asked for", size >> 20);
    h->owner = s;
    h->next = &s->large;
    h->previous = s->large.previous;
    h->previous->next = h;
    s->large.previous = h;
    return h + 1;
}

void *alloc(size_t size) {
    scope *s = scope_current();
    if (size > ((size_t) 1 << 46)) fail(HISS_ERROR_MEMORY, "out of memory: %zu MiB were asked for", size >> 20);
#ifdef HISS_SANITIZE
    return alloc_large(s, size);
#else
    if (size >= SCOPE_LARGE) return alloc_large(s, size);
    size_t whole = (size + sizeof(head) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (fault_now(FAULT_ALLOC)) fail(HISS_ERROR_MEMORY, "out of memory");
    if (!s->chunks || s->chunks->used + whole > CHUNK) {
        chunk *c = aligned_alloc(ALIGNMENT, CHUNK);
        if (!c) fail(HISS_ERROR_MEMORY, "out of memory");
        count_up(CHUNK);
        c->next = s->chunks;
        c->used = sizeof *c;
        s->chunks = c;
    }
    head *h = (head *) ((char *) s->chunks + s->chunks->used);
    s->chunks->used += whole;
    h->size = size;
    h->whole = 0;
    return h + 1;
#endif
}

void *alloc_zero(size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) fail(HISS_ERROR_MEMORY, "out of memory: a size beyond all bounds");
    void *p = alloc(total);
    memset(p, 0, total);
    return p;
}

void *block_move(void *block, scope *to) {
    head *h = (head *) block - 1;
    if (!h->whole) {
        scope *before = scope_switch(to);
        void *copy = memcpy(alloc(h->size), block, h->size);
        scope_switch(before);
        return copy;
    }
    h->previous->next = h->next;
    h->next->previous = h->previous;
    h->owner = to;
    h->next = &to->large;
    h->previous = to->large.previous;
    h->previous->next = h;
    to->large.previous = h;
    return block;
}

void block_release(void *block) {
    head *h = (head *) block - 1;
    if (!h->whole) return;
    h->previous->next = h->next;
    h->next->previous = h->previous;
    give(h);
}

void defer(void (*close)(void *handle), void *handle) {
    deferred *d = NEW(deferred);
    *d = (deferred){close, handle, current->last};
    current->last = d;
}

char *format(const char *pattern, ...) {
    va_list arguments, again;
    va_start(arguments, pattern);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, pattern, arguments);
    va_end(arguments);
    char *text = alloc((size_t) (length > 0 ? length : 0) + 1);
    text[0] = 0;
    vsnprintf(text, (size_t) (length > 0 ? length : 0) + 1, pattern, again);
    va_end(again);
    return text;
}

char *copy_string(const char *text) { return format("%s", text); }
