/* Training of the autoencoder of stable-audio-tools' models, its decoder or both halves, from a published file (Evans et al. 2024,
 * arXiv 2407.14358): short-time spectra, A weighted, of sum, difference and channels, and where the encoder learns the divergence
 * of what it believes; by turns with a discriminator where one is named. B clips, T samples, A channels, N positions, L numbers of a latent. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/progress.h"
#include "base/text.h"
#include "signal/fit.h"
#include "systems/codec.h"
#include "systems/stable_native.h"
#include "tensor/ops.h"
#include "train/autoencoder_losses.h"
#include "train/checkpoint.h"
#include "train/published.h"
#include "train/trainable.h"

enum { USUAL_SAMPLES = 65536 };

typedef struct {
    codec_learner learner;
    bool encoder; /* learns too */
    autoencoder_losses losses;
    const discriminator *judge; /* or NULL */
    bool judged;                /* in this step the autoencoder is told what the judge thinks */
} autoencoder_training;

/* --- what is trained --- */

static params *make_judge(void *model, random_key key);
static optimizer_settings judge_optimizer(const void *model);
static bool judge_turn(void *model, int64_t step);
static tensor *judge_loss(const void *model, const batch *b);
static const rival_row DISCRIMINATOR = {"discriminator", make_judge, judge_optimizer, judge_turn, judge_loss};

static adopted_model *adopt(const char *path, config recipe, const char *out) {
    const char *from = stable_native_folder(path, out);
    autoencoder_training *m = NEW(autoencoder_training);
    struct stat file;
    m->learner = codec_open_learning(from);
    m->losses =
        autoencoder_losses_read(recipe, m->learner.settings, m->learner.rate, oobleck_sizes(m->learner.net)->audio);
    m->encoder = config_has(recipe, "autoencoder") && config_bool(config_get(recipe, "autoencoder"), "encoder", false);
    for (size_t i = 0; i < m->learner.parameters->count; i++) {
        param *p = m->learner.parameters->items[i];
        if (!m->encoder && starts_with(p->name, m->learner.encoder)) p->trainable = false;
    }
    adopted_model *a = NEW(adopted_model);
    *a = (adopted_model){.path = from,
                         .network = m,
                         .parameters = m->learner.parameters,
                         .settings = m->learner.settings,
                         .rate = m->learner.rate,
                         .samples = USUAL_SAMPLES,
                         .rival = m->losses.judged ? &DISCRIMINATOR : NULL,
                         .bytes = stat(m->learner.weights, &file) ? 0 : file.st_size};
    return a;
}

/* --- its batches: crops of all channels from anywhere in a recording, which is decoded for each --- */

typedef struct {
    const recordings *list;
    int rate, channels;
    int64_t samples, positions, latent; /* T, N, L */
} source;

static double draw(random_key clip, uint64_t what) { return random_uniform(random_child(clip, what), 0); }
enum { DRAW_CROP, DRAW_LEVEL, DRAW_NOISE };

static void fill(const void *of, batch *b, int64_t i, size_t which, random_key clip, bool training) {
    (void) training;
    const source *s = of;
    const int64_t T = s->samples, A = s->channels, each = s->positions * s->latent;
    scope_begin();
    const audio *a = audio_read(s->list->items[which].path);
    const int64_t wanted = (T * a->rate + s->rate - 1) / s->rate + 1, spare = a->frames - wanted;
    const int64_t first = spare > 0 ? (int64_t) (draw(clip, DRAW_CROP) * (double) (spare + 1)) : 0;
    const audio *cut = spare > 0 ? audio_cut(a, first, wanted) : a, *fitted = audio_fit(cut, s->rate, T, (int) A);
    float *to = f32(b->audio) + i * T * A;
    for (int64_t k = 0; k < T * A; k++) to[k] = fminf(fmaxf(fitted->samples[k], -1), 1);
    scope_end();
    random_normal(random_child(clip, DRAW_NOISE), 0, f32(b->noise) + i * each, (size_t) each);
    b->level[i] = draw(clip, DRAW_LEVEL);
}

static batch *batch_new(const void *of, int64_t B) {
    const source *s = of;
    batch *b = NEW(batch);
    *b = (batch){.size = B,
                 .audio = tensor_new(F32, SHAPE(B, s->samples, s->channels)),
                 .noise = tensor_new(F32, SHAPE(B, s->positions, s->latent)),
                 .level = NEW_ARRAY(double, B),
                 .place = NEW_ARRAY(double, B)};
    return b;
}

static void try_recording(void *path) { audio_read(path); }

/* Windows of the discriminator are not padded. */
static void check_length(const autoencoder_training *m, int64_t samples) {
    const discriminator_config *d = &m->losses.discriminator;
    for (int i = 0; m->losses.judged && i < d->scale_count; i++)
        if (d->scales[i].n_fft > samples)
            fail(HISS_ERROR_ARGUMENT,
                 "data.seconds: clips of %lld samples are shorter than the discriminator's window of %d",
                 (long long) samples, d->scales[i].n_fft);
}

static batch_source make_source(const trainable_data *d) {
    static const char *const keys[] = {"path", "sample_rate", "seconds", "held_out", "held_out_clips", "balance", NULL};
    const autoencoder_training *m = d->adopted->network;
    const oobleck_config *c = oobleck_sizes(m->learner.net);
    stable_files files;
    config_only(config_get(d->recipe, "data"), keys);
    if (stable_files_find(d->adopted->path, &files)) stable_text_link(&files, m->learner.settings, d->out);
    source *s = NEW(source);
    *s = (source){.list = dataset_recordings(d->data), .rate = m->learner.rate};
    s->channels = (int) c->audio;
    s->latent = c->latent;
    s->samples = (d->adopted->samples + c->ratio - 1) / c->ratio * c->ratio;
    s->positions = oobleck_frames(m->learner.net, s->samples);
    check_length(m, oobleck_samples(m->learner.net, s->positions));
    bool *usable = NEW_ARRAY(bool, s->list->count);
    for (size_t i = 0; i < s->list->count; i++) {
        hiss_error error;
        progress("reading recordings", (int64_t) i, (int64_t) s->list->count);
        usable[i] = try_run(try_recording, (void *) s->list->items[i].path, &error);
        if (usable[i]) continue;
        if (error.code == HISS_ERROR_MEMORY || error.code == HISS_ERROR_INTERRUPTED) fail_again(&error);
        warn("skipped: %s", error.message);
    }
    dataset_keep(d->data, usable);
    return dataset_made(&(batch_maker){d->data, s, batch_new, fill});
}

/* --- loss --- */

/* Of two channels as the original weighs them; of others each for itself. */
static tensor *spectra_apart(const autoencoder_training *m, const tensor *x, const tensor *y) {
    const int64_t A = x->shape[2];
    tensor *sum = A == 2 ? sum_and_difference_loss(x, y, &m->losses.spectral) : NULL;
    for (int channel = 0; channel < A; channel++) {
        tensor *one = scale(channel_loss(x, y, channel, &m->losses.spectral), 1 / (float) A, F32);
        sum = sum ? add(sum, one, F32) : one;
    }
    return sum;
}

/* Recorded and decoded sound [B, T, A] of one length, and what the encoder gave. */
typedef struct {
    const tensor *x, *y, *encoded;
    bool variational;
} passed;

static passed pass(const autoencoder_training *m, const batch *b) {
    const oobleck *net = m->learner.net;
    passed p = {.variational = oobleck_sizes(net)->variational};
    const bool was = m->encoder ? false : tape_pause();
    p.encoded = oobleck_encode(net, b->audio);
    const tensor *z = p.variational ? draw_latents(p.encoded, b->noise) : p.encoded;
    if (!m->encoder) tape_resume(was);
    p.x = b->audio, p.y = oobleck_decode(net, z);
    const int64_t n = p.y->shape[1] < p.x->shape[1] ? p.y->shape[1] : p.x->shape[1]; /* odd strides lose some */
    if (p.y->shape[1] > n) p.y = slice_time(p.y, 0, n);
    if (p.x->shape[1] > n) p.x = slice_time(p.x, 0, n);
    return p;
}

static tensor *add_weighted(tensor *sum, const tensor *one, float weight) {
    return add(sum, scale(one, weight, F32), F32);
}

static tensor *loss_of(const autoencoder_training *m, const passed *p) {
    const autoencoder_losses *l = &m->losses;
    tensor *sum = spectra_apart(m, p->x, p->y);
    if (l->spectral_weight != 1) sum = scale(sum, l->spectral_weight, F32);
    if (l->time_l1 > 0) sum = add_weighted(sum, l1_loss(p->y, p->x), l->time_l1);
    if (l->time_l2 > 0) sum = add_weighted(sum, mse_loss(p->y, p->x), l->time_l2);
    if (m->encoder && p->variational) sum = add_weighted(sum, divergence(p->encoded), l->divergence);
    return sum;
}

static tensor *loss(const void *model, const batch *b, loss_trace *trace) {
    const autoencoder_training *m = model;
    const passed p = pass(m, b);
    if (trace) *trace = (loss_trace){NULL, (tensor *) p.y, NULL};
    tensor *sum = loss_of(m, &p);
    if (!m->judged) return sum;
    const judgement j = discriminator_judge(m->judge, p.x, p.y);
    sum = add_weighted(sum, j.adversarial, m->losses.adversarial);
    return add_weighted(sum, j.features, m->losses.features);
}

/* Comparable with other steps: without the judge, who learns. */
static tensor *measure(const void *model, const batch *b) {
    const autoencoder_training *m = model;
    const passed p = pass(m, b);
    return loss_of(m, &p);
}

/* --- the discriminator: odd steps are its own, as the original's are --- */

static const char JUDGE[] = "discriminator.";

/* A file that training left may hold it. */
static params *make_judge(void *model, random_key key) {
    autoencoder_training *m = model;
    const store *s = store_open(m->learner.weights);
    bool there = false;
    for (size_t i = 0; i < store_count(s); i++) there = there || starts_with(store_at(s, i)->name, JUDGE);
    binder *b = there ? binder_load(s) : binder_new(key);
    m->judge = discriminator_bind(&m->losses.discriminator, b);
    params *p = binder_finish(b, false);
    if (!there) discriminator_begin(m->judge);
    return p;
}

static optimizer_settings judge_optimizer(const void *model) {
    return ((const autoencoder_training *) model)->losses.optimizer;
}

static bool judge_turn(void *model, int64_t step) {
    autoencoder_training *m = model;
    m->judged = step >= m->losses.warmup;
    return step % 2 == 1 && (m->losses.early || m->judged);
}

static tensor *judge_loss(const void *model, const batch *b) {
    const autoencoder_training *m = model;
    const bool was = tape_pause();
    const passed p = pass(m, b);
    tape_resume(was);
    return discriminator_loss(m->judge, p.x, p.y);
}

/* --- saved as it came --- */

/* A discriminator's are in the run's state alone. */
static const char *same_name(const store *s, const char *name) {
    (void) s;
    return starts_with(name, JUDGE) ? NULL : name;
}

static void write_weights(const saved_model *m, const char *path) {
    const autoencoder_training *t = m->network;
    published_write(path, t->learner.weights, m->weights, same_name);
}

static void write_adapters(const saved_model *m, const char *path) { lora_save(m->adapters, path); }

static const model_layout LAYOUT = {"model_config.json", "model.safetensors", false, write_weights, write_adapters};

static const char *const KEYS[] = {NULL};

const trainable TRAIN_AUTOENCODER = {.name = "autoencoder",
                                     .keys = KEYS,
                                     .listed = true,
                                     .adopt = adopt,
                                     .layout = &LAYOUT,
                                     .source = make_source,
                                     .loss = loss,
                                     .measure = measure};
