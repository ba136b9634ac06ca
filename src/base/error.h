/* Errors: jumps inside, values at the border.
 *
 * Inside the library a failure calls fail(), which unwinds to the innermost try_run() of the thread; every scope opened
 * since then is dropped, so memory, files and locks go with it. The border (include/hiss.h, main) turns that into a
 * hiss_error value. A message names the file, tensor or option and says what to do.
 *
 * Never call fail() inside an OpenMP region: check before it. */
#ifndef HISS_BASE_ERROR_H
#define HISS_BASE_ERROR_H

#include <stdbool.h>

#include "hiss.h"

#define PRINTF_LIKE(pattern, first) __attribute__((format(printf, pattern, first)))

/* Unwinds to the innermost try_run() with this code and message. Without one, prints to stderr and aborts (a bug). */
_Noreturn void fail(hiss_code code, const char *format, ...) PRINTF_LIKE(2, 3);

/* Like fail(), with ": <strerror(errno)>" appended. */
_Noreturn void fail_errno(hiss_code code, const char *format, ...) PRINTF_LIKE(2, 3);

/* Runs body(argument) in a scope of its own. False when it failed: then *error (may be NULL) says why, and everything
 * the body allocated or opened is gone. That goes on success too: what shall stay, the body moves to the scope around
 * (block_move), or all of it by scope_end_merge() and a new scope_begin(). */
bool try_run(void (*body)(void *argument), void *argument, hiss_error *error);

/* Raises again an error caught by try_run. */
_Noreturn void fail_again(const hiss_error *error);

/* A warning for the user: goes to the handler (the command line prints it to stderr; a library is silent). */
void warn(const char *format, ...) PRINTF_LIKE(1, 2);
/* Sets that handler; NULL (the default) drops warnings. */
void warn_to(void (*handler)(const char *message));

/* A true condition or a bug of hiss: reports file and line as HISS_ERROR_INTERNAL. Not for bad input. */
#define require(condition)                                                                                             \
    ((condition) ? (void) 0 : fail(HISS_ERROR_INTERNAL, "%s:%d: not met: %s", __FILE__, __LINE__, #condition))

/* Long work asks this between steps and stops cleanly: true after SIGINT or SIGTERM (see interrupt_catch). */
bool interrupted(void);
/* Makes SIGINT and SIGTERM set the flag once; a second signal ends the process at once. */
void interrupt_catch(void);

#endif
