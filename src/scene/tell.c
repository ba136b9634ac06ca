/* Words about a scene. */
#include "scene/tell.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/scope.h"
#include "scene/words.h"

/* Events of a layer that follow within this long are told together, if they are this many. */
static const double CLOSE_SECONDS = 2.5;
enum { FEW = 3 };
/* How long a line can be read. */
static const double BED_SECONDS = 4, LEAST_SECONDS = 1.5;

static const struct {
    double from;
    const char *words;
} SIDES[] = {{0.7, "far right"}, {0.2, "right"}, {-0.2, ""}, {-0.7, "left"}, {-2, "far left"}},
  DISTANCES[] = {{200, "far away"}, {60, "distant"}, {3.01, ""}, {0.01, "near"}, {-1, ""}};

const char *place_words(double pan, double distance) {
    int side = 0, far = 0;
    /* -0.2 and -0.7 themselves are to the left, as 0.2 and 0.7 are to the right. */
    while (pan < SIDES[side].from || (pan == SIDES[side].from && pan < 0)) side++;
    while (distance < DISTANCES[far].from) far++;
    const char *a = SIDES[side].words, *b = DISTANCES[far].words;
    return format("%s%s%s", a, *a && *b ? ", " : "", b);
}

static const char *with_place(const char *words, const cue *c) {
    const char *place = place_words(c->pan, c->distance);
    return format("%s%s%s", words, *place ? ", " : "", place);
}

static const char *cue_words(const scene *s, const cue *c) {
    const layer *l = &s->layers[c->layer];
    if (l->kind == LAYER_EVENTS) return with_place(l->name, c);
    return with_place(format("%s %s", l->name, is_plural(l->name) ? "begin" : "begins"), c);
}

static const char *clock_words(double seconds) {
    const long t = (long) floor(seconds + 1e-6);
    if (t >= 3600) return format("%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
    return format("%ld:%02ld", t / 60, t % 60);
}

/* --- lines --- */

typedef struct {
    double seconds, end;
    size_t order;
    const char *words;
} line;

typedef struct {
    line *lines;
    size_t count;
} telling;

static void tell(telling *t, double seconds, double end, const char *words) {
    t->lines[t->count] = (line){seconds, end, t->count, words};
    t->count++;
}

static void tell_bed(telling *t, const scene *s, const cue *c) {
    const double end = c->seconds + c->length;
    const char *name = s->layers[c->layer].name;
    tell(t, c->seconds, fmin(end, c->seconds + BED_SECONDS), cue_words(s, c));
    if (end < s->seconds - 0.05)
        tell(t, end, end + BED_SECONDS, format("%s %s", name, is_plural(name) ? "end" : "ends"));
}

/* Events first .. last of a layer, close together. */
static void tell_run(telling *t, const scene *s, const cue *const *run, size_t count) {
    const cue *first = run[0], *last = run[count - 1];
    bool one_place = true;
    for (size_t i = 0; i < count; i++) one_place = one_place && !strcmp(cue_words(s, run[i]), cue_words(s, first));
    const char *words = one_place ? cue_words(s, first) : s->layers[first->layer].name;
    tell(t, first->seconds, last->seconds + fmax(LEAST_SECONDS, last->length),
         format("%s, %zu times until %s", words, count, clock_words(last->seconds)));
}

static void tell_events(telling *t, const scene *s, const cue *const *events, size_t count) {
    for (size_t first = 0, n; first < count; first += n) {
        for (n = 1; first + n < count; n++)
            if (events[first + n]->seconds - events[first + n - 1]->seconds > CLOSE_SECONDS) break;
        if (n >= FEW) tell_run(t, s, events + first, n);
        for (size_t i = first; i < first + n && n < FEW; i++)
            tell(t, events[i]->seconds, events[i]->seconds + fmax(LEAST_SECONDS, events[i]->length),
                 cue_words(s, events[i]));
    }
}

static int by_time(const void *a, const void *b) {
    const line *x = a, *y = b;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static telling tell_all(const scene *s, const score *r) {
    telling t = {NEW_ARRAY(line, 2 * r->count), 0};
    const cue **events = NEW_ARRAY(const cue *, r->count);
    for (size_t i = 0; i < s->layer_count; i++) {
        size_t count = 0;
        for (size_t k = 0; k < r->count; k++)
            if (r->cues[k].layer == i) events[count++] = &r->cues[k];
        if (s->layers[i].kind == LAYER_EVENTS) tell_events(&t, s, events, count);
        else if (count) tell_bed(&t, s, events[0]);
    }
    if (t.count) qsort(t.lines, t.count, sizeof *t.lines, by_time);
    return t;
}

void transcript_write(const char *path, const scene *s, const rendering *r) {
    scope_begin();
    const telling t = tell_all(s, &r->score);
    writer *w = writer_open(path);
    if (*s->title) writer_print(w, "%s\n\n", s->title);
    for (size_t i = 0; i < t.count; i++) writer_print(w, "%s %s\n", clock_words(t.lines[i].seconds), t.lines[i].words);
    writer_print(w, "%s the scene ends\n", clock_words(s->seconds));
    writer_commit(w);
    scope_end();
}

/* --- subtitles --- */

/* WebVTT's text may hold neither & nor < nor an arrow. */
static const char *escaped(const char *text) {
    static const struct {
        char c;
        const char *as;
    } ESCAPES[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}};
    char *out = alloc_zero(5 * strlen(text) + 1, 1), *at = out;
    for (; *text; text++) {
        const char *as = NULL;
        for (int i = 0; i < 3; i++)
            if (*text == ESCAPES[i].c) as = ESCAPES[i].as;
        if (as) at = stpcpy(at, as);
        else *at++ = *text;
    }
    return out;
}

static const char *stamp(double seconds) {
    const long long ms = llround(seconds * 1000);
    return format("%02lld:%02lld:%02lld.%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

void subtitles_write(const char *path, const scene *s, const rendering *r) {
    scope_begin();
    const telling t = tell_all(s, &r->score);
    writer *w = writer_open(path);
    writer_print(w, "WEBVTT%s%s\n", *s->title ? " - " : "", escaped(s->title));
    for (size_t i = 0; i < t.count; i++) {
        const line *l = &t.lines[i];
        const double end = fmax(fmin(l->end, s->seconds), l->seconds + 0.001);
        writer_print(w, "\n%s --> %s\n[%s]\n", stamp(l->seconds), stamp(end), escaped(l->words));
    }
    writer_commit(w);
    scope_end();
}

/* --- the cue sheet --- */

static void set(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value ? value : json_null());
}

/* null for what is infinite, and for names of files that are no UTF-8. */
static json_t *number_value(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* To a thousandth: nobody hears more. */
static json_t *rounded(double x) { return number_value(round(x * 1000) / 1000); }

static json_t *layer_value(const layer *l) {
    json_t *o = json_object();
    set(o, "name", json_string(l->name));
    set(o, "kind", json_string(l->kind == LAYER_BED ? "bed" : "events"));
    if (l->prompt) set(o, "prompt", json_string(l->prompt));
    if (l->class) set(o, "class", json_string(l->class));
    if (l->file) set(o, "file", json_string(l->file));
    return o;
}

static json_t *cue_value(const scene *s, const cue *c) {
    json_t *o = layer_value(&s->layers[c->layer]);
    set(o, "seconds", rounded(c->seconds));
    set(o, "end", rounded(fmin(c->seconds + c->length, s->seconds)));
    set(o, "layer", json_integer((json_int_t) c->layer));
    set(o, "take", json_integer(c->take));
    set(o, "gain", rounded(c->gain));
    set(o, "pan", rounded(c->pan));
    set(o, "distance", rounded(c->distance));
    set(o, "words", json_string(cue_words(s, c)));
    return o;
}

json_t *cue_sheet(const scene *s, const rendering *r) {
    json_t *sheet = json_make_object(), *cues = json_array();
    set(sheet, "title", json_string(s->title));
    set(sheet, "seconds", json_real(s->seconds));
    set(sheet, "sample_rate", json_integer(s->rate));
    set(sheet, "seed", json_integer((json_int_t) s->seed));
    set(sheet, "loudness_lufs", rounded(r->loudness));
    set(sheet, "loudness_range_lu", rounded(r->range));
    set(sheet, "true_peak_db", rounded(r->true_peak));
    set(sheet, "gain_db", rounded(r->gain));
    set(sheet, "limited_db", rounded(r->limited));
    set(sheet, "cues", cues);
    for (size_t i = 0; i < r->score.count; i++) json_array_append_new(cues, cue_value(s, &r->score.cues[i]));
    return sheet;
}
