/* When each sound of a scene is heard, how loud and where: everything random about it, by the scene's seed. */
#ifndef HISS_SCENE_ARRANGE_H
#define HISS_SCENE_ARRANGE_H

#include "base/random.h"
#include "scene/scene.h"

/* One sound: a bed from its beginning to its end, or one event. */
typedef struct {
    size_t layer, index;        /* index: of the event within its layer */
    int64_t take;               /* which of the layer's sounds */
    double seconds, length;     /* of the scene; an event's length is 0 until its sound is there */
    double gain, pan, distance; /* dB, -1 to 1, metres */
} cue;

/* In order of time. */
typedef struct {
    cue *cues;
    size_t count;
} score;

score arrange(const scene *s);

/* What the i-th layer draws from. It depends on the layer's name, and on how many before it have the same, so that a layer
 * keeps its events and sounds when others come, go or change places. */
random_key layer_key(const scene *s, size_t i);
/* The seed of a layer's take. */
uint64_t take_seed(const scene *s, size_t i, int64_t take);

#endif
