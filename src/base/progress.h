/* How far long work has come, told to whoever asked: the command line draws a line, a caller of the library gets a
 * call, and nobody is told by default. */
#ifndef HISS_BASE_PROGRESS_H
#define HISS_BASE_PROGRESS_H

#include <stdint.h>

/* what: "denoising", "saving"; done of total steps. Returning nonzero asks the work to stop. */
typedef int (*progress_handler)(void *context, const char *what, int64_t done, int64_t total);

/* Of this thread; NULL: nobody. Returns the handler before through the pointers, which may be NULL. */
void progress_to(progress_handler handler, void *context, progress_handler *old_handler, void **old_context);
/* Tells it; fails with HISS_ERROR_INTERRUPTED if the handler or a signal asked to stop. */
void progress(const char *what, int64_t done, int64_t total);

#endif
