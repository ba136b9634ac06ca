/* hiss vocode: a mel spectrogram sung back. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"

static bool holds_mel(const char *path) {
    const char *extension = path_extension(path);
    return !strcmp(extension, ".npy") || !strcmp(extension, ".safetensors");
}

/* As many samples as the recording had, at the model's rate: its last mel frame reaches beyond the end. */
static const audio *cut_to(const audio *sung, const audio *heard) {
    int64_t frames = (heard->frames * sung->rate + heard->rate - 1) / heard->rate;
    return frames < sung->frames ? audio_cut(sung, 0, frames) : sung;
}

static void run(const arguments *a) {
    const char *in = a->names[0], *out = text(a, OPT_OUT);
    check_result_path(out, SOUND_EXTENSIONS);
    model *m = model_open(text(a, OPT_MODEL));
    sound_request r = request_of(a, m);
    mel_front front = model_front(m);
    const audio *heard = holds_mel(in) ? NULL : audio_read(in);
    tensor *mel = heard ? mel_of(&front, heard) : mel_read(in, m->mels, front.log == MEL_UNIT_DECIBEL);
    prepare(a);
    const audio *sung = vocode_mel(m, &r, mel);
    if (heard) sung = cut_to(sung, heard);
    json_t *result = json_make_object(), *list = json_array();
    json_object_set_new(result, "sounds", list);
    write_sound(a, sung, result_path(out, path_stem(in), 0, 1, ".wav"), r.seed, list);
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_MODEL,   OPT_OUT,       SAMPLING_OPTIONS, OPT_BITS,
                                  OPT_PICTURE, OPT_PRECISION, COMMON_OPTIONS,   OPTS};

const command COMMAND_VOCODE = {
    .name = "vocode",
    .summary = "sing back the mel spectrogram of a recording, or one from a file",
    .names = "IN",
    .names_least = 1,
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPT_MODEL, OPT_OUT, OPTS},
    .notes =
        "IN is a recording (any rate; its first channel is used, resampled to the model's rate), or a mel spectrogram "
        "as .npy or .safetensors, [bands, frames] or [frames, bands], in the model's own scale.",
    .examples = {{"hear what a vocoder keeps of a voice", "hiss vocode --model diffwave.pt voice.wav -o sung.wav"},
                 {"sing a synthesiser's mel spectrogram",
                  "hiss vocode --model wavegrad.pt mel.npy --steps 50 -o out.flac"}},
    .run = run,
};
