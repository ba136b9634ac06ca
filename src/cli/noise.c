/* hiss noise: the forward process, what a network learns to undo. */
#include <math.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
#include "diffusion/betas.h"
#include "signal/picture.h"

/* DiffWave's betas, for a look without a model. */
static double *default_betas(size_t *count) {
    *count = 50;
    double *betas = NEW_ARRAY(double, *count);
    for (size_t i = 0; i < *count; i++) betas[i] = 1e-4 + (0.05 - 1e-4) * (double) i / (double) (*count - 1);
    return betas;
}

static double power(const audio *a) {
    double sum = 0;
    for (int64_t i = 0; i < a->frames; i++) sum += (double) a->samples[i] * a->samples[i];
    return sum / (double) a->frames;
}

/* Signal over noise in dB: infinite for the clean sound. */
static double snr(double signal, double alpha_bar) { return 10 * log10(alpha_bar * signal / (1 - alpha_bar)); }

static const char *snr_words(double decibel) {
    return isinf(decibel) && decibel > 0 ? "clean" : isinf(decibel) ? "silence" : format("%.1f dB", decibel);
}

/* The sound to dissolve and the betas that do it. */
typedef struct {
    audio *clean;
    double *betas, signal; /* signal: the mean square */
    size_t beta_count;
} process;

static process read_process(const arguments *a) {
    process p = {0};
    const model *m = text(a, OPT_MODEL) ? model_open(text(a, OPT_MODEL)) : NULL;
    if (m && !m->beta_count)
        fail(HISS_ERROR_ARGUMENT, "%s was not trained on a table of noise; without --model: DiffWave's", m->path);
    p.clean = audio_mix_down(audio_read(a->names[0]));
    if (m) p.clean = audio_resample(p.clean, m->rate);
    p.betas = m ? m->betas : default_betas(&p.beta_count);
    if (m) p.beta_count = m->beta_count;
    p.signal = power(p.clean);
    return p;
}

/* Writes the sound at t and returns its column of the picture. */
static picture_column write_level(const arguments *a, const process *p, double t, size_t i, json_t *list) {
    double alpha_bar = alpha_bar_at(p->betas, p->beta_count, t), decibel = snr(p->signal, alpha_bar);
    audio *noisy = add_noise(p->clean, alpha_bar, (uint64_t) integer(a, OPT_SEED, 0));
    const char *path = path_join(text(a, OPT_OUT), format("%s-%02zu.wav", path_stem(a->names[0]), i));
    audio_write(path, noisy, audio_encoding_named(text(a, OPT_BITS)));
    picture_column column = {noisy, format("t = %g", t), snr_words(decibel)};
    say(a, "%s  %s, %s", path, column.title, column.note);
    json_t *row = json_pack("{s:s, s:f, s:f}", "path", path, "t", t, "alpha_bar", alpha_bar);
    json_object_set_new(row, "snr_db", isfinite(decibel) ? json_real(decibel) : json_null());
    json_array_append_new(list, row);
    return column;
}

static void run(const arguments *a) {
    size_t count;
    const char *out = text(a, OPT_OUT);
    if (!means_folder(out))
        fail(HISS_ERROR_ARGUMENT, "--out %s: hiss noise writes several files: name a folder, such as steps/", out);
    double *levels = numbers(a, OPT_LEVELS, &count);
    if (count < 1 || count > PICTURE_MAX_COLUMNS)
        fail(HISS_ERROR_ARGUMENT, "--levels: give 1 to %d of them", PICTURE_MAX_COLUMNS);
    prepare(a);
    process p = read_process(a);
    check_result_path(out, SOUND_EXTENSIONS);
    picture_column *columns = NEW_ARRAY(picture_column, count);
    json_t *result = json_make_object(), *list = json_array();
    json_object_set_new(result, "sounds", list);
    for (size_t i = 0; i < count; i++) columns[i] = write_level(a, &p, levels[i], i, list);
    const char *picture = path_join(out, format("%s.png", path_stem(a->names[0])));
    picture_columns(picture, columns, (int) count, path_name(a->names[0]));
    say(a, "%s", picture);
    json_object_set_new(result, "picture", json_string(picture));
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_OUT, OPT_MODEL, OPT_LEVELS, OPT_SEED, OPT_BITS, COMMON_OPTIONS, OPTS};

const command COMMAND_NOISE = {
    .name = "noise",
    .summary = "hear and see a recording dissolve into noise: what a model learns to undo",
    .names = "IN.wav",
    .names_least = 1,
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPT_OUT, OPTS},
    .notes = "Writes one sound a level and one picture of them side by side with the signal-to-noise ratio in dB. "
             "Channels are "
             "mixed to one. Without --model the noise schedule is DiffWave's.",
    .examples = EXAMPLES({"by a model's noise schedule", "hiss noise snare.wav --model models/drums -o steps/"},
                         {"at chosen levels", "hiss noise snare.wav --levels 0,0.3,0.6,0.9 -o steps/"}),
    .run = run,
};
