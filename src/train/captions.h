/* The texts that recordings are trained with, as vectors of a text encoder: computed once, kept beside the run. */
#ifndef HISS_TRAIN_CAPTIONS_H
#define HISS_TRAIN_CAPTIONS_H

#include "tensor/tensor.h"
#include "train/recordings.h"

/* The alternatives of a caption: pieces between bars, each one line; NULL has none. In the current scope. */
char **caption_alternatives(const char *caption, size_t *n);

/* Vectors [n, E] of n texts, in the current scope. */
typedef struct {
    tensor *(*embed)(void *context, const char *const *texts, int64_t n);
    void *context;
    int64_t width; /* E */
} caption_encoder;

/* Row numbers of `vectors`. */
typedef struct {
    int32_t *rows;
    size_t count;
} caption_list;

typedef struct {
    const tensor *vectors;      /* [texts, E] */
    caption_list *of_recording; /* its alternatives */
    caption_list *of_class;     /* its name in three ways, and its synonyms */
} captions;

/* All texts of the list and of its classes; synonyms[class] is NULL or a NULL-terminated list. What the file `cache` holds is
 * not computed again; it is written anew when something was. In the current scope. */
captions *captions_of(const recordings *r, const char *const *const *synonyms, caption_encoder encoder,
                      const char *cache);

#endif
