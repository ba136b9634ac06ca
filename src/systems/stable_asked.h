/* What Stable Audio is asked for: prompts, seconds and other numbers as its network takes them, for one window at a time. S tokens, E
 * their width, N positions, L numbers of a latent. */
#ifndef HISS_SYSTEMS_STABLE_ASKED_H
#define HISS_SYSTEMS_STABLE_ASKED_H

#include "diffusion/guidance.h"
#include "systems/generate.h"
#include "systems/stable_audio.h"

struct stable_asked {
    const tensor *texts, *negatives;       /* [1, S, E] of every text condition; negatives NULL: none */
    double values[STABLE_MOST_CONDITIONS]; /* of numbers and integers */
    double seconds;                        /* of the whole */
    guidance guidance;
    /* Keys and values of the window at hand, which begins at `begin`. */
    scope *home;
    double begin;
    const stable_dit_context *context;
    const tensor *vector, *prepend;
    /* What is kept, of networks that are shown it. */
    const tensor *known;
    const float *keep;
};

/* Of a sound of so many samples; fails on what cannot be asked. In the current scope. */
stable_asked *stable_ask(const model *m, const sound_request *r, int64_t samples);
/* Keys and values of the window that begins there. Guided: of two rows, the first is what is asked for, the second what it is led away
 * from. */
void stable_set_window(const model *m, stable_asked *a, double begin);
bool stable_is_guided(const stable_audio *net, const stable_asked *a);
/* [1, ..] and [1, ..] -> [2, ..]. */
tensor *stable_stacked(const tensor *first, const tensor *second);

#endif
