/* hiss scene: a soundscape from a description. */
#include "scene/scene.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
#include "scene/render.h"
#include "scene/tell.h"
#include "signal/picture.h"

/* What is typed goes before what the scene says. */
static scene *read_scene(const arguments *a) {
    scene *s = scene_named(a->names[0]);
    s->seconds = number(a, OPT_SECONDS, s->seconds);
    if (a->given[OPT_SEED]) s->seed = (uint64_t) integer(a, OPT_SEED, 0);
    if (text(a, OPT_MODEL)) s->model = text(a, OPT_MODEL);
    if (a->given[OPT_GUIDANCE]) s->guidance = number(a, OPT_GUIDANCE, s->guidance);
    s->steps = integer(a, OPT_STEPS, s->steps);
    if (text(a, OPT_SAMPLER)) s->sampler = text(a, OPT_SAMPLER);
    return s;
}

/* Where the frames go: a WAV file while they come; whole in memory for other forms and for a picture. */
typedef struct {
    const scene *s;
    const char *path;
    audio_encoding encoding;
    audio *whole;
    audio_stream *stream;
    int64_t done;
} output;

static void begin(void *context) {
    output *o = context;
    if (!o->whole) o->stream = audio_stream_open(o->path, scene_frames(o->s), 2, o->s->rate, o->encoding);
}

static void take(void *context, const float *samples, int64_t frames) {
    output *o = context;
    if (o->stream) audio_stream_put(o->stream, samples, frames);
    else memcpy(o->whole->samples + 2 * o->done, samples, sizeof(float) * 2 * (size_t) frames);
    o->done += frames;
}

static void finish(output *o) {
    if (o->stream) audio_stream_close(o->stream);
    else audio_write(o->path, o->whole, o->encoding);
}

static bool is_same_file(const char *a, const char *b) {
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A name beside the sound's that is not the scene's own file. */
static const char *beside(const arguments *a, const char *path, const char *extension) {
    const char *name = path_beside(path, extension);
    if (is_same_file(name, a->names[0]))
        fail(HISS_ERROR_ARGUMENT, "--out %s: %s would be written over the scene; give another name", path, name);
    return name;
}

static void run(const arguments *a) {
    check_sound_path(a);
    const scene *s = read_scene(a);
    const char *stem = scene_is_file(a->names[0]) && !is_standard(a->names[0]) ? path_stem(a->names[0]) : "scene";
    output o = {
        s, result_path(text(a, OPT_OUT), stem, 0, 1, ".wav"), audio_encoding_named(text(a, OPT_BITS)), NULL, NULL, 0};
    const bool alone = is_standard(o.path); /* the sound, without its companions */
    audio_check_writable(o.path, scene_frames(s), 2, s->rate, o.encoding);
    const struct {
        const char *key, *path;
    } files[] = {{"sound", o.path},
                 {"cues", alone ? NULL : beside(a, o.path, ".cues.json")},
                 {"transcript", alone ? NULL : beside(a, o.path, ".txt")},
                 {"subtitles", alone ? NULL : beside(a, o.path, ".vtt")},
                 {"picture", flag(a, OPT_PICTURE) ? beside(a, o.path, ".png") : NULL}};
    prepare(a);
    if (flag(a, OPT_PICTURE) || (!alone && strcmp(path_extension(o.path), ".wav")))
        o.whole = audio_new(scene_frames(s), 2, s->rate);
    const rendering r = render(s, begin, take, &o);
    finish(&o);
    tell_seeds(a, s->seed, 1, s->seconds);
    if (alone) return;
    const char *cues = json_text_short(cue_sheet(s, &r));
    file_write(files[1].path, cues, strlen(cues));
    transcript_write(files[2].path, s, &r);
    subtitles_write(files[3].path, s, &r);
    if (files[4].path) picture_sound(files[4].path, o.whole, *s->title ? s->title : path_stem(o.path));
    json_t *result = json_make_object();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!files[i].path) continue;
        say(a, "%s", files[i].path);
        json_object_set_new(result, files[i].key, json_string(files[i].path));
    }
    json_object_set_new(result, "loudness_lufs", json_real(r.loudness));
    json_object_set_new(result, "true_peak_db", json_real(r.true_peak));
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_OUT,      OPT_MODEL, OPT_SECONDS, OPT_SEED,      OPT_STEPS,      OPT_SAMPLER,
                                  OPT_GUIDANCE, OPT_BITS,  OPT_PICTURE, OPT_PRECISION, COMMON_OPTIONS, OPTS};

const command COMMAND_SCENE = {
    .name = "scene",
    .summary = "make a soundscape from a description, with cue sheet, transcript and subtitles",
    .names = "SCENE",
    .names_least = 1,
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPT_OUT, OPTS},
    .notes =
        "SCENE is a scene file (JSON; docs/scene.md tells its keys) or a line of words: what stands before a colon is "
        "the "
        "title, commas part the sounds, and words such as distant, near, far left, soft, loud, occasional and constant "
        "place them. Beside the sound it writes NAME.cues.json, NAME.txt and NAME.vtt. Without --model or a scene that "
        "names one: models/sound, or models/drums.",
    .examples = EXAMPLES(
        {"from words",
         "hiss scene \"a calm harbour at night: waves, distant bell, gulls\" --seconds 60 -o harbour.wav"},
        {"with places and how often",
         "hiss scene \"soft rain, occasional distant thunder on the far left, constant fire nearby\" -o evening.wav"},
        {"from a file, with a picture", "hiss scene examples/forest.json --picture -o forest.wav"},
        {"the same places, other sounds and moments", "hiss scene examples/forest.json --seed 2 -o forest2.wav"},
        {"of drums alone", "hiss scene \"kick, soft shaker on the left\" --model drums --seconds 20 -o shop.wav"}),
    .run = run,
};
