/* JSON read with bounds (jansson). */
#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json_line.h"
#include "base/scope.h"
#include "base/text.h"

static void release(void *value) { json_decref(value); }

config config_parse(const char *text, size_t size, const char *name) {
    json_error_t error;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value) fail(HISS_ERROR_FORMAT, "%s: line %d, column %d: %s", name, error.line, error.column, error.text);
    defer(release, value);
    return (config){value, copy_string(name), NULL};
}

config config_load(const char *path) {
    bytes text = file_read(path, (size_t) 64 << 20);
    config c = config_parse((const char *) text.data, text.size, path);
    c.text = (const char *) text.data;
    return c;
}

/* "file: a" and then "file: a.b". */
static const char *below(config c, const char *key) {
    return format("%s%s%s", c.where, strstr(c.where, ": ") ? "." : ": ", key);
}

/* "file: a.b (line 7)", or the line of what should hold it. */
static const char *place(config c, const char *key) {
    const char *path = below(c, key), *line = json_line(c.text, path);
    return format("%s%s", path, *line ? line : json_line(c.text, c.where));
}

const char *config_place(config c) { return format("%s%s", c.where, json_line(c.text, c.where)); }

static json_t *lookup(config c, const char *key) {
    if (!json_is_object(c.value))
        fail(HISS_ERROR_FORMAT, "%s: should be an object with a key \"%s\"", config_place(c), key);
    json_t *value = json_object_get(c.value, key);
    return json_is_null(value) ? NULL : value;
}

bool config_has(config c, const char *key) { return lookup(c, key) != NULL; }

config config_get(config c, const char *key) {
    json_t *value = lookup(c, key);
    if (!value) fail(HISS_ERROR_FORMAT, "%s: is missing", place(c, key));
    return (config){value, below(c, key), c.text};
}

config config_at(config array, size_t index) {
    if (!json_is_array(array.value)) fail(HISS_ERROR_FORMAT, "%s: should be an array", config_place(array));
    json_t *value = json_array_get(array.value, index);
    if (!value) fail(HISS_ERROR_FORMAT, "%s: has %zu elements, one more is needed", config_place(array), index);
    return (config){value, format("%s[%zu]", array.where, index), array.text};
}

size_t config_count(config c) {
    if (json_is_array(c.value)) return json_array_size(c.value);
    if (json_is_object(c.value)) return json_object_size(c.value);
    fail(HISS_ERROR_FORMAT, "%s: should be an array or an object", config_place(c));
}

static int64_t as_int(config c, int64_t low, int64_t high) {
    double real = json_number_value(c.value);
    bool whole = json_is_integer(c.value) || (json_is_real(c.value) && real == rint(real) && fabs(real) < 0x1p53);
    if (!whole) fail(HISS_ERROR_FORMAT, "%s: should be a whole number", config_place(c));
    int64_t value = json_is_integer(c.value) ? json_integer_value(c.value) : (int64_t) real;
    if (value < low || value > high)
        fail(HISS_ERROR_FORMAT, "%s: is %lld, should be from %lld to %lld", config_place(c), (long long) value,
             (long long) low, (long long) high);
    return value;
}

static const char *as_string(config c) {
    if (!json_is_string(c.value)) fail(HISS_ERROR_FORMAT, "%s: should be a string", config_place(c));
    return json_string_value(c.value);
}

int64_t config_int(config c, const char *key, int64_t otherwise, int64_t low, int64_t high) {
    return config_has(c, key) ? as_int(config_get(c, key), low, high) : otherwise;
}

int64_t config_need_int(config c, const char *key, int64_t low, int64_t high) {
    return as_int(config_get(c, key), low, high);
}

double config_number(config c, const char *key, double otherwise, double low, double high) {
    if (!config_has(c, key)) return otherwise;
    config found = config_get(c, key);
    if (!json_is_number(found.value)) fail(HISS_ERROR_FORMAT, "%s: should be a number", config_place(found));
    double value = json_number_value(found.value);
    if (!(value >= low && value <= high))
        fail(HISS_ERROR_FORMAT, "%s: is %g, should be from %g to %g", config_place(found), value, low, high);
    return value;
}

bool config_bool(config c, const char *key, bool otherwise) {
    if (!config_has(c, key)) return otherwise;
    config found = config_get(c, key);
    if (!json_is_boolean(found.value)) fail(HISS_ERROR_FORMAT, "%s: should be true or false", config_place(found));
    return json_is_true(found.value);
}

const char *config_string(config c, const char *key, const char *otherwise) {
    return config_has(c, key) ? as_string(config_get(c, key)) : otherwise;
}

const char *config_need_string(config c, const char *key) { return as_string(config_get(c, key)); }

double *config_numbers(config c, const char *key, size_t most, size_t *count) {
    *count = 0;
    if (!config_has(c, key)) return NULL;
    config array = config_get(c, key);
    if (!json_is_array(array.value)) fail(HISS_ERROR_FORMAT, "%s: should be an array of numbers", config_place(array));
    size_t n = json_array_size(array.value);
    if (n > most) fail(HISS_ERROR_FORMAT, "%s: has %zu numbers, at most %zu are allowed", config_place(array), n, most);
    double *numbers = NEW_ARRAY(double, n);
    for (size_t i = 0; i < n; i++) {
        json_t *value = json_array_get(array.value, i);
        if (!json_is_number(value))
            fail(HISS_ERROR_FORMAT, "%s: should be a number", config_place(config_at(array, i)));
        numbers[i] = json_number_value(value);
    }
    *count = n;
    return numbers;
}

int config_integers(config c, const char *key, int64_t *to, size_t most, int64_t high) {
    size_t n;
    const double *values = config_numbers(c, key, most, &n);
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] >= 1 && values[i] <= (double) high && values[i] == floor(values[i])))
            fail(HISS_ERROR_FORMAT, "%s: %s: %g is not a whole number of 1 to %lld", c.where, key, values[i],
                 (long long) high);
        to[i] = (int64_t) values[i];
    }
    return (int) n;
}

void config_only(config c, const char *const *known) {
    if (!json_is_object(c.value)) fail(HISS_ERROR_FORMAT, "%s: should be an object", config_place(c));
    size_t n = 0;
    while (known[n]) n++;
    const char *key;
    json_t *value;
    json_object_foreach(c.value, key, value) {
        size_t i = 0;
        while (i < n && strcmp(key, known[i]) != 0) i++;
        if (i == n) fail(HISS_ERROR_FORMAT, "%s: is not a known setting; %s", place(c, key), suggest(key, known, n));
    }
}

json_t *json_make_object(void) {
    json_t *value = json_object();
    if (!value) fail(HISS_ERROR_MEMORY, "out of memory making a JSON object");
    defer(release, value);
    return value;
}

static char *text_of(const json_t *value, size_t form, size_t digits) {
    size_t flags = form | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits);
    size_t size = json_dumpb(value, NULL, 0, flags);
    if (!size) fail(HISS_ERROR_INTERNAL, "a JSON document cannot be written as text");
    char *text = alloc(size + 1);
    json_dumpb(value, text, size, flags);
    text[size] = 0;
    return text;
}

char *json_text(const json_t *value) { return text_of(value, JSON_INDENT(2), 17); }

char *json_text_compact(const json_t *value) { return text_of(value, JSON_COMPACT, 17); }

char *json_text_short(const json_t *value) { return text_of(value, JSON_INDENT(2), 9); }
