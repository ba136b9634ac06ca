/* Configurations: every accessor on every key of whatever parses. */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/scope.h"

typedef struct {
    config c;
    const char *key;
    int accessor;
} access;

typedef struct {
    const uint8_t *data;
    size_t size;
} input;

static void read_one(void *argument) {
    const access *a = argument;
    static const char *const KNOWN[] = {"layers", "channels", NULL};
    size_t n;
    switch (a->accessor) {
    case 0: config_int(a->c, a->key, 1, -5, 1000); break;
    case 1: config_number(a->c, a->key, 1, -5, 1000); break;
    case 2: config_bool(a->c, a->key, true); break;
    case 3: require(config_string(a->c, a->key, "x")); break;
    case 4: config_need_int(a->c, a->key, 0, 7); break;
    case 5: require(config_need_string(a->c, a->key)); break;
    case 6: config_numbers(a->c, a->key, 16, &n), require(n <= 16); break;
    case 7: config_only(a->c, KNOWN); break;
    }
}

static void read_values(config c, int depth) {
    if (depth == 4) return;
    const char *key;
    json_t *value;
    json_object_foreach(c.value, key, value) {
        for (int i = 0; i < 8; i++) {
            access a = {c, key, i};
            hiss_error error;
            if (!try_run(read_one, &a, &error) && (error.code == HISS_ERROR_INTERNAL || !error.message[0]))
                __builtin_trap();
        }
        if (config_has(c, key)) read_values(config_get(c, key), depth + 1);
    }
    if (json_is_array(c.value))
        for (size_t i = 0; i < config_count(c) && i < 8; i++) read_values(config_at(c, i), depth + 1);
}

static void read_document(void *argument) {
    const input *in = argument;
    config c = config_parse((const char *) in->data, in->size, "fuzz");
    read_values(c, 0);
    require(json_text(c.value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    hiss_error error;
    scope_begin();
    if (!try_run(read_document, &in, &error) && (error.code == HISS_ERROR_INTERNAL || !error.message[0]))
        __builtin_trap();
    scope_end();
    return 0;
}
