/* Sources of sounds. A model that follows words is asked for the prompt, and for a loop where a bed needs one; a model of classes for a
 * class by its name, or by a prompt that holds its name. */
#include "scene/source.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"
#include "scene/arrange.h"
#include "signal/edit.h"
#include "systems/latent.h"
#include "systems/shipped.h"

struct sources {
    const scene *scene;
    scope *home;
    model *models[SCENE_MAX_LAYERS];
    size_t count;
};

sources *sources_open(const scene *s) {
    sources *all = NEW(sources);
    all->scene = s;
    all->home = scope_current();
    return all;
}

/* A layer as messages call it. */
static const char *asker(const layer *l) {
    return format("%s%slayer '%s'", l->place ? l->place : "", l->place ? ": " : "", l->name);
}

static const model *open_model(sources *all, const layer *l) {
    const char *path = l->model ? l->model : all->scene->model;
    if (path && !folder_exists(model_named(path)) && !file_exists(path))
        fail(HISS_ERROR_FILE, "%s: model %s: no such model file or folder", asker(l), path);
    if (!path) fail(HISS_ERROR_ARGUMENT, "%s needs a model: give --model, or \"model\" in the scene", asker(l));
    for (size_t i = 0; i < all->count; i++)
        if (!strcmp(all->models[i]->path, path)) return all->models[i];
    scope *before = scope_switch(all->home);
    model *m = all->models[all->count++] = model_open(path);
    scope_switch(before);
    return m;
}

/* --- classes by words --- */

/* Letters and digits alone count, in lower case: "Closed hat" is closed-hat. */
static char *plain(const char *name) {
    char *text = format(" %s ", name);
    for (char *c = text; *c; c++) *c = isalnum((unsigned char) *c) ? (char) tolower((unsigned char) *c) : ' ';
    return text;
}

/* The class whose name stands in the prompt, the longest if several do; -1: none. */
static int32_t class_in(const model *m, const char *prompt) {
    int32_t best = -1;
    size_t longest = 0;
    for (int64_t i = 0; i < m->class_count && m->classes; i++) {
        const char *name = plain(m->classes[i]);
        if (strlen(name) <= longest || !strstr(plain(prompt), name)) continue;
        longest = strlen(name);
        best = (int32_t) i;
    }
    return best;
}

static int32_t class_of(const model *m, const layer *l) {
    if (l->class) return model_class_for(m, l->class, format("%s: class", asker(l)));
    const int32_t found = class_in(m, l->prompt);
    if (found >= 0) return found;
    if (!m->classes || !m->class_count)
        fail(HISS_ERROR_ARGUMENT, "%s: %s takes neither prompts nor classes", asker(l), m->path);
    fail(HISS_ERROR_ARGUMENT, "%s: %s knows no such sound: %s", asker(l), m->path,
         suggest(l->prompt, m->classes, (size_t) m->class_count));
}

/* --- the sources --- */

/* What a model of any length makes where a layer does not say: beds that do not come round too soon, events as long as most are where
 * the model does not know better. */
static const double BED_SECONDS = 12, EVENT_SECONDS = 3;

/* A loop's seam would not outlive a change of the rate. */
static void ask_in_words(sound_request *r, const model *m, const scene *s, const layer *l) {
    const bool bed = l->kind == LAYER_BED;
    r->class = l->class ? model_class_for(m, l->class, format("%s: class", asker(l))) : -1;
    r->prompt = l->class ? NULL : l->prompt;
    r->loop = bed && m->rate == s->rate;
    if (r->seconds == 0 && bed) r->seconds = BED_SECONDS;
    request_settle(m, r);
    if (r->seconds == 0) r->seconds = EVENT_SECONDS;
}

static sound_request request_for(sources *all, const model *m, size_t i, int64_t take) {
    const scene *s = all->scene;
    sound_request r = sound_request_for(m);
    r.seconds = s->layers[i].seconds;
    r.seed = take_seed(s, i, take);
    r.steps = s->steps;
    r.sampler = s->sampler;
    if (s->guidance >= 0) r.guidance = s->guidance;
    if (m->latent) ask_in_words(&r, m, s, &s->layers[i]);
    else r.class = class_of(m, &s->layers[i]);
    return r;
}

typedef struct {
    scope *home;
    audio *sound;
} catching;

static void catch_sound(void *context, int64_t i, const audio *sound) {
    (void) i;
    catching *c = context;
    scope *before = scope_switch(c->home);
    c->sound = audio_copy(sound);
    scope_switch(before);
}

/* Silence after what was asked for in words is cut from events. *loops: it is a loop already. */
static audio *generate(sources *all, size_t i, int64_t take, bool *loops) {
    const layer *l = &all->scene->layers[i];
    const model *m = open_model(all, l);
    const sound_request r = request_for(all, m, i, take);
    catching c = {scope_current(), NULL};
    generate_sounds(m, &r, catch_sound, &c);
    *loops = r.loop;
    return m->latent && l->kind == LAYER_EVENTS ? trim_silence(c.sound, 60, 0.01, 0.1) : c.sound;
}

static audio *read_recording(const layer *l) {
    if (!file_exists(l->file)) fail(HISS_ERROR_FILE, "%s: %s: there is no such file", asker(l), l->file);
    audio *a = audio_mix_down(audio_read(l->file));
    const double frames = l->seconds * a->rate;
    return l->seconds > 0 && frames < (double) a->frames ? audio_cut(a, 0, (int64_t) fmax(1, frames)) : a;
}

void source_check(sources *all, size_t i) {
    const layer *l = &all->scene->layers[i];
    scope_begin();
    if (l->file) {
        read_recording(l);
    } else {
        const model *m = open_model(all, l);
        const sound_request r = request_for(all, m, i, 0);
        request_check(m, &r);
    }
    scope_end();
}

/* The end runs into the beginning at equal power, and what is left goes round without a seam. */
static audio *closed_loop(const audio *a, double cross_fade) {
    const int64_t most = a->frames / 2, wanted = llround(cross_fade * a->rate);
    const int64_t over = wanted < most ? wanted : most, frames = a->frames - over;
    audio *loop = audio_cut(a, 0, frames);
    for (int64_t t = 0; t < over; t++) {
        const double angle = M_PI / 2 * ((double) t + 0.5) / (double) over;
        loop->samples[t] = (float) (sin(angle) * a->samples[t] + cos(angle) * a->samples[frames + t]);
    }
    return loop;
}

audio *source_sound(sources *all, size_t i, int64_t take) {
    const layer *l = &all->scene->layers[i];
    scope *home = scope_current();
    scope_begin();
    bool loops = false;
    audio *a = l->file ? read_recording(l) : generate(all, i, take, &loops);
    a = audio_resample(a, all->scene->rate);
    if (l->kind == LAYER_BED && !loops) a = closed_loop(a, l->cross_fade);
    if (!isfinite(loudness(a))) warn("layer '%s': its sound is silent", l->name);
    normalise_loudness(a, SOURCE_LUFS, INFINITY);
    scope *work = scope_switch(home);
    audio *kept = audio_copy(a);
    scope_switch(work);
    scope_end();
    return kept;
}
