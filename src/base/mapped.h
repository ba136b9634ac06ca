/* Files that are mapped, and what becomes of them when another program cuts them short meanwhile. A page beyond the end of a mapped file
 * cannot be read: the system sends SIGBUS, by default the end of the process. Guarded, such pages read as zeros, whatever thread or library
 * reads them, and all that could make something of them fails: see mapped_check. */
#ifndef HISS_BASE_MAPPED_H
#define HISS_BASE_MAPPED_H

#include <stdbool.h>
#include <stddef.h>

#include "hiss.h"

/* Notes a mapping; path must live as long. -1: there are too many. */
int mapped_add(void *data, size_t size, const char *path);
void mapped_remove(int mapping);
/* Whether all of it lies in one mapping that is noted. */
bool mapped_holds(const void *data, size_t size);

/* Takes SIGBUS for the whole process. The program does; the library leaves its host's signals alone. */
void mapped_guard(void);
/* True when a file was found cut since it was mapped, until it is unmapped and told once: *error says so. */
bool mapped_error(hiss_error *error);
/* Fails if there is one. Borders of errors ask this, progress, and files before they take their name. */
void mapped_check(void);

#endif
