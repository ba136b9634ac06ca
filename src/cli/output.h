/* What a command says: results on standard output, in words or as JSON; all else on standard error. */
#ifndef HISS_CLI_OUTPUT_H
#define HISS_CLI_OUTPUT_H

#include <jansson.h>

#include "cli/options.h"

/* Prints one line of the plain results; nothing with --json. */
void say(const arguments *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the JSON result if --json; nothing otherwise. */
void say_json(const arguments *a, const json_t *result);

/* A progress line on a terminal, a plain line every few seconds otherwise, nothing with -q. Ended by the scope. */
void show_progress(const arguments *a);
/* Sets threads, precision and, until the current scope ends, the device; shows progress. */
void prepare(const arguments *a);

/* Says on standard error which seeds made the sounds, how long they are and how long it took, unless -q or --json. */
void tell_seeds(const arguments *a, uint64_t first, int64_t count, double seconds);

/* Where the i-th of count results goes: `out` itself for one that names a file, else out/STEM-i.wav. Makes the folder and
 * checks that it can be written; refuses an extension not in the list (NULL-terminated, with dots). */
const char *result_path(const char *out, const char *stem, int64_t i, int64_t count, const char *extension);
void check_result_path(const char *out, const char *const *extensions);
/* Whether `out` means standard output: "-". */
bool is_standard(const char *out);
/* Whether `out` means a folder: it is one, ends in / or has no extension. */
bool means_folder(const char *out);
/* path with another extension. */
const char *path_beside(const char *path, const char *extension);

#endif
