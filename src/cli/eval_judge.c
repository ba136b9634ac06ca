/* hiss eval --judge: recordings and generated sounds side by side before a classifier. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/eval.h"
#include "cli/output.h"
#include "eval/frechet.h"
#include "eval/judging.h"
#include "signal/picture.h"

/* What is compared: recordings held out, generated sounds, and recordings trained on, as a yardstick for distances. */
enum { RECORDED, GENERATED, TRAINED, SETS };
static const char *const SET_NAMES[SETS] = {"held_out", "generated", "training"};
enum { PICTURE_EACH = 2 /* sounds of a class and kind */, MOST_TRAINED = 400 };

typedef struct {
    const char *path; /* NULL: there is none */
    judge_item *items;
    int64_t count;
    judged *heard;
    class_verdict *verdicts;
    judge_summary summary;
} set;

/* --- gathering --- */

static void gather(const judge_model *j, set *sets, const arguments *a) {
    const char *data = text(a, OPT_DATA) ? text(a, OPT_DATA) : j->data;
    if (a->name_count) {
        sets[GENERATED].path = a->names[0];
        const recordings *list = recordings_find(a->names[0], 0);
        sets[GENERATED].items = judge_items(j, list, PART_ALL, 0, &sets[GENERATED].count);
    }
    if (!text(a, OPT_DATA) && data && !file_exists(data) && !folder_exists(data)) {
        warn("%s, which %s was trained on, is not here: give recordings with --data", data, j->path);
        data = NULL;
    }
    if (!data && !a->name_count)
        fail(HISS_ERROR_ARGUMENT, "hiss eval --judge: give recordings (--data) or a folder of generated sounds");
    if (!data) return;
    const recordings *list = recordings_find(data, j->held_out);
    sets[RECORDED].path = sets[TRAINED].path = data;
    sets[RECORDED].items = judge_items(j, list, PART_HELD_OUT, 0, &sets[RECORDED].count);
    int64_t as_many = sets[RECORDED].count < MOST_TRAINED ? sets[RECORDED].count : MOST_TRAINED;
    sets[TRAINED].items = judge_items(j, list, PART_TRAINING, as_many, &sets[TRAINED].count);
    if (!sets[RECORDED].count) fail(HISS_ERROR_ARGUMENT, "%s: no recordings in it are held out", data);
}

static void hear(const judge_model *j, set *s, const char *what) {
    s->heard = judge_sounds(j, s->items, s->count, what);
    s->verdicts = judge_verdicts(j, s->heard);
    s->summary = judge_sum_up(j, s->verdicts);
    if (s->heard->unlabelled)
        warn("%s: of %lld sounds neither folder, manifest nor name tells one of the judge's classes; they count only "
             "for distances",
             s->path, (long long) s->heard->unlabelled);
}

/* --- distances --- */

static tensor *features(const set *s, bool hidden) { return hidden ? s->heard->hidden : s->heard->statistics; }

static double distance(const set *a, const set *b, bool hidden) {
    if (!a->heard || !b->heard || a->heard->count < 2 || b->heard->count < 2) return NAN;
    return frechet_distance(statistics_of(features(a, hidden), a->path), statistics_of(features(b, hidden), b->path));
}

static json_t *real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static void tell_distances(const arguments *a, const set *sets, json_t *result) {
    static const char *const NAMES[2] = {"log_mel_statistics", "judge_features"}, *const WORDS[2] = {
                                                                                      "log-mel statistics",
                                                                                      "judge's features"};
    if (!sets[RECORDED].heard) return;
    json_t *all = json_object();
    json_object_set_new(result, "frechet_to_held_out", all);
    for (int hidden = 0; hidden < 2; hidden++) {
        double made = distance(&sets[GENERATED], &sets[RECORDED], hidden),
               real_one = distance(&sets[TRAINED], &sets[RECORDED], hidden);
        json_object_set_new(all, NAMES[hidden],
                            json_pack("{s:o, s:o}", "generated", real(made), "training", real(real_one)));
        say(a, "Frechet distance to held-out recordings, %s: %s%.3f for training recordings", WORDS[hidden],
            isfinite(made) ? format("%.3f for generated sounds, ", made) : "", real_one);
    }
    if (sets[GENERATED].heard && sets[GENERATED].heard->count < sets[GENERATED].heard->hidden->shape[1])
        say(a, "(few sounds: distances come out too large)");
}

/* --- the table --- */

static const char *cells(const class_verdict *v, const judge_model *j, int64_t label) {
    if (!v || !v->count) return format("%5s %6s %6s %9s %9s", "", "", "", "", "");
    double n = (double) v->count;
    const char *mostly = v->mostly == label ? "" : format("  as %s", j->classes[v->mostly]);
    return format("%5lld %6.2f %6.2f %6.1f ms %6.1f dB%s", (long long) v->count, (double) v->right / n,
                  (double) v->in_top_3 / n, v->rise_ms, v->tail_db, mostly);
}

static const char *sum_cells(const set *s) {
    if (!s->heard || !s->summary.count) return format("%5s %6s %6s", "", "", "");
    return format("%5lld %6.3f %6.3f  (mean over classes %.3f)", (long long) s->summary.count, s->summary.accuracy,
                  s->summary.top_3, s->summary.class_mean);
}

/* Longest in UTF-8 bytes; names are ASCII as a rule. */
static int widest(const judge_model *j) {
    size_t most = 5;
    for (int64_t k = 0; k < j->class_count; k++) most = strlen(j->classes[k]) > most ? strlen(j->classes[k]) : most;
    return (int) (most < 40 ? most : 40);
}

static void tell_table(const arguments *a, const judge_model *j, const set *sets) {
    enum { COLUMN = 56 };
    static const char HEAD[] = "    n  right  top 3      rise      tail";
    const int wide = widest(j);
    const bool both = sets[RECORDED].heard && sets[GENERATED].heard;
    const set *first = sets[RECORDED].heard ? &sets[RECORDED] : &sets[GENERATED];
    say(a, "%*s  %-*s%s", wide, "", both ? COLUMN : 0, sets[RECORDED].heard ? "held-out recordings" : "generated",
        both ? "generated" : "");
    say(a, "%-*s  %-*s%s", wide, "class", both ? COLUMN : 0, HEAD, both ? HEAD : "");
    for (int64_t k = 0; k < j->class_count; k++) {
        if (!first->verdicts[k].count && !(both && sets[GENERATED].verdicts[k].count)) continue;
        say(a, "%-*s  %-*s%s", wide, j->classes[k], both ? COLUMN : 0, cells(&first->verdicts[k], j, k),
            both ? cells(&sets[GENERATED].verdicts[k], j, k) : "");
    }
    say(a, "%-*s  %-*s%s", wide, "all", both ? COLUMN : 0, sum_cells(first), both ? sum_cells(&sets[GENERATED]) : "");
}

static json_t *set_json(const judge_model *j, const set *s) {
    json_t *o = json_object(), *classes = json_object();
    json_object_set_new(o, "path", json_string(s->path));
    json_object_set_new(o, "sounds", json_integer(s->heard->count));
    json_object_set_new(o, "accuracy", real(s->summary.accuracy));
    json_object_set_new(o, "top_3", real(s->summary.top_3));
    json_object_set_new(o, "mean_over_classes", real(s->summary.class_mean));
    json_object_set_new(o, "classes", classes);
    for (int64_t k = 0; k < j->class_count; k++) {
        const class_verdict *v = &s->verdicts[k];
        if (!v->count) continue;
        json_object_set_new(classes, j->classes[k],
                            json_pack("{s:I, s:f, s:f, s:s, s:o, s:o}", "sounds", (json_int_t) v->count, "accuracy",
                                      (double) v->right / (double) v->count, "top_3",
                                      (double) v->in_top_3 / (double) v->count, "mostly", j->classes[v->mostly],
                                      "rise_ms", real(v->rise_ms), "tail_db", real(v->tail_db)));
    }
    return o;
}

/* --- the picture --- */

/* The nth of PICTURE_EACH sounds of a class, spread over all of them; NULL: there is none. */
static const audio *sound_of_class(const judge_model *j, const set *s, int32_t label, int nth) {
    int64_t all = 0, seen = 0;
    for (int64_t i = 0; i < s->count; i++) all += s->items[i].label == label;
    if (nth >= all) return NULL;
    for (int64_t i = 0; i < s->count; i++)
        if (s->items[i].label == label && seen++ == nth * all / PICTURE_EACH)
            return judge_clip(j, audio_read(s->items[i].path));
    return NULL;
}

/* A row for each class that was generated, real sounds before made ones. */
static void draw(const char *path, const judge_model *j, const set *sets) {
    enum { COLUMNS = 2 * PICTURE_EACH };
    static const char *const HEADS[COLUMNS] = {"recorded", "recorded", "generated", "generated"};
    const audio **sounds = NEW_ARRAY(const audio *, j->class_count *COLUMNS);
    const char **names = NEW_ARRAY(const char *, j->class_count + 1);
    const set *shown = sets[GENERATED].heard ? &sets[GENERATED] : &sets[RECORDED];
    int rows = 0;
    for (int32_t k = 0; k < j->class_count && rows < PICTURE_MAX_ROWS; k++) {
        if (!shown->verdicts[k].count) continue;
        for (int i = 0; i < COLUMNS; i++)
            sounds[rows * COLUMNS + i] =
                sound_of_class(j, &sets[i < PICTURE_EACH ? RECORDED : GENERATED], k, i % PICTURE_EACH);
        names[rows++] = j->classes[k];
    }
    if (!rows) fail(HISS_ERROR_ARGUMENT, "--picture %s: no sound has a class the judge knows", path);
    picture_grid(path, sounds, rows, COLUMNS, names, HEADS, NULL);
}

void eval_with_judge(const arguments *a, json_t *result) {
    const judge_model *j = judge_open(text(a, OPT_JUDGE));
    set sets[SETS] = {0};
    gather(j, sets, a);
    for (int i = 0; i < SETS; i++)
        if (sets[i].path) hear(j, &sets[i], i == GENERATED ? "hearing generated sounds" : "hearing recordings");
    tell_table(a, j, sets);
    json_object_set_new(result, "judge", json_string(j->path));
    for (int i = 0; i < SETS; i++)
        if (sets[i].heard) json_object_set_new(result, SET_NAMES[i], set_json(j, &sets[i]));
    tell_distances(a, sets, result);
    if (text(a, OPT_PAGE)) draw(text(a, OPT_PAGE), j, sets);
}
