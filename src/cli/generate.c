/* hiss generate: sounds from noise. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/prompts.h"
#include "cli/request.h"
#include "signal/picture.h"
#include "systems/latent.h"
#include "systems/prompt.h"
#include "systems/shipped.h"

/* --- which network, and how many steps --- */

enum { BEST_STEPS = 4, FAST_STEPS = 3 /* times, and part of, the model's own */ };
static const char FEW_STEP[] = "-few-step";

static const char *without_slash(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return format("%.*s", (int) n, path);
}

static bool wants(const arguments *a, const char *quality) { return !strcmp(text(a, OPT_QUALITY), quality); }

/* A model's few-step network lies beside it. What is named is taken as it is, unless it is asked for fast. */
static const char *model_path(const arguments *a) {
    const char *named = text(a, OPT_MODEL), *usual = named || wants(a, "best") ? NULL : shipped_sound();
    if (!named) return usual ? usual : shipped_model("sound");
    named = model_named(named);
    const char *few = format("%s%s", without_slash(named), FEW_STEP);
    return wants(a, "fast") && folder_exists(few) ? few : named;
}

static void set_steps(const arguments *a, const model *m, sound_request *r) {
    if (!a->given[OPT_QUALITY] || wants(a, "usual")) return;
    if (!m->latent) fail(HISS_ERROR_ARGUMENT, "%s has no --quality: give --steps and --sampler", m->path);
    if (r->steps) fail(HISS_ERROR_ARGUMENT, "--quality and --steps: give one of them");
    if (wants(a, "best")) r->steps = m->latent->steps * BEST_STEPS;
    else if (!ends_with(m->path, FEW_STEP)) r->steps = m->latent->steps / FAST_STEPS;
}

/* --- the reverse process --- */

enum { MOST_COLUMNS = 12 };
static const double COLUMN_SECONDS = 10; /* of a long sound, its beginning is drawn */

typedef struct {
    picture_column columns[MOST_COLUMNS + 1];
    int count;
    scope *home; /* of one sound's columns */
} strip;

static void add_column(strip *s, const char *title, const char *note, const audio *sound) {
    int64_t most = (int64_t) (COLUMN_SECONDS * sound->rate);
    scope *before = scope_switch(s->home);
    s->columns[s->count++] = (picture_column){audio_cut(sound, 0, sound->frames < most ? sound->frames : most),
                                              copy_string(title), copy_string(note)};
    scope_switch(before);
}

/* The signal over the noise, as hiss noise has it. */
static const char *noise_words(double noise) {
    return noise < 1000 ? format("%.1f dB", 20 * log10(1 / noise)) : "noise alone";
}

static void watch_step(void *context, int64_t step, double noise, const audio *state) {
    strip *s = context;
    add_column(s, format("step %lld", (long long) step + 1), noise_words(noise), state);
}

/* --- writing --- */

typedef struct {
    const arguments *a;
    sound_request *request;
    const char *stem;
    json_t *list;
    strip *steps; /* NULL: not drawn */
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

/* One of several has its seed in its name. */
static const char *path_of(const writing *w, int64_t i) {
    const char *out = text(w->a, OPT_OUT);
    if (is_standard(out)) return out;
    if (w->request->count == 1) return result_path(out, w->stem, 0, 1, ".wav");
    const char *tag = format("seed-%03llu", (unsigned long long) w->request->seed + (unsigned long long) i);
    if (means_folder(out)) return path_join(out, format("%s-%s.wav", w->stem, tag));
    return path_beside(out, format("-%s%s", tag, path_extension(out)));
}

static void draw_steps(writing *w, const char *path, const audio *sound) {
    strip *s = w->steps;
    const char *picture = path_beside(path, "-steps.png");
    add_column(s, "sound", "", sound);
    picture_columns(picture, s->columns, s->count, path_stem(path));
    say(w->a, "%s", picture);
    s->count = 0;
    scope_destroy(s->home);
    s->home = scope_create();
}

static void take(void *context, int64_t i, const audio *sound) {
    writing *w = context;
    const char *path = path_of(w, i);
    write_sound(w->a, sound, path, w->request->seed + (uint64_t) i, w->list);
    if (w->steps) draw_steps(w, path, sound);
}

static void close_strip(void *handle) { scope_destroy(((strip *) handle)->home); }

static strip *watch_steps(sound_request *r) {
    strip *s = NEW(strip);
    s->home = scope_create();
    defer(close_strip, s);
    r->watch = watch_step;
    r->watcher = s;
    r->most_watched = MOST_COLUMNS;
    return s;
}

/* A long sound goes into its file as it comes, where the file and what else is wanted of it allow that. */
static bool goes_in_pieces(const writing *w, const model *m) {
    const char *path = path_of(w, 0);
    return has_pieces(m, w->request) && !flag(w->a, OPT_PICTURE) &&
           (is_standard(path) || !strcmp(path_extension(path), ".wav"));
}

static void put(void *stream, const float *samples, int64_t n) { audio_stream_put(stream, samples, n); }

static void write_pieces(const writing *w, const model *m, int64_t i) {
    const sound_request *r = w->request;
    const int64_t frames = request_samples(m, r);
    const char *path = path_of(w, i);
    scope_begin();
    audio_stream *to =
        audio_stream_open(path, frames, m->channels, m->rate, audio_encoding_named(text(w->a, OPT_BITS)));
    generate_pieces(m, r, i, put, to);
    audio_stream_close(to);
    scope_end();
    if (is_standard(path)) return;
    say_sound(w->a, path, r->seed + (uint64_t) i, frames, m->rate, w->list);
}

static void make(writing *w, const model *m) {
    request_settle(m, w->request);
    if (goes_in_pieces(w, m))
        for (int64_t i = 0; i < w->request->count; i++) write_pieces(w, m, i);
    else generate_sounds(m, w->request, take, w);
}

/* --- lists of prompts --- */

/* A sound of each, with seeds of its own, and the list of them as a manifest. */
static void make_all(writing *w, const model *m, sound_request *r, const prompt_list *l) {
    const char *out = text(w->a, OPT_OUT), *manifest = path_join(out, "manifest.tsv");
    if (w->a->name_count) fail(HISS_ERROR_ARGUMENT, "--prompts and a prompt: give one of them");
    if (r->count != 1) fail(HISS_ERROR_ARGUMENT, "--prompts makes one sound of each prompt: leave --count out");
    if (!means_folder(out)) fail(HISS_ERROR_ARGUMENT, "--out %s: --prompts makes several files: name a folder", out);
    char *list = copy_string("path\tclass\tcaption\n");
    for (size_t i = 0; i < l->count; i++, r->seed++) {
        const prompt_row *row = &l->rows[i];
        r->prompt = row->prompt;
        if (!w->a->given[OPT_SECONDS]) r->seconds = row->seconds;
        w->stem = format("%03zu-%s", i + 1, file_stem(row->prompt));
        make(w, m);
        list = format("%s%s.wav\t%s\t%s\n", list, w->stem, row->class ? row->class : "", row->prompt);
        progress("prompts", (int64_t) i + 1, (int64_t) l->count);
    }
    file_write(manifest, list, strlen(list));
    say(w->a, "%s", manifest);
}

static void run(const arguments *a) {
    check_sound_path(a);
    const char *prompts = text(a, OPT_PROMPTS);
    const prompt_list l = prompts ? prompts_read(prompts) : (prompt_list){0};
    model *m = model_open(model_path(a));
    if (text(a, OPT_LORA)) model_adapt(m, text(a, OPT_LORA), number(a, OPT_LORA_STRENGTH, 1));
    else if (flag(a, OPT_LORA_STRENGTH))
        fail(HISS_ERROR_ARGUMENT, "--lora-strength: of which adapters? Name them (--lora FILE)");
    sound_request r = request_of(a, m);
    set_steps(a, m, &r);
    if (a->name_count) r.prompt = prompt_with_music(a->names[0], r.bpm, r.key);
    request_check(m, &r);
    if (flag(a, OPT_STREAM) && !is_standard(text(a, OPT_OUT)) && !means_folder(text(a, OPT_OUT)) &&
        strcmp(path_extension(text(a, OPT_OUT)), ".wav") != 0)
        warn("%s is written as a whole: --stream writes WAV files", text(a, OPT_OUT));
    prepare(a);
    json_t *result = json_make_object(), *list = json_array();
    json_object_set_new(result, "sounds", list);
    writing w = {a, &r, "sound", list, flag(a, OPT_STEPS_PICTURE) ? watch_steps(&r) : NULL};
    if (r.prompt) w.stem = file_stem(r.prompt);
    else if (r.class >= 0) w.stem = m->classes ? m->classes[r.class] : format("class-%d", r.class);
    if (prompts) make_all(&w, m, &r, &l);
    else make(&w, m);
    if (!prompts) tell_seeds(a, r.seed, r.count, (double) request_samples(m, &r) / m->rate);
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_SECONDS,       OPT_COUNT,         OPT_OUT,          OPT_PICTURE,
                                  OPT_STEPS_PICTURE, OPT_BITS,          OPT_MODEL,        OPT_QUALITY,
                                  OPT_LORA,          OPT_LORA_STRENGTH, SAMPLING_OPTIONS, GUIDE_OPTIONS,
                                  OPT_PROMPTS,       OPT_PRECISION,     COMMON_OPTIONS,   OPTS};

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
    .examples = EXAMPLES(
        {"from words", "hiss generate \"heavy rain on a tin roof\" -o rain.wav"},
        {"a class in place of words, 10 s, with a picture",
         "hiss generate --class thunder --seconds 10 -p -o thunder.wav"},
        {"four bars that loop, cut to the sample",
         "hiss generate \"a funk beat\" --bpm 90 --bars 4 --loop -o beat.wav"},
        {"words, a hummed course and the style of a recording, with a weight each",
         "hiss generate \"thunder\" --mel hummed.wav --reference storm.wav --guidance 3,mel=1,reference=1.5 -o "
         "thunder.wav"},
        {"half-way from a sound to what the words say",
         "hiss generate \"waves\" --init rain.wav --strength 0.5 -o waves.wav"},
        {"sixteen variations of a sound", "hiss generate --vary thunder.wav --amount 0.3 --count 16 -o variations/"},
        {"make two parts of a sound anew",
         "hiss generate \"birds\" --init garden.wav --inpaint 1:2.5,4:5 -o garden2.wav"},
        {"let a sound go on, to 12 s in all", "hiss generate \"wind\" --continue wind.wav --seconds 12 -o longer.wav"},
        {"from one prompt to another",
         "hiss generate \"gentle rain\" --blend \"a storm\" --blend-part 0-1 --seconds 40 -o s.wav"},
        {"from one sound to another", "hiss generate --init rain.wav --into birds.wav --seconds 20 -o clearing.wav"},
        {"ten minutes, as they are made", "hiss generate \"a stream in a wood\" --seconds 600 -o - | aplay"},
        {"as good as it gets, and the way there",
         "hiss generate \"a harp\" --quality best --steps-picture -o harp.wav"},
        {"with adapters of one's own",
         "hiss generate \"frog in my pond\" --lora mine/adapter.safetensors:0.8 -o frog.wav"},
        {"eight snares of another model", "hiss generate --model drums --class snare --count 8 --seed 1 -o out/"}),
    .run = run,
};
