/* A scene made: its sounds, its mix at the loudness asked for, and what there is to tell about it. */
#ifndef HISS_SCENE_RENDER_H
#define HISS_SCENE_RENDER_H

#include "scene/arrange.h"
#include "scene/mix.h"

typedef struct {
    score score;               /* with the length of every event */
    int64_t sounds;            /* that were made or read */
    double gain;               /* dB, that brought the mix to its loudness */
    double loudness, range;    /* LUFS (-infinity for silence), LU */
    double true_peak, limited; /* dB of full scale; dB by which the loudest moment was turned down */
} rendering;

/* Takes the next frames of the scene, [frames, 2]. */
typedef void (*take_frames)(void *context, const float *samples, int64_t frames);

/* Mistakes are found before the work begins. Frames come when all is measured: begin(context) is called before the first. */
rendering render(const scene *s, void (*begin)(void *context), take_frames take, void *context);

#endif
