/* Scopes: memory that is dropped whole. PostgreSQL's memory contexts are the model.
 *
 * Every thread has a current scope. What is allocated lives in the current scope and goes when that scope ends, on
 * errors too. Nothing is freed by hand. Large blocks come from a process-wide pool that is reused, so that opening and
 * closing scopes in a loop costs no page faults. */
#ifndef HISS_BASE_SCOPE_H
#define HISS_BASE_SCOPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct scope scope;

/* Opens a scope inside the current one and makes it current. */
scope *scope_begin(void);
/* Ends the current scope: runs its deferred calls, newest first, and frees what it holds. */
void scope_end(void);
/* Ends the current scope but hands all it holds (deferred calls too) to the scope around it, which from then on stands
 * for it: an object made in it may go on using it as its home. */
void scope_end_merge(void);
/* The scope around s. */
scope *scope_parent(const scope *s);
/* Makes another scope of this thread current, for allocating something longer lived; returns the one before. */
scope *scope_switch(scope *to);
scope *scope_current(void);

/* A scope that belongs to no thread's stack, for an object with a life of its own (a model, a tape). Its memory is
 * used through scope_switch. A free scope may be handed to another thread, never shared at the same time. */
scope *scope_create(void);
void scope_destroy(scope *s);

/* For error.c: the scopes open in this thread, and a return to that state that ends all those opened since. */
typedef struct {
    scope *current, *newest;
} scope_mark;
scope_mark scope_position(void);
void scope_unwind(scope_mark mark);

/* size bytes, aligned to 64, in the current scope; contents undefined. Never NULL: fails with HISS_ERROR_MEMORY. */
void *alloc(size_t size) __attribute__((malloc, alloc_size(1)));
/* The same, zeroed: count elements of size bytes; an overflowing product is an error. */
void *alloc_zero(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
/* Typed: NEW(T) one zeroed T; NEW_ARRAY(T, n) n zeroed ones. */
#define NEW(type) ((type *) alloc_zero(1, sizeof(type)))
#define NEW_ARRAY(type, count) ((type *) alloc_zero((size_t) (count), sizeof(type)))

/* Moves a block got by alloc() from the current scope into `to` (its owner from now on). Small blocks are copied:
 * use the returned pointer. */
void *block_move(void *block, scope *to);
/* Frees a large block (>= SCOPE_LARGE bytes) of the current scope before the scope ends; smaller ones just stay. */
void block_release(void *block);
enum { SCOPE_LARGE = 1 << 14 };

/* Memory that another allocator made (a device's) and that lives like a block: `give` takes it back when its scope ends, or
 * before. foreign_keep puts it into the current scope; out of memory, it is given back first. foreign_move: use the returned
 * pointer. */
typedef struct foreign foreign;
foreign *foreign_keep(void *data, void (*give)(void *data));
foreign *foreign_move(foreign *f, scope *to);
void foreign_release(foreign *f);

/* Calls close(handle) when the current scope ends (closing a file, a library object). */
void defer(void (*close)(void *handle), void *handle);

/* Strings in the current scope. */
char *format(const char *pattern, ...) PRINTF_LIKE(1, 2);
char *copy_string(const char *text);

/* Bytes in use by all scopes, the most there ever were, and a reset of that maximum (for the bench). */
size_t memory_in_use(void);
size_t memory_peak(void);
void memory_peak_reset(void);
/* Gives pooled blocks back to the system. */
void memory_trim(void);

#endif
