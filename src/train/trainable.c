/* The systems that can be trained: see trainable.h. B batch, T samples, F frames, M mels. */
#include "train/trainable.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/draws.h"
#include "models/diffwave.h"
#include "models/wave_unet.h"
#include "models/wavegrad.h"
#include "tensor/ops.h"

/* x = signal[b] audio + noise[b] noise. */
static tensor *mix(const batch *b, const float *signal, const float *noise) {
    int64_t T = b->audio->shape[1];
    tensor *x = tensor_new(F32, shape_of(b->audio));
    for (int64_t i = 0; i < b->size; i++)
        for (int64_t t = i * T; t < (i + 1) * T; t++)
            f32(x)[t] = signal[i] * f32(b->audio)[t] + noise[i] * f32(b->noise)[t];
    return x;
}

/* --- DiffWave: a whole step of training per clip, L1 between the noise and its prediction --- */

typedef struct {
    diffwave *net;
    float *alpha_bar; /* [steps] */
    int64_t steps;
} diffwave_training;

static void *make_diffwave(config network, binder *b) {
    diffwave_training *m = NEW(diffwave_training);
    diffwave_config c = diffwave_config_read(network);
    m->net = diffwave_bind(&c, b);
    size_t n;
    double *betas = diffwave_betas(network, &n), product = 1;
    m->steps = (int64_t) n;
    m->alpha_bar = NEW_ARRAY(float, n);
    for (size_t i = 0; i < n; i++) m->alpha_bar[i] = (float) (product *= 1 - betas[i]);
    return m;
}

static tensor *diffwave_loss(const void *model, const batch *b, loss_trace *trace) {
    const diffwave_training *m = model;
    float *signal = NEW_ARRAY(float, b->size), *noise = NEW_ARRAY(float, b->size), *step = NEW_ARRAY(float, b->size);
    for (int64_t i = 0; i < b->size; i++) {
        int64_t t = (int64_t) (b->level[i] * (double) m->steps);
        step[i] = (float) t;
        signal[i] = sqrtf(m->alpha_bar[t]);
        noise[i] = sqrtf(1 - m->alpha_bar[t]);
    }
    tensor *x = mix(b, signal, noise);
    bool classes = diffwave_sizes(m->net)->classes > 0;
    tensor *y = diffwave_forward(m->net, x, step, b->mel, classes ? b->classes : NULL);
    if (trace) *trace = (loss_trace){x, y, step};
    return l1_loss(y, b->noise);
}

static int64_t diffwave_hop(config network) {
    (void) network;
    return DIFFWAVE_HOP;
}

static int64_t diffwave_mels(config network) { return diffwave_config_read(network).mels; }

static const char *const DIFFWAVE_KEYS[] = {"residual_layers",
                                            "residual_channels",
                                            "dilation_cycle_length",
                                            "embedding_hidden",
                                            "n_mels",
                                            "unconditional",
                                            "noise_schedule",
                                            "inference_noise_schedule",
                                            NULL};

static const trainable DIFFWAVE = {.name = "diffwave",
                                   .keys = DIFFWAVE_KEYS,
                                   .front = "diffwave",
                                   .hop = diffwave_hop,
                                   .mels = diffwave_mels,
                                   .classes = true,
                                   .make = make_diffwave,
                                   .loss = diffwave_loss};

/* --- WaveGrad: a continuous noise level per clip, L1 --- */

typedef struct {
    wavegrad *net;
    float *level; /* [segments + 1]: 1, then sqrt of the cumulative alpha */
    int64_t segments;
} wavegrad_training;

float *wavegrad_levels(config network, size_t *n) {
    size_t segments;
    double *betas = wavegrad_betas(network, &segments), product = 1;
    float *level = NEW_ARRAY(float, segments + 1);
    level[0] = 1;
    for (size_t i = 0; i < segments; i++) level[i + 1] = (float) sqrt(product *= 1 - betas[i]);
    *n = segments + 1;
    return level;
}

static void *make_wavegrad(config network, binder *b) {
    wavegrad_training *m = NEW(wavegrad_training);
    wavegrad_config c = wavegrad_config_read(network);
    m->net = wavegrad_bind(&c, b);
    size_t n;
    m->level = wavegrad_levels(network, &n);
    m->segments = (int64_t) n - 1;
    return m;
}

static tensor *wavegrad_loss(const void *model, const batch *b, loss_trace *trace) {
    const wavegrad_training *m = model;
    float *level = NEW_ARRAY(float, b->size), *noise = NEW_ARRAY(float, b->size);
    for (int64_t i = 0; i < b->size; i++) {
        int64_t s = 1 + (int64_t) (b->level[i] * (double) m->segments);
        level[i] = m->level[s - 1] + (float) b->place[i] * (m->level[s] - m->level[s - 1]);
        noise[i] = sqrtf(1 - level[i] * level[i]);
    }
    tensor *x = mix(b, level, noise);
    tensor *y = wavegrad_forward(m->net, x, b->mel, level, NULL);
    if (trace) *trace = (loss_trace){x, y, level};
    return l1_loss(y, b->noise);
}

static int64_t wavegrad_hop_of(config network) {
    wavegrad_config c = wavegrad_config_read(network);
    return wavegrad_hop(&c);
}

static int64_t wavegrad_mels(config network) { return wavegrad_config_read(network).mels; }

static const char *const WAVEGRAD_KEYS[] = {"mel_channels",
                                            "first_channels",
                                            "down_channels",
                                            "up_channels",
                                            "down_factors",
                                            "up_factors",
                                            "up_dilations",
                                            "noise_schedule",
                                            "noise_schedule_linspace",
                                            "inference_noise_schedule",
                                            NULL};

static const trainable WAVEGRAD = {.name = "wavegrad",
                                   .keys = WAVEGRAD_KEYS,
                                   .front = "wavegrad",
                                   .hop = wavegrad_hop_of,
                                   .mels = wavegrad_mels,
                                   .make = make_wavegrad,
                                   .loss = wavegrad_loss};

/* --- the waveform U-Net: noise levels of any size over whitened sounds, v-prediction's error --- */

static const double LEVEL_MEAN = -0.4, LEVEL_SPREAD = 1.5; /* of ln(sigma) */

static void *make_wave_unet(config network, binder *b) {
    wave_unet_config c = wave_unet_config_read(network);
    return wave_unet_bind(&c, b);
}

/* The level of each class over time: root of the mean square of its clips in frames, smoothed over 9 frames, never
 * below -50 dB. */
static void fit_wave_unet(void *model, batch_source s, random_key key) {
    enum { BATCHES = 64, SIZE = 64, REACH = 4 };
    static const float LEAST = 0.003f;
    const wave_unet_config *c = wave_unet_sizes(model);
    int64_t K = c->classes, F = c->frames;
    double *sum = NEW_ARRAY(double, K *F), *clips = NEW_ARRAY(double, K);
    for (int i = 0; i < BATCHES; i++) {
        scope_begin();
        const batch *b = s.draw(s.context, key, i, SIZE, 0);
        int64_t T = b->audio->shape[1];
        for (int64_t k = 0; k < SIZE; k++) {
            int32_t label = b->labels[k] < 0 ? 0 : b->labels[k];
            clips[label]++;
            for (int64_t t = 0; t < T && t / ENVELOPE_FRAME < F; t++)
                sum[label * F + t / ENVELOPE_FRAME] += pow(f32(b->audio)[k * T + t], 2) / ENVELOPE_FRAME;
        }
        scope_end();
    }
    for (int64_t k = 0; k < K; k++)
        for (int64_t i = 0; i < F; i++) {
            double mean = 0;
            for (int64_t j = i - REACH; j <= i + REACH; j++)
                mean += sum[k * F + (j < 0 ? 0 : j >= F ? F - 1 : j)] / (2 * REACH + 1) / fmax(clips[k], 1);
            wave_unet_envelope(model)[k * F + i] = fmaxf((float) sqrt(mean), LEAST);
        }
}

static tensor *wave_unet_loss(const void *model, const batch *b, loss_trace *seen) {
    int64_t T = b->audio->shape[1];
    tensor *w = tensor_from(f32(b->audio), shape_of(b->audio));
    wave_unet_whiten(model, w, b->labels);
    float *sigma = NEW_ARRAY(float, b->size);
    tensor *z = tensor_new(F32, shape_of(w)), *target = tensor_new(F32, shape_of(w));
    for (int64_t i = 0; i < b->size; i++) {
        double s = draw_log_normal(normal_of(b->level[i], b->place[i]), LEVEL_MEAN, LEVEL_SPREAD),
               k = 1 / sqrt(s * s + 1);
        sigma[i] = (float) s;
        for (int64_t t = i * T; t < (i + 1) * T; t++) {
            double clean = f32(w)[t], n = f32(b->noise)[t];
            f32(z)[t] = (float) (k * (clean + s * n));
            f32(target)[t] = (float) (s * k * clean - k * n); /* (w - k^2 (w + s n)) / (s k) */
        }
    }
    tensor *y = wave_unet_forward(model, z, sigma, b->classes);
    if (seen) *seen = (loss_trace){z, y, sigma};
    return mse_loss(y, target);
}

static int64_t wave_unet_no_mels(config network) {
    (void) network;
    return 0;
}

static const char *const WAVE_UNET_KEYS[] = {"patch",     "widths",     "depths", "down", "embedding_hidden",
                                             "sigma_low", "sigma_high", NULL};

static const trainable WAVE_UNET = {.name = "wave-unet",
                                    .keys = WAVE_UNET_KEYS,
                                    .hop = wave_unet_no_mels,
                                    .mels = wave_unet_no_mels,
                                    .classes = true,
                                    .make = make_wave_unet,
                                    .fit = fit_wave_unet,
                                    .loss = wave_unet_loss};

/* --- the table --- */

const trainable *const TRAINABLES[] = {&DIFFWAVE,           &WAVEGRAD,          &WAVE_UNET,
                                       &TRAIN_MEL_DIT,      &TRAIN_VOCODER,     &TRAIN_JUDGE,
                                       &TRAIN_STABLE_AUDIO, &TRAIN_AUTOENCODER, NULL};

const trainable *trainable_named(const char *name) {
    enum { MOST = 32 };
    const char *names[MOST];
    size_t n = 0;
    for (; TRAINABLES[n] && n < MOST; n++) {
        names[n] = TRAINABLES[n]->name;
        if (!strcmp(names[n], name)) return TRAINABLES[n];
    }
    fail(HISS_ERROR_ARGUMENT, "system '%s' cannot be trained; %s", name, suggest(name, names, n));
}
