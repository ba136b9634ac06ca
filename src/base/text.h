/* Small text helpers. */
#ifndef HISS_BASE_TEXT_H
#define HISS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The names nearest to `word` by edit distance, as "did you mean 'a' or 'b'?" and, if few, the whole list: the tail of
 * an error about an unknown name. In the current scope. names: count strings. */
char *suggest(const char *word, const char *const *names, size_t count);

bool starts_with(const char *text, const char *prefix);
bool ends_with(const char *text, const char *suffix);
/* Parse the whole of text; false (and *out unchanged) if it is not a finite number in [low, high]. */
bool parse_double(const char *text, double low, double high, double *out);
bool parse_long(const char *text, long long low, long long high, long long *out);
/* Splits at a character; NULL-terminated array in the current scope, pieces trimmed of spaces. */
char **split(const char *text, char separator, size_t *count);

#endif
