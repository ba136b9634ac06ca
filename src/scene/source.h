/* Where the sounds of a scene come from: one door for models of classes, models of prompts, and recordings. */
#ifndef HISS_SCENE_SOURCE_H
#define HISS_SCENE_SOURCE_H

#include "scene/scene.h"
#include "signal/audio.h"

/* Models that are open, each once. */
typedef struct sources sources;
sources *sources_open(const scene *s);

/* Fails on what a layer's source cannot do, before any work. */
void source_check(sources *all, size_t layer);
/* A layer's sound, in the current scope: mono, at the scene's rate, at the loudness all sources have (see SOURCE_LUFS).
 * That of a bed loops without a seam. */
audio *source_sound(sources *all, size_t layer, int64_t take);

/* What 0 dB of gain stands for. */
#define SOURCE_LUFS (-23.0)

#endif
