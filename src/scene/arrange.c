/* Events at moments, or by a Poisson process; every value is drawn by its layer, purpose and number. */
#include "scene/arrange.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"

typedef enum { DRAW_WAIT, DRAW_SHIFT, DRAW_GAIN, DRAW_PAN, DRAW_DISTANCE, DRAW_TAKE, DRAW_SOUND, DRAW_ONLY } purpose;

static uint64_t hash_of(const char *text) { /* FNV-1a */
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++) h = (h ^ (unsigned char) *text) * 0x100000001b3u;
    return h;
}

random_key layer_key(const scene *s, size_t i) {
    uint64_t same = 0;
    for (size_t k = 0; k < i; k++) same += !strcmp(s->layers[k].name, s->layers[i].name);
    const random_key all = {s->seed, 0x7363656e65}; /* "scene" */
    return random_child(random_child(all, hash_of(s->layers[i].name)), same);
}

uint64_t take_seed(const scene *s, size_t i, int64_t take) {
    return random_below(random_child(layer_key(s, i), DRAW_SOUND), (uint64_t) take, (uint64_t) 1 << 53);
}

static double draw(random_key key, purpose what, size_t index) {
    return random_uniform(random_child(key, what), index);
}

static double within(span bounds, double u) { return bounds.low + (bounds.high - bounds.low) * u; }

typedef struct {
    const scene *s;
    score score;
    /* The layer at work. */
    const layer *l;
    random_key key;
    double start, end;
    size_t first, room; /* of its cues */
} work;

static void add(work *w, double seconds, size_t index) {
    score *r = &w->score;
    if (r->count == SCENE_MAX_EVENTS)
        fail(HISS_ERROR_ARGUMENT, "layer '%s': a scene has at most %d events; make them rarer", w->l->name,
             SCENE_MAX_EVENTS);
    if (r->count == w->room) {
        cue *larger = NEW_ARRAY(cue, w->room = w->room ? 2 * w->room : 64);
        if (r->count) memcpy(larger, r->cues, r->count * sizeof *larger);
        r->cues = larger;
    }
    r->cues[r->count++] = (cue){.layer = (size_t) (w->l - w->s->layers),
                                .index = index,
                                .seconds = seconds,
                                .gain = within(w->l->gain, draw(w->key, DRAW_GAIN, index)),
                                .pan = within(w->l->pan, draw(w->key, DRAW_PAN, index)),
                                .distance = within(w->l->distance, draw(w->key, DRAW_DISTANCE, index))};
}

static void add_bed(work *w) {
    if (w->start >= w->end) return;
    add(w, w->start, 0);
    w->score.cues[w->first].length = w->end - w->start;
}

/* Waits of a Poisson process are exponential. Who names a sound wants to hear it: where none fell into the scene, one does. */
static void add_random(work *w) {
    double t = w->start;
    for (size_t i = 0;; i++) {
        t -= log1p(-draw(w->key, DRAW_WAIT, i)) * 60 / w->l->per_minute;
        if (t >= w->end) break;
        add(w, t, i);
    }
    if (w->score.count == w->first && w->start < w->end)
        add(w, w->start + (w->end - w->start) * draw(w->key, DRAW_ONLY, 0), 0);
}

/* Early or late; who comes after the scene's end is not heard. */
static void add_jittered(work *w, double t, size_t index) {
    t = fmax(0, t + w->l->jitter * (2 * draw(w->key, DRAW_SHIFT, index) - 1));
    if (t < w->s->seconds) add(w, t, index);
}

static void add_moments(work *w) {
    const layer *l = w->l;
    for (size_t j = 0; j < l->at_count; j++) {
        double r = l->every > 0 ? fmax(0, ceil((w->start - l->at[j]) / l->every)) : 0;
        for (;; r++) {
            const double t = l->at[j] + r * l->every;
            const size_t index = (size_t) r * l->at_count + j;
            if (t >= w->end) break;
            if (t >= w->start) add_jittered(w, t, index);
            if (l->every <= 0) break;
        }
    }
}

static int by_time(const void *a, const void *b) {
    const cue *x = a, *y = b;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? -1 : 1;
    if (x->layer != y->layer) return x->layer < y->layer ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* No take twice in a row. */
static void choose_takes(work *w) {
    const uint64_t takes = (uint64_t) w->l->takes;
    int64_t take = 0;
    for (size_t i = w->first; i < w->score.count && takes > 1; i++) {
        cue *c = &w->score.cues[i];
        const bool is_first = i == w->first;
        const uint64_t step = random_below(random_child(w->key, DRAW_TAKE), c->index, is_first ? takes : takes - 1);
        take = (int64_t) (((uint64_t) take + step + !is_first) % takes);
        c->take = take;
    }
}

score arrange(const scene *s) {
    work w = {.s = s};
    for (size_t i = 0; i < s->layer_count; i++) {
        const layer *l = w.l = &s->layers[i];
        w.key = layer_key(s, i);
        w.start = l->start;
        w.end = l->end > 0 ? fmin(l->end, s->seconds) : s->seconds;
        w.first = w.score.count;
        if (l->kind == LAYER_BED) add_bed(&w);
        else if (l->per_minute > 0) add_random(&w);
        else add_moments(&w);
        if (w.score.count == w.first) {
            warn("layer '%s' is not heard: the scene ends at %g s", l->name, s->seconds);
            continue;
        }
        qsort(w.score.cues + w.first, w.score.count - w.first, sizeof(cue), by_time);
        choose_takes(&w);
    }
    if (w.score.count) qsort(w.score.cues, w.score.count, sizeof(cue), by_time);
    return w.score;
}
