#include "base/fault.h"

#include <stdatomic.h>

static atomic_long left[FAULT_KINDS], seen[FAULT_KINDS];

void fault_after(fault_kind kind, long n) {
    atomic_store(&left[kind], n);
    atomic_store(&seen[kind], 0);
}

bool fault_now(fault_kind kind) {
    atomic_fetch_add(&seen[kind], 1);
    if (atomic_load(&left[kind]) <= 0) return false;
    return atomic_fetch_sub(&left[kind], 1) == 1;
}

long fault_count(fault_kind kind) { return atomic_load(&seen[kind]); }
