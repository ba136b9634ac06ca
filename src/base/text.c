#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

/* Insertions, deletions, changes and swaps of neighbours between two words, case aside (Damerau). */
static size_t distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), width = m + 1;
    if (n > 64 || m > 64) return 1000;
    size_t *d = NEW_ARRAY(size_t, (n + 1) * width);
    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            size_t *at = d + i * width + j;
            if (!i || !j) {
                *at = i + j;
                continue;
            }
            int x = tolower((unsigned char) a[i - 1]), y = tolower((unsigned char) b[j - 1]);
            size_t best = at[-(ptrdiff_t) width - 1] + (x != y);
            if (at[-1] + 1 < best) best = at[-1] + 1;
            if (at[-(ptrdiff_t) width] + 1 < best) best = at[-(ptrdiff_t) width] + 1;
            if (i > 1 && j > 1 && x == tolower((unsigned char) b[j - 2]) && y == tolower((unsigned char) a[i - 2]) &&
                d[(i - 2) * width + j - 2] + 1 < best)
                best = d[(i - 2) * width + j - 2] + 1;
            *at = best;
        }
    return d[n * width + m];
}

/* How unlike: a name that begins with or contains the word is near whatever its length. */
static size_t unlikeness(const char *word, const char *name) {
    size_t d = distance(word, name);
    if (*word && strcasestr(name, word)) return d < 2 ? d : 2;
    return d;
}

char *suggest(const char *word, const char *const *names, size_t count) {
    enum { FEW = 16, SHOWN = 3 };
    const char *near[SHOWN] = {0};
    size_t how[SHOWN], most = strlen(word) / 2 + 1;
    for (int i = 0; i < SHOWN; i++) how[i] = most + 1;
    scope_begin();
    for (size_t k = 0; k < count; k++) {
        size_t d = unlikeness(word, names[k]);
        for (int i = 0; i < SHOWN; i++) {
            if (d >= how[i]) continue;
            memmove(how + i + 1, how + i, (size_t) (SHOWN - 1 - i) * sizeof *how);
            memmove(near + i + 1, near + i, (size_t) (SHOWN - 1 - i) * sizeof *near);
            how[i] = d;
            near[i] = names[k];
            break;
        }
    }
    scope_end();
    char *text = copy_string("");
    for (int i = 0; i < SHOWN && near[i]; i++)
        text = format("%s%s'%s'", text, i == 0 ? "did you mean " : i + 1 < SHOWN && near[i + 1] ? ", " : " or ", near[i]);
    if (*text) text = format("%s?", text);
    if (count > FEW && *text) return text;
    text = format("%s%sknown: ", text, *text ? " " : "");
    for (size_t k = 0; k < count; k++) text = format("%s%s%s", text, k ? ", " : "", names[k]);
    return text;
}

bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

bool ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

bool parse_double(const char *text, double low, double high, double *out) {
    char *end;
    if (isspace((unsigned char) *text)) return false;
    double x = strtod(text, &end);
    if (end == text || *end || !isfinite(x) || x < low || x > high) return false;
    *out = x;
    return true;
}

bool parse_long(const char *text, long long low, long long high, long long *out) {
    char *end;
    if (isspace((unsigned char) *text)) return false;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    if (end == text || *end || errno || x < low || x > high) return false;
    *out = x;
    return true;
}

char **split(const char *text, char separator, size_t *count) {
    size_t n = 1;
    for (const char *c = text; *c; c++) n += *c == separator;
    char **pieces = NEW_ARRAY(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *end = strchr(text, separator), *stop = end ? end : text + strlen(text);
        const char *from = text;
        while (from < stop && isspace((unsigned char) *from)) from++;
        while (stop > from && isspace((unsigned char) stop[-1])) stop--;
        pieces[i] = format("%.*s", (int) (stop - from), from);
        if (end) text = end + 1;
    }
    *count = n;
    return pieces;
}
