/* hiss decode: sound from the latents of an autoencoder, written while it is made. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
#include "systems/codec.h"

/* To a stream where the form allows, else to the whole sound. */
typedef struct {
    audio_stream *stream;
    audio *whole;
    int64_t done, all;
} writing;

static void put(void *context, const float *samples, int64_t frames) {
    writing *w = context;
    if (w->stream) audio_stream_put(w->stream, samples, frames);
    else
        memcpy(w->whole->samples + w->done * w->whole->channels, samples,
               (size_t) (frames * w->whole->channels) * sizeof(float));
    w->done += frames;
    progress("decoding", w->done, w->all);
}

static void run(const arguments *a) {
    const char *in = a->names[0], *out = text(a, OPT_OUT);
    const bool standard = is_standard(out);
    check_sound_path(a);
    const codec *c = codec_open(text(a, OPT_MODEL));
    int64_t samples;
    const tensor *z = latents_read(in, c, &samples);
    const int64_t all = codec_frames(c, z->shape[0]);
    if (samples <= 0 || samples > all) samples = all;
    prepare(a);
    const char *path = result_path(out, path_stem(in), 0, 1, ".wav");
    const audio_encoding encoding = audio_encoding_named(text(a, OPT_BITS));
    writing w = {.all = samples};
    if (standard || !strcmp(path_extension(path), ".wav"))
        w.stream = audio_stream_open(path, samples, c->channels, c->rate, encoding);
    else w.whole = audio_new(samples, c->channels, c->rate);
    codec_decode(c, z, samples, put, &w);
    if (w.stream) audio_stream_close(w.stream);
    else audio_write(path, w.whole, encoding);
    if (standard) return;
    say(a, "%s", path);
    json_t *result = json_pack("{s:s, s:f, s:i, s:i}", "path", path, "seconds", (double) samples / c->rate, "channels",
                               c->channels, "sample_rate", c->rate);
    say_json(a, result);
    json_decref(result);
}

static const option_id TAKES[] = {OPT_MODEL, OPT_OUT, OPT_BITS, OPT_PRECISION, COMMON_OPTIONS, OPTS};

const command COMMAND_DECODE = {
    .name = "decode",
    .summary = "turn the latents of an autoencoder back into sound",
    .names = "IN.safetensors",
    .names_least = 1,
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPT_MODEL, OPT_OUT, OPTS},
    .notes =
        "IN is what hiss encode wrote, or latents of another program as .safetensors or .npy, [numbers, length] or "
        "[1, numbers, length]. WAV is written while the decoder works; -o - gives it on standard output.",
    .examples =
        EXAMPLES({"back to sound", "hiss decode --model stable-audio-open-1.0/ song.safetensors -o song2.wav"},
                 {"into a player", "hiss decode --model stable-audio-open-small/ loop.safetensors -o - | aplay"}),
    .run = run,
};
