/* Recordings made ready for training: decoded, resampled, mono, trimmed, normalised, cut into clips of one length, with
 * their classes and mel spectrograms, and the random numbers that a training step needs.
 * B clips of a batch, T samples of a clip, F mel frames of it, M mels. */
#ifndef HISS_TRAIN_DATASET_H
#define HISS_TRAIN_DATASET_H

#include "base/json.h"
#include "base/random.h"
#include "signal/mel.h"
#include "tensor/tensor.h"
#include "train/augment.h"
#include "train/recordings.h"

typedef enum { NORMALISE_NONE, NORMALISE_PEAK, NORMALISE_LOUDNESS } normalise_kind;

typedef struct {
    int rate;           /* hz */
    int64_t samples;    /* of a clip; a multiple of the mel hop if there is one */
    bool first_channel; /* else the mean of all */
    double trim_db;     /* silence below the peak by this much is cut from both ends; 0: keep all */
    normalise_kind normalise;
    double level_db;        /* that the peak (dB of full scale) or loudness (LUFS) comes to */
    double fade_seconds;    /* at the end of a clip that was cut */
    bool crop_start;        /* clips begin where the recording does, else anywhere */
    double shortest;        /* seconds; shorter recordings are skipped, others padded with zeros */
    double held_out;        /* part of the recordings */
    int64_t held_out_clips; /* measured on, at most */
    bool balance;           /* all classes equally often */
    bool by_length;         /* long recordings more often: weight min(seconds, 6)^0.7 */
    augmentation augment;   /* of training clips */
    int64_t cache_bytes;    /* of decoded sound kept in memory */
    const mel_front *mel;   /* or NULL */
    bool features; /* keep the mel spectrograms of whole recordings and not their sound: see dataset_features */
    const char *const *class_names; /* in this order; NULL: the recordings' own, sorted */
    size_t class_count;
    bool listed;    /* only which recordings there are: a source reads them by itself */
    bool names_say; /* recordings without class and caption are captioned by their names */
} dataset_settings;

/* The recipe's object "data" (all keys optional but sample_rate and seconds, or frames of `hop` samples). */
dataset_settings dataset_settings_read(config data, int64_t hop);

typedef struct dataset dataset;
/* Lists the recordings, decodes them until the cache is full, and warns of each one that cannot be used. Fails if none
 * can. In the current scope. */
dataset *dataset_open(const char *path, const dataset_settings *s);
const recordings *dataset_recordings(const dataset *d);
const mel_front *dataset_front(const dataset *d);
size_t dataset_usable(const dataset *d, bool held_out); /* as far as is known */
int64_t dataset_cached_bytes(const dataset *d);
double dataset_seconds(const dataset *d); /* of what is cached */
/* Changes when names, classes or lengths of the list do. */
uint64_t dataset_fingerprint(const dataset *d);

/* Features of recording i, [frames, M] in units of 1 / FEATURE_UNIT, with the end of the last window; NULL if it is of no use.
 * Indices of the recordings to train on or held out. */
enum { FEATURE_UNIT = 2048 };
const tensor *dataset_features(const dataset *d, size_t i);
const size_t *dataset_part(const dataset *d, bool held_out, size_t *count);

/* Leaves out the recordings that turned out to be of no use; fails if none is left. */
void dataset_keep(dataset *d, const bool *usable);

/* One batch. */
typedef struct {
    int64_t size;
    tensor *audio, *noise; /* [B, T] F32, of several channels [B, T, A]; noise is standard normal */
    tensor *mel;           /* [B, F, M] F32, or NULL */
    int32_t *classes;      /* [B], -1: none */
    int32_t *labels;       /* the same before any were dropped */
    double *level, *place; /* [B] in [0, 1): which noise level, and where inside its segment */
    /* Of canvases (canvas.h), which have no audio: */
    tensor *text;      /* [B, E] of captions, or NULL */
    float *seconds;    /* [B] of sound before the silence that fills the canvas */
    uint32_t *handles; /* [B] bits: which conditions are given */
    double *bpm;       /* [B], 0: no tempo */
    /* Of latents (stable_source.h), whose noise is [B, N, L]: */
    tensor *latents, *states, *mask; /* [B, N, L]; [B, S, E] and bytes [B, S], or NULL */
    double *begin, *total;           /* [B] seconds: of the window (or canvas) in its recording, of all that */
} batch;

/* Clips of batch `index` (steps times accumulation), all draws from the key; class_dropout: the part of the clips that
 * are given no class. In the current scope. Not for two threads at once. */
batch *dataset_batch(dataset *d, random_key key, int64_t index, int64_t size, double class_dropout);
/* Held-out clips first .. first + size - 1, always the same. */
batch *dataset_held_out(dataset *d, random_key key, int64_t first, int64_t size);
/* How many held-out clips there are. */
int64_t dataset_held_out_clips(const dataset *d);

/* Where batches come from: a dataset's clips as they are, or what a system makes of them. */
typedef struct {
    void *context;
    batch *(*draw)(void *context, random_key key, int64_t index, int64_t size, double class_dropout);
    batch *(*held_out)(void *context, random_key key, int64_t first, int64_t size);
    bool parallel; /* several threads may draw at once */
} batch_source;
batch_source dataset_source(dataset *d);

/* Of a source that reads recordings by itself: a batch of this size to be filled, and clip i of it, from recording `which` with the
 * draws that follow from `clip`. Held-out clips then get levels that are even over their range. */
typedef struct {
    dataset *data;
    const void *source;
    batch *(*empty)(const void *source, int64_t size);
    void (*fill)(const void *source, batch *b, int64_t i, size_t which, random_key clip, bool training);
} batch_maker;
batch_source dataset_made(const batch_maker *m);

#endif
