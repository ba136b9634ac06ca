/* hiss: audio diffusion in C.
 *
 *     hiss_error error;
 *     hiss_model *model = hiss_open("models/drums", &error);
 *     hiss_request request = hiss_request_default();
 *     request.class_name = "snare";
 *     hiss_audio *sound = model ? hiss_generate(model, &request, &error) : NULL;
 *     if (!sound || !hiss_write(sound, "snare.wav", 16, &error)) fprintf(stderr, "%s\n", error.message);
 *     hiss_audio_free(sound);
 *     hiss_close(model);
 *
 * Errors are values: every function that can fail takes a hiss_error, which may be NULL, and returns NULL or false. What a
 * function returns belongs to the caller and goes with the function named beside it; all of them take NULL. The library
 * never prints and never exits. A model may be used by one thread at a time; different models by different threads.
 * Sound is float, +-1 is full scale. */
#ifndef HISS_H
#define HISS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* What went wrong, by kind. */
typedef enum {
    HISS_OK = 0,
    HISS_ERROR_ARGUMENT,    /* an option, name or value that is not allowed */
    HISS_ERROR_FILE,        /* a file that cannot be opened, read or written */
    HISS_ERROR_FORMAT,      /* a file whose contents are damaged or not what was expected */
    HISS_ERROR_MEMORY,      /* out of memory, or a size beyond the bounds */
    HISS_ERROR_INTERRUPTED, /* stopped by a signal or a callback */
    HISS_ERROR_INTERNAL     /* a bug in hiss */
} hiss_code;

typedef struct {
    hiss_code code;
    char message[1024]; /* names the file, tensor or option and says what to do; UTF-8, 0-terminated */
} hiss_error;

/* "0.1.0" */
const char *hiss_version(void);
/* Processor cores to use from now on by all of hiss; 0: all. The samples do not depend on it in f32; with bf16 operands, which oneDNN adds
 * up, no difference was seen where there is no AMX. */
void hiss_threads(int count);
/* Where networks run from now on: "cpu" (at first), "cuda", "cuda:N", or "auto", a GPU if there is one; one GPU for the
 * process, used by one thread at a time. False if a named one cannot be had, or another is open. */
bool hiss_device(const char *name, hiss_error *error);

/* --- sounds --- */

typedef struct hiss_audio {
    float *samples; /* [frames, channels], interleaved */
    int64_t frames;
    int channels;
    int rate; /* hz */
} hiss_audio;

/* Reads WAV, FLAC, Ogg, MP3, AIFF; any rate, up to 64 channels. Errors: FILE, FORMAT (also NaN inside, or empty). */
hiss_audio *hiss_read(const char *path, hiss_error *error);
/* Writes .wav, .flac, .ogg or .aiff by the name; bits 16 or 24, 32 for float. Nothing appears under the name if it fails. */
bool hiss_write(const hiss_audio *sound, const char *path, int bits, hiss_error *error);
void hiss_audio_free(hiss_audio *sound);

/* --- mel spectrograms --- */

typedef struct hiss_mel {
    float *values; /* [frames, bands] */
    int64_t frames, bands;
} hiss_mel;

/* front: "diffwave", "wavegrad", ...: the way its original computes it (first channel, resampled to its rate). */
hiss_mel *hiss_mel_of(const hiss_audio *sound, const char *front, hiss_error *error);
void hiss_mel_free(hiss_mel *mel);

/* --- models --- */

typedef struct hiss_model hiss_model;

/* A folder of hiss's (config.json, weights.safetensors), or a published model: a .pt or .safetensors of DiffWave, WaveGrad, HiFi-GAN or
 * BigVGAN, a folder or file of Stable Audio Open. NULL: the sound model that comes with hiss. Nothing in the file is
 * executed. Closed by hiss_close. Errors: FILE, FORMAT (lists the tensors that do not fit), MEMORY.
 * Shipped models are looked for under $HISS_MODELS, in ../share/hiss/models from the library, and in ../models from it. */
hiss_model *hiss_open(const char *path, hiss_error *error);
void hiss_close(hiss_model *model);
/* Merges adapters that `hiss train --lora` made into the open model: "FILE", "FILE:WEIGHT", several with commas. False: see error. */
bool hiss_adapt(hiss_model *model, const char *files, hiss_error *error);

int hiss_model_rate(const hiss_model *model); /* hz */
int hiss_model_channels(const hiss_model *model);
int64_t hiss_model_parameters(const hiss_model *model);
/* Classes it knows, and the name of one (NULL: none). The name lives as long as the model. */
int64_t hiss_model_classes(const hiss_model *model);
const char *hiss_model_class(const hiss_model *model, int64_t index);

/* Called between steps: done of total; what: "denoising". Returning nonzero stops the work with INTERRUPTED. */
typedef int (*hiss_progress)(void *context, const char *what, int64_t done, int64_t total);

typedef struct hiss_span {
    double from, to; /* seconds */
} hiss_span;

/* What a sound is to be. Every model takes the first part; what else it cannot follow is an ARGUMENT error that says so, as is a value
 * out of range. Strings, sounds and mel spectrograms stay the caller's and are read during the call alone. */
typedef struct hiss_request {
    double seconds; /* 0: as such sounds last where the model knows, else as it was trained on, or as init */
    uint64_t seed;  /* the same seed gives the same samples */
    const char
        *seed_like;       /* "hiss", "torch" (PyTorch's CPU noise) or "torch-cuda" (its noise on an H100); NULL: hiss */
    int64_t steps;        /* 0: the model's own */
    const char *sampler;  /* NULL: the model's own */
    const char *schedule; /* NULL: the model's own */
    double eta;           /* fresh noise; below 0: the sampler's own */
    const char *class_name; /* or number; NULL: what a model reads of the prompt, else any; "any" */
    double guidance;        /* how strongly to follow what is asked for; 1: as trained; below 0: the model's own */
    hiss_progress progress; /* or NULL */
    void *context;          /* handed to it */

    /* Models that follow words and sounds; each handle may have a guidance of its own (below 0: guidance). */
    const char *prompt;          /* what to make; NULL: anything */
    const char *negative;        /* what the sound is to be led away from; NULL: nothing */
    const hiss_audio *reference; /* a sound whose style is taken; NULL: none */
    const hiss_mel *mel;         /* a rough course, hiss_mel_of(sound, "hiss"); NULL: none */
    double mel_blur;             /* how rough: patches and groups of bands it is smoothed over */
    double bpm;                  /* tempo, 20 to 400; 0: what the prompt says */
    const char *key;             /* such as "D minor": a tune in it is followed; NULL: what the prompt says */
    const char *chords;          /* such as "Dm Bb F C", one for each bar; NULL: none */
    const hiss_audio *melody;    /* a sound whose pitches are followed; NULL: none */
    double text_guidance, class_guidance, mel_guidance, reference_guidance, tempo_guidance, melody_guidance;
    const char *blend; /* a second prompt; NULL: none */
    double blend_part,
        blend_until; /* how far on the way to it, 0 to 1, at the beginning and at the end; until below 0: the same */

    /* Starting from a sound. */
    const hiss_audio *init;  /* NULL: from noise */
    const hiss_audio *into;  /* what init, or the style of reference, goes over into along the way of blend_part to
                                blend_until (0 and 1: over the whole length); NULL: nothing */
    double strength;         /* of the way back to noise that it goes, 0 to 1 */
    const hiss_span *remake; /* parts of init that are made anew while the rest stays; NULL: all of it changes */
    size_t remakes;
    bool loop; /* the end leads into the beginning */

    /* Stable Audio and its kin, and parts that lie elsewhere. */
    double start;             /* seconds of a longer piece that the sound begins at, as the model is told */
    double rescale;           /* share of scaling the guided back to the deviation of the unguided, 0 to 1 */
    const char *set;          /* "name=value,...": its other conditions; NULL: none */
    const char *text_encoder; /* folder of its text encoder; NULL: where it is published to be */
    const char *vocoder;      /* what sings in place of the shipped vocoder; NULL: that */
} hiss_request;
/* Begin with this: fields added later get values that change nothing. */
hiss_request hiss_request_default(void);

/* One sound, [samples, channels] at the model's rate; freed with hiss_audio_free. Errors: ARGUMENT names the field. */
hiss_audio *hiss_generate(hiss_model *model, const hiss_request *request, hiss_error *error);
/* The same handed on while it is made: take gets the next frames of it, interleaved, until it returns nonzero (INTERRUPTED). Long
 * sounds and those of autoencoders come in pieces, others at once; memory does not grow with the length of those in pieces, and
 * their peaks are turned down by a limiter. */
typedef int (*hiss_take)(void *context, const float *samples, int64_t frames);
bool hiss_stream(hiss_model *model, const hiss_request *request, hiss_take take, void *context, hiss_error *error);

/* Sings back a mel spectrogram [frames, bands] of the model's front end: frames times hop samples. */
hiss_audio *hiss_vocode(hiss_model *model, const hiss_mel *mel, const hiss_request *request, hiss_error *error);
/* The mel spectrogram of a sound as this model takes it. */
hiss_mel *hiss_model_mel(const hiss_model *model, const hiss_audio *sound, hiss_error *error);

/* --- soundscapes --- */

typedef struct hiss_scene_request {
    const char *scene; /* a scene file (docs/scene.md tells its keys), or a line of words as `hiss scene` takes it */
    const char *model; /* NULL: the scene's own, or the one that comes with hiss */
    double seconds;    /* 0: the scene's own */
    bool has_seed;     /* else the scene's own */
    uint64_t seed;
    hiss_progress progress; /* or NULL */
    void *context;
} hiss_scene_request;

/* The mix, [frames, 2]. cues: NULL, or gets the cue sheet as JSON (every sound with its moment, place and words), which the caller
 * frees with free(). Errors: ARGUMENT and FORMAT name key and line. */
hiss_audio *hiss_scene(const hiss_scene_request *request, char **cues, hiss_error *error);

/* --- autoencoders --- */

typedef struct hiss_codec hiss_codec;

/* The autoencoder in a model folder or file, or alone (Stable Audio Open). Closed by hiss_codec_close. */
hiss_codec *hiss_codec_open(const char *path, hiss_error *error);
void hiss_codec_close(hiss_codec *codec);

typedef struct hiss_latents {
    float *values; /* [count, numbers] */
    int64_t count, numbers;
} hiss_latents;

/* A sound of any rate and length, ended with silence to whole latents: the means of what the encoder believes, or, with a seed, drawn
 * from it. Freed with hiss_latents_free. */
hiss_latents *hiss_encode(const hiss_codec *codec, const hiss_audio *sound, const uint64_t *seed, hiss_error *error);
hiss_audio *hiss_decode(const hiss_codec *codec, const hiss_latents *latents, hiss_error *error);
void hiss_latents_free(hiss_latents *latents);

/* --- the forward process --- */

/* sqrt(alpha_bar) sound + sqrt(1 - alpha_bar) noise, alpha_bar in 0 .. 1. */
hiss_audio *hiss_noise(const hiss_audio *sound, double alpha_bar, uint64_t seed, hiss_error *error);

/* --- training --- */

typedef struct hiss_training {
    const char *recipe; /* a recipe file, see recipes/README.md */
    const char *data;   /* a folder or manifest of recordings; NULL: the recipe's own */
    const char *out;    /* the model folder; it can be opened at any moment */
    const char *from; /* a model to start from, "default" for the one that comes with hiss; NULL: as the recipe says */
    bool distil;      /* into one of few steps: `from` teaches */
    int64_t lora;     /* rank of adapters to learn in place of the weights; 0: as the recipe says */
    bool resume;      /* goes on from out's newest checkpoint */
    int64_t steps;    /* 0: as the recipe says */
    double minutes;   /* stops and saves after this long; 0: never */
    hiss_progress progress; /* or NULL; nonzero stops with INTERRUPTED, and resume goes on from the last checkpoint */
    void *context;
} hiss_training;

/* Trains as the recipe says. SIGINT is not caught: see the command line. */
bool hiss_train(const hiss_training *training, hiss_error *error);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
