/* What plain words say about a sound: whether it goes on or happens, how often, how far away. */
#ifndef HISS_SCENE_WORDS_H
#define HISS_SCENE_WORDS_H

#include "scene/scene.h"

/* A layer from "distant church bell on the left": adjectives of place, level and rate set it, the other words are the
 * prompt. Fails where no words are left. */
layer layer_from_words(const char *words);
/* Whether its name takes "begin" in place of "begins": waves, footsteps on gravel; not grass, nor the bus. */
bool is_plural(const char *name);

#endif
