/* Suggestions for mistyped names, parsing of numbers, splitting. */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

enum { LONGEST = 64, FEW = 16, MANY = 64, OFFERED = 3 };

static int least(int a, int b) { return a < b ? a : b; }

/* Edit distance with swaps of neighbours, case ignored, of at most LONGEST characters each. */
static int distance(const char *a, const char *b) {
    int n = (int) strnlen(a, LONGEST), m = (int) strnlen(b, LONGEST);
    int d[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            int x = tolower((unsigned char) a[i - 1]), y = tolower((unsigned char) b[j - 1]);
            int best = least(d[i - 1][j - 1] + (x != y), least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && x == tolower((unsigned char) b[j - 2]) && y == tolower((unsigned char) a[i - 2]))
                best = least(best, d[i - 2][j - 2] + 1);
            d[i][j] = best;
        }
    return d[n][m];
}

/* How far a name is from what was typed; a name that starts with it is near. */
static int remoteness(const char *word, const char *name) {
    if (strlen(word) >= 2 && starts_with(name, word)) return 1;
    return distance(word, name);
}

char *suggest(const char *word, const char *const *names, size_t count) {
    size_t best[OFFERED], n = 0;
    int limit = 1 + (int) strnlen(word, LONGEST) / 3;
    for (size_t i = 0; i < count; i++) {
        int far = remoteness(word, names[i]);
        if (far > limit) continue;
        size_t at = n < OFFERED ? n++ : OFFERED; /* into the sorted list of the nearest */
        while (at > 0 && far < remoteness(word, names[best[at - 1]])) {
            if (at < OFFERED) best[at] = best[at - 1];
            at--;
        }
        if (at < OFFERED) best[at] = i;
    }
    char *text = copy_string("");
    for (size_t i = 0; i < n; i++)
        text = format("%s%s'%s'", text, i == 0 ? "did you mean " : i + 1 == n ? " or " : ", ", names[best[i]]);
    if (n) text = format("%s?", text);
    if (count == 0 || (n && count > FEW)) return text;
    if (count > MANY) return format("%zu are known", count);
    text = format("%s%sknown:", text, n ? " " : "");
    for (size_t i = 0; i < count; i++) text = format("%s%s %s", text, i ? "," : "", names[i]);
    return text;
}

bool starts_with(const char *text, const char *prefix) { return !strncmp(text, prefix, strlen(prefix)); }

bool ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && !strcmp(text + n - m, suffix);
}

/* Only spaces from here to the end. */
static bool at_end(const char *text) { return text[strspn(text, " \t\r\n")] == 0; }

bool parse_double(const char *text, double low, double high, double *out) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || !at_end(end) || !isfinite(value) || value < low || value > high) return false;
    *out = value;
    return true;
}

bool parse_long(const char *text, long long low, long long high, long long *out) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || !at_end(end) || errno || value < low || value > high) return false;
    *out = value;
    return true;
}

char **split(const char *text, char separator, size_t *count) {
    size_t n = 1;
    for (const char *c = text; *c; c++) n += *c == separator;
    char **pieces = NEW_ARRAY(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *end = strchr(text, separator);
        if (!end) end = text + strlen(text);
        const char *from = text, *to = end;
        while (from < to && isspace((unsigned char) *from)) from++;
        while (to > from && isspace((unsigned char) to[-1])) to--;
        pieces[i] = memcpy(alloc_zero((size_t) (to - from) + 1, 1), from, (size_t) (to - from));
        text = *end ? end + 1 : end;
    }
    if (count) *count = n;
    return pieces;
}
