/* hiss generate: sounds from noise. */
#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"

typedef struct {
    const arguments *a;
    const sound_request *request;
    const char *stem;
    json_t *list;
} writing;

static void take(void *context, int64_t i, const audio *sound) {
    writing *w = context;
    const char *path = result_path(text(w->a, OPT_OUT), w->stem, i, w->request->count, ".wav");
    write_sound(w->a, sound, path, w->request->seed + (uint64_t) i, w->list);
}

static void run(const arguments *a) {
    check_result_path(text(a, OPT_OUT), SOUND_EXTENSIONS);
    model *m = model_open(text(a, OPT_MODEL));
    sound_request r = request_of(a, m);
    request_check(m, &r);
    prepare(a);
    json_t *result = json_make_object(), *list = json_array();
    json_object_set_new(result, "sounds", list);
    writing w = {a, &r, "sound", list};
    if (r.class >= 0) w.stem = m->classes ? m->classes[r.class] : format("class-%d", r.class);
    generate_sounds(m, &r, take, &w);
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_MODEL, OPT_OUT,     OPT_SECONDS,   OPT_COUNT,      SAMPLING_OPTIONS,
                                  OPT_BITS,  OPT_PICTURE, OPT_PRECISION, COMMON_OPTIONS, OPTS};

const command COMMAND_GENERATE = {
    .name = "generate",
    .summary = "make sounds from noise with a trained model",
    .names = "",
    .takes = TAKES,
    .needs = {OPT_MODEL, OPT_OUT, OPTS},
    .examples = {{"eight snares into a folder, with pictures",
                  "hiss generate --model models/drums --class snare --count 8 --seed 1 -p -o out/"},
                 {"two seconds by another sampler, as FLAC",
                  "hiss generate --model model/ --seconds 2 --sampler ddim --steps 25 -o sound.flac"}},
    .run = run,
};
