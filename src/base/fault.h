/* Made-to-fail tests: lets the n-th allocation, read or write from now on fail, as full memory or a full disk would. */
#ifndef HISS_BASE_FAULT_H
#define HISS_BASE_FAULT_H

#include <stdbool.h>

typedef enum { FAULT_ALLOC, FAULT_READ, FAULT_WRITE, FAULT_KINDS } fault_kind;

/* The n-th event (1 is the next one) of this kind fails, later ones succeed; 0 switches it off. Process-wide. */
void fault_after(fault_kind kind, long n);
/* Called at each such event: true when this one must fail. */
bool fault_now(fault_kind kind);
/* Events of this kind since fault_after was last called for it. */
long fault_count(fault_kind kind);

#endif
