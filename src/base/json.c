#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"

enum { LARGEST = 64 << 20 };

static void drop(void *value) { json_decref(value); }

config config_parse(const char *text, size_t size, const char *name) {
    json_error_t error;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value) fail(HISS_ERROR_FORMAT, "%s: line %d, column %d: not JSON: %s", name, error.line, error.column, error.text);
    defer(drop, value);
    return (config){value, copy_string(name)};
}

config config_load(const char *path) {
    bytes b = file_read(path, LARGEST);
    return config_parse((const char *) b.data, b.size, path);
}

static json_t *item(config c, const char *key) {
    json_t *v = json_object_get(c.value, key);
    return json_is_null(v) ? NULL : v;
}

bool config_has(config c, const char *key) { return item(c, key) != NULL; }

config config_get(config c, const char *key) {
    if (!json_is_object(c.value)) fail(HISS_ERROR_FORMAT, "%s: an object was expected", c.where);
    json_t *v = item(c, key);
    if (!v) fail(HISS_ERROR_FORMAT, "%s: \"%s\" is missing", c.where, key);
    return (config){v, format("%s: %s", c.where, key)};
}

config config_at(config array, size_t index) {
    json_t *v = json_array_get(array.value, index);
    if (!v) fail(HISS_ERROR_FORMAT, "%s: item %zu is missing", array.where, index);
    return (config){v, format("%s[%zu]", array.where, index)};
}

size_t config_count(config c) { return json_is_array(c.value) ? json_array_size(c.value) : json_object_size(c.value); }

/* An integer, also one written as 3.0. */
static int64_t integer(config c, const char *key, const json_t *v, int64_t low, int64_t high) {
    double real = json_number_value(v);
    bool whole = json_is_integer(v) || (json_is_real(v) && real == floor(real) && fabs(real) < 0x1p53);
    int64_t n = json_is_integer(v) ? json_integer_value(v) : whole ? (int64_t) real : 0;
    if (!whole) fail(HISS_ERROR_FORMAT, "%s: \"%s\" must be an integer", c.where, key);
    if (n < low || n > high)
        fail(HISS_ERROR_FORMAT, "%s: \"%s\" is %lld; allowed is %lld to %lld", c.where, key, (long long) n, (long long) low,
             (long long) high);
    return n;
}

int64_t config_int(config c, const char *key, int64_t otherwise, int64_t low, int64_t high) {
    const json_t *v = item(c, key);
    return v ? integer(c, key, v, low, high) : otherwise;
}

int64_t config_need_int(config c, const char *key, int64_t low, int64_t high) {
    return integer(c, key, config_get(c, key).value, low, high);
}

double config_number(config c, const char *key, double otherwise, double low, double high) {
    const json_t *v = item(c, key);
    if (!v) return otherwise;
    double x = json_number_value(v);
    if (!json_is_number(v)) fail(HISS_ERROR_FORMAT, "%s: \"%s\" must be a number", c.where, key);
    if (!(x >= low && x <= high))
        fail(HISS_ERROR_FORMAT, "%s: \"%s\" is %g; allowed is %g to %g", c.where, key, x, low, high);
    return x;
}

bool config_bool(config c, const char *key, bool otherwise) {
    const json_t *v = item(c, key);
    if (v && !json_is_boolean(v)) fail(HISS_ERROR_FORMAT, "%s: \"%s\" must be true or false", c.where, key);
    return v ? json_is_true(v) : otherwise;
}

static const char *string(config c, const char *key, const json_t *v) {
    if (!json_is_string(v)) fail(HISS_ERROR_FORMAT, "%s: \"%s\" must be a string", c.where, key);
    return json_string_value(v);
}

const char *config_string(config c, const char *key, const char *otherwise) {
    const json_t *v = item(c, key);
    return v ? string(c, key, v) : otherwise;
}

const char *config_need_string(config c, const char *key) { return string(c, key, config_get(c, key).value); }

double *config_numbers(config c, const char *key, size_t most, size_t *count) {
    const json_t *v = item(c, key);
    *count = 0;
    if (!v) return NULL;
    if (!json_is_array(v)) fail(HISS_ERROR_FORMAT, "%s: \"%s\" must be a list of numbers", c.where, key);
    size_t n = json_array_size(v);
    if (n > most) fail(HISS_ERROR_FORMAT, "%s: \"%s\" has %zu items; at most %zu are allowed", c.where, key, n, most);
    double *numbers = NEW_ARRAY(double, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(v, i);
        if (!json_is_number(x)) fail(HISS_ERROR_FORMAT, "%s: \"%s\" must be a list of numbers", c.where, key);
        numbers[i] = json_number_value(x);
    }
    *count = n;
    return numbers;
}

void config_only(config c, const char *const *known) {
    size_t count = 0;
    const char *key;
    json_t *v;
    if (!json_is_object(c.value)) fail(HISS_ERROR_FORMAT, "%s: an object was expected", c.where);
    while (known[count]) count++;
    json_object_foreach(c.value, key, v) {
        bool found = false;
        for (size_t i = 0; i < count; i++) found |= !strcmp(known[i], key);
        if (!found) fail(HISS_ERROR_FORMAT, "%s: unknown setting \"%s\": %s", c.where, key, suggest(key, known, count));
    }
}

json_t *json_make_object(void) {
    json_t *o = json_object();
    if (!o) fail(HISS_ERROR_MEMORY, "out of memory");
    defer(drop, o);
    return o;
}

char *json_text(const json_t *value) {
    size_t n = json_dumpb(value, NULL, 0, JSON_INDENT(2) | JSON_ENCODE_ANY);
    char *text = alloc(n + 1);
    json_dumpb(value, text, n, JSON_INDENT(2) | JSON_ENCODE_ANY);
    text[n] = 0;
    return text;
}
