/* See pool.h. */
#include "base/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/scope.h"

enum {
    HUGE_PAGE = 1 << 21,
    MAPPED = 1 << 18, /* a block of so many bytes is a mapping: freed, it goes back whatever lies behind it */
    CLASSES = 4 * 48
};

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

block *pool_take(size_t size) {
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

static void give_locked(block *b) {
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

void pool_give(block *b) {
    pthread_mutex_lock(&pool.lock);
    give_locked(b);
    pthread_mutex_unlock(&pool.lock);
}

void pool_give_all(ring *head) {
    ring *r = head->next == head ? NULL : head->next;
    if (!r) return;
    head->prev->next = NULL;
    pthread_mutex_lock(&pool.lock);
    for (ring *next; r; r = next) {
        next = r->next;
        give_locked((block *) r);
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
