/* The models that come with hiss, by name: "sound", "text", "vocoder", ... */
#ifndef HISS_SYSTEMS_SHIPPED_H
#define HISS_SYSTEMS_SHIPPED_H

#include <stdbool.h>

/* The folder of the shipped model: under $HISS_MODELS, beside the installed library or program (../share/hiss/models), or in the source
 * tree that they were built in (../models). Fails, telling where it looked. In the current scope. */
const char *shipped_model(const char *name);
/* The same, or NULL where it is not there. */
const char *shipped_find(const char *name);

/* What a user names: the path where there is something, else the shipped model of that name ("drums", "models/drums"), else the path. */
const char *model_named(const char *path);

/* The sound model of usual quality: the few-step network where there is one, else the one it was made from, or NULL. */
const char *shipped_sound(void);

#endif
