/* hiss vocode: a mel spectrogram sung back. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
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
static void sing_all(const arguments *a, const model *m, const sound_request *r, json_t *list) {
    const char *out = text(a, OPT_OUT);
    recordings *all = recordings_find(a->names[0], 0);
    char *rows = copy_string("path\tclass\tcaption\n");
    if (!means_folder(out))
        fail(HISS_ERROR_ARGUMENT, "--out %s: %s holds several sounds: name a folder", out, a->names[0]);
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

static void run(const arguments *a) {
    const char *in = a->names[0], *out = text(a, OPT_OUT);
    check_result_path(out, SOUND_EXTENSIONS);
    model *m = model_open(text(a, OPT_MODEL));
    sound_request r = request_of(a, m);
    prepare(a);
    json_t *result = json_make_object(), *list = json_array();
    json_object_set_new(result, "sounds", list);
    if (is_list(in)) sing_all(a, m, &r, list);
    else write_sound(a, sing(m, &r, in), result_path(out, path_stem(in), 0, 1, ".wav"), r.seed, list);
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
        "as .npy or .safetensors, [bands, frames] or [frames, bands], in the model's own scale. A folder or a manifest "
        "of recordings: "
        "all of them (of a manifest, those held out), under their own names.",
    .examples = EXAMPLES(
        {"hear what a vocoder keeps of a voice", "hiss vocode --model diffwave.pt voice.wav -o sung.wav"},
        {"sing a synthesiser's mel spectrogram", "hiss vocode --model wavegrad.pt mel.npy --steps 50 -o out.flac"}),
    .run = run,
};
