/* See features.h. */
#include "eval/features.h"

#include <math.h>
#include <string.h>

#include "base/progress.h"
#include "models/cnn14.h"
#include "models/vggish.h"
#include "signal/mel.h"
#include "signal/sinc.h"

typedef tensor *(*listen)(const feature_source *f, const audio *sound, tensor **scores);

struct feature_source {
    const char *name;
    int64_t size, classes; /* D, K or 0 */
    listen of;
    vggish *vggish;
    cnn14 *cnn14;
    const cnn14_front *front;
};

/* --- log-mel statistics --- */

enum { MEL_GROUP = 4, MEL_BANDS = 32 }; /* of the 128 bands of hiss's own front end */

/* Mean and standard deviation over time of each group of bands. */
static tensor *mel_statistics(const feature_source *f, const audio *sound, tensor **scores) {
    (void) f;
    (void) scores;
    const mel_front front = mel_front_named("hiss");
    tensor *out = tensor_zero(F32, SHAPE(1, 2 * MEL_BANDS));
    scope_begin();
    const audio *mono = audio_resample(audio_mix_down(sound), front.rate);
    const tensor *mel = mel_compute(&front, mono->samples, mono->frames);
    const int64_t F = mel->shape[0];
    for (int m = 0; m < MEL_BANDS; m++) {
        double sum = 0, square = 0;
        for (int64_t t = 0; t < F; t++) {
            double level = 0;
            for (int k = 0; k < MEL_GROUP; k++) level += f32(mel)[(t * MEL_BANDS + m) * MEL_GROUP + k] / MEL_GROUP;
            sum += level;
            square += level * level;
        }
        f32(out)[m] = (float) (sum / (double) F);
        f32(out)[MEL_BANDS + m] = (float) sqrt(fmax(0, square / (double) F - sum * sum / (double) (F * F)));
    }
    scope_end();
    return out;
}

/* --- networks --- */

static float *continued(const audio *mono, int64_t least, int64_t *n) {
    *n = mono->frames > least ? mono->frames : least;
    float *samples = NEW_ARRAY(float, *n);
    memcpy(samples, mono->samples, (size_t) mono->frames * sizeof(float));
    return samples;
}

/* fadtk: mean of the channels, its own resampler, 16 bits, a second at least. */
static tensor *listen_vggish(const feature_source *f, const audio *sound, tensor **scores) {
    (void) scores;
    int64_t n;
    scope_begin();
    const audio *mono = sinc_resample(audio_mix_down(sound), VGGISH_RATE, &SINC_FADTK);
    float *samples = continued(mono, VGGISH_RATE, &n);
    for (int64_t i = 0; i < n; i++) samples[i] = fminf(fmaxf(rintf(samples[i] * 32767), -32768), 32767) / 32768;
    return scope_end_keep(vggish_forward(f->vggish, vggish_patches(samples, n)));
}

/* audioldm_eval: the first channel without its mean, torchaudio's resampler, 32000 samples at least. */
static tensor *listen_cnn14(const feature_source *f, const audio *sound, tensor **scores) {
    enum { LEAST = 32000 };
    int64_t n;
    double mean = 0;
    tensor *logits;
    scope_begin();
    audio *mono = audio_channel(sound, 0);
    for (int64_t i = 0; i < mono->frames; i++) mean += mono->samples[i] / (double) mono->frames;
    for (int64_t i = 0; i < mono->frames; i++) mono->samples[i] -= (float) mean;
    const float *samples = continued(sinc_resample(mono, f->front->rate, &SINC_TORCHAUDIO), LEAST, &n);
    tensor *features = cnn14_forward(f->cnn14, cnn14_mel(f->front, samples, n), &logits);
    SCOPE_END_KEEP(&features, &logits);
    if (scores) *scores = logits;
    return features;
}

/* --- the door --- */

feature_source *features_open(const char *path) {
    feature_source *f = NEW(feature_source);
    *f = (feature_source){.name = "log-mel statistics", .size = 2 * MEL_BANDS, .of = mel_statistics};
    if (!path) return f;
    const store *s = store_open(path);
    binder *b = binder_load(s);
    if (vggish_known(s)) {
        *f = (feature_source){
            .name = "VGGish", .size = VGGISH_FEATURES, .of = listen_vggish, .vggish = vggish_bind(s, b)};
    } else if (cnn14_known(s)) {
        *f = (feature_source){.name = "Cnn14", .size = CNN14_FEATURES, .classes = CNN14_CLASSES, .of = listen_cnn14};
        f->cnn14 = cnn14_bind(b);
        f->front = cnn14_front_of(s);
    } else {
        fail(HISS_ERROR_FORMAT, "%s: neither VGGish nor Cnn14; hiss info %s --tensors shows what is inside", path,
             path);
    }
    binder_finish(b, false); /* beside the weights lie fixed matrices and counters */
    return f;
}

const char *features_name(const feature_source *f) { return f->name; }
int64_t features_size(const feature_source *f) { return f->size; }

tensor *features_of(const feature_source *f, const audio *sound, tensor **scores) {
    if (scores) *scores = NULL;
    return f->of(f, sound, scores);
}

/* --- lists --- */

typedef struct {
    const feature_source *source;
    const char *path;
    tensor *rows, *scores;
} hearing;

static void hear(void *argument) {
    hearing *h = argument;
    scope_begin();
    h->rows = features_of(h->source, audio_read(h->path), &h->scores);
    if (h->scores) SCOPE_END_KEEP(&h->rows, &h->scores);
    else h->rows = scope_end_keep(h->rows);
    scope_end_merge();
    scope_begin();
}

/* One under the other; all have the same width. */
static tensor *stack(tensor *const *parts, int64_t n, int64_t width) {
    int64_t rows = 0;
    for (int64_t i = 0; i < n; i++) rows += parts[i]->shape[0];
    tensor *all = tensor_new(F32, SHAPE(rows, width));
    float *to = f32(all);
    for (int64_t i = 0; i < n; to += count(parts[i++])) memcpy(to, f32(parts[i]), tensor_bytes(parts[i]));
    return all;
}

feature_set *features_of_list(const feature_source *f, const recordings *list, const char *name) {
    feature_set *s = NEW(feature_set);
    tensor **rows = NEW_ARRAY(tensor *, list->count), **scores = NEW_ARRAY(tensor *, list->count);
    *s = (feature_set){.name = name, .files = NEW_ARRAY(const char *, list->count)};
    for (size_t i = 0; i < list->count; i++) {
        hearing h = {.source = f, .path = list->items[i].path};
        hiss_error error;
        progress("listening", (int64_t) i, (int64_t) list->count);
        if (!try_run(hear, &h, &error)) {
            if (error.code == HISS_ERROR_MEMORY || error.code == HISS_ERROR_INTERRUPTED) fail_again(&error);
            warn("skipped: %s", error.message);
            continue;
        }
        rows[s->sounds] = h.rows;
        scores[s->sounds] = h.scores;
        s->files[s->sounds++] = list->items[i].name;
    }
    if (!s->sounds) fail(HISS_ERROR_ARGUMENT, "%s: none of its %zu sounds can be used", name, list->count);
    s->rows = stack(rows, s->sounds, f->size);
    if (f->classes) s->scores = stack(scores, s->sounds, f->classes);
    return s;
}
