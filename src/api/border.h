/* The border between the library inside, where errors are jumps and memory goes with scopes, and its callers, who get values
 * and objects that last until they free them. */
#ifndef HISS_API_BORDER_H
#define HISS_API_BORDER_H

#include "base/scope.h"
#include "hiss.h"
#include "signal/audio.h"
#include "systems/system.h"

struct hiss_model {
    scope *home;
    model *m;
};

/* A caller's function that hears of the progress; NULL: nobody does. */
typedef struct {
    hiss_progress tell;
    void *context;
} listener;

typedef void api_body(void *argument);

/* Runs body where networks run (hiss_device); false and *error, which may be NULL, if it failed. What body makes goes. */
bool run_there(api_body *body, void *argument, listener l, hiss_error *error);
/* The same in a scope with a life of its own, where all that body makes stays; NULL if it failed. */
scope *run_to_keep(api_body *body, void *argument, listener l, hiss_error *error);
/* Where they run from now on. */
void run_on_device(bool device);

/* A caller's sound, checked; it stays the caller's. */
audio as_audio(const hiss_audio *a);

/* Objects handed out: each lies in the scope that body ran in, and knows it once body has ended. */
hiss_audio *audio_to_keep(const audio *a);
hiss_audio *hand_out_audio(hiss_audio *a, scope *home);
hiss_mel *mel_to_keep(const tensor *t);
hiss_mel *hand_out_mel(hiss_mel *mel, scope *home);

#endif
