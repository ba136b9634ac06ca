/* Cases of HiFi-GAN's and BigVGAN's generators: the files' forms, the networks, and as systems open and sing them. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "models/generator.h"
#include "parity.h"
#include "systems/generate.h"

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

const parity_row PARITY_GENERATOR[] = {
    {"hifigan", "vocoder", run_hifigan}, {"bigvgan", "generator", run_bigvgan}, {"bigvgan", "file", run_file}, {0}};
