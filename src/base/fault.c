/* Counters of events that can be made to fail. */
#include "base/fault.h"

#include <stdatomic.h>

static struct { atomic_long count, at; } faults[FAULT_KINDS];

void fault_after(fault_kind kind, long n) {
    atomic_store(&faults[kind].at, 0);
    atomic_store(&faults[kind].count, 0);
    atomic_store(&faults[kind].at, n);
}

bool fault_now(fault_kind kind) {
    long n = atomic_fetch_add_explicit(&faults[kind].count, 1, memory_order_relaxed) + 1;
    return n == atomic_load_explicit(&faults[kind].at, memory_order_relaxed);
}

long fault_count(fault_kind kind) { return atomic_load(&faults[kind].count); }
