/* Finds a path such as layers[2].gain in the text of a JSON document that is known to be right. Only what the path names is
 * entered, so a key that itself holds dots or brackets is found too. */
#include "base/json_line.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

static const char *skip_space(const char *p) { return p + strspn(p, " \t\r\n"); }

/* From an opening quote to behind the closing one. */
static const char *skip_string(const char *p) {
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1]) p++;
    return *p ? p + 1 : p;
}

/* From a value's first character to behind its last. */
static const char *skip_value(const char *p) {
    int depth = 0;
    do {
        if (*p == '"') {
            p = skip_string(p);
            continue;
        }
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        p++;
    } while (*p && (depth > 0 || !strchr(",]} \t\r\n", *p)));
    return p;
}

static const char *find(const char *p, const char *path);

/* p: behind the opening brace. */
static const char *find_key(const char *p, const char *path) {
    path += *path == '.';
    for (p = skip_space(p); *p == '"'; p = skip_space(p + (*p == ','))) {
        const char *key = p, *end = skip_string(p), *found = NULL;
        const size_t length = (size_t) (end - key) - 2;
        p = skip_space(skip_space(end) + 1); /* the colon */
        if (!strncmp(path, key + 1, length)) {
            if (!path[length]) return key;
            if (strchr(".[", path[length])) found = find(p, path + length);
        }
        if (found) return found;
        p = skip_space(skip_value(p));
    }
    return NULL;
}

/* p: behind the opening bracket. */
static const char *find_element(const char *p, const char *path) {
    char *rest;
    const long wanted = strtol(path + 1, &rest, 10);
    if (*rest != ']') return NULL;
    p = skip_space(p);
    for (long i = 0; *p && *p != ']'; i++) {
        if (i == wanted) return find(p, rest + 1);
        p = skip_space(skip_value(p));
        p = skip_space(p + (*p == ','));
    }
    return NULL;
}

static const char *find(const char *p, const char *path) {
    if (!*path) return p;
    if (*p == '{') return find_key(p + 1, path);
    return *p == '[' && *path == '[' ? find_element(p + 1, path) : NULL;
}

const char *json_line(const char *text, const char *where) {
    const char *path = strstr(where, ": "), *found = NULL;
    if (text && path) found = find(skip_space(text), path + 2);
    if (!found) return "";
    int line = 1;
    for (const char *p = text; p < found; p++) line += *p == '\n';
    return format(" (line %d)", line);
}
