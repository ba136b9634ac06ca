/* hiss mel: the mel spectrogram a vocoder takes. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
#include "systems/rough.h"

static tensor *bands_first(const tensor *x) { /* [F, M] -> [M, F]: how the originals keep it */
    int64_t F = x->shape[0], M = x->shape[1];
    tensor *y = tensor_new(F32, SHAPE(M, F));
    for (int64_t t = 0; t < F; t++)
        for (int64_t m = 0; m < M; m++) f32(y)[m * F + t] = f32(x)[t * M + m];
    return y;
}

static void run(const arguments *a) {
    static const char *const EXTENSIONS[] = {".npy", ".safetensors", ".png", NULL};
    const char *in = a->names[0], *out = text(a, OPT_OUT);
    check_result_path(out, EXTENSIONS);
    mel_front front =
        text(a, OPT_MODEL) ? model_front(model_open(text(a, OPT_MODEL))) : mel_front_named(text(a, OPT_FRONT));
    prepare(a);
    const char *path = result_path(out, is_standard(in) ? "mel" : path_stem(in), 0, 1, ".npy");
    const bool draws = !strcmp(path_extension(path), ".png");
    if (draws && strcmp(front.name, "hiss"))
        fail(HISS_ERROR_ARGUMENT,
             "--out %s: a picture holds the mel spectrogram of --front hiss, which generate --mel reads", path);
    tensor *heard = mel_of(&front, audio_read(in)), *mel = bands_first(heard);
    if (draws) rough_draw(path, heard);
    else if (!strcmp(path_extension(path), ".npy")) npy_write(path, mel);
    else safetensors_write(path, &(named_tensor){"mel", mel}, 1, NULL);
    say(a, "%s  %s: %s at %d Hz, %d samples a frame", path, shape_text(shape_of(mel)), front.name, front.rate,
        front.stft.hop);
    json_t *result = json_make_object();
    json_object_set_new(result, "path", json_string(path));
    json_object_set_new(result, "bands", json_integer(mel->shape[0]));
    json_object_set_new(result, "frames", json_integer(mel->shape[1]));
    json_object_set_new(result, "sample_rate", json_integer(front.rate));
    json_object_set_new(result, "hop_samples", json_integer(front.stft.hop));
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_OUT, OPT_MODEL, OPT_FRONT, COMMON_OPTIONS, OPTS};

const command COMMAND_MEL = {
    .name = "mel",
    .summary = "compute the mel spectrogram of a recording",
    .names = "IN.wav",
    .names_least = 1,
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPT_OUT, OPTS},
    .notes =
        "Written as [bands, frames] in 32-bit floats, as the originals keep it; - reads the sound from standard input. "
        "A "
        "picture (.png) has a pixel for each frame and band, low at the bottom, quiet dark: draw on it and give it to "
        "hiss generate --mel.",
    .examples = EXAMPLES({"as hiss's own vocoder and BigVGAN v2 take it", "hiss mel voice.wav -o voice.npy"},
                         {"as a picture to draw on, for generate --mel", "hiss mel hummed.wav -o rough.png"},
                         {"as DiffWave takes it", "hiss mel voice.wav --front diffwave -o voice.npy"},
                         {"as a given model takes it", "hiss mel voice.wav --model wavegrad.pt -o voice.npy"}),
    .run = run,
};
