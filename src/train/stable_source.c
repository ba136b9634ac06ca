/* See stable_source.h. */
#include "train/stable_source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/progress.h"
#include "base/text.h"
#include "signal/fit.h"
#include "systems/codec.h"
#include "systems/t5_text.h"
#include "train/captions.h"
#include "train/kept.h"

/* Latents of silence kept behind a sound: more than the encoder sees; the last stands for all silence after it. */
enum { REACH = 32, LONGEST_TEXT = 8192 };

/* A file and its key. */
typedef struct {
    const char *path, *key;
} kept;

typedef struct {
    kept latents; /* [P + REACH, ends]: what the encoder gave, P positions of sound */
    kept *texts;  /* its captions, [tokens, E] each */
    size_t text_count;
} item;

typedef struct {
    stable_source_settings settings;
    const stable_audio *net;
    const recordings *list;
    item *items;
    int text;                                         /* the condition, -1: none */
    int64_t tokens, width, latent, ends, hop, window; /* S, E, L, L or 2 L, samples, N */
    int rate, channels;
} source;

/* --- latents --- */

typedef struct {
    const codec *with;
    const char *path;
    const kept *to;
} encoding;

/* As the original's data are: resampled by torchaudio's formula, within full scale. */
static void encode(void *argument) {
    const encoding *e = argument;
    const codec *c = e->with;
    scope_begin();
    const audio *a = audio_read(e->path);
    const int64_t n = (int64_t) ceil((double) a->frames * c->rate / a->rate), P = (n + c->hop - 1) / c->hop,
                  T = (P + 2 * REACH) * c->hop;
    audio *fitted = audio_fit(a, c->rate, T, c->channels);
    for (int64_t i = 0; i < T * c->channels; i++) fitted->samples[i] = fminf(fmaxf(fitted->samples[i], -1), 1);
    const tensor *y = oobleck_encode_tiles(c->network, tensor_wrap(F32, SHAPE(1, T, c->channels), fitted->samples));
    const int64_t E = y->shape[2], rows = P + REACH;
    require(y->shape[1] >= rows);
    const tensor *kept_rows = tensor_wrap(F32, SHAPE(rows, E), f32(y));
    for (int64_t i = 0; i < rows * E; i++)
        if (!isfinite(f32(kept_rows)[i]))
            fail(HISS_ERROR_FORMAT, "%s: the autoencoder gave values that are not numbers", e->path);
    kept_write(e->to->path, e->to->key, kept_rows, format("%lld", (long long) n));
    scope_end();
}

static bool is_kept(const kept *k) {
    const char *note;
    scope_begin();
    const bool there = kept_read(k->path, k->key, &note) != NULL;
    scope_end();
    return there;
}

static const tensor *need(const kept *k, const char **note) {
    const tensor *t = kept_read(k->path, k->key, note);
    if (!t) fail(HISS_ERROR_FILE, "%s: was there when the run began, and is not now", k->path);
    return t;
}

static kept kept_under(const source *s, const char *key) { return (kept){kept_path(s->settings.folder, key), key}; }

static void name_latents(source *s) {
    const char *by = file_stamp(s->net->files.weights);
    for (size_t i = 0; i < s->list->count; i++) {
        const sound_file *r = &s->list->items[i];
        if (!file_exists(r->path)) continue;
        s->items[i].latents = kept_under(s, format("latents of %s, %s, by %s", r->name, file_stamp(r->path), by));
    }
}

/* False where the recording is of no use, which is said. The autoencoder is opened when the first is not kept yet. */
static bool keep_latents(const source *s, size_t i, const codec **opened) {
    const kept *to = &s->items[i].latents;
    const char *path = s->list->items[i].path;
    hiss_error error = {0};
    if (!to->path) {
        warn("skipped: %s: no such file", path);
        return false;
    }
    if (is_kept(to)) return true;
    if (!*opened) *opened = codec_open(s->settings.from);
    encoding e = {*opened, path, to};
    if (try_run(encode, &e, &error)) return true;
    if (error.code == HISS_ERROR_MEMORY || error.code == HISS_ERROR_INTERRUPTED) fail_again(&error);
    warn("skipped: %s", error.message);
    return false;
}

static void keep_all_latents(const source *s, bool *usable) {
    const codec *opened = NULL;
    scope_begin(); /* the autoencoder goes with it */
    for (size_t i = 0; i < s->list->count; i++) {
        progress("encoding recordings", (int64_t) i, (int64_t) s->list->count);
        usable[i] = keep_latents(s, i, &opened);
    }
    scope_end();
}

/* --- captions --- */

/* What is said of a recording: alternatives of its caption, else its class in words, else nothing. */
static char **texts_of(const sound_file *r, size_t *n) {
    static char *nothing[] = {""};
    char **pieces = caption_alternatives(r->caption ? r->caption : r->label, n);
    if (!r->caption && *n)
        for (char *c = pieces[0]; *c; c++)
            if (*c == '_' || *c == '-') *c = ' ';
    for (size_t i = 0; i < *n; i++)
        if (strlen(pieces[i]) > LONGEST_TEXT)
            fail(HISS_ERROR_ARGUMENT, "%s: a caption of more than %d characters", r->name, LONGEST_TEXT);
    if (!*n) *n = 1, pieces = nothing;
    return pieces;
}

/* States [tokens, E] of one text, without its padding. */
static void keep_text(const t5_text *with, const char *text, int64_t tokens, const kept *to) {
    scope_begin();
    const t5_states t = t5_text_encode(with, &text, 1, tokens);
    int64_t n = 0;
    while (n < t.tokens && ((const uint8_t *) t.mask->data)[n]) n++;
    kept_write(to->path, to->key, tensor_wrap(F32, SHAPE(n, t.states->shape[2]), f32(t.states)), text);
    scope_end();
}

static void name_texts(source *s, const char *by) {
    for (size_t i = 0; i < s->list->count; i++) {
        item *to = &s->items[i];
        char **texts = texts_of(&s->list->items[i], &to->text_count);
        to->texts = NEW_ARRAY(kept, to->text_count);
        for (size_t t = 0; t < to->text_count; t++)
            to->texts[t] = kept_under(s, format("%lld tokens of \"%s\", by %s", (long long) s->tokens, texts[t], by));
    }
}

/* The text encoder is opened when the first caption is not kept yet. */
static void keep_all_texts(source *s) {
    const stable_condition *k = &stable_conditioner_sizes(s->net->conditioner)->items[s->text];
    const stable_text_files files = stable_text_find(&s->net->files, k->t5, NULL);
    const t5_text *opened = NULL;
    const char *note;
    size_t n;
    name_texts(s, format("%s, %s", k->t5, file_stamp(path_join(files.folder, "config.json"))));
    scope_begin(); /* the encoder goes with it */
    for (size_t i = 0; i < s->list->count; i++) {
        char **texts = texts_of(&s->list->items[i], &n);
        progress("reading captions", (int64_t) i, (int64_t) s->list->count);
        for (size_t t = 0; t < n; t++) {
            if (is_kept(&s->items[i].texts[t])) continue;
            if (!opened) opened = t5_text_open(files.folder, files.tokenizer);
            keep_text(opened, texts[t], s->tokens, &s->items[i].texts[t]);
        }
    }
    s->width = need(&s->items[0].texts[0], &note)->shape[1];
    scope_end();
}

/* --- one window --- */

enum { DRAW_CROP, DRAW_LEVEL, DRAW_PLACE, DRAW_TEXT, DRAW_CROSS, DRAW_PREPEND, PURPOSE_NOISE, PURPOSE_LATENT };

static double draw(random_key clip, uint64_t what) { return random_uniform(random_child(clip, what), 0); }

/* Latents of window i, drawn anew from what the encoder believes, and the seconds it is told. */
static void fill_latents(const source *s, batch *b, int64_t i, const item *from, random_key clip, bool training) {
    const int64_t N = s->window, L = s->latent, E = s->ends;
    const char *note = "";
    scope_begin();
    const tensor *y = need(&from->latents, &note);
    if (y->type != F32 || y->rank != 2 || y->shape[1] != E || y->shape[0] <= REACH)
        fail(HISS_ERROR_FORMAT, "%s: %s is not what the autoencoder gives; remove it", from->latents.path,
             shape_text(shape_of(y)));
    const int64_t P = y->shape[0] - REACH, last = y->shape[0] - 1, samples = strtoll(note, NULL, 10);
    const int64_t first = training && P > N ? (int64_t) (draw(clip, DRAW_CROP) * (double) (P - N + 1)) : 0;
    float *normal = alloc((size_t) (N * L) * sizeof(float)), *to = f32(b->latents) + i * N * L;
    random_normal(random_child(clip, PURPOSE_LATENT), 0, normal, (size_t) (N * L));
    for (int64_t k = 0; k < N * L; k++) {
        const int64_t row = first + k / L < last ? first + k / L : last;
        const float *given = f32(y) + row * E + k % L;
        const float value = E > L ? given[0] + oobleck_deviation(given[L]) * normal[k] : given[0];
        to[k] = value / (float) s->net->latent_scale;
    }
    b->begin[i] = floor((double) (first * s->hop) / s->rate);
    b->total[i] = ceil((double) samples / s->rate);
    scope_end();
}

static void fill_text(const source *s, batch *b, int64_t i, const item *from, random_key clip, bool training) {
    if (s->text < 0) return;
    const int64_t S = s->tokens, E = b->states->shape[2];
    uint8_t *mask = (uint8_t *) b->mask->data + i * S;
    const char *note;
    const size_t which = training ? (size_t) (draw(clip, DRAW_TEXT) * (double) from->text_count) : 0;
    scope_begin();
    const tensor *t = need(&from->texts[which], &note);
    if (t->type != F32 || t->rank != 2 || t->shape[0] > S || t->shape[1] != E)
        fail(HISS_ERROR_FORMAT, "%s: %s is not what the text encoder gives; remove it", from->texts[which].path,
             shape_text(shape_of(t)));
    memcpy(f32(b->states) + i * S * E, f32(t), tensor_bytes(t));
    memset(mask, 1, (size_t) t->shape[0]);
    scope_end();
}

static batch *batch_new(const void *of, int64_t B) {
    const source *s = of;
    const int64_t N = s->window, L = s->latent;
    batch *b = NEW(batch);
    *b = (batch){.size = B,
                 .latents = tensor_new(F32, SHAPE(B, N, L)),
                 .noise = tensor_new(F32, SHAPE(B, N, L)),
                 .level = NEW_ARRAY(double, B),
                 .place = NEW_ARRAY(double, B),
                 .begin = NEW_ARRAY(double, B),
                 .total = NEW_ARRAY(double, B),
                 .handles = NEW_ARRAY(uint32_t, B)};
    if (s->text < 0) return b;
    b->states = tensor_zero(F32, SHAPE(B, s->tokens, s->width));
    b->mask = tensor_zero(U8, SHAPE(B, s->tokens));
    return b;
}

static void fill(const void *of, batch *b, int64_t i, size_t which, random_key clip, bool training) {
    const source *s = of;
    const int64_t each = s->window * s->latent;
    const item *from = &s->items[which];
    fill_latents(s, b, i, from, clip, training);
    fill_text(s, b, i, from, clip, training);
    random_normal(random_child(clip, PURPOSE_NOISE), 0, f32(b->noise) + i * each, (size_t) each);
    b->level[i] = draw(clip, DRAW_LEVEL);
    b->place[i] = draw(clip, DRAW_PLACE);
    const double dropout = training ? s->settings.dropout : 0;
    b->handles[i] = (draw(clip, DRAW_CROSS) >= dropout ? GIVEN_CROSS : 0) |
                    (draw(clip, DRAW_PREPEND) >= dropout ? GIVEN_PREPEND : 0);
}

/* The sizes of the autoencoder, which is not kept open. */
static void set_sizes(source *s) {
    const config part = config_get(config_get(s->settings.learner->settings, "model"), "pretransform");
    const oobleck_config c = oobleck_config_read(config_get(part, "config"));
    s->latent = c.latent;
    s->ends = c.encoder.ends;
    s->hop = c.ratio;
    s->channels = (int) c.audio;
    s->rate = s->settings.learner->rate;
    s->window = s->settings.learner->samples / c.ratio;
    const int64_t patch = stable_dit_sizes(s->net->dit)->patch;
    s->window -= s->window % patch;
    if (s->window < 1)
        fail(HISS_ERROR_ARGUMENT, "clips of %lld samples are shorter than a latent",
             (long long) s->settings.learner->samples);
    s->text = -1;
    const stable_conditions *k = s->net->conditioner ? stable_conditioner_sizes(s->net->conditioner) : NULL;
    for (int i = 0; k && i < k->count; i++)
        if (k->items[i].kind == CONDITION_TEXT) s->text = i, s->tokens = k->items[i].tokens;
}

batch_source stable_source(const stable_source_settings *settings) {
    source *s = NEW(source);
    *s = (source){.settings = *settings, .net = settings->learner->net, .list = dataset_recordings(settings->data)};
    set_sizes(s);
    folder_make(settings->folder);
    s->items = NEW_ARRAY(item, s->list->count);
    bool *usable = NEW_ARRAY(bool, s->list->count);
    name_latents(s);
    keep_all_latents(s, usable);
    if (s->text >= 0) keep_all_texts(s);
    memory_trim();
    dataset_keep(settings->data, usable);
    return dataset_made(&(batch_maker){settings->data, s, batch_new, fill});
}
