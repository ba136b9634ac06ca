/* cmocka, without its macro fail(), which is the name of hiss's way to report an error. */
#ifndef HISS_TESTS_TEST_H
#define HISS_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail

#endif
