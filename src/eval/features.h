/* Features of sounds for distances between sets: statistics of log-mels, or a listening network read from its published file.
 * N vectors of a set (one or more a sound), D features. */
#ifndef HISS_EVAL_FEATURES_H
#define HISS_EVAL_FEATURES_H

#include "signal/audio.h"
#include "tensor/tensor.h"
#include "train/recordings.h"

typedef struct feature_source feature_source;

/* NULL: log-mel statistics, which need no file. Else VGGish or Cnn14, known by their tensors; sounds come to them as fadtk and
 * audioldm_eval bring them. In the current scope. */
feature_source *features_open(const char *path);
const char *features_name(const feature_source *f);
int64_t features_size(const feature_source *f);
/* [n, D]; scores: NULL, or gets class logits [1, K], or NULL where the source has none. */
tensor *features_of(const feature_source *f, const audio *sound, tensor **scores);

/* Of all sounds of a list; those that cannot be read are named and skipped. */
typedef struct {
    const char *name;   /* of the list, for messages */
    tensor *rows;       /* [N, D] */
    tensor *scores;     /* [sounds, K] or NULL */
    const char **files; /* [sounds], as the list names them */
    int64_t sounds;
} feature_set;
feature_set *features_of_list(const feature_source *f, const recordings *list, const char *name);

#endif
