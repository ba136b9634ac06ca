/* Training the judge: cross entropy of its classes. Only the mel spectrograms of recordings are kept in memory; clips are cut from
 * them, every class as often if the recipe says so. The noise of a clip serves noise and dropout. */
#include "models/judge.h"

#include <math.h>
#include <string.h>

#include "tensor/ops.h"
#include "train/trainable.h"

/* --- batches --- */

typedef struct {
    dataset *data;
    judge_config sizes;
    bool anywhere, balance;       /* clips begin anywhere; all classes equally often */
    size_t *items[2], count[2];   /* recordings that have a class: to train on, sorted by class; held out */
    size_t *class_start, classes; /* where each class of the former begins; how many have any */
} library;

enum { DRAW_CLASS, DRAW_ITEM, DRAW_PLACE, DRAW_NOISE };
static const float SILENCE = -11.512925f; /* ln 1e-5, the front end's least */

static int32_t class_of(const library *l, size_t item) { return dataset_recordings(l->data)->items[item].class_index; }

/* Those of class k, or of any below the end, after what is there. */
static void add_class(library *l, bool held_out, int32_t k) {
    size_t n;
    const size_t *part = dataset_part(l->data, held_out, &n);
    for (size_t i = 0; i < n; i++)
        if ((k < 0 ? class_of(l, part[i]) >= 0 : class_of(l, part[i]) == k) && dataset_features(l->data, part[i]))
            l->items[held_out][l->count[held_out]++] = part[i];
}

static void shelve(library *l) {
    const recordings *list = dataset_recordings(l->data);
    for (int part = 0; part < 2; part++) l->items[part] = NEW_ARRAY(size_t, list->count);
    l->class_start = NEW_ARRAY(size_t, list->class_count + 1);
    for (size_t k = 0; k < list->class_count; k++) {
        add_class(l, false, (int32_t) k);
        if (l->count[0] > l->class_start[l->classes]) l->class_start[++l->classes] = l->count[0];
    }
    add_class(l, true, -1);
    if (!l->count[0])
        fail(HISS_ERROR_ARGUMENT, "no recording that was kept in memory has a class; raise data.cache_mib");
}

static batch *batch_new(const library *l, int64_t B) {
    batch *b = NEW(batch);
    b->size = B;
    b->mel = tensor_new(F32, SHAPE(B, l->sizes.frames, l->sizes.mels));
    b->noise = tensor_new(F32, SHAPE(B, judge_draws(&l->sizes)));
    b->labels = b->classes = NEW_ARRAY(int32_t, B);
    return b;
}

/* place: in 0 .. 1 of where the clip can begin. */
static void fill(const library *l, batch *b, int64_t i, size_t item, double place, random_key clip) {
    const tensor *f = dataset_features(l->data, item); /* [frames, M] I16 */
    const int64_t F = l->sizes.frames, M = l->sizes.mels, D = b->noise->shape[1], spare = f->shape[0] - F;
    const int64_t first = spare > 0 ? (int64_t) (place * (double) (spare + 1)) : 0,
                  n = (spare < 0 ? f->shape[0] : F) * M;
    const int16_t *from = (const int16_t *) f->data + first * M;
    float *to = f32(b->mel) + i * F * M;
    for (int64_t k = 0; k < F * M; k++) to[k] = k < n ? (float) from[k] * (1.0f / FEATURE_UNIT) : SILENCE;
    random_normal(random_child(clip, DRAW_NOISE), 0, f32(b->noise) + i * D, (size_t) D);
    b->labels[i] = class_of(l, item);
}

static batch *draw_batch(void *context, random_key key, int64_t index, int64_t size, double class_dropout) {
    const library *l = context;
    (void) class_dropout;
    batch *b = batch_new(l, size);
    for (int64_t i = 0; i < size; i++) {
        random_key clip = random_child(random_child(key, 0), (uint64_t) (index * size + i));
        size_t first = 0, n = l->count[0];
        if (l->balance) {
            size_t k = random_below(random_child(clip, DRAW_CLASS), 0, l->classes);
            first = l->class_start[k];
            n = l->class_start[k + 1] - first;
        }
        size_t item = l->items[0][first + random_below(random_child(clip, DRAW_ITEM), 0, n)];
        fill(l, b, i, item, l->anywhere ? random_uniform(random_child(clip, DRAW_PLACE), 0) : 0, clip);
    }
    return b;
}

/* Spread over all that is held out; beginnings. */
static batch *hold_out(void *context, random_key key, int64_t first, int64_t size) {
    const library *l = context;
    const int64_t clips = dataset_held_out_clips(l->data);
    batch *b = batch_new(l, size);
    if (!l->count[1]) fail(HISS_ERROR_ARGUMENT, "no recording held out has a class; set every.held_out to 0");
    for (int64_t i = 0; i < size; i++) {
        random_key clip = random_child(random_child(key, 1), (uint64_t) (first + i));
        fill(l, b, i, l->items[1][(size_t) (first + i) * l->count[1] / (size_t) clips], 0, clip);
    }
    return b;
}

static batch_source source(const trainable_data *d) {
    library *l = NEW(library);
    config data = config_get(d->recipe, "data");
    *l = (library){.data = d->data, .sizes = judge_config_read(d->network)};
    l->anywhere = strcmp(config_string(data, "crop", "random"), "start") != 0;
    l->balance = config_bool(data, "balance", false);
    if (l->sizes.classes < 2)
        fail(HISS_ERROR_ARGUMENT, "%s: a judge needs recordings of two or more classes (data.class)", d->recipe.where);
    shelve(l);
    return (batch_source){l, draw_batch, hold_out, false};
}

/* --- the network --- */

static void *make(config network, binder *b) {
    judge_config c = judge_config_read(network);
    return judge_bind(&c, b);
}

/* Mean and deviation of the features over clips as they will be drawn. */
static void fit(void *model, batch_source s, random_key key) {
    enum { BATCHES = 32, SIZE = 64 };
    const judge_config *c = judge_sizes(model);
    const int64_t D = judge_features(c);
    double *sum = NEW_ARRAY(double, D), *square = NEW_ARRAY(double, D), n = BATCHES * SIZE;
    for (int i = 0; i < BATCHES; i++) {
        scope_begin();
        const float *x = f32(judge_pool(c, s.draw(s.context, key, i, SIZE, 0)->mel));
        for (int64_t k = 0; k < SIZE * D; k++) {
            sum[k % D] += x[k];
            square[k % D] += (double) x[k] * x[k];
        }
        scope_end();
    }
    for (int64_t k = 0; k < D; k++) {
        judge_mean(model)[k] = (float) (sum[k] / n);
        judge_deviation(model)[k] = (float) sqrt(fmax(0, square[k] / n - sum[k] * sum[k] / (n * n)));
    }
}

static tensor *loss(const void *model, const batch *b, loss_trace *trace) {
    (void) trace;
    const tensor *pooled = judge_pool(judge_sizes(model), b->mel);
    const float *random = recording() ? f32(b->noise) : NULL;
    return cross_entropy(judge_forward(model, pooled, random, b->noise->shape[1], NULL), b->labels);
}

static int64_t hop(config network) { return judge_config_read(network).hop; }
static int64_t mels(config network) { return judge_config_read(network).mels; }

static const char *const KEYS[] = {"hop_samples", "n_fft",      "n_mels",  "bands", "hidden",
                                   "range",       "dropout_in", "dropout", "noise", NULL};

const trainable TRAIN_JUDGE = {.name = "judge",
                               .keys = KEYS,
                               .front = "hiss",
                               .hop = hop,
                               .mels = mels,
                               .adapt_front = judge_front,
                               .classes = true,
                               .features = true,
                               .source = source,
                               .make = make,
                               .fit = fit,
                               .loss = loss};
