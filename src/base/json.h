/* JSON configurations (jansson), read with bounds: every accessor names the file and key when something is wrong. */
#ifndef HISS_BASE_JSON_H
#define HISS_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value and where it came from, for messages: "model/config.json: network.layers (line 7)". */
typedef struct {
    json_t *value; /* borrowed: the document lives in the scope it was loaded in */
    const char *where;
    const char *text; /* of the document, ended by 0, for the lines in messages; NULL: none are told */
} config;

config config_load(const char *path);                                 /* at most 64 MiB */
config config_parse(const char *text, size_t size, const char *name); /* name: for messages */
bool config_has(config c, const char *key);                           /* present and not null */
config config_get(config c, const char *key);                         /* required */
config config_at(config array, size_t index);
size_t config_count(config array_or_object);
/* Typed accessors of key in an object: `otherwise` is given where the key is absent or null; a wrong type or a value
 * outside [low, high] is an error. config_need_* demand the key. */
int64_t config_int(config c, const char *key, int64_t otherwise, int64_t low, int64_t high);
double config_number(config c, const char *key, double otherwise, double low, double high);
bool config_bool(config c, const char *key, bool otherwise);
const char *config_string(config c, const char *key, const char *otherwise);
int64_t config_need_int(config c, const char *key, int64_t low, int64_t high);
const char *config_need_string(config c, const char *key);
/* Numbers of an array under key, at most `most` of them; *count is 0 where the key is absent. In the current scope. */
double *config_numbers(config c, const char *key, size_t most, size_t *count);
/* The same, whole numbers of 1 to high into `to`; returns how many. */
int config_integers(config c, const char *key, int64_t *to, size_t most, int64_t high);
/* Fails on a key not in the NULL-terminated list, with the nearest known ones: a mistyped setting is never ignored. */
void config_only(config c, const char *const *known);

/* Where a value is, for messages of one's own: "model/config.json: network.layers (line 7)". */
const char *config_place(config c);

/* A document being made; freed with the current scope. json_text: indented, in the current scope. */
json_t *json_make_object(void);
char *json_text(const json_t *value);
/* The same on one line, for files that people do not read. */
char *json_text_compact(const json_t *value);
/* The same with numbers to nine digits, for people to read. */
char *json_text_short(const json_t *value);

#endif
