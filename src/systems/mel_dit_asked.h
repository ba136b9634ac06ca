/* What hiss's sound model is asked for: prompts, classes, rough spectrograms and references as its network takes them, and how they pull.
 * N patches, M bands, E numbers of a text. */
#ifndef HISS_SYSTEMS_MEL_DIT_ASKED_H
#define HISS_SYSTEMS_MEL_DIT_ASKED_H

#include "systems/compose.h"
#include "systems/latent.h"

enum { HOP = 512, LONGEST = 64 /* patches the network sees at once */ };
static const float SILENCE = -11.512925f; /* ln 1e-5 */

/* One way to ask: a text, class, coarse rows, style, tempo and melody, each given or not. */
typedef struct {
    const tensor *text, *style; /* [1, E + 1], [1, 2 M + 1], or NULL */
    int32_t class;              /* below 0: none */
    bool said;                  /* the class is what is read of the text */
    bool coarse, tempo, melody;
    double share; /* of its prediction in the result */
} branch;

enum { MOST_BRANCHES = REQUEST_HANDLES + 1, WAY = 32 /* steps between two prompts or styles */ };
/* The ways that are asked at once, as a batch. */
typedef struct {
    branch branches[MOST_BRANCHES];
    int count;
    float inside; /* guidance that a few-step network is told; 1: none */
} plan;

typedef struct {
    plan first, then;           /* until it is settled what will sound, and after that */
    const tensor *coarse;       /* [1, N, M / 8] of all positions, or NULL */
    const tensor *text, *style; /* what was asked for first */
    /* Where it changes, rows over the sound's length, else NULL. */
    const tensor *text_way[WAY + 1], *style_way[WAY + 1];
    int32_t class_way[WAY + 1]; /* read of the texts */
    float seconds;
    double bpm, stride;          /* 0: none; seconds from one patch to the next */
    const tensor *melody;        /* [1, N, 12] of a sound that is followed, or NULL */
    const composition *composed; /* a tune in its place, or NULL; of the sound's own seed */
    uint64_t seed;
    const model *vocoder;
} asked_for;

/* Of a sound of so many samples and patches; fails on what cannot be asked. In the current scope. */
asked_for *ask_mel_dit(const model *m, const sound_request *r, int64_t samples, int64_t positions);
/* How a window is asked whose middle is that position of `whole`, at time t. */
plan plan_at(const asked_for *a, int64_t middle, int64_t whole, double t);
/* A sound as clean patches, silence behind it. */
tensor *mel_dit_clean(const model *m, const audio *sound, int64_t positions);

#endif
