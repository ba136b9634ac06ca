/* Sounds before a judge: which class each is heard as, how it begins and ends, how far a set lies from another.
 * N sounds, K classes, H hidden units of the judge, S statistics of log-mels. */
#ifndef HISS_EVAL_JUDGING_H
#define HISS_EVAL_JUDGING_H

#include "models/judge.h"
#include "signal/audio.h"
#include "train/recordings.h"

typedef struct {
    const char *path;
    judge *net;
    mel_front front;
    int64_t samples; /* of a clip */
    const char **classes;
    int64_t class_count;
    const char *data; /* what it was trained on, NULL: not said */
    double held_out;  /* part of the recordings, where a manifest says nothing */
} judge_model;

/* A folder that `hiss train` made with a recipe of the system "judge". In the current scope. */
judge_model *judge_open(const char *path);

/* A class by its name, case aside; -1: none. Or the longest class name in a file's name, its words parted by any of "-_ ". */
int32_t judge_class(const judge_model *j, const char *name);
int32_t judge_class_in(const judge_model *j, const char *file);

typedef struct {
    const char *path;
    int32_t label; /* -1: not known */
} judge_item;
/* Of a list: PART_ALL, PART_HELD_OUT or at most as many of PART_TRAINING, spread over the list. Labels come from the list, else from
 * the file's name. */
typedef enum { PART_ALL, PART_HELD_OUT, PART_TRAINING } judge_part;
judge_item *judge_items(const judge_model *j, const recordings *list, judge_part part, int64_t most, int64_t *count);

typedef struct {
    int64_t count, unlabelled;
    bool *silent;                         /* [N]: heard as nothing, so never right */
    int32_t *labels;                      /* [N] */
    tensor *logits, *hidden, *statistics; /* [N, K], [N, H], [N, S] */
    double *rise_ms, *tail_db;            /* [N] */
} judged;
/* Sounds that cannot be read are named and skipped. */
judged *judge_sounds(const judge_model *j, const judge_item *items, int64_t count, const char *what);

typedef struct {
    int64_t count, right, in_top_3;
    int32_t mostly;          /* the class most of them are heard as */
    double rise_ms, tail_db; /* medians; NAN of none */
} class_verdict;
/* [K]. */
class_verdict *judge_verdicts(const judge_model *j, const judged *s);
/* Over all sounds with a label; the mean over the classes that have any. */
typedef struct {
    int64_t count;
    double accuracy, top_3, class_mean;
} judge_summary;
judge_summary judge_sum_up(const judge_model *j, const class_verdict *v);

/* The sound as the judge hears it: mono, at its rate, to a peak of full scale, cut or continued with zeros to a clip. */
audio *judge_clip(const judge_model *j, const audio *sound);

#endif
