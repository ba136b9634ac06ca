/* Scenes: soundscapes described in words. A scene is a list of layers; a layer is one sound (a prompt, a class of a model or
 * a recording) with a place, heard all the time (a bed, which loops) or at moments (events). docs/scene.md tells the keys
 * of a scene file. */
#ifndef HISS_SCENE_SCENE_H
#define HISS_SCENE_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCENE_MAX_LAYERS = 64, SCENE_MAX_TAKES = 32, SCENE_MAX_EVENTS = 20000, SCENE_MAX_NAME = 200 };
#define SCENE_MAX_SECONDS 36000.0

/* A number, or the bounds between which each event draws one. */
typedef struct {
    double low, high;
} span;

typedef enum { LAYER_BED, LAYER_EVENTS } layer_kind;

typedef struct {
    const char *name;                  /* what a transcript calls it */
    const char *prompt, *class, *file; /* one of them; the others are NULL */
    const char *model;                 /* NULL: the scene's */
    const char *place;                 /* of the scene file, for messages; NULL: from words */
    layer_kind kind;
    double seconds;           /* of one sound; 0: as long as its source makes it */
    span gain, pan, distance; /* dB; -1 (left) to 1 (right); metres */
    double start, end;        /* seconds of the scene; end 0: with it */
    double fade_in, fade_out; /* seconds: of the whole bed, or of each event */
    double cross_fade;        /* seconds of a loop's end that run into its beginning */
    double width;             /* of a bed: 0 a point, 1 all around */
    double *at, every;        /* seconds: events at these moments, and again each `every` (0: once) */
    size_t at_count;
    double per_minute, jitter; /* events at random moments; seconds by which events at moments may be early or late */
    int64_t takes;             /* different sounds for the events */
} layer;

typedef struct {
    const char *title; /* "" if none */
    const char *model; /* NULL: none was named */
    double seconds;
    int rate; /* hz */
    uint64_t seed;
    double loudness, peak;    /* LUFS, dB of full scale (true peak) */
    double fade_in, fade_out; /* seconds */
    int64_t steps;            /* of the sampler; 0: its schedule's own */
    const char *sampler;      /* NULL: the model's own */
    double guidance;          /* below 0: the model's own */
    layer *layers;
    size_t layer_count;
} scene;

/* All in the current scope. A mistake is named with its file, key and line. Paths of files and models start from its
 * folder. */
scene *scene_read(const char *path);
/* text ends with 0 and lives as long as the scene; name: for messages; folder: where files are, NULL: here. */
scene *scene_parse(const char *text, size_t size, const char *name, const char *folder);
/* "a calm harbour at night: waves, distant bell, gulls" */
scene *scene_from_words(const char *words);
/* What a user names: a scene's file if it is called or is one, words otherwise. Where neither says which model: the sound model that
 * comes with hiss, or the drums. */
bool scene_is_file(const char *argument);
scene *scene_named(const char *argument);
/* The values of a scene or layer that says nothing of itself. */
scene scene_default(void);
layer layer_default(layer_kind kind);

#endif
