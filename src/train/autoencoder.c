/* Training of the autoencoder of stable-audio-tools' models, its decoder or both halves, from a published file (Evans et al. 2024,
 * arXiv 2407.14358): short-time spectra, A weighted, of sum, difference and channels, and where the encoder learns the divergence
 * of what it believes. The original's discriminator is not here. B clips, T samples, A channels, N positions, L numbers of a latent. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/progress.h"
#include "base/text.h"
#include "models/spectral_loss.h"
#include "signal/fit.h"
#include "systems/codec.h"
#include "tensor/ops.h"
#include "train/checkpoint.h"
#include "train/published.h"
#include "train/trainable.h"

enum { MOST_RESOLUTIONS = 16, USUAL_SAMPLES = 65536 };

typedef struct {
    codec_learner learner;
    bool encoder; /* learns too */
    spectral_losses spectral;
    float divergence; /* weight */
} autoencoder_training;

/* --- what is trained --- */

/* The recipe's "autoencoder"; resolutions of the original's configurations where it says nothing. */
static spectral_losses read_losses(config own, int rate) {
    static const double USUAL[] = {2048, 1024, 512, 256, 128, 64, 32};
    size_t n, hops;
    const double *sizes = config_numbers(own, "fft_sizes", MOST_RESOLUTIONS, &n);
    const double *steps = config_numbers(own, "hop_sizes", MOST_RESOLUTIONS, &hops);
    if (!n) sizes = USUAL, n = sizeof USUAL / sizeof *USUAL;
    if (hops && hops != n) fail(HISS_ERROR_ARGUMENT, "%s: as many hop_sizes as fft_sizes are needed", own.where);
    stft_shape *shapes = NEW_ARRAY(stft_shape, n);
    for (size_t i = 0; i < n; i++) {
        const double size = fmin(fmax(sizes[i], 0), STFT_MAX_SIZE + 1);
        const double hop = hops ? fmin(fmax(steps[i], 0), STFT_MAX_SIZE + 1) : floor(size / 4);
        shapes[i] = (stft_shape){(int) size, (int) size, (int) hop, STFT_CENTRED, false};
        stft_check(&shapes[i]);
    }
    return (spectral_losses){shapes, (int) n, 1e-8f, config_bool(own, "weighted", true) ? rate : 0};
}

static adopted_model *adopt(const char *from, config recipe) {
    static const char *const keys[] = {"encoder", "fft_sizes", "hop_sizes", "weighted", "divergence", NULL};
    const config none = config_parse("{}", 2, "autoencoder"),
                 own = config_has(recipe, "autoencoder") ? config_get(recipe, "autoencoder") : none;
    autoencoder_training *m = NEW(autoencoder_training);
    struct stat file;
    config_only(own, keys);
    m->learner = codec_open_learning(from);
    m->encoder = config_bool(own, "encoder", false);
    m->spectral = read_losses(own, m->learner.rate);
    m->divergence = (float) config_number(own, "divergence", 1e-4, 0, 1e6);
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

static batch_source make_source(const trainable_data *d) {
    static const char *const keys[] = {"path", "sample_rate", "seconds", "held_out", "held_out_clips", "balance", NULL};
    const autoencoder_training *m = d->adopted->network;
    const oobleck_config *c = oobleck_sizes(m->learner.net);
    config_only(config_get(d->recipe, "data"), keys);
    source *s = NEW(source);
    *s = (source){.list = dataset_recordings(d->data), .rate = m->learner.rate};
    s->channels = (int) c->audio;
    s->latent = c->latent;
    s->samples = (d->adopted->samples + c->ratio - 1) / c->ratio * c->ratio;
    s->positions = oobleck_frames(m->learner.net, s->samples);
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
    tensor *sum = A == 2 ? sum_and_difference_loss(x, y, &m->spectral) : NULL;
    for (int channel = 0; channel < A; channel++) {
        tensor *one = scale(channel_loss(x, y, channel, &m->spectral), 1 / (float) A, F32);
        sum = sum ? add(sum, one, F32) : one;
    }
    return sum;
}

static tensor *loss(const void *model, const batch *b, loss_trace *trace) {
    const autoencoder_training *m = model;
    const oobleck *net = m->learner.net;
    const bool variational = oobleck_sizes(net)->variational, was = m->encoder ? false : tape_pause();
    const tensor *encoded = oobleck_encode(net, b->audio), *z = variational ? draw_latents(encoded, b->noise) : encoded;
    if (!m->encoder) tape_resume(was);
    const tensor *x = b->audio, *y = oobleck_decode(net, z);
    const int64_t n = y->shape[1] < x->shape[1] ? y->shape[1] : x->shape[1]; /* odd strides lose some */
    if (y->shape[1] > n) y = slice_time(y, 0, n);
    if (x->shape[1] > n) x = slice_time(x, 0, n);
    if (trace) *trace = (loss_trace){NULL, (tensor *) y, NULL};
    tensor *sum = spectra_apart(m, x, y);
    if (!m->encoder || !variational) return sum;
    return add(sum, scale(divergence(encoded), m->divergence, F32), F32);
}

/* --- saved as it came --- */

static const char *same_name(const store *s, const char *name) {
    (void) s;
    return name;
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
                                     .loss = loss};
