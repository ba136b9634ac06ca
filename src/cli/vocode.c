/* hiss vocode: a mel spectrogram sung back. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
#include "systems/shipped.h"
#include "train/recordings.h"

static bool holds_mel(const char *path) {
    const char *extension = path_extension(path);
    return !strcmp(extension, ".npy") || !strcmp(extension, ".safetensors");
}

/* As many samples as the recording had, at the model's rate: its last mel frame reaches beyond the end. */
static const audio *cut_to(const audio *sung, const audio *heard) {
    int64_t frames = (heard->frames * sung->rate + heard->rate - 1) / heard->rate;
    return frames < sung->frames ? audio_cut(sung, 0, frames) : sung;
}

/* Sings back a recording, or a spectrogram from a file. */
static const audio *sing(const model *m, const sound_request *r, const char *in) {
    const mel_front front = model_front(m);
    const audio *heard = holds_mel(in) ? NULL : audio_read(in);
    const tensor *mel = heard ? mel_of(&front, heard) : mel_read(in, m->mels, front.log == MEL_UNIT_DECIBEL);
    const audio *sung = vocode_mel(m, r, mel);
    return heard ? cut_to(sung, heard) : sung;
}

/* --- many --- */

static bool is_list(const char *in) {
    const char *extension = path_extension(in);
    return folder_exists(in) || !strcmp(extension, ".tsv") || !strcmp(extension, ".jsonl");
}

/* Its own name, as WAV where its form cannot be written; never outside of the folder. */
static const char *name_of(const sound_file *f) {
    if (*f->name == '/' || strstr(f->name, ".."))
        fail(HISS_ERROR_ARGUMENT, "%s: names a place outside of the folder of results", f->name);
    for (const char *const *known = SOUND_EXTENSIONS; *known; known++)
        if (!strcmp(path_extension(f->name), *known)) return f->name;
    return path_beside(f->name, ".wav");
}

/* Recordings of a folder, or the held-out ones of a manifest, under their own names, and a manifest of the results; progress is told
 * of whole recordings. */
static void sing_all(const arguments *a, const model *m, const sound_request *r, const char *in, json_t *list) {
    const char *out = text(a, OPT_OUT);
    recordings *all = recordings_find(in, 0);
    char *rows = copy_string("path\tclass\tcaption\n");
    if (!means_folder(out)) fail(HISS_ERROR_ARGUMENT, "--out %s: %s holds several sounds: name a folder", out, in);
    recordings_keep_held_out(all);
    progress_handler tell;
    void *context;
    progress_to(NULL, NULL, &tell, &context);
    for (size_t i = 0; i < all->count; i++) {
        const sound_file *f = &all->items[i];
        const char *name = name_of(f), *path = path_join(out, name);
        folder_make(path_folder(path));
        scope_begin();
        write_sound(a, sing(m, r, f->path), path, r->seed, list);
        scope_end();
        rows = format("%s%s\t%s\t%s\n", rows, name, f->label ? f->label : "", f->caption ? f->caption : "");
        if (tell) tell(context, "recordings", (int64_t) i + 1, (int64_t) all->count);
    }
    progress_to(tell, context, NULL, NULL);
    file_write(path_join(out, "manifest.tsv"), rows, strlen(rows));
    say(a, "%s", path_join(out, "manifest.tsv"));
}

/* IN or --mel. */
static const char *input(const arguments *a) {
    const char *mel = text(a, OPT_SUNG);
    if (mel && a->name_count) fail(HISS_ERROR_ARGUMENT, "--mel and %s: give one of them", a->names[0]);
    if (!mel && !a->name_count)
        fail(HISS_ERROR_ARGUMENT,
             "hiss vocode needs a recording, or a mel spectrogram (--mel FILE); see hiss vocode --help");
    return mel ? mel : a->names[0];
}

/* Both options name what sings. */
static const char *singer(const arguments *a) {
    const char *named = text(a, OPT_MODEL), *vocoder = text(a, OPT_VOCODER);
    if (named && vocoder) fail(HISS_ERROR_ARGUMENT, "--model and --vocoder: give one of them");
    return named ? named : vocoder ? vocoder : shipped_model("vocoder");
}

static void run(const arguments *a) {
    const char *in = input(a), *out = text(a, OPT_OUT);
    check_sound_path(a);
    model *m = model_open(singer(a));
    sound_request r = request_of(a, m);
    r.vocoder = NULL; /* it is the model */
    prepare(a);
    json_t *result = json_make_object(), *list = json_array();
    json_object_set_new(result, "sounds", list);
    if (is_list(in)) sing_all(a, m, &r, in, list);
    else
        write_sound(a, sing(m, &r, in), result_path(out, is_standard(in) ? "sung" : path_stem(in), 0, 1, ".wav"),
                    r.seed, list);
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_SUNG, OPT_MODEL,        OPT_VOCODER,   OPT_OUT,        OPT_PICTURE,
                                  OPT_BITS, SAMPLING_OPTIONS, OPT_PRECISION, COMMON_OPTIONS, OPTS};

const command COMMAND_VOCODE = {
    .name = "vocode",
    .summary = "sing back the mel spectrogram of a recording, or one from a file",
    .names = "[IN]",
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPT_OUT, OPTS},
    .notes =
        "IN is a recording (any rate; resampled to the model's), or a mel spectrogram as .npy or .safetensors, "
        "[bands, frames] or [frames, bands], in the model's own scale; - reads a recording from standard input. "
        "Without --model: hiss's own vocoder, whose mel spectrogram (44.1 kHz, 128 bands, hop 512) is BigVGAN v2's and "
        "the default of hiss mel. DiffWave and WaveGrad hear the first channel alone. A folder or a manifest "
        "of recordings: all of them (of a manifest, those held out), under their own names.",
    .examples = EXAMPLES(
        {"a mel spectrogram by hiss's own vocoder", "hiss vocode --mel voice.npy -o sung.wav"},
        {"the same by BigVGAN v2", "hiss vocode --mel voice.npy --vocoder bigvgan_v2_44khz_128band_512x/ -o sung.wav"},
        {"hear what a vocoder keeps of a voice", "hiss vocode --model diffwave.pt voice.wav -o sung.wav"},
        {"sing a synthesiser's mel spectrogram", "hiss vocode --model wavegrad.pt mel.npy --steps 50 -o out.flac"},
        {"all held-out recordings of a manifest", "hiss vocode data/sound/manifest.tsv -o sung/"}),
    .run = run,
};
