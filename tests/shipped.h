/* Tests of the models that are shipped: left out where these are not there. */
#ifndef HISS_TESTS_SHIPPED_H
#define HISS_TESTS_SHIPPED_H

#include "test.h"

#include "base/scope.h"

/* Whether open_all opened them; what it made stays. */
static inline bool opened(void (*open_all)(void *)) {
    hiss_error error;
    scope_begin();
    const bool there = try_run(open_all, NULL, &error);
    if (!there) print_message("left out: %s\n", error.message);
    return there;
}

#endif
