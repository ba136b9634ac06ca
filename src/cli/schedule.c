/* hiss schedule: a short noise schedule for a vocoder, found by trying. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
#include "systems/search.h"

static json_t *document(const found_schedule *s, const model *m) {
    json_t *o = json_make_object(), *betas = json_array();
    for (int64_t i = 0; i < s->steps; i++) json_array_append_new(betas, json_real(s->betas[i]));
    json_object_set_new(o, "betas", betas);
    json_object_set_new(o, "model", json_string(m->path));
    json_object_set_new(o, "mel_error", json_real(s->error));
    json_object_set_new(o, "mel_error_of_own_schedule", json_real(s->own_error));
    return o;
}

static void run(const arguments *a) {
    static const char *const EXTENSIONS[] = {".json", NULL};
    const char *out = text(a, OPT_OUT);
    check_result_path(out, EXTENSIONS);
    int64_t steps = integer(a, OPT_STEPS, 6);
    if (steps > SEARCH_MOST_STEPS)
        fail(HISS_ERROR_ARGUMENT, "--steps %lld: at most %d", (long long) steps, SEARCH_MOST_STEPS);
    model *m = model_open(text(a, OPT_MODEL));
    const audio *recording = audio_read(a->names[0]);
    prepare(a);
    found_schedule s =
        search_schedule(m, recording, steps, integer(a, OPT_TRIES, 0), (uint64_t) integer(a, OPT_SEED, 0));
    json_t *result = document(&s, m);
    const char *path = result_path(out, "schedule", 0, 1, ".json"), *words = json_text(result);
    file_write(path, words, strlen(words));
    say(a, "%s  %lld steps: mel error %.4f (the model's own schedule: %.4f)", path, (long long) s.steps, s.error,
        s.own_error);
    json_object_set_new(result, "path", json_string(path));
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_MODEL, OPT_OUT,       OPT_STEPS,      OPT_TRIES,
                                  OPT_SEED,  OPT_PRECISION, COMMON_OPTIONS, OPTS};

const command COMMAND_SCHEDULE = {
    .name = "schedule",
    .summary = "find a short noise schedule for a vocoder",
    .names = "IN.wav",
    .names_least = 1,
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPT_MODEL, OPT_OUT, OPTS},
    .notes = "Draws schedules as WaveGrad's authors did (orders of magnitude from 1e-6 to 1e-1, mantissas at random), "
             "sings the "
             "recording back by each, and keeps the one whose log mel spectrogram is nearest (mean square). A second "
             "or two of "
             "sound is enough. vocode takes the result by --betas.",
    .examples = EXAMPLES(
        {"six steps for a WaveGrad", "hiss schedule voice.wav --model wavegrad.pt --steps 6 --tries 100 -o six.json"},
        {"use it", "hiss vocode --model wavegrad.pt voice.wav --betas six.json -o sung.wav"}),
    .run = run,
};
