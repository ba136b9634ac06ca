/* See judging.h. */
#include "eval/judging.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/progress.h"
#include "base/text.h"
#include "eval/class_measures.h"
#include "eval/onset.h"
#include "signal/edit.h"
#include "systems/system.h"
#include "tensor/ops.h"

/* --- opening --- */

static void read_names(judge_model *j, config settings) {
    config list = config_get(settings, "classes");
    j->class_count = (int64_t) config_count(list);
    j->classes = NEW_ARRAY(const char *, j->class_count + 1);
    for (int64_t i = 0; i < j->class_count; i++) {
        j->classes[i] = json_string_value(config_at(list, (size_t) i).value);
        if (!j->classes[i]) fail(HISS_ERROR_FORMAT, "%s: class %lld is not a name", list.where, (long long) i);
    }
}

static void read_recipe(judge_model *j) {
    const char *file = path_join(j->path, "recipe.json");
    j->held_out = 0.05;
    if (!file_exists(file)) return;
    config recipe = config_load(file);
    if (!config_has(recipe, "data")) return;
    j->data = config_string(config_get(recipe, "data"), "path", NULL);
    j->held_out = config_number(config_get(recipe, "data"), "held_out", j->held_out, 0, 0.9);
}

judge_model *judge_open(const char *path) {
    judge_model *j = NEW(judge_model);
    j->path = path;
    const store *s = store_open(model_weights_path(path));
    config settings = model_settings(path, s);
    const char *system = config_string(settings, "system", "");
    if (strcmp(system, "judge") != 0)
        fail(HISS_ERROR_ARGUMENT, "%s: not a judge but '%s'; train one with a recipe like recipes/judge.json", path,
             system);
    judge_config c = judge_config_read(settings);
    j->samples = config_need_int(settings, "audio_len", 1, INT64_C(1) << 31);
    binder *b = binder_load(s);
    j->net = judge_bind(&c, b);
    binder_finish(b, true);
    j->front = mel_front_named("hiss");
    j->front.rate = (int) config_need_int(settings, "sample_rate", AUDIO_MIN_RATE, AUDIO_MAX_RATE);
    judge_front(settings, &j->front);
    read_names(j, settings);
    read_recipe(j);
    return j;
}

/* --- labels --- */

static bool same_letter(char a, char b) {
    if (strchr("-_ ", a) && strchr("-_ ", b)) return true;
    return tolower((unsigned char) a) == tolower((unsigned char) b);
}

static bool begins_like(const char *text, const char *name) {
    for (; *name; name++, text++)
        if (!*text || !same_letter(*text, *name)) return false;
    return !isalpha((unsigned char) *text);
}

int32_t judge_class(const judge_model *j, const char *name) {
    for (int64_t i = 0; name && i < j->class_count; i++)
        if (strlen(name) == strlen(j->classes[i]) && begins_like(name, j->classes[i])) return (int32_t) i;
    return -1;
}

int32_t judge_class_in(const judge_model *j, const char *file) {
    int32_t found = -1;
    for (const char *at = file; *at; at++) {
        if (at > file && isalpha((unsigned char) at[-1])) continue;
        for (int64_t i = 0; i < j->class_count; i++)
            if (begins_like(at, j->classes[i]) && (found < 0 || strlen(j->classes[i]) > strlen(j->classes[found])))
                found = (int32_t) i;
    }
    return found;
}

static bool belongs(const sound_file *f, judge_part part) {
    return part == PART_ALL || (part == PART_HELD_OUT) == f->held_out;
}

judge_item *judge_items(const judge_model *j, const recordings *list, judge_part part, int64_t most, int64_t *count) {
    int64_t all = 0, seen = 0, n = 0;
    for (size_t i = 0; i < list->count; i++) all += belongs(&list->items[i], part);
    if (most <= 0 || most > all) most = all;
    judge_item *items = NEW_ARRAY(judge_item, most + 1);
    for (size_t i = 0; i < list->count; i++) {
        const sound_file *f = &list->items[i];
        if (!belongs(f, part)) continue;
        if (seen++ * most / all < n) continue; /* evenly over the list */
        items[n].path = f->path;
        items[n].label = judge_class(j, f->label);
        if (items[n].label < 0) items[n].label = judge_class_in(j, path_name(f->path));
        n++;
        if (n == most) break;
    }
    *count = n;
    return items;
}

/* --- hearing --- */

audio *judge_clip(const judge_model *j, const audio *sound) {
    audio *clip = audio_new(j->samples, 1, j->front.rate);
    scope_begin();
    audio *mono = sound->channels > 1 ? audio_mix_down(sound) : audio_copy(sound);
    if (mono->rate != clip->rate) mono = audio_resample(mono, clip->rate);
    int64_t n = mono->frames < clip->frames ? mono->frames : clip->frames;
    memset(clip->samples, 0, (size_t) clip->frames * sizeof(float));
    memcpy(clip->samples, mono->samples, (size_t) n * sizeof(float));
    scope_end();
    normalise_peak(clip, 0);
    return clip;
}

typedef struct {
    const judge_model *judge;
    const char *path;
    judged *to;
    int64_t at;
} hearing;

static void copy_row(tensor *to, int64_t row, const float *values) {
    memcpy(f32(to) + row * to->shape[1], values, (size_t) to->shape[1] * sizeof(float));
}

static void hear(void *argument) {
    hearing *h = argument;
    const judge_model *j = h->judge;
    const audio *clip = judge_clip(j, audio_read(h->path));
    h->to->silent[h->at] = !(audio_peak(clip) > 0);
    tensor *mel = mel_compute(&j->front, clip->samples, clip->frames), *hidden;
    tensor *pooled = judge_pool(judge_sizes(j->net), reshape(mel, SHAPE(1, mel->shape[0], mel->shape[1])));
    tensor *logits = judge_forward(j->net, pooled, NULL, 0, &hidden);
    copy_row(h->to->logits, h->at, f32(logits));
    copy_row(h->to->hidden, h->at, f32(hidden));
    copy_row(h->to->statistics, h->at, f32(pooled)); /* which begin with them */
    h->to->rise_ms[h->at] = rise_ms(clip);
    h->to->tail_db[h->at] = tail_db(clip);
}

judged *judge_sounds(const judge_model *j, const judge_item *items, int64_t count, const char *what) {
    const judge_config *c = judge_sizes(j->net);
    judged *s = NEW(judged);
    *s = (judged){.silent = NEW_ARRAY(bool, count),
                  .labels = NEW_ARRAY(int32_t, count),
                  .rise_ms = NEW_ARRAY(double, count),
                  .tail_db = NEW_ARRAY(double, count)};
    s->logits = tensor_zero(F32, SHAPE(count, j->class_count));
    s->hidden = tensor_zero(F32, SHAPE(count, c->hidden));
    s->statistics = tensor_zero(F32, SHAPE(count, judge_statistics(c)));
    for (int64_t i = 0; i < count; i++) {
        hearing h = {j, items[i].path, s, s->count};
        hiss_error error;
        progress(what, i, count);
        if (!try_run(hear, &h, &error)) {
            if (error.code == HISS_ERROR_MEMORY || error.code == HISS_ERROR_INTERRUPTED) fail_again(&error);
            warn("skipped: %s", error.message);
            continue;
        }
        s->labels[s->count++] = items[i].label;
        s->unlabelled += items[i].label < 0;
    }
    s->logits->shape[0] = s->hidden->shape[0] = s->statistics->shape[0] = s->count;
    return s;
}

/* --- verdicts --- */

static int32_t first_choice(const tensor *logits, int64_t row) {
    const int64_t K = logits->shape[1];
    const float *x = f32(logits) + row * K;
    int32_t best = 0;
    for (int32_t k = 1; k < K; k++)
        if (x[k] > x[best]) best = k;
    return best;
}

static class_verdict verdict_of(const judge_model *j, const judged *s, int32_t label) {
    const int64_t K = j->class_count;
    class_verdict v = {.mostly = -1};
    scope_begin();
    int64_t *votes = NEW_ARRAY(int64_t, K);
    double *rise = NEW_ARRAY(double, s->count + 1), *tail = NEW_ARRAY(double, s->count + 1);
    int64_t sounding = 0;
    for (int64_t i = 0; i < s->count; i++) {
        if (s->labels[i] != label) continue;
        const tensor row = {.type = F32, .rank = 2, .shape = {1, K}, .data = f32(s->logits) + i * K};
        v.count++;
        if (s->silent[i]) continue;
        v.in_top_3 += right_in_top(&row, &label, 3, NULL);
        v.right += first_choice(s->logits, i) == label;
        votes[first_choice(s->logits, i)]++;
        rise[sounding] = s->rise_ms[i];
        tail[sounding++] = s->tail_db[i];
    }
    for (int32_t k = 0; k < K && v.count; k++)
        if (v.mostly < 0 || votes[k] > votes[v.mostly]) v.mostly = k;
    v.rise_ms = median_of(rise, sounding);
    v.tail_db = median_of(tail, sounding);
    scope_end();
    return v;
}

class_verdict *judge_verdicts(const judge_model *j, const judged *s) {
    class_verdict *v = NEW_ARRAY(class_verdict, j->class_count);
    for (int32_t k = 0; k < j->class_count; k++) v[k] = verdict_of(j, s, k);
    return v;
}

judge_summary judge_sum_up(const judge_model *j, const class_verdict *v) {
    judge_summary s = {0, NAN, NAN, NAN};
    double right = 0, top = 0, means = 0, classes = 0;
    for (int64_t k = 0; k < j->class_count; k++) {
        if (!v[k].count) continue;
        s.count += v[k].count;
        right += (double) v[k].right;
        top += (double) v[k].in_top_3;
        means += (double) v[k].right / (double) v[k].count;
        classes++;
    }
    if (s.count) s = (judge_summary){s.count, right / (double) s.count, top / (double) s.count, means / classes};
    return s;
}
