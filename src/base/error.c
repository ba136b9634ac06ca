/* Errors: a stack of borders per thread. */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

typedef struct border {
    jmp_buf jump;
    hiss_error *error;
    scope *outside; /* current when the border was entered */
    struct border *around;
} border;

static _Thread_local border *innermost;

static _Noreturn void unwind(void) {
    border *b = innermost;
    if (!b) abort();
    longjmp(b->jump, 1);
}

static _Noreturn void report(hiss_code code, const char *pattern, va_list arguments, const char *tail) {
    hiss_error local, *e = innermost ? innermost->error : &local;
    char text[sizeof e->message]; /* apart: an argument may point into the error being replaced */
    vsnprintf(text, sizeof text, pattern, arguments);
    size_t used = strlen(text);
    if (tail && used < sizeof text) snprintf(text + used, sizeof text - used, ": %s", tail);
    e->code = code;
    memcpy(e->message, text, sizeof text);
    if (!innermost) fprintf(stderr, "hiss: an error outside any border: %s\n", e->message);
    unwind();
}

void fail(hiss_code code, const char *pattern, ...) {
    va_list arguments;
    va_start(arguments, pattern);
    report(code, pattern, arguments, NULL);
}

void fail_errno(hiss_code code, const char *pattern, ...) {
    const char *why = strerror(errno);
    va_list arguments;
    va_start(arguments, pattern);
    report(code, pattern, arguments, why);
}

void fail_again(const hiss_error *error) {
    hiss_error copy = *error;
    fail(copy.code, "%s", copy.message);
}

bool try_run(void (*body)(void *argument), void *argument, hiss_error *error) {
    border b = {.error = error, .outside = scope_current(), .around = innermost};
    *error = (hiss_error){.code = HISS_OK};
    volatile bool done = false;
    if (setjmp(b.jump) == 0) {
        innermost = &b;
        scope_begin();
        body(argument);
        scope_end();
        done = true;
    }
    innermost = b.around;
    if (!done) scope_unwind(b.outside);
    return done;
}

static void (*warning_handler)(const char *message);

void warn_to(void (*handler)(const char *message)) { warning_handler = handler; }

void warn(const char *pattern, ...) {
    if (!warning_handler) return;
    char text[1024];
    va_list arguments;
    va_start(arguments, pattern);
    vsnprintf(text, sizeof text, pattern, arguments);
    va_end(arguments);
    warning_handler(text);
}

static volatile sig_atomic_t stop_asked;

static void on_signal(int number) {
    stop_asked = 1;
    signal(number, SIG_DFL); /* a second one ends the process */
}

bool interrupted(void) { return stop_asked; }

void interrupt_catch(void) {
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
}
