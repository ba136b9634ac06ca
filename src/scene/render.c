/* Mixing costs little beside making sounds, so the mix is made again for each thing to know about it: its loudness, then
 * that behind the limiter until it is the one asked for, then for the file. */
#include "scene/render.h"

#include <math.h>

#include "base/error.h"
#include "base/progress.h"
#include "base/scope.h"
#include "scene/source.h"
#include "signal/edit.h"
#include "signal/limiter.h"

enum { BLOCK = 4096, MOST_PASSES = 6, MOST_SOUND_FRAMES = 1 << 28 };
static const double CLOSE_LU = 0.03, MOST_DRIVE_DB = 12;

/* --- the sounds --- */

static audio ***make_sounds(const scene *s, const score *r, int64_t *made) {
    sources *all = sources_open(s);
    audio ***sounds = NEW_ARRAY(audio **, s->layer_count);
    int64_t wanted = 0, frames = 0;
    for (size_t i = 0; i < s->layer_count; i++) {
        source_check(all, i);
        sounds[i] = NEW_ARRAY(audio *, s->layers[i].takes);
    }
    bool needed[SCENE_MAX_LAYERS][SCENE_MAX_TAKES] = {{false}};
    for (size_t i = 0; i < r->count; i++) {
        bool *take = &needed[r->cues[i].layer][r->cues[i].take];
        wanted += !*take;
        *take = true;
    }
    for (size_t i = 0; i < s->layer_count; i++)
        for (int64_t k = 0; k < s->layers[i].takes; k++) {
            if (!needed[i][k]) continue;
            progress("making sounds", (*made)++, wanted);
            const audio *a = sounds[i][k] = source_sound(all, i, k);
            if ((frames += a->frames) > MOST_SOUND_FRAMES)
                fail(HISS_ERROR_MEMORY,
                     "layer '%s': the scene's sounds are longer than %d frames together; use fewer takes",
                     s->layers[i].name, MOST_SOUND_FRAMES);
        }
    return sounds;
}

/* --- passes over the mix --- */

typedef struct {
    const scene *s;
    mixer *mix;
    double gain; /* amplitude */
    int64_t frames, fade_in, fade_out;
} master;

static void fade_master(const master *m, float *block, int64_t first, int64_t frames) {
    for (int64_t i = 0; i < frames; i++) {
        const int64_t t = first + i, left = m->frames - 1 - t;
        double e = m->gain;
        if (t < m->fade_in) e *= 0.5 - 0.5 * cos(M_PI * ((double) t + 0.5) / (double) m->fade_in);
        if (left < m->fade_out) e *= 0.5 - 0.5 * cos(M_PI * ((double) left + 0.5) / (double) m->fade_out);
        for (int c = 0; c < 2; c++) block[2 * i + c] = t < m->frames ? (float) (block[2 * i + c] * e) : 0;
    }
}

/* The whole scene through its gain and fades and, unless NULL, the limiter, whose delay is taken out. */
static void run_pass(const master *m, limiter *l, take_frames take, void *context, const char *what) {
    float block[2 * BLOCK];
    const int64_t delay = l ? limiter_delay(l) : 0, total = m->frames + delay;
    mixer_rewind(m->mix);
    for (int64_t first = 0; first < total; first += BLOCK) {
        const int64_t n = total - first < BLOCK ? total - first : BLOCK;
        if (first / BLOCK % 256 == 0) progress(what, first, total);
        mixer_pull(m->mix, block, n);
        fade_master(m, block, first, n);
        if (l) limiter_run(l, block, n);
        const int64_t skip = delay > first ? (delay - first < n ? delay - first : n) : 0;
        if (n > skip) take(context, block + 2 * skip, n - skip);
    }
}

typedef struct {
    loudness_meter *loudness;
    peak_meter *peak;
    take_frames take; /* NULL: only measured */
    void *context;
} measuring;

static void measure(void *context, const float *samples, int64_t frames) {
    measuring *m = context;
    loudness_put(m->loudness, samples, frames);
    if (m->take) true_peak_put(m->peak, samples, frames);
    if (m->take) m->take(m->context, samples, frames);
}

static double loudness_of_pass(const master *m, bool limited) {
    scope_begin();
    measuring by = {.loudness = loudness_begin(2, m->s->rate)};
    limiter *l = limited ? limiter_begin(2, m->s->rate, amplitude_of(m->s->peak)) : NULL;
    run_pass(m, l, measure, &by, "measuring");
    const double lufs = loudness_of(by.loudness);
    scope_end();
    return lufs;
}

/* The limiter takes a little loudness away, so the gain before it is found in a few rounds. */
static void find_gain(master *m) {
    const double target = m->s->loudness, plain = target - loudness_of_pass(m, false);
    if (!isfinite(plain)) {
        warn("the scene is silent");
        return;
    }
    double gain = plain, miss = 0;
    for (int pass = 0; pass < MOST_PASSES; pass++) {
        m->gain = amplitude_of(gain);
        miss = target - loudness_of_pass(m, true);
        if (fabs(miss) < CLOSE_LU || gain >= plain + MOST_DRIVE_DB) break;
        gain = fmin(gain + miss, plain + MOST_DRIVE_DB);
    }
    if (fabs(miss) > 0.1)
        warn("the scene is %.1f LU from %g LUFS: its peaks do not leave room; give a lower \"loudness\"", fabs(miss),
             target);
}

static void set_lengths(score *r, const scene *s, audio *const *const *sounds) {
    for (size_t i = 0; i < r->count; i++) {
        cue *c = &r->cues[i];
        if (s->layers[c->layer].kind == LAYER_EVENTS) c->length = (double) sounds[c->layer][c->take]->frames / s->rate;
    }
}

rendering render(const scene *s, void (*begin)(void *context), take_frames take, void *context) {
    rendering done = {.score = arrange(s)};
    if (!done.score.count) fail(HISS_ERROR_ARGUMENT, "nothing is heard in the scene's %g s", s->seconds);
    audio *const *const *sounds = (audio *const *const *) make_sounds(s, &done.score, &done.sounds);
    set_lengths(&done.score, s, sounds);
    master m = {s, mixer_new(s, &done.score, sounds), 1, scene_frames(s), 0, 0};
    m.fade_in = llround(fmin(s->fade_in, s->seconds / 2) * s->rate);
    m.fade_out = llround(fmin(s->fade_out, s->seconds / 2) * s->rate);
    find_gain(&m);
    begin(context);
    measuring by = {loudness_begin(2, s->rate), true_peak_begin(2, s->rate), take, context};
    limiter *l = limiter_begin(2, s->rate, amplitude_of(s->peak));
    run_pass(&m, l, measure, &by, "mixing");
    done.gain = decibel(m.gain);
    done.loudness = loudness_of(by.loudness);
    done.range = loudness_range_of(by.loudness);
    done.true_peak = decibel(true_peak_of(by.peak));
    done.limited = decibel(1 / limiter_lowest(l));
    return done;
}
