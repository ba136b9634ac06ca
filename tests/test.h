/* cmocka, without its macro fail(), which is the name of hiss's way to report an error. */
#ifndef HISS_TESTS_TEST_H
#define HISS_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

#include <string.h>

#include "base/error.h"

/* body(argument) fails with this code and a message that contains `part`. */
static inline void expect_failure(void (*body)(void *), void *argument, hiss_code code, const char *part) {
    hiss_error error = {0};
    const bool ran = try_run(body, argument, &error);
    if (ran) print_error("did not fail: expected \"%s\"\n", part);
    assert_false(ran);
    if (error.code != code || !strstr(error.message, part))
        print_error("code %d: %s\n  expected code %d and \"%s\"\n", error.code, error.message, code, part);
    assert_int_equal(error.code, code);
    assert_non_null(strstr(error.message, part));
}

#endif
