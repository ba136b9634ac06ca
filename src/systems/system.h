/* What a user names: a network, its files, its sounds and its noise, behind one table of functions.
 *
 * A model is a folder of hiss's own (config.json and weights.safetensors) or a published file (lmnt's .pt, or safetensors of
 * its tensors). config.json is one flat object: "system", "sample_rate", "hop_samples", "audio_len", "classes" (names),
 * "sampling" (how sounds of a latent system are made where nothing else is asked: sampler, steps, guidance),
 * "noise_schedule" (betas of training), "inference_noise_schedule", "front" (a row of the mel front ends) and the network's own
 * keys (see its *_config_read).
 *
 * B batch, T samples, F frames, M mels. */
#ifndef HISS_SYSTEMS_SYSTEM_H
#define HISS_SYSTEMS_SYSTEM_H

#include "base/json.h"
#include "nn/bind.h"
#include "store/store.h"

typedef struct model model;

typedef struct {
    const char *name, *paper;
    const char *front;             /* its original's mel front end */
    const char *landmark;          /* a tensor that only its files hold, or NULL */
    bool (*holds)(const store *s); /* else: whether a file is its */
    /* Of systems with layouts of their own: where the weights and the configuration of `path` lie; false: it is not theirs. */
    bool (*find)(const char *path, const char **weights, const char **settings);
    bool noise_is_level; /* WaveGrad: any alpha_bar in (0, 1]; DiffWave: within the training table */
    /* Fills in the sizes, binds the network to the parameters of b. */
    void (*open)(model *m, const store *s, binder *b);
    /* x [B, T] at alpha_bar (x = sqrt(alpha_bar) clean + sqrt(1 - alpha_bar) noise), mel [B, F, M] or NULL, classes [B]
     * (-1: none) or NULL -> noise [B, T]. */
    tensor *(*predict)(const model *m, const tensor *x, double alpha_bar, const tensor *mel, const int32_t *classes);
    /* What is left to do to a denoised x [B, T], in place; NULL: nothing. */
    void (*finish)(const model *m, tensor *x, const int32_t *classes);
    const char *sampler; /* of its models; NULL: the paper's loop */
    /* A vocoder of one pass, without sampler: mel [F, M] to F hop samples; its predict is NULL. */
    void (*sing)(const model *m, uint64_t seed, const tensor *mel, float *samples);
    const struct latent_row
        *latent; /* of its models; what stands in for predict and finish where the state is not sound (latent.h) */
} system_row;

/* NULL-terminated. */
extern const system_row *const SYSTEMS[];

/* How a model's sounds are made where a request says nothing: config.json's "sampling". */
typedef struct {
    const char *sampler; /* NULL: the system's */
    int64_t steps;       /* 0: the system's */
    double guidance;     /* 0: the system's */
} sampling_defaults;
/* The object "sampling" of a configuration or a recipe; fails on a sampler that there is not. */
sampling_defaults sampling_read(config c);

struct model {
    const system_row *system;
    const char *path;    /* of the file or folder the user named */
    const char *weights; /* the file the tensors are in */
    config settings;     /* config.json, or what the published file says of itself */
    params *parameters;
    void *network;        /* diffwave *, wavegrad *, ... */
    int rate;             /* hz */
    int64_t hop, halo;    /* samples a mel frame; samples a prediction depends on to each side */
    int64_t mels;         /* 0: takes none */
    int64_t length;       /* samples it was trained on, 0: unknown */
    const char **classes; /* names, or NULL */
    int64_t class_count;
    const char *front; /* mel front end, NULL: takes no mel */
    double *betas;     /* of training */
    size_t beta_count;
    double *fast; /* betas of its own short schedule */
    size_t fast_count;
    const struct latent_row *latent; /* the system's, or a copy with numbers of the model's own */
    const char *sampler;             /* its own; NULL: the paper's loop */
    int channels;                    /* of its sounds */
    float limit;                     /* what a clean state of the walk lies within: 1 for sound itself */
    int64_t window;                  /* samples predicted at a time */
};

/* Opens it in the current scope; missing, misshapen or unknown tensors are an error that lists them. */
model *model_open(const char *path);
/* The same from tensors and settings at hand; path: for messages. */
model *model_from(const char *path, const store *s, config settings);
/* Merges adapters (nn/lora.h) into its weights: "FILE", "FILE:0.5", several with commas, all times strength. */
void model_adapt(model *m, const char *files, double strength);
/* The configuration beside a model and the file with its tensors, without opening the network. */
config model_settings(const char *path, const store *s);
const char *model_weights_path(const char *path);
/* The row for this configuration and these tensors; NULL if hiss knows none. */
const system_row *system_find(config settings, const store *s);

/* No class: what the prompt says of it, or not even that. All below 0 are none. */
enum { CLASS_OF_WORDS = -1, CLASS_NONE = -2 };
/* CLASS_OF_WORDS for NULL, CLASS_NONE for "any"; a name, case aside, a number, or words that mean a class. Fails with the nearest names. */
int32_t model_class(const model *m, const char *name);
/* The same where errors are to say who asks: "--class", "scene.json: layers[2] (line 7): class". */
int32_t model_class_for(const model *m, const char *name, const char *asker);
/* Other words for a class; how many. */
size_t model_class_words(const model *m, int32_t class, const char ***words);

/* The noise in x at alpha_bar, in time windows, guided: guidance 1 is as trained, 0 ignores the class. */
typedef struct {
    const model *m;
    const tensor *mel;      /* [B, F, M] or NULL */
    const int32_t *classes; /* [B] or NULL */
    double guidance;
} condition;
tensor *predict_noise(const condition *c, const tensor *x, double alpha_bar);

#endif
