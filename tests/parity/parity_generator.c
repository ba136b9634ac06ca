/* Cases of HiFi-GAN's and BigVGAN's generators: the files' forms, the networks, as systems open and sing them, and HiFi-GAN's gradients. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "models/generator.h"
#include "parity_mel.h"
#include "systems/generate.h"
#include "tensor/ops.h"

static const generator *open_generator(parity_case *c) {
    const store *s = parity_checkpoint(c);
    const generator_config sizes = generator_config_read(parity_config(c), s);
    binder *b = binder_load(s);
    const generator *net = generator_bind(&sizes, b);
    binder_finish(b, false);
    size_t n;
    const char *const *unknown = binder_unexpected(b, &n); /* of AudioLDM's whole file, nothing else is in the case */
    if (n) fail(HISS_ERROR_FORMAT, "%zu tensors are not known, the first: %s", n, unknown[0]);
    return net;
}

static void run_hifigan(parity_case *c) {
    const generator *net = open_generator(c);
    const tensor *mel = parity_in_f32(c, "spectrogram"); /* [(B,) F, M] */
    const shape s = mel->rank == 3 ? shape_of(mel) : SHAPE(1, mel->shape[0], mel->shape[1]);
    tensor *y = generator_forward(net, tensor_wrap(F32, s, mel->data));
    if (y->shape[1] != generator_samples(generator_sizes(net), s.dims[1]))
        fail(HISS_ERROR_INTERNAL, "%lld samples: another number was announced", (long long) y->shape[1]);
    parity_out(c, "waveform", y);
}

static void run_bigvgan(parity_case *c) {
    const generator *net = open_generator(c);
    parity_out(c, "audio", generator_forward(net, swap_last_two(parity_in_f32(c, "mel"))));
}

/* The published pair of files, opened by name. */
static void run_file(parity_case *c) {
    const model *m = model_open(parity_path(c, config_need_string(parity_info(c), "checkpoint")));
    const tensor *mel = swap_last_two(parity_in_f32(c, "mel")); /* [B, F, M] */
    const int64_t B = mel->shape[0], F = mel->shape[1], M = mel->shape[2];
    tensor *all = tensor_new(F32, SHAPE(B, F * m->hop));
    sound_request r = sound_request_default();
    for (int64_t b = 0; b < B; b++) {
        const audio *y = vocode_mel(m, &r, tensor_wrap(F32, SHAPE(F, M), f32(mel) + b * F * M));
        memcpy(f32(all) + b * F * m->hop, y->samples, (size_t) y->frames * sizeof(float));
    }
    parity_out(c, "audio", all);
}

/* --- a training step: the mel loss alone --- */

enum { MEL_WEIGHT = 45 };
static const float LEAST = 1e-5f; /* of a band */

/* The loss of sound y [T] and its gradient; target: log-mels [F, M]. */
static double mel_loss(const mel_front *f, const tensor *target, const float *y, int64_t T, float *dy) {
    const mel_bank *bank = mel_front_bank(f);
    tensor *bins = stft(&f->stft, y, T); /* [F, K, 2] */
    const int64_t F = bins->shape[0], K = bins->shape[1], M = bank->bands, N = F * M;
    float *size = NEW_ARRAY(float, K), *slope = NEW_ARRAY(float, K);
    double loss = 0;
    require(count(target) == N);
    for (int64_t i = 0; i < F; i++) {
        float *bin = f32(bins) + i * K * 2;
        for (int64_t k = 0; k < K; k++) {
            size[k] = sqrtf(bin[2 * k] * bin[2 * k] + bin[2 * k + 1] * bin[2 * k + 1] + f->inside_root);
            slope[k] = 0;
        }
        for (int64_t m = 0; m < M; m++) {
            const float *weight = bank->values + bank->offset[m], *of = size + bank->first[m];
            float band = 0;
            for (int k = 0; k < bank->count[m]; k++) band += weight[k] * of[k];
            const double apart = (double) logf(fmaxf(band, LEAST)) - f32(target)[i * M + m];
            loss += fabs(apart) * MEL_WEIGHT / (double) N;
            const double way = band > LEAST ? (double) MEL_WEIGHT * ((apart > 0) - (apart < 0)) / (double) N / band : 0;
            for (int k = 0; k < bank->count[m]; k++) slope[bank->first[m] + k] += (float) way * weight[k];
        }
        for (int64_t k = 0; k < 2 * K; k++) bin[k] *= slope[k / 2] / size[k / 2];
    }
    stft_backward(&f->stft, f32(bins), T, dy);
    return loss;
}

/* The sum of x * y, of which backward(., 1) gives y as the gradient of x. */
static tensor *dot(const tensor *x, const float *y) {
    const int64_t n = count(x);
    return linear(reshape(x, SHAPE(1, n)), tensor_from(y, SHAPE(1, n)), NULL);
}

/* Of a parameter as the original trains it: a bias, or a weight's gain or direction. */
static tensor *gradient_of(const params *p, const store *s, const char *name) {
    const char *tail = strstr(name, "weight_");
    const param *of = params_find(p, tail ? format("%.*sweight", (int) (tail - name), name) : name);
    if (!of) fail(HISS_ERROR_FORMAT, "%s is not in the network", name);
    const float *gradient = param_gradient(of);
    if (!tail) return tensor_from(gradient, shape_of(of->value));
    tensor *part[2];
    tape_begin();
    for (int i = 0; i < 2; i++) {
        part[i] =
            tensor_to_f32(store_read(s, format("%.*s%s", (int) (tail - name), name, i ? "weight_g" : "weight_v")));
        tape_watch(part[i]);
    }
    backward(dot(weight_norm(part[0], part[1]), gradient), 1);
    const tensor *own = part[tail[strlen("weight_")] == 'g'];
    return tensor_from(tape_gradient(own), shape_of(own));
}

static void out_gradients(parity_case *c, const params *p, const store *s) {
    const config names = config_get(parity_config(c), "parameters");
    const int64_t n = (int64_t) config_count(names);
    tensor *norms = tensor_new(F32, SHAPE(n));
    for (int64_t i = 0; i < n; i++) {
        const char *name = json_string_value(config_at(names, (size_t) i).value);
        scope_begin();
        const tensor *gradient = gradient_of(p, s, name);
        double square = 0;
        for (int64_t k = 0; k < count(gradient); k++) square += (double) f32(gradient)[k] * f32(gradient)[k];
        f32(norms)[i] = (float) sqrt(square);
        if (parity_has_out(c, format("grad.%s", name))) parity_out(c, format("grad.%s", name), gradient);
        scope_end();
    }
    parity_out(c, "grad_norms", norms);
}

/* In f32 whatever the precision asked for, as other training steps. */
static void run_training(parity_case *c) {
    const precision asked = operands() == BF16 ? PRECISION_BF16 : PRECISION_F32;
    precision_set(PRECISION_F32);
    const store *s = parity_checkpoint(c);
    const generator_config sizes = generator_config_read(parity_config(c), s);
    binder *b = binder_load(s);
    const generator *net = generator_bind(&sizes, b);
    params *p = binder_finish(b, true);
    const mel_front f = gan_front("hifigan", config_get(parity_config(c), "mel"));
    const tensor *wave = parity_in_f32(c, "wave");
    const int64_t T = count(wave);
    tensor *mel = mel_compute(&f, f32(wave), T); /* [F, M] */
    parity_out(c, "mel", bands_first(mel));
    params_zero_grad(p);
    tape_begin();
    const tensor *made = generator_forward(net, tensor_wrap(F32, SHAPE(1, mel->shape[0], mel->shape[1]), mel->data));
    const tensor *y = slice_time(reshape(made, SHAPE(1, count(made), 1)), 0, T);
    float *dy = NEW_ARRAY(float, T);
    const float loss = (float) mel_loss(&f, mel, f32(y), T, dy);
    parity_out(c, "generated", y);
    parity_out(c, "loss", tensor_from(&loss, SHAPE(1)));
    backward(dot(y, dy), 1);
    out_gradients(c, p, s);
    precision_set(asked);
}

const parity_row PARITY_GENERATOR[] = {{"hifigan", "vocoder", run_hifigan},
                                       {"hifigan", "training", run_training},
                                       {"bigvgan", "generator", run_bigvgan},
                                       {"bigvgan", "file", run_file},
                                       {0}};
