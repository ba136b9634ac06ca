/* The pool that scopes take their memory from, shared by all threads: blocks, in size classes of a quarter power of two. What is given
 * back waits for the next of its size, so that a loop meets memory that is already mapped. For scope.c alone.
 *
 * A block is a header of ALIGN bytes and the data. Lists are rings through a head outside the blocks, so that a block leaves its list,
 * and a whole list joins another, without a search. Under HISS_SANITIZE every block is a malloc of its own, so that the sanitizer sees
 * the first byte beyond it. */
#ifndef HISS_BASE_POOL_H
#define HISS_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { ALIGN = 64 };

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

static inline void ring_init(ring *r) { r->prev = r->next = r; }

static inline void ring_add(ring *head, ring *r) {
    r->prev = head->prev;
    r->next = head;
    head->prev->next = r;
    head->prev = r;
}

static inline void ring_remove(ring *r) {
    r->prev->next = r->next;
    r->next->prev = r->prev;
}

/* All of `from` goes to the end of `to`. */
static inline void ring_splice(ring *to, ring *from) {
    if (from->next == from) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    ring_init(from);
}

/* A block for `size` bytes of data, or NULL when there is no memory; and back, when it is on no list. */
block *pool_take(size_t size);
void pool_give(block *b);
/* All blocks of a ring, whose head may stand in one of them. */
void pool_give_all(ring *head);

#endif
