/* hiss: audio diffusion in C. */
#ifndef HISS_H
#define HISS_H

#ifdef __cplusplus
extern "C" {
#endif

/* What went wrong, by kind. */
typedef enum {
    HISS_OK = 0,
    HISS_ERROR_ARGUMENT,    /* an option, name or value that is not allowed */
    HISS_ERROR_FILE,        /* a file that cannot be opened, read or written */
    HISS_ERROR_FORMAT,      /* a file whose contents are damaged or not what was expected */
    HISS_ERROR_MEMORY,      /* out of memory, or a size beyond the bounds */
    HISS_ERROR_INTERRUPTED, /* stopped by a signal or a callback */
    HISS_ERROR_INTERNAL     /* a bug in hiss */
} hiss_code;

typedef struct {
    hiss_code code;
    char message[1024]; /* names the file, tensor or option and says what to do; UTF-8, 0-terminated */
} hiss_error;

#ifdef __cplusplus
}
#endif
#endif
