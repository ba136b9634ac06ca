/* Sounds from a model: the noise of a seed, walked back to a sound by a sampler. */
#ifndef HISS_SYSTEMS_GENERATE_H
#define HISS_SYSTEMS_GENERATE_H

#include "signal/audio.h"
#include "signal/mel.h"
#include "signal/resynthesis.h"
#include "systems/system.h"

/* hiss's own; PyTorch's on the CPU; PyTorch's on an NVIDIA H100 (draws of more
 * numbers than a GPU runs threads at once, 41,000 on a T4, depend on the GPU). */
typedef enum { NOISE_HISS, NOISE_TORCH, NOISE_TORCH_CUDA } noise_kind;
/* The names on the command line and in hiss_request, in that order; NULL-terminated. */
extern const char *const NOISE_NAMES[];

/* Seconds from .. to. */
typedef struct {
    double from, to;
} time_span;

/* What a sound can be asked for by. */
enum { REQUEST_TEXT, REQUEST_CLASS, REQUEST_MEL, REQUEST_REFERENCE, REQUEST_TEMPO, REQUEST_MELODY, REQUEST_HANDLES };

/* Everything but the model that a sound depends on. */
typedef struct {
    double seconds;   /* 0: as long as the model was trained on */
    uint64_t seed;    /* sound i is that of seed + i, alone or among others */
    noise_kind noise; /* whose random numbers the seed stands for */
    int64_t count;
    int64_t steps;        /* 0: the schedule's own */
    const char *sampler;  /* NULL: the paper's */
    const char *schedule; /* NULL: the paper's */
    const double *betas;  /* in place of a schedule: its steps from the least noise to the most; or NULL */
    size_t beta_count;
    double eta;    /* below 0: the sampler's own */
    int32_t class; /* below 0: none, see system.h */
    double guidance;
    /* Of models that follow them (latent.h): */
    const char *prompt, *negative;  /* NULL: none */
    const char *blend;              /* a second prompt, and how far on the way to it: 0 to 1 */
    double blend_part, blend_until; /* until: at the end of the sound; NAN: as at its beginning */
    double bpm;                     /* tempo; 0: what the prompt says, if it does */
    int32_t key;                    /* of musical.h; -1: what the prompt says, if it does */
    const char *chords;             /* "Dm Bb F C", one a bar; NULL: none */
    const audio *melody;            /* a sound whose pitch classes are followed; NULL: those of a tune in the key */
    const tensor *mel;              /* [F, M], rough, as the model's front end gives it; NULL: none */
    double mel_blur;                /* patches and groups of bands it is smoothed over */
    const audio *reference;         /* a sound whose style is taken; NULL: none */
    const audio *init;              /* where the walk starts, or what is kept; NULL: noise */
    const audio *into;              /* what init, or the style of the reference, goes over into along the way of
                                                blend_part .. blend_until; NULL: nothing */
    double strength;                /* how much of the way back to noise, 0 to 1 */
    const time_span *remake;        /* of init: these are made anew, the rest stays as it is */
    size_t remakes;                 /* 0: all of it is walked back and made anew */
    double handle_guidance[REQUEST_HANDLES]; /* of each handle; NAN: guidance */
    bool loop;                               /* the end leads into the beginning */
    double start;                            /* seconds of what came before it, as the model is told */
    double rescale;           /* share of a scaling of the guided back to the deviation of the unguided */
    const char *set;          /* "name=value,...": other conditions of the model's; NULL: none */
    bool stream;              /* handed on while it is decoded, where that can be */
    const char *text_encoder; /* the folder of its text encoder; NULL: where it is published to be */
    const char *vocoder;      /* what sings in place of the shipped one; NULL: that */
    /* Told what the network is about to see, as sound, at most `most_watched` times a sound, evenly over its steps; NULL: not told.
     * noise: over the signal, in amplitude. */
    void (*watch)(void *context, int64_t step, double noise, const audio *state);
    void *watcher;
    int64_t most_watched;
} sound_request;

/* Whether step of steps is one that the request's watcher is told of. */
bool request_watches(const sound_request *r, int64_t step, int64_t steps);

/* The handles, in the order of handle_guidance. */
extern const char *const REQUEST_HANDLE_NAMES[REQUEST_HANDLES + 1];
sound_request sound_request_default(void);
/* The same with the model's own guidance. */
sound_request sound_request_for(const model *m);

/* Takes the i-th sound, which lives until it returns. */
typedef void (*take_sound)(void *context, int64_t i, const audio *sound);

/* Gives a request of words or a class alone that says no length the one that such sounds have, where the model knows it. */
void request_settle(const model *m, sound_request *r);
/* Fails on what the model cannot do, before any work. */
void request_check(const model *m, const sound_request *r);
/* Samples of each of its sounds. */
int64_t request_samples(const model *m, const sound_request *r);
/* One after another: every sound is a batch of its own, so that its samples depend on nothing but its seed, and memory on
 * nothing but the window. */
void generate_sounds(const model *m, const sound_request *r, take_sound take, void *context);
/* Whether a request's sounds are so long that they are made piece by piece (latent_pieces.h), and the i-th of them so: memory does not
 * grow with its length. generate_sounds gives the same, whole. */
bool has_pieces(const model *m, const sound_request *r);
void generate_pieces(const model *m, const sound_request *r, int64_t i, take_samples *take, void *context);
/* mel [F, M] -> [F hop] samples at m->rate, in the current scope. */
audio *vocode_mel(const model *m, const sound_request *r, const tensor *mel);

/* The model's front end, with its rate and bands. */
mel_front model_front(const model *m);
/* Features [F, M] of a sound in the original's way: first channel (hiss's own front end: the mean of all), resampled to the front end's rate. */
tensor *mel_of(const mel_front *f, const audio *sound);
/* Features saved by another program, .npy or safetensors: [F, M] from [F, M], [M, F] (the originals' layout; taken when
 * F = M) or with a leading 1. M 0: unknown, the file is [M, F]. Fails on other shapes and on NaN.
 * unit_scale: warns of values outside 0 .. 1. */
tensor *mel_read(const char *path, int64_t mels, bool unit_scale);

/* The forward process: the sound at alpha_bar, with noise of the seed. In the current scope. */
audio *add_noise(const audio *clean, double alpha_bar, uint64_t seed);

#endif
