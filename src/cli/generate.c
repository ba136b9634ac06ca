/* hiss generate: sounds from noise. */
#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
#include "systems/shipped.h"

typedef struct {
    const arguments *a;
    const sound_request *request;
    const char *stem;
    json_t *list;
} writing;

/* A prompt as a file name: its letters and digits, others as one dash. */
static const char *file_stem(const char *prompt) {
    enum { LONGEST = 60 };
    char *stem = copy_string(prompt), *to = stem;
    for (const char *c = prompt; *c && to - stem < LONGEST; c++) {
        if (isalnum((unsigned char) *c)) *to++ = (char) tolower((unsigned char) *c);
        else if (to > stem && to[-1] != '-') *to++ = '-';
    }
    while (to > stem && to[-1] == '-') to--;
    *to = 0;
    return *stem ? stem : "sound";
}

static void take(void *context, int64_t i, const audio *sound) {
    writing *w = context;
    const char *path = result_path(text(w->a, OPT_OUT), w->stem, i, w->request->count, ".wav");
    write_sound(w->a, sound, path, w->request->seed + (uint64_t) i, w->list);
}

static void run(const arguments *a) {
    check_result_path(text(a, OPT_OUT), SOUND_EXTENSIONS);
    model *m = model_open(text(a, OPT_MODEL) ? text(a, OPT_MODEL) : shipped_model("sound"));
    sound_request r = request_of(a, m);
    if (a->name_count) r.prompt = a->names[0];
    /* As the captions of training say it. */
    if (r.prompt && a->given[OPT_BPM] && !strcasestr(r.prompt, "bpm"))
        r.prompt = format("%s at %g BPM", r.prompt, number(a, OPT_BPM, 0));
    request_check(m, &r);
    prepare(a);
    json_t *result = json_make_object(), *list = json_array();
    json_object_set_new(result, "sounds", list);
    writing w = {a, &r, "sound", list};
    if (r.prompt) w.stem = file_stem(r.prompt);
    else if (r.class >= 0) w.stem = m->classes ? m->classes[r.class] : format("class-%d", r.class);
    generate_sounds(m, &r, take, &w);
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_MODEL,        OPT_OUT,        OPT_SECONDS, OPT_COUNT,
                                  SAMPLING_OPTIONS, GUIDE_OPTIONS,  OPT_BITS,    OPT_PICTURE,
                                  OPT_PRECISION,    COMMON_OPTIONS, OPTS};

const command COMMAND_GENERATE = {
    .name = "generate",
    .summary = "make sounds with a trained model",
    .names = "[PROMPT]",
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPT_OUT, OPTS},
    .notes = "Without --model: the sound model that comes with hiss, which follows a prompt, a class, a rough course "
             "(--mel), the style of a "
             "sound (--reference), each alone or together. A prompt's first 256 words or parts of words are heard. "
             "Sounds longer than 5.9 s are "
             "made in windows that overlap.",
    .examples = {{"from words", "hiss generate \"heavy rain on a tin roof\" -o rain.wav"},
                 {"eight snares into a folder, with pictures",
                  "hiss generate --model models/drums --class snare --count 8 --seed 1 -p -o out/"}},
    .run = run,
};
