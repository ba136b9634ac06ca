#include "api/border.h"

#include "base/progress.h"
#include "tensor/device.h"

static bool on_device;

void run_on_device(bool device) { on_device = device; }

bool run_there(api_body *body, void *argument, listener l, hiss_error *error) {
    progress_handler handler;
    void *context;
    progress_to(l.tell, l.context, &handler, &context);
    const bool was = device_switch(on_device), fine = try_run(body, argument, error);
    device_switch(was);
    progress_to(handler, context, NULL, NULL);
    return fine;
}

static void make_scope(void *home) { *(scope **) home = scope_create(); }

typedef struct {
    api_body *body;
    void *argument;
} inner;

/* What the body made would go with try_run's scope: it is handed to the scope around, and an empty one ends in its place. */
static void run_and_keep(void *argument) {
    inner *i = argument;
    i->body(i->argument);
    scope_end_merge();
    scope_begin();
}

scope *run_to_keep(api_body *body, void *argument, listener l, hiss_error *error) {
    scope *home = NULL;
    if (!try_run(make_scope, &home, error)) return NULL;
    scope *before = scope_switch(home);
    const bool fine = run_there(run_and_keep, &(inner){body, argument}, l, error);
    scope_switch(before);
    if (!fine) scope_destroy(home);
    return fine ? home : NULL;
}

/* --- objects --- */

typedef struct {
    hiss_audio sound;
    scope *home;
} owned_audio;

typedef struct {
    hiss_mel mel;
    scope *home;
} owned_mel;

audio as_audio(const hiss_audio *a) {
    if (!a || !a->samples || a->frames < 1 || a->channels < 1 || a->channels > AUDIO_MAX_CHANNELS ||
        a->rate < AUDIO_MIN_RATE || a->rate > AUDIO_MAX_RATE || a->frames > AUDIO_MAX_VALUES / a->channels)
        fail(HISS_ERROR_ARGUMENT, "a sound without samples, or with a length, channels or rate that no sound has");
    return (audio){.samples = a->samples, .frames = a->frames, .channels = a->channels, .rate = a->rate};
}

hiss_audio *audio_to_keep(const audio *a) {
    owned_audio *o = NEW(owned_audio);
    o->sound = (hiss_audio){a->samples, a->frames, a->channels, a->rate};
    return &o->sound;
}

hiss_audio *hand_out_audio(hiss_audio *a, scope *home) {
    ((owned_audio *) (void *) a)->home = home;
    return a;
}

void hiss_audio_free(hiss_audio *sound) {
    if (sound) scope_destroy(((owned_audio *) (void *) sound)->home);
}

hiss_mel *mel_to_keep(const tensor *t) {
    owned_mel *o = NEW(owned_mel);
    o->mel = (hiss_mel){f32(t), t->shape[0], t->shape[1]};
    return &o->mel;
}

hiss_mel *hand_out_mel(hiss_mel *mel, scope *home) {
    ((owned_mel *) (void *) mel)->home = home;
    return mel;
}

void hiss_mel_free(hiss_mel *mel) {
    if (mel) scope_destroy(((owned_mel *) (void *) mel)->home);
}
