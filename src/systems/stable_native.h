/* diffusers' folders of Stable Audio as stable-audio-tools' layout: the same weights under its names, queries, keys and values fused as
 * there, and a configuration that says the same. What is trained starts from that layout. */
#ifndef HISS_SYSTEMS_STABLE_NATIVE_H
#define HISS_SYSTEMS_STABLE_NATIVE_H

#include "systems/stable_files.h"

/* path itself where it is in that layout or out is NULL; else OUT/from, written there unless it is already from these files. Fails where path is no
 * Stable Audio model. A pipeline's text encoder is linked to. */
const char *stable_native_folder(const char *path, const char *out);

#endif
