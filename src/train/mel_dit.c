/* Training of the sound model (models/mel_dit.h): clean patches are predicted from noisy ones at t = sigmoid(N(-0.8, 1)), the error
 * weighted by 1 / max(1 - t, 0.05)^2: that of the flow's velocity, held finite near the clean end. B canvases, N patches, F frames,
 * M bands. */
#include "models/mel_dit.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "diffusion/draws.h"
#include "models/beat_clock.h"
#include "models/tonal_course.h"
#include "systems/shipped.h"
#include "systems/text_embed.h"
#include "tensor/cpu/dnn.h"
#include "tensor/eigen.h"
#include "tensor/ops.h"
#include "train/canvas.h"
#include "train/mel_dit.h"

static const float READING = 0.05f; /* weight of what is read: little, as the norm of all gradients is bounded */
static const double LEVEL_MEAN = -0.8, LEVEL_SPREAD = 1.0,
                    NEAREST = 0.05; /* of t before the sigmoid; to the clean end */
enum { HOP = 512, RATE = 44100 };

static void *make(config network, binder *b) {
    mel_dit_config c = mel_dit_config_read(network);
    return mel_dit_bind(&c, b);
}

int64_t mel_dit_hop(config network) {
    (void) network;
    return HOP;
}

int64_t mel_dit_mels(config network) { return mel_dit_config_read(network).bands; }

const char *const MEL_DIT_KEYS[] = {"width", "blocks",     "heads", "components", "patch",
                                    "bands", "text_width", "music", "reads",      NULL};

/* --- what it sees --- */

static const char *const HANDLES[CANVAS_HANDLES] = {
    [HANDLE_TEXT] = "text",       [HANDLE_CLASS] = "class", [HANDLE_COARSE] = "mel",
    [HANDLE_STYLE] = "reference", [HANDLE_TEMPO] = "tempo", [HANDLE_MELODY] = "melody"};

/* Synonyms of each class: NULL-terminated lists of the recipe's object "classes". */
static const char *const *const *synonyms_of(const recordings *r, config recipe) {
    const char ***lists = NEW_ARRAY(const char **, r->class_count + 1);
    if (!config_has(recipe, "classes")) return (const char *const *const *) lists;
    config classes = config_get(recipe, "classes");
    for (size_t i = 0; i < r->class_count; i++) {
        if (!config_has(classes, r->classes[i])) continue;
        config words = config_get(classes, r->classes[i]);
        lists[i] = NEW_ARRAY(const char *, config_count(words) + 1);
        for (size_t k = 0; k < config_count(words); k++) {
            lists[i][k] = json_string_value(config_at(words, k).value);
            if (!lists[i][k]) fail(HISS_ERROR_FORMAT, "%s: a class's synonyms must be texts", classes.where);
        }
    }
    return (const char *const *const *) lists;
}

/* Opened when the first text is not in the cache. */
static tensor *embed(void *context, const char *const *texts, int64_t n) {
    text_encoder **encoder = context;
    if (!*encoder) {
        scope *inner = scope_switch(scope_parent(scope_current()));
        *encoder = text_encoder_open(shipped_model("text"));
        scope_switch(inner);
    }
    return text_embed(*encoder, texts, n);
}

batch_source mel_dit_source(const trainable_data *d) {
    mel_dit_config c = mel_dit_config_read(d->network);
    canvas_settings s = canvas_settings_read(d->recipe, HANDLES);
    const recordings *list = dataset_recordings(d->data);
    char *cache = path_join(d->out, "captions.safetensors");
    text_encoder *opened = NULL;
    caption_encoder encoder = {embed, &opened, c.text};
    captions *texts = captions_of(list, synonyms_of(list, d->recipe), encoder, cache);
    return canvas_source(d->data, &s, texts, c.frames, c.components);
}

/* --- what is measured before the first step --- */

enum {
    FIT_BATCHES = 64,
    FIT_CLIPS = 16,
    SILENT_PART = 8
};                                        /* canvases of the longest length; one silent patch to so many others */
static const float SILENCE = -11.512925f; /* ln 1e-5 */

/* Frames of canvas i before the silence. */
static int64_t valid_frames(const batch *b, int64_t i) {
    int64_t n = llround((double) b->seconds[i] * RATE / HOP), F = b->mel->shape[1];
    return n < 1 ? 1 : n > F ? F : n;
}

/* Mean and deviation of each band over the frames with sound. */
static void fit_bands(const mel_patches *p, batch_source s, random_key key) {
    int64_t M = p->bands;
    double *sum = NEW_ARRAY(double, M), *square = NEW_ARRAY(double, M), n = 0;
    for (int i = 0; i < FIT_BATCHES; i++) {
        scope_begin();
        const batch *b = s.draw(s.context, key, i, FIT_CLIPS, 0);
        for (int64_t k = 0; k < b->size; k++) {
            int64_t frames = valid_frames(b, k);
            const float *x = f32(b->mel) + k * b->mel->shape[1] * M;
            n += (double) frames;
            for (int64_t j = 0; j < frames * M; j++) {
                sum[j % M] += x[j];
                square[j % M] += (double) x[j] * x[j];
            }
        }
        scope_end();
    }
    for (int64_t m = 0; m < M; m++) {
        double mean = sum[m] / n;
        f32(p->mean)[m] = (float) mean;
        f32(p->deviation)[m] = (float) fmax(sqrt(fmax(square[m] / n - mean * mean, 0)), 0.1);
    }
    param_changed(p->mean->param);
    param_changed(p->deviation->param);
}

/* Adds n patches x [n, W], each `times` times, to their sum [W] and the sum of their outer products [W, W]. */
static void add_patches(double *sum, double *outer, const float *x, int64_t n, int64_t W, double times) {
    scope_begin();
    float *products = alloc((size_t) (W * W) * sizeof *products);
    matmul(1, W, W, n, F32, x, true, x, false, F32, products, false);
    for (int64_t i = 0; i < W * W; i++) outer[i] += times * products[i];
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < W; i++) sum[i] += times * x[r * W + i];
    scope_end();
}

static double add_sounding_patches(const mel_patches *p, const batch *b, double *sum, double *outer) {
    const tensor *x = mel_normalise(p, b->mel);
    int64_t F = x->shape[1], M = p->bands, W = p->frames * M, n = 0;
    float *kept = alloc((size_t) count(x) * sizeof *kept);
    for (int64_t k = 0; k < b->size; k++) {
        int64_t patches = (valid_frames(b, k) + p->frames - 1) / p->frames;
        memcpy(kept + n * W, f32(x) + k * F * M, (size_t) (patches * W) * sizeof *kept);
        n += patches;
    }
    add_patches(sum, outer, kept, n, W, 1);
    return (double) n;
}

static void set_components(const mel_patches *p, const double *vectors, const double *lambda, const double *centre) {
    int64_t W = p->frames * p->bands, P = p->components;
    double roots = 0;
    for (int64_t i = 0; i < W; i++) f32(p->centre)[i] = (float) centre[i];
    for (int64_t i = 0; i < P * W; i++) f32(p->basis)[i] = (float) vectors[i];
    for (int64_t i = 0; i < P; i++) roots += sqrt(fmax(lambda[i], 1e-9));
    for (int64_t i = 0; i < P; i++)
        f32(p->scale)[i] = (float) (sqrt((double) P / roots) / pow(fmax(lambda[i], 1e-9), 0.25));
    param_changed(p->centre->param);
    param_changed(p->basis->param);
    param_changed(p->scale->param);
}

/* Principal components of the patches with sound and some of silence. */
static void fit_components(const mel_patches *p, batch_source s, random_key key) {
    int64_t M = p->bands, W = p->frames * M;
    double *sum = NEW_ARRAY(double, W), *outer = NEW_ARRAY(double, W *W), *lambda = NEW_ARRAY(double, W), n = 0;
    for (int i = 0; i < FIT_BATCHES; i++) {
        scope_begin();
        n += add_sounding_patches(p, s.draw(s.context, key, i, FIT_CLIPS, 0), sum, outer);
        scope_end();
    }
    tensor *silence = tensor_new(F32, SHAPE(1, p->frames, M));
    for (int64_t i = 0; i < W; i++) f32(silence)[i] = SILENCE;
    add_patches(sum, outer, f32(mel_normalise(p, silence)), 1, W, n / SILENT_PART);
    n += n / SILENT_PART;
    for (int64_t i = 0; i < W; i++) sum[i] /= n;
    for (int64_t i = 0; i < W; i++)
        for (int64_t k = 0; k < W; k++) outer[i * W + k] = outer[i * W + k] / n - sum[i] * sum[k];
    symmetric_eigen(outer, W, lambda);
    set_components(p, outer, lambda, sum);
}

static void fit(void *model, batch_source s, random_key key) {
    const mel_patches *p = mel_dit_patches(model);
    scope_begin();
    fit_bands(p, s, key);
    fit_components(p, s, key);
    scope_end();
}

/* --- loss --- */

/* Which of the batch's canvases have a handle. */
static const bool *with(const batch *b, handle which) {
    bool *given = NEW_ARRAY(bool, b->size);
    for (int64_t i = 0; i < b->size; i++) given[i] = b->handles[i] >> which & 1;
    return given;
}

/* Where the beats of each canvas are, for its patches: [B, N, clock + 1]. */
static const tensor *clock_of(const mel_dit *net, const batch *b) {
    const int64_t P = mel_dit_sizes(net)->frames, N = b->mel->shape[1] / P, C = beat_clock_width(P);
    tensor *clock = tensor_zero(F32, SHAPE(b->size, N, C));
    for (int64_t i = 0; i < b->size * N; i++) {
        const double begin = b->begin[i / N] + (double) (i % N * P * HOP) / RATE;
        if (b->bpm[i / N] > 0) beat_clock(f32(clock) + i * C, b->bpm[i / N], begin, (double) HOP / RATE, P);
    }
    return handle_rows(clock, 1, with(b, HANDLE_TEMPO));
}

static const tensor *melody_of(const mel_dit *net, const batch *b) {
    mel_front f = mel_front_named("hiss");
    f.bands = (int) mel_dit_sizes(net)->bands;
    const tensor *course = tonal_course(b->mel, mel_dit_sizes(net)->frames, mel_front_centres(&f));
    return handle_rows(course, 1, with(b, HANDLE_MELODY));
}

mel_dit_condition mel_dit_asked(const mel_dit *net, const batch *b, const tensor *normal) {
    const mel_patches *p = mel_dit_patches(net);
    int64_t *valid = NEW_ARRAY(int64_t, b->size), E = b->text->shape[1];
    for (int64_t i = 0; i < b->size; i++) valid[i] = valid_frames(b, i);
    return (mel_dit_condition){.seconds = b->seconds,
                               .classes = b->classes,
                               .text = handle_rows(b->text, sqrtf((float) E), with(b, HANDLE_TEXT)),
                               .coarse = handle_rows(mel_coarse(p, normal), 1, with(b, HANDLE_COARSE)),
                               .style = handle_rows(mel_style(p, normal, valid), 1, with(b, HANDLE_STYLE)),
                               .clock = mel_dit_sizes(net)->music ? clock_of(net, b) : NULL,
                               .melody = mel_dit_sizes(net)->music ? melody_of(net, b) : NULL};
}

/* [B, P] of the same number along each row. */
static tensor *spread(const float *values, float sign, float shift, int64_t B, int64_t P) {
    tensor *t = tensor_new(F32, SHAPE(B, P));
    for (int64_t i = 0; i < B * P; i++) f32(t)[i] = shift + sign * values[i / P];
    return t;
}

static tensor *denoising_loss(const mel_dit *net, const batch *b, loss_trace *seen) {
    const int64_t B = b->size, P = mel_dit_sizes(net)->components;
    const tensor *normal = mel_normalise(mel_dit_patches(net), b->mel),
                 *w = mel_to_patches(mel_dit_patches(net), normal);
    tensor *weight = tensor_new(F32, SHAPE(B));
    float *t = NEW_ARRAY(float, B);
    for (int64_t i = 0; i < B; i++) {
        const double z0 = normal_of(b->level[i], b->place[i]), at = draw_logit_normal(z0, LEVEL_MEAN, LEVEL_SPREAD),
                     left = fmax(1 - at, NEAREST);
        t[i] = (float) at;
        f32(weight)[i] = (float) (1 / (left * left));
    }
    tensor *z = gated_add(gate_channels(w, spread(t, 1, 0, B, P), F32), b->noise, spread(t, -1, 1, B, P));
    mel_dit_condition c = mel_dit_asked(net, b, normal);
    tensor *predicted = mel_dit_forward(net, z, t, &c);
    if (seen) *seen = (loss_trace){z, predicted, t};
    return weighted_mse_loss(predicted, w, weight);
}

/* How ill the class and the length of each clip are read of its text. */
static tensor *reading_loss(const mel_dit *net, const batch *b) {
    const int64_t B = b->size, K = mel_dit_sizes(net)->classes;
    const tensor *said = mel_dit_read(net, handle_rows(b->text, sqrtf((float) b->text->shape[1]), NULL));
    tensor *length = tensor_new(F32, SHAPE(B, 1));
    for (int64_t i = 0; i < B; i++) f32(length)[i] = logf(fmaxf(b->seconds[i], (float) HOP / RATE));
    return add(cross_entropy(slice_channels(said, 0, K), b->labels), mse_loss(slice_channels(said, K, 1), length), F32);
}

/* All that is learned: of noise, and of words. */
static tensor *loss(const void *model, const batch *b, loss_trace *seen) {
    tensor *error = denoising_loss(model, b, seen);
    if (!mel_dit_sizes(model)->reads) return error;
    return add(error, scale(reading_loss(model, b), READING, F32), F32);
}

static tensor *measure(const void *model, const batch *b) { return denoising_loss(model, b, NULL); }

const trainable TRAIN_MEL_DIT = {MEL_DIT_ROW,  .make = make,       .fit = fit,
                                 .loss = loss, .measure = measure, .few_steps = &DISTIL_MEL_DIT};
