/* Lists of prompts, to make a sound of each. */
#ifndef HISS_CLI_PROMPTS_H
#define HISS_CLI_PROMPTS_H

#include <stddef.h>

typedef struct {
    const char *prompt, *class; /* class: what it is to be heard as, or NULL */
    double seconds;             /* 0: not said */
} prompt_row;

typedef struct {
    prompt_row *rows;
    size_t count;
} prompt_list;

/* Tab-separated columns under a line of names: prompt, or caption (of several with " | " between them the first), class, seconds;
 * of a manifest of recordings, those that are held out. In the current scope. */
prompt_list prompts_read(const char *path);

#endif
