/* Soundscapes of include/hiss.h. */
#include <stdlib.h>
#include <string.h>

#include "api/border.h"
#include "scene/render.h"
#include "scene/tell.h"

typedef struct {
    const hiss_scene_request *request;
    bool wants_cues;
    audio *mix;
    int64_t done;
    hiss_audio *result;
    const char *cues; /* in the result's scope */
} scene_call;

static scene *scene_asked(const hiss_scene_request *q) {
    if (!q || !q->scene) fail(HISS_ERROR_ARGUMENT, "which scene? Name a file, or give a line of words");
    if (!(q->seconds >= 0 && q->seconds <= SCENE_MAX_SECONDS))
        fail(HISS_ERROR_ARGUMENT, "seconds %g: give 0 to %g", q->seconds, SCENE_MAX_SECONDS);
    scene *s = scene_named(q->scene);
    if (q->seconds > 0) s->seconds = q->seconds;
    if (q->has_seed) s->seed = q->seed;
    if (q->model) s->model = q->model;
    return s;
}

static void begin(void *context) { (void) context; }

static void take(void *context, const float *samples, int64_t frames) {
    scene_call *c = context;
    memcpy(c->mix->samples + 2 * c->done, samples, (size_t) frames * 2 * sizeof(float));
    c->done += frames;
}

static void scene_body(void *argument) {
    scene_call *c = argument;
    const scene *s = scene_asked(c->request);
    c->mix = audio_new(scene_frames(s), 2, s->rate);
    const rendering r = render(s, begin, take, c);
    c->result = audio_to_keep(c->mix);
    if (c->wants_cues) c->cues = json_text_short(cue_sheet(s, &r));
}

hiss_audio *hiss_scene(const hiss_scene_request *request, char **cues, hiss_error *error) {
    scene_call c = {.request = request, .wants_cues = cues};
    const listener l = request ? (listener){request->progress, request->context} : (listener){0};
    scope *home = run_to_keep(scene_body, &c, l, error);
    if (cues) *cues = home ? strdup(c.cues) : NULL;
    return home ? hand_out_audio(c.result, home) : NULL;
}
