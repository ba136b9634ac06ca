/* From recordings to batches: see dataset.h. */
#include "train/dataset.h"

#include <math.h>
#include <string.h>

#include "base/progress.h"
#include "train/prepared.h"

typedef enum { UNKNOWN, CACHED, PASSING, BROKEN } sound_state;

struct dataset {
    dataset_settings settings;
    recordings *list;
    prepared *sounds;
    sound_state *state;
    size_t *part[2], part_count[2]; /* indices: training, held out */
    size_t *by_class, *class_start; /* training indices sorted by class; where each class begins */
    size_t *order;                  /* training indices in the order of an epoch */
    double *reach;                  /* running sums of the training indices' weights, or NULL */
    int64_t order_epoch;
    scope *home; /* of the cached sounds */
    int64_t cached;
    double seconds;
};

/* Decodes recording i into `home`; false if it is of no use, which is said once. */
static bool load(dataset *d, size_t i, scope *home, prepared *to) {
    const bool usable = prepare_recording(d->list->items[i].path, &d->settings, home, to);
    if (!usable) d->state[i] = BROKEN;
    return usable;
}

/* The sound of recording i, from the cache or decoded into the current scope. */
static bool fetch(dataset *d, size_t i, prepared *to) {
    if (d->state[i] == BROKEN) return false;
    if (d->state[i] == CACHED) *to = d->sounds[i];
    else return load(d, i, scope_current(), to);
    return true;
}

/* --- opening --- */

static void fill_cache(dataset *d) {
    for (size_t i = 0; i < d->list->count; i++) {
        progress("reading recordings", (int64_t) i, (int64_t) d->list->count);
        if (d->settings.listed || d->cached >= d->settings.cache_bytes) {
            d->state[i] = PASSING;
        } else if (load(d, i, d->home, &d->sounds[i])) {
            d->state[i] = CACHED;
            d->cached += prepared_bytes(&d->sounds[i]);
            d->seconds += (double) d->sounds[i].samples / d->settings.rate;
        }
    }
}

/* Indices of the usable recordings: training and held out; a held-out part that took everything gives one back. */
static void divide(dataset *d) {
    size_t n = d->list->count;
    for (int part = 0; part < 2; part++) d->part[part] = NEW_ARRAY(size_t, n);
    for (size_t i = 0; i < n; i++) {
        int part = d->list->items[i].held_out;
        if (d->state[i] != BROKEN) d->part[part][d->part_count[part]++] = i;
    }
    if (!d->part_count[0] && d->part_count[1]) {
        memcpy(d->part[0], d->part[1], d->part_count[1] * sizeof(size_t));
        d->part_count[0] = d->part_count[1];
        d->part_count[1] = 0;
    }
}

/* Training indices by class; class_start[c] .. class_start[c + 1]. Unlabelled ones come last as a class of their own.
 */
static void sort_by_class(dataset *d) {
    size_t classes = d->list->class_count, n = 0;
    d->by_class = NEW_ARRAY(size_t, d->part_count[0]);
    d->class_start = NEW_ARRAY(size_t, classes + 2);
    for (size_t c = 0; c <= classes; c++) {
        int32_t wanted = c < classes ? (int32_t) c : -1;
        for (size_t i = 0; i < d->part_count[0]; i++)
            if (d->list->items[d->part[0][i]].class_index == wanted) d->by_class[n++] = d->part[0][i];
        d->class_start[c + 1] = n;
    }
}

/* A recording not in memory counts as a long one. */
static void weigh_by_length(dataset *d) {
    static const double LONG = 6, POWER = 0.7; /* seconds */
    double sum = 0;
    d->reach = NEW_ARRAY(double, d->part_count[0]);
    for (size_t i = 0; i < d->part_count[0]; i++) {
        const size_t item = d->part[0][i];
        const double seconds = d->state[item] == CACHED ? (double) d->sounds[item].samples / d->settings.rate : LONG;
        d->reach[i] = sum += pow(fmin(seconds, LONG), POWER);
    }
}

static void destroy_home(void *home) { scope_destroy(home); }

dataset *dataset_open(const char *path, const dataset_settings *s) {
    dataset *d = NEW(dataset);
    d->settings = *s;
    d->list = recordings_find(path, s->held_out);
    if (s->class_names) recordings_use_classes(d->list, s->class_names, s->class_count);
    if (s->names_say) recordings_caption_by_name(d->list);
    d->sounds = NEW_ARRAY(prepared, d->list->count);
    d->state = NEW_ARRAY(sound_state, d->list->count);
    d->home = scope_create();
    defer(destroy_home, d->home);
    fill_cache(d);
    divide(d);
    if (!d->part_count[0])
        fail(HISS_ERROR_ARGUMENT, "%s: none of its %zu recordings can be used", path, d->list->count);
    d->order = NEW_ARRAY(size_t, d->part_count[0]);
    d->order_epoch = -1;
    sort_by_class(d);
    if (s->by_length) weigh_by_length(d);
    return d;
}

const recordings *dataset_recordings(const dataset *d) { return d->list; }
const mel_front *dataset_front(const dataset *d) { return d->settings.mel; }
size_t dataset_usable(const dataset *d, bool held_out) { return d->part_count[held_out]; }
int64_t dataset_cached_bytes(const dataset *d) { return d->cached; }
double dataset_seconds(const dataset *d) { return d->seconds; }

void dataset_keep(dataset *d, const bool *usable) {
    for (size_t i = 0; i < d->list->count; i++)
        if (!usable[i]) d->state[i] = BROKEN;
    d->part_count[0] = d->part_count[1] = 0;
    divide(d);
    if (!d->part_count[0]) fail(HISS_ERROR_ARGUMENT, "none of the %zu recordings can be used", d->list->count);
    d->order_epoch = -1;
    sort_by_class(d);
}

uint64_t dataset_fingerprint(const dataset *d) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < d->list->count; i++) {
        for (const char *c = d->list->items[i].name; *c; c++) h = (h ^ (uint8_t) *c) * 0x100000001B3u;
        h = (h ^ (uint64_t) (d->list->items[i].class_index + 2)) * 0x100000001B3u;
        h = (h ^ (uint64_t) (d->state[i] == CACHED ? d->sounds[i].samples : 0)) * 0x100000001B3u;
    }
    return h;
}

const tensor *dataset_features(const dataset *d, size_t i) {
    return d->state[i] == CACHED && d->settings.features ? d->sounds[i].mel : NULL;
}

const size_t *dataset_part(const dataset *d, bool held_out, size_t *n) {
    *n = d->part_count[held_out];
    return d->part[held_out];
}

/* --- batches --- */

/* What a clip's random numbers are for: children of the clip's key. */
enum { DRAW_ITEM, DRAW_CROP, DRAW_LEVEL, DRAW_PLACE, DRAW_CLASS, DRAW_NOISE, DRAW_VARIETY, DRAW_SECOND };
enum { PURPOSE_CLIPS, PURPOSE_ORDER, PURPOSE_HELD_OUT };

static double draw(random_key clip, uint64_t what) { return random_uniform(random_child(clip, what), 0); }

/* The order of an epoch: Fisher and Yates' shuffle, a function of key and epoch. */
static void shuffle(dataset *d, random_key key, int64_t epoch) {
    size_t n = d->part_count[0];
    random_key k = random_child(random_child(key, PURPOSE_ORDER), (uint64_t) epoch);
    memcpy(d->order, d->part[0], n * sizeof(size_t));
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t) random_below(k, i, i), t = d->order[i - 1];
        d->order[i - 1] = d->order[j];
        d->order[j] = t;
    }
    d->order_epoch = epoch;
}

static size_t choose_by_length(const dataset *d, double u) {
    size_t low = 0, high = d->part_count[0] - 1;
    const double wanted = u * d->reach[high];
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (d->reach[middle] > wanted) high = middle;
        else low = middle + 1;
    }
    return d->part[0][low];
}

/* Which recording clip number `place` of the whole run is; later attempts replace broken ones. */
static size_t choose(dataset *d, random_key key, random_key clip, int64_t place, uint64_t attempt) {
    random_key k = random_child(clip, DRAW_ITEM);
    size_t n = d->part_count[0];
    if (d->settings.balance) {
        size_t c, kinds = d->list->class_count + 1;
        uint64_t tries = 0;
        do c = (size_t) random_below(k, attempt * 4096 + tries++, kinds);
        while (d->class_start[c] == d->class_start[c + 1] && tries < 4000);
        size_t size = d->class_start[c + 1] - d->class_start[c];
        if (size) return d->by_class[d->class_start[c] + (size_t) random_below(k, attempt * 4096 + 4001, size)];
    }
    if (d->reach) return choose_by_length(d, random_uniform(k, attempt));
    if (attempt) return d->part[0][random_below(k, attempt, n)];
    if (place / (int64_t) n != d->order_epoch) shuffle(d, key, place / (int64_t) n);
    return d->order[place % (int64_t) n];
}

/* T samples of the sound from a place in 0 .. 1 of where they can begin, with their features if it has any. */
static void copy_clip(const dataset *d, const prepared *s, double where, float *audio, int64_t T, float *mel) {
    int64_t first = 0, n = s->samples;
    if (s->mel) {
        int64_t M = s->mel->shape[1], F = T / d->settings.mel->stft.hop, spare = s->mel->shape[0] - F;
        int64_t frame = d->settings.crop_start || spare <= 0 ? 0 : (int64_t) (where * (double) (spare + 1));
        memcpy(mel, f32(s->mel) + frame * M, (size_t) (F * M) * sizeof(float));
        first = frame * d->settings.mel->stft.hop;
    } else if (n > T && !d->settings.crop_start) {
        first = (int64_t) (where * (double) (n - T + 1));
    }
    int64_t length = n - first < T ? n - first : T;
    if (length < 0) length = 0;
    for (int64_t i = 0; i < length; i++) audio[i] = prepared_sample(s, first + i);
    memset(audio + length, 0, (size_t) (T - length) * sizeof(float));
    int64_t fade = (int64_t) (d->settings.fade_seconds * d->settings.rate);
    if (first + length >= n || s->mel) fade = 0; /* the recording's own end */
    for (int64_t i = 0; i < fade && i < length; i++) audio[length - 1 - i] *= (float) i / (float) fade;
}

static batch *batch_new(const dataset *d, int64_t B) {
    int64_t T = d->settings.samples;
    batch *b = NEW(batch);
    b->size = B;
    b->audio = tensor_new(F32, SHAPE(B, T));
    b->noise = tensor_new(F32, SHAPE(B, T));
    if (d->settings.mel) b->mel = tensor_new(F32, SHAPE(B, T / d->settings.mel->stft.hop, d->settings.mel->bands));
    b->classes = NEW_ARRAY(int32_t, B);
    b->labels = NEW_ARRAY(int32_t, B);
    b->level = NEW_ARRAY(double, B);
    b->place = NEW_ARRAY(double, B);
    return b;
}

/* A clip at another playback rate: longer or shorter before it is resampled. */
static void copy_varied(const dataset *d, const prepared *s, random_key clip, float *x) {
    const int64_t T = d->settings.samples;
    const double ratio = augment_rate(&d->settings.augment, random_child(clip, DRAW_VARIETY));
    if (ratio == 1) {
        copy_clip(d, s, draw(clip, DRAW_CROP), x, T, NULL);
        return;
    }
    scope_begin();
    audio *played = audio_new((int64_t) ceil((double) T * ratio) + 1, 1, d->settings.rate);
    copy_clip(d, s, draw(clip, DRAW_CROP), played->samples, played->frames, NULL);
    augment_resample(played, ratio, x, T);
    scope_end();
}

/* Fills clip i of b from a sound. */
static void fill_clip(const dataset *d, batch *b, int64_t i, const prepared *s, random_key clip, bool varied) {
    int64_t T = d->settings.samples, width = b->mel ? b->mel->shape[1] * b->mel->shape[2] : 0;
    float *x = f32(b->audio) + i * T;
    if (varied) copy_varied(d, s, clip, x);
    else copy_clip(d, s, draw(clip, DRAW_CROP), x, T, b->mel ? f32(b->mel) + i * width : NULL);
    random_normal(random_child(clip, DRAW_NOISE), 0, f32(b->noise) + i * T, (size_t) T);
    b->level[i] = draw(clip, DRAW_LEVEL);
    b->place[i] = draw(clip, DRAW_PLACE);
}

/* A usable recording for the clip, into the current scope; which one it is. Attempt 0 is the epoch's own. */
static size_t fetch_some(dataset *d, random_key key, random_key clip, int64_t place, uint64_t first, prepared *s) {
    enum { ATTEMPTS = 1000 };
    for (uint64_t attempt = first; attempt < ATTEMPTS; attempt++) {
        const size_t item = choose(d, key, clip, place, attempt);
        if (fetch(d, item, s)) return item;
    }
    fail(HISS_ERROR_FILE, "none of %d recordings in a row could be read", ATTEMPTS);
}

/* What the recipe's data.augment asks for beyond the playback rate: a second clip, and the level. */
static void vary_clip(dataset *d, random_key key, random_key clip, int64_t place, float *x) {
    const int64_t T = d->settings.samples;
    const random_key variety = random_child(clip, DRAW_VARIETY), other = random_child(clip, DRAW_SECOND);
    if (augment_mixes(&d->settings.augment, variety)) {
        scope_begin();
        prepared s;
        float *second = alloc((size_t) T * sizeof(float));
        fetch_some(d, key, other, place, 1, &s);
        copy_varied(d, &s, other, second);
        augment_mix(&d->settings.augment, variety, x, second, T);
        scope_end();
    }
    augment_level(&d->settings.augment, variety, x, T);
}

/* Spread over the list, which is sorted by name and so by class. */
static size_t held_out_at(const dataset *d, int64_t place) {
    const size_t n = d->part_count[1];
    return (size_t) ((double) place / (double) dataset_held_out_clips(d) * (double) n) % n;
}

/* What is random in clip `place`. */
static random_key clip_key(random_key key, uint64_t purpose, int64_t place) {
    return random_child(random_child(key, purpose), (uint64_t) place);
}

/* Of a held-out clip: even over the levels. */
static double level_at(int64_t place) { return fmod(0.5 + (double) place * 0.6180339887498949, 1); }

batch *dataset_batch(dataset *d, random_key key, int64_t index, int64_t size, double class_dropout) {
    const bool varied = d->settings.augment.on;
    batch *b = batch_new(d, size);
    for (int64_t i = 0; i < size; i++) {
        int64_t place = index * size + i;
        random_key clip = clip_key(key, PURPOSE_CLIPS, place);
        scope_begin();
        prepared s;
        const size_t item = fetch_some(d, key, clip, place, 0, &s);
        fill_clip(d, b, i, &s, clip, varied);
        if (varied) vary_clip(d, key, clip, place, f32(b->audio) + i * d->settings.samples);
        b->labels[i] = d->list->items[item].class_index;
        b->classes[i] = draw(clip, DRAW_CLASS) < class_dropout ? -1 : b->labels[i];
        scope_end();
    }
    return b;
}

int64_t dataset_held_out_clips(const dataset *d) {
    int64_t n = (int64_t) d->part_count[1];
    return n < d->settings.held_out_clips ? n : d->settings.held_out_clips;
}

batch *dataset_held_out(dataset *d, random_key key, int64_t first, int64_t size) {
    batch *b = batch_new(d, size);
    size_t n = d->part_count[1];
    for (int64_t i = 0; i < size; i++) {
        int64_t place = first + i;
        random_key clip = clip_key(key, PURPOSE_HELD_OUT, place);
        size_t item = held_out_at(d, place), tried = 0;
        scope_begin();
        prepared s;
        while (!fetch(d, d->part[1][item], &s)) {
            if (++tried == n) fail(HISS_ERROR_FILE, "no held-out recording can be read");
            item = (item + 1) % n;
        }
        fill_clip(d, b, i, &s, clip, false);
        b->level[i] = level_at(place);
        b->labels[i] = b->classes[i] = d->list->items[d->part[1][item]].class_index;
        scope_end();
    }
    return b;
}

/* --- as a source --- */

static batch *draw_clips(void *d, random_key key, int64_t index, int64_t size, double class_dropout) {
    return dataset_batch(d, key, index, size, class_dropout);
}

static batch *hold_out_clips(void *d, random_key key, int64_t first, int64_t size) {
    return dataset_held_out(d, key, first, size);
}

batch_source dataset_source(dataset *d) { return (batch_source){d, draw_clips, hold_out_clips, false}; }

static batch *draw_made(void *context, random_key key, int64_t index, int64_t size, double class_dropout) {
    const batch_maker *m = context;
    (void) class_dropout;
    batch *b = m->empty(m->source, size);
    for (int64_t i = 0; i < size; i++) {
        const int64_t place = index * size + i;
        const random_key clip = clip_key(key, PURPOSE_CLIPS, place);
        m->fill(m->source, b, i, choose(m->data, key, clip, place, 0), clip, true);
    }
    return b;
}

static batch *hold_out_made(void *context, random_key key, int64_t first, int64_t size) {
    const batch_maker *m = context;
    batch *b = m->empty(m->source, size);
    for (int64_t i = 0; i < size; i++) {
        const size_t which = m->data->part[1][held_out_at(m->data, first + i)];
        m->fill(m->source, b, i, which, clip_key(key, PURPOSE_HELD_OUT, first + i), false);
        b->level[i] = level_at(first + i);
    }
    return b;
}

batch_source dataset_made(const batch_maker *m) {
    batch_maker *kept = NEW(batch_maker);
    *kept = *m;
    return (batch_source){kept, draw_made, hold_out_made, false};
}
