/* Which recordings there are: a folder walked, or a manifest read. Nothing is decoded here. */
#ifndef HISS_TRAIN_RECORDINGS_H
#define HISS_TRAIN_RECORDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name, *path; /* as the folder or manifest has it; to be opened */
    const char *label;       /* class, or NULL */
    const char *caption;     /* or NULL; several are separated by " | " */
    const char *kind;        /* where it comes from: "real", "rendered", ...; or NULL */
    bool has_split, held_out;
    int32_t class_index; /* in classes; -1: none */
} sound_file;

typedef struct {
    sound_file *items; /* by name */
    size_t count;
    const char **classes; /* sorted; NULL-terminated */
    size_t class_count;
} recordings;

/* A folder: every sound file in it and below; the first sub-folder on the way is the class. A manifest, .jsonl with the
 * keys path, class, caption, split, kind, or tab-separated columns of that order (a first line of names may change it); paths
 * are relative to the manifest; split is "train" or "held-out". held_out: the part of the rest kept for measuring,
 * chosen by a hash of the name. Fails when there is nothing. In the current scope. */
recordings *recordings_find(const char *path, double held_out);

/* Leaves only those that are held out, where a manifest says which. */
void recordings_keep_held_out(recordings *r);

/* Numbers the classes by this list in place of the sorted labels; recordings of other classes are of none, which is said. */
void recordings_use_classes(recordings *r, const char *const *names, size_t count);

/* Captions those that have neither a class of the list nor a caption: their folder's name, else their own, in words: "dog-barks/03.wav"
 * and "dog barks 03.wav" are "dog barks". */
void recordings_caption_by_name(recordings *r);

#endif
