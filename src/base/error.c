/* Raising and catching errors, warnings, and stopping on signals. */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mapped.h"
#include "base/scope.h"

/* Where fail() comes back to: one on the stack of every running try_run(). */
typedef struct border {
    jmp_buf back;
    struct border *outer;
    scope_mark mark;
} border;

static _Thread_local border *innermost;
static _Thread_local hiss_error raised;

static _Noreturn void raise_error(const hiss_error *error) {
    raised = *error;
    if (!innermost) {
        fprintf(stderr, "hiss: %s\n", raised.message);
        abort();
    }
    longjmp(innermost->back, 1);
}

/* A message cut off at the end of the buffer must not end inside a UTF-8 character. */
static void mend_end(hiss_error *error, size_t wanted) {
    if (wanted < sizeof error->message) return;
    size_t end = sizeof error->message - 1;
    while (end > 0 && ((unsigned char) error->message[end - 1] & 0xC0) == 0x80) end--;
    if (end > 0 && (unsigned char) error->message[end - 1] >= 0xC0) end--;
    error->message[end] = 0;
}

static void set_message(hiss_error *error, hiss_code code, const char *format, va_list arguments, int number) {
    error->code = code;
    int length = vsnprintf(error->message, sizeof error->message, format, arguments);
    size_t used = length < 0 ? 0 : (size_t) length;
    if (number && used < sizeof error->message)
        used += (size_t) snprintf(error->message + used, sizeof error->message - used, ": %s", strerror(number));
    mend_end(error, used);
}

void fail(hiss_code code, const char *format, ...) {
    hiss_error error;
    va_list arguments;
    va_start(arguments, format);
    set_message(&error, code, format, arguments, 0);
    va_end(arguments);
    raise_error(&error);
}

void fail_errno(hiss_code code, const char *format, ...) {
    int number = errno;
    hiss_error error;
    va_list arguments;
    va_start(arguments, format);
    set_message(&error, code, format, arguments, number);
    va_end(arguments);
    raise_error(&error);
}

void fail_again(const hiss_error *error) {
    hiss_error copy = *error;
    raise_error(&copy);
}

bool try_run(void (*body)(void *argument), void *argument, hiss_error *error) {
    border here = {.outer = innermost, .mark = scope_position()};
    innermost = &here;
    if (setjmp(here.back)) {
        hiss_error why = raised; /* closing files may raise and catch others */
        innermost = here.outer;
        mapped_error(&why); /* whatever came of its zeros */
        scope_unwind(here.mark);
        if (error) *error = why;
        return false;
    }
    scope_begin();
    body(argument);
    mapped_check();
    scope_end();
    innermost = here.outer;
    if (error) *error = (hiss_error){.code = HISS_OK};
    return true;
}

static void (*warning_handler)(const char *message);

void warn_to(void (*handler)(const char *message)) { warning_handler = handler; }

void warn(const char *format, ...) {
    if (!warning_handler) return;
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    warning_handler(message);
}

static volatile sig_atomic_t stop_wanted;

static void on_signal(int number) {
    if (stop_wanted) _exit(128 + number);
    stop_wanted = 1;
}

bool interrupted(void) { return stop_wanted; }

void interrupt_catch(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
