/* Whole networks with random weights: sampling as a user does it, a training step, memory of long sounds. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "models/diffwave.h"
#include "models/vocoder.h"
#include "models/wave_unet.h"
#include "models/wavegrad.h"
#include "systems/rows.h"
#include "tensor/ops.h"
#include "train/optimizer.h"

/* Per second of audio and pass, counted from the originals; training is taken as three forward passes. */
static const double DIFFWAVE_GFLOP = 57.0, WAVEGRAD_GFLOP = 64.4, WAVE_UNET_GFLOP = 1.40;
enum { RATE = 22050, PASSES = 6, WINDOW = 1 << 16 };

typedef struct {
    model m;
    tensor *audio, *mel, *target;
    int passes;
    optimizer *optimizer;
} job;

static double seconds_of(const job *j) { return (double) count(j->audio) / RATE; }

static tensor *noise(shape s) {
    tensor *t = tensor_new(F32, s);
    memcpy(t->data, random_floats(count(t), 1), tensor_bytes(t));
    return t;
}

static void give_sound(job *j, int64_t batch, int64_t frames) {
    j->audio = noise(SHAPE(batch, frames * j->m.hop));
    j->mel = noise(SHAPE(batch, frames, j->m.mels));
}

static job diffwave_job(void) {
    static double betas[50];
    for (int i = 0; i < 50; i++) betas[i] = 1e-4 + (0.05 - 1e-4) * i / 49;
    diffwave_config c = diffwave_default();
    binder *b = binder_new((random_key){1, 2});
    diffwave *net = diffwave_bind(&c, b);
    return (job){.m = {.system = &SYSTEM_DIFFWAVE,
                       .network = net,
                       .parameters = binder_finish(b, true),
                       .hop = DIFFWAVE_HOP,
                       .halo = diffwave_halo(net),
                       .mels = c.mels,
                       .betas = betas,
                       .beta_count = 50,
                       .window = WINDOW}};
}

static job wavegrad_job(void) {
    wavegrad_config c = wavegrad_default();
    binder *b = binder_new((random_key){1, 3});
    wavegrad *net = wavegrad_bind(&c, b);
    return (job){.m = {.system = &SYSTEM_WAVEGRAD,
                       .network = net,
                       .parameters = binder_finish(b, true),
                       .hop = wavegrad_hop(&c),
                       .halo = wavegrad_halo(net),
                       .mels = c.mels,
                       .window = WINDOW}};
}

static void sample(void *context) {
    job *j = context;
    static const double levels[PASSES] = {0.3, 0.5, 0.7, 0.85, 0.95, 0.99};
    condition c = {.m = &j->m, .mel = j->mel, .guidance = 1};
    tensor *x = tensor_new(F32, shape_of(j->audio));
    memcpy(x->data, j->audio->data, tensor_bytes(x));
    for (int i = 0; i < j->passes; i++) {
        scope_begin();
        tensor *e = predict_noise(&c, x, levels[i]);
        for (int64_t k = 0; k < count(x); k++) f32(x)[k] -= 0.1f * f32(e)[k];
        scope_end();
    }
}

static void measure_sampling(const char *work, job *j, double gflop) {
    j->passes = PASSES;
    measure(work, gflop * seconds_of(j) * PASSES, sample, j);
}

void bench_diffwave(void) {
    scope_begin();
    job j = diffwave_job();
    give_sound(&j, 1, 5 * RATE / j.m.hop);
    measure_sampling("diffwave 5 s, 6 steps", &j, DIFFWAVE_GFLOP);
    scope_end();
}

void bench_wavegrad(void) {
    scope_begin();
    job j = wavegrad_job();
    give_sound(&j, 1, 5 * RATE / j.m.hop);
    measure_sampling("wavegrad 5 s, 6 iterations", &j, WAVEGRAD_GFLOP);
    scope_end();
}

/* A pass over a short sound and over a long one: the peaks differ by the sounds themselves alone. */
static void measure_memory(const char *name, job *j, double gflop) {
    j->passes = 1;
    for (int seconds = 10; seconds <= 60; seconds += 50) {
        scope_begin();
        give_sound(j, 1, seconds * RATE / j->m.hop);
        measure_once(format("%s %d s, 1 pass", name, seconds), gflop * seconds_of(j), sample, j);
        scope_end();
    }
}

void bench_memory(void) {
    scope_begin();
    job j = diffwave_job();
    measure_memory("diffwave", &j, DIFFWAVE_GFLOP);
    scope_end();
    scope_begin();
    j = wavegrad_job();
    measure_memory("wavegrad", &j, WAVEGRAD_GFLOP);
    scope_end();
}

/* --- the vocoder: network, phases and re-gains --- */

static void sing(void *context) {
    const job *j = context;
    const int64_t F = j->mel->shape[1];
    float *samples = NEW_ARRAY(float, F * j->m.hop);
    j->m.system->sing(&j->m, 1, tensor_wrap(F32, SHAPE(F, j->m.mels), j->mel->data), samples);
}

void bench_vocoder(void) {
    static const double GFLOP = 0.76; /* of the network, per second of sound */
    enum { SECONDS = 20 };
    scope_begin();
    const config settings = config_parse("{}", 2, "bench");
    const vocoder_config c = vocoder_config_read(settings);
    const mel_front front = vocoder_front();
    binder *b = binder_new((random_key){1, 4});
    job j = {.m = {.system = &SYSTEM_VOCODER,
                   .settings = settings,
                   .network = vocoder_bind(&c, b),
                   .parameters = binder_finish(b, true),
                   .hop = front.stft.hop,
                   .mels = front.bands}};
    const int64_t samples = (int64_t) SECONDS * front.rate / j.m.hop * j.m.hop;
    const float *sound = random_floats(samples, 0.1f);
    tensor *mel = mel_compute(&front, sound, samples); /* of noise: as many bins matter as can */
    j.mel = tensor_wrap(F32, SHAPE(1, mel->shape[0], mel->shape[1]), mel->data);
    measure_sound("vocoder 20 s", GFLOP * SECONDS, SECONDS, sing, &j);
    scope_end();
}

/* --- training --- */

typedef tensor *loss_function(const job *j);

typedef struct {
    job *j;
    loss_function *loss;
} training;

static tensor *diffwave_loss(const job *j) {
    float step[16];
    for (int i = 0; i < 16; i++) step[i] = (float) (3 * i);
    return l1_loss(diffwave_forward(j->m.network, j->audio, step, j->mel, NULL), j->target);
}

static tensor *wave_unet_loss(const job *j) {
    float sigma[8];
    int32_t classes[8];
    for (int i = 0; i < 8; i++) sigma[i] = 0.1f * (float) (i + 1), classes[i] = i;
    return mse_loss(wave_unet_forward(j->m.network, j->audio, sigma, classes), j->target);
}

static void train_step(void *context) {
    training *t = context;
    params_zero_grad(t->j->m.parameters);
    tape_begin();
    backward(t->loss(t->j), 1);
    optimizer_step(t->j->optimizer, 2e-4);
}

static void measure_training(const char *work, double gflop, job *j, loss_function *loss) {
    optimizer_settings s = optimizer_default();
    j->target = noise(shape_of(j->audio));
    params_zero_grad(j->m.parameters);
    j->optimizer = optimizer_new(&s, j->m.parameters);
    training t = {j, loss};
    measure(work, gflop, train_step, &t);
}

void bench_diffwave_train(void) {
    scope_begin();
    job j = diffwave_job();
    for (size_t i = 0; i < j.m.parameters->count; i++) j.m.parameters->items[i]->trainable = true;
    give_sound(&j, 16, 62);
    measure_training("diffwave training step, 16 x 62 frames", 3 * DIFFWAVE_GFLOP * seconds_of(&j), &j, diffwave_loss);
    scope_end();
}

/* The network and batch of the drum recipe. */
void bench_wave_unet_train(void) {
    enum { BATCH = 8, SAMPLES = 22528 };
    wave_unet_config c = {.patch = 16,
                          .widths = {96, 160, 256},
                          .depths = {2, 2, 3},
                          .down = 4,
                          .embedding = 128,
                          .classes = 14,
                          .frames = SAMPLES / ENVELOPE_FRAME,
                          .sigma_low = 0.01,
                          .sigma_high = 40};
    scope_begin();
    binder *b = binder_new((random_key){1, 4});
    wave_unet *net = wave_unet_bind(&c, b);
    job j = {.m = {.network = net, .parameters = binder_finish(b, true)}, .audio = noise(SHAPE(BATCH, SAMPLES))};
    measure_training("wave-unet training step, 8 x 22528", 3 * WAVE_UNET_GFLOP * BATCH, &j, wave_unet_loss);
    scope_end();
}
