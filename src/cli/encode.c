/* hiss encode: sound as the latents of an autoencoder. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
#include "systems/codec.h"

static void run(const arguments *a) {
    static const char *const EXTENSIONS[] = {".safetensors", ".npy", NULL};
    const char *in = a->names[0], *out = text(a, OPT_OUT);
    check_result_path(out, EXTENSIONS);
    const codec *c = codec_open(text(a, OPT_MODEL));
    const audio *sound = audio_read(in);
    const uint64_t seed = (uint64_t) integer(a, OPT_RUN_SEED, 0);
    prepare(a);
    const tensor *z = codec_encode(c, sound, a->given[OPT_RUN_SEED] ? &seed : NULL);
    const int64_t samples = (sound->frames * c->rate + sound->rate - 1) / sound->rate;
    const char *path = result_path(out, path_stem(in), 0, 1, ".safetensors");
    latents_write(path, c, z, samples);
    say(a, "%s  %lld latents of %lld numbers, %lld samples each at %d Hz", path, (long long) z->shape[0],
        (long long) z->shape[1], (long long) c->hop, c->rate);
    json_t *result = json_pack("{s:s, s:I, s:I, s:I, s:I, s:i}", "path", path, "latents", (json_int_t) z->shape[0],
                               "numbers", (json_int_t) z->shape[1], "samples", (json_int_t) samples, "hop_samples",
                               (json_int_t) c->hop, "sample_rate", c->rate);
    say_json(a, result);
    json_decref(result);
}

static const option_id TAKES[] = {OPT_MODEL, OPT_OUT, OPT_RUN_SEED, OPT_PRECISION, COMMON_OPTIONS, OPTS};

const command COMMAND_ENCODE = {
    .name = "encode",
    .summary = "turn a sound into the latents of an autoencoder",
    .names = "IN.wav",
    .names_least = 1,
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPT_MODEL, OPT_OUT, OPTS},
    .notes =
        "Any length and rate; the sound is resampled to the model's rate and ended with silence to whole latents. "
        "Written "
        "as 'latents' [numbers, length], as the originals keep them. Without --seed: the means of what the encoder "
        "believes; with it: drawn, as stable-audio-tools does.",
    .examples = EXAMPLES({"a song", "hiss encode --model stable-audio-open-1.0/ song.wav -o song.safetensors"},
                         {"with the autoencoder alone", "hiss encode --model vae_model.ckpt song.wav -o song.npy"}),
    .run = run,
};
