/* Python pickles read as data. Classes and functions that a pickle names are never looked up or called: what is made by
 * them becomes an inert object, except for the few that the caller's hooks turn into values of their own. */
#ifndef HISS_STORE_PICKLE_H
#define HISS_STORE_PICKLE_H

#include "base/file.h"

typedef enum {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_BYTES,
    PICKLE_TUPLE,
    PICKLE_LIST,   /* sets too */
    PICKLE_DICT,   /* items: key, value, key, value, .. */
    PICKLE_GLOBAL, /* text: "module.name" of a class or function */
    PICKLE_OBJECT, /* made by a class that is not known: its arguments, state and, as a dict's, items */
    PICKLE_FOREIGN /* made by a hook: tag and pointer are its */
} pickle_kind;

typedef struct pickle_value pickle_value;
struct pickle_value {
    pickle_kind kind;
    int tag;
    union {
        int64_t integer; /* BOOL too */
        double number;
        struct { /* TEXT (0-terminated), BYTES, GLOBAL */
            const char *text;
            size_t size;
        };
        struct {
            pickle_value **items;
            size_t count, room;
        };
        const void *foreign;
    };
    const char *class_name;           /* OBJECT */
    const pickle_value *args, *state; /* OBJECT; NULL if there is none */
};

typedef struct {
    /* The call of a class or function: fills *result, or returns false for an inert object. args: a tuple. */
    bool (*call)(void *context, const char *name, const pickle_value *args, pickle_value *result);
    /* A persistent id: something kept outside the pickle. */
    void (*persistent)(void *context, const pickle_value *id, pickle_value *result);
    void *context;
} pickle_hooks;

/* Reads the pickle at *at in the file and moves *at behind it. Lives in the current scope; memory is bounded by a
 * multiple of the pickle's size. Values may contain themselves: a walk over them must bound its depth and its steps.
 * hooks may be NULL: then persistent ids are an error. path is for messages. */
const pickle_value *pickle_read(bytes file, size_t *at, const char *path, const pickle_hooks *hooks);

/* The value under a text key of a dict or of an object's items; NULL if it is none or not there. */
const pickle_value *pickle_get(const pickle_value *dict, const char *key);
/* Item i of a tuple or list if it is an integer. */
bool pickle_int_at(const pickle_value *sequence, size_t i, int64_t *out);
bool pickle_is_text(const pickle_value *value, const char *text);

#endif
