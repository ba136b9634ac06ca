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
/* Processor cores to use from now on by all of hiss; 0: all. The samples do not depend on it. */
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

/* A folder of hiss's (config.json, weights.safetensors), or a published .pt or .safetensors of DiffWave or WaveGrad. Nothing in
 * the file is executed. Closed by hiss_close. Errors: FILE, FORMAT (lists the tensors that do not fit), MEMORY. */
hiss_model *hiss_open(const char *path, hiss_error *error);
void hiss_close(hiss_model *model);
/* Merges adapters that `hiss train --lora` made into the open model: "FILE", "FILE:WEIGHT", several with commas. False: see error. */
bool hiss_adapt(hiss_model *model, const char *files, hiss_error *error);

int hiss_model_rate(const hiss_model *model); /* hz */
int64_t hiss_model_parameters(const hiss_model *model);
/* Classes it knows, and the name of one (NULL: none). The name lives as long as the model. */
int64_t hiss_model_classes(const hiss_model *model);
const char *hiss_model_class(const hiss_model *model, int64_t index);

/* Called between steps: done of total; what: "denoising". Returning nonzero stops the work with INTERRUPTED. */
typedef int (*hiss_progress)(void *context, const char *what, int64_t done, int64_t total);

typedef struct hiss_request {
    double seconds; /* 0: as long as the model was trained on */
    uint64_t seed;  /* the same seed gives the same samples */
    const char
        *seed_like;       /* "hiss", "torch" (PyTorch's CPU noise) or "torch-cuda" (its noise on an H100); NULL: hiss */
    int64_t steps;        /* 0: the schedule's own */
    const char *sampler;  /* NULL: the paper's */
    const char *schedule; /* NULL: the paper's */
    double eta;           /* fresh noise; below 0: the sampler's own */
    const char *class_name; /* or number; NULL: any */
    double guidance;        /* how strongly to follow what is asked for; 1: as trained; below 0: the model's own */
    const char *prompt;     /* what to make, for models that follow words; NULL: anything */
    const char *negative;   /* what the sound is to be led away from; NULL: nothing */
    hiss_progress progress; /* or NULL */
    void *context;          /* handed to it */
} hiss_request;
/* Begin with this: fields added later get values that change nothing. */
hiss_request hiss_request_default(void);

/* One sound, [samples, 1] at the model's rate; freed with hiss_audio_free. Errors: ARGUMENT names the field. */
hiss_audio *hiss_generate(hiss_model *model, const hiss_request *request, hiss_error *error);
/* Sings back a mel spectrogram [frames, bands] of the model's front end: frames times hop samples. */
hiss_audio *hiss_vocode(hiss_model *model, const hiss_mel *mel, const hiss_request *request, hiss_error *error);
/* The mel spectrogram of a sound as this model takes it. */
hiss_mel *hiss_model_mel(const hiss_model *model, const hiss_audio *sound, hiss_error *error);

/* --- the forward process --- */

/* sqrt(alpha_bar) sound + sqrt(1 - alpha_bar) noise, alpha_bar in 0 .. 1. */
hiss_audio *hiss_noise(const hiss_audio *sound, double alpha_bar, uint64_t seed, hiss_error *error);

/* --- training --- */

/* Trains as a recipe file says on a folder or manifest of recordings (NULL: the recipe's own), into a model folder; goes on
 * from its checkpoint if resume. SIGINT is not caught: see the command line. progress may be NULL. */
bool hiss_train(const char *recipe, const char *data, const char *out, bool resume, hiss_progress progress,
                void *context, hiss_error *error);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
