/* Where the parts of a published Stable Audio model lie: stable-audio-tools' layout (model_config.json with model.safetensors or
 * model.ckpt; a text encoder in a folder inside or beside), a single file with its configuration, or diffusers' folder of a pipeline. */
#ifndef HISS_SYSTEMS_STABLE_FILES_H
#define HISS_SYSTEMS_STABLE_FILES_H

#include "base/json.h"

typedef struct {
    bool diffusers;
    const char *folder;   /* where the parts are */
    const char *weights;  /* the file, or a folder of shards, that holds the transformer or the autoencoder alone */
    const char *settings; /* the JSON that says what it is */
} stable_files;

/* False where path is no such model; fails where it is one without its weights. */
bool stable_files_find(const char *path, stable_files *to);
/* What the native configuration is of: "diffusion_cond", "autoencoder", ...; diffusers' class where there is no model_type. */
const char *stable_kind(config settings);

/* Folders of diffusers' pipeline, each with its configuration and weights; one error lists all that are missing, with the text encoder
 * where `text` says that it belongs to them. */
void stable_check_parts(const stable_files *f, const char *const *parts, bool text);

/* The T5 that goes with it. name: what its configuration calls it ("t5-base"), or NULL; given: a folder of the user's, or NULL.
 * Fails with the list of places. */
typedef struct {
    const char *folder, *tokenizer; /* tokenizer NULL: the same */
} stable_text_files;
stable_text_files stable_text_find(const stable_files *f, const char *name, const char *given);
/* Links in the folder `out` to the text encoder that a native configuration names, where it is there: a model saved in that folder is one
 * by itself on this machine. */
void stable_text_link(const stable_files *f, config settings, const char *out);

#endif
