/* What this program is made of. */
#ifndef HISS_CLI_VERSION_H
#define HISS_CLI_VERSION_H

#include <stddef.h>

#ifndef HISS_VERSION
#define HISS_VERSION "0.1.0"
#endif
#define HISS_VERSION_TEXT HISS_VERSION

/* The matrix kernels and their precision on this processor. */
const char *version_kernels(void);
/* "libsndfile-1.2.0", ...; NULL after the last. In the current scope. */
const char *version_library(size_t index);

#endif
