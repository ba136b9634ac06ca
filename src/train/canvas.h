/* Batches for networks over mel spectrograms: clips of a list of captioned recordings on canvases of a few lengths, one length a
 * batch and the same number of frames in every batch, so that no attention needs a mask. Silence fills a canvas behind its clip and
 * is trained on. B canvases, F frames, M bands, E numbers of a text. */
#ifndef HISS_TRAIN_CANVAS_H
#define HISS_TRAIN_CANVAS_H

#include "train/captions.h"
#include "train/dataset.h"

enum { CANVAS_LENGTHS = 8, CANVAS_HANDLES = 6 };

typedef struct {
    int64_t frames[CANVAS_LENGTHS]; /* rising */
    int lengths;
    double longer; /* part of the clips put on the next longer canvas */
    double
        shorten; /* part of the long clips that are cut down to the canvases before the last; "rendered" ones are not */
    double real; /* how much more often clips of kind "real" are drawn */
    double power;               /* a clip is drawn with weight (clips of its class)^-power */
    double class_words;         /* part of the captions replaced by words for the class */
    double nothing;             /* part of the clips trained on without any handle */
    double off[CANVAS_HANDLES]; /* part of the rest without this one */
} canvas_settings;

/* The recipe's object "canvas"; handles: their names, in the order of `off`. */
canvas_settings canvas_settings_read(config recipe, const char *const *handles);

/* Which handles there are; bits of batch.handles are 1 << these. The tempo is the one that a recording's captions name; of one
 * that is cropped the beats are where they were. */
typedef enum { HANDLE_TEXT, HANDLE_CLASS, HANDLE_COARSE, HANDLE_STYLE, HANDLE_TEMPO, HANDLE_MELODY } handle;

/* Batches of `size` canvases of the longest length, or as many frames of shorter ones; noise is [B, F / patch, numbers].
 * In the current scope, as long as the dataset and the captions live. */
batch_source canvas_source(const dataset *d, const canvas_settings *s, const captions *texts, int64_t patch,
                           int64_t numbers);

#endif
