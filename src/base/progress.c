#include "base/progress.h"

#include <stddef.h>

#include "base/error.h"
#include "base/mapped.h"

static _Thread_local progress_handler current;
static _Thread_local void *current_context;

void progress_to(progress_handler handler, void *context, progress_handler *old_handler, void **old_context) {
    if (old_handler) *old_handler = current;
    if (old_context) *old_context = current_context;
    current = handler;
    current_context = context;
}

void progress(const char *what, int64_t done, int64_t total) {
    mapped_check();
    bool stop = current && current(current_context, what, done, total);
    if (stop || interrupted())
        fail(HISS_ERROR_INTERRUPTED, "stopped while %s, at %lld of %lld", what, (long long) done, (long long) total);
}
