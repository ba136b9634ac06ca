#include "cli/request.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/output.h"
#include "signal/picture.h"
#include "store/store.h"
#include "systems/rough.h"
#include "text/musical.h"

const char *const SOUND_EXTENSIONS[] = {".wav", ".flac", ".ogg", ".aiff", NULL};

/* Betas of a file: .npy, a JSON list, or an object that holds one under "betas". */
static const double *read_betas(const char *path, size_t *count) {
    enum { MOST = 100000 };
    double *betas;
    if (!strcmp(path_extension(path), ".npy")) {
        const tensor *t = tensor_convert(npy_read(path), F64);
        if (t->rank != 1 || t->shape[0] < 1 || t->shape[0] > MOST)
            fail(HISS_ERROR_FORMAT, "%s: a schedule is a list of 1 to %d betas", path, MOST);
        *count = (size_t) t->shape[0];
        betas = t->data;
    } else {
        config c = config_load(path);
        if (json_is_array(c.value)) {
            json_t *named = json_make_object();
            json_object_set(named, "betas", c.value);
            c.value = named;
        }
        betas = config_numbers(c, "betas", MOST, count);
        if (!*count) fail(HISS_ERROR_FORMAT, "%s: holds no betas", path);
    }
    for (size_t i = 0; i < *count; i++)
        if (!(betas[i] > 0 && betas[i] < 1))
            fail(HISS_ERROR_FORMAT, "%s: beta %zu is %g, not between 0 and 1", path, i, betas[i]);
    return betas;
}

/* "2" for all, "text=3,mel=1" for one each; both. */
static void read_guidance(const char *words, sound_request *r) {
    size_t n, handles = REQUEST_HANDLES;
    char **pieces = split(words, ',', &n);
    for (size_t i = 0; i < n; i++) {
        char *equals = strchr(pieces[i], '=');
        double value, *to = &r->guidance;
        if (equals) {
            *equals = 0;
            size_t h = 0;
            while (h < handles && strcmp(pieces[i], REQUEST_HANDLE_NAMES[h])) h++;
            if (h == handles)
                fail(HISS_ERROR_ARGUMENT, "--guidance %s: no such handle: %s", pieces[i],
                     suggest(pieces[i], REQUEST_HANDLE_NAMES, handles));
            to = &r->handle_guidance[h];
        }
        const char *number_text = equals ? equals + 1 : pieces[i];
        if (!parse_double(number_text, 0, 100, &value))
            fail(HISS_ERROR_ARGUMENT, "--guidance: '%s' is not a number from 0 to 100", number_text);
        *to = value;
    }
}

/* "1:2.5,3:4" or "1-2.5,3-4": seconds. */
static void read_spans(const char *words, sound_request *r) {
    size_t n;
    char **pieces = split(words, ',', &n);
    time_span *spans = NEW_ARRAY(time_span, n);
    for (size_t i = 0; i < n; i++) {
        char *dash = strpbrk(pieces[i], "-:");
        if (dash) *dash++ = 0;
        if (!dash || !parse_double(pieces[i], 0, 36000, &spans[i].from) ||
            !parse_double(dash, 0, 36000, &spans[i].to) || !(spans[i].from < spans[i].to))
            fail(HISS_ERROR_ARGUMENT, "--inpaint %s: give parts as FROM:TO in seconds, such as 0.5:1.25,3:4", words);
    }
    r->remake = spans;
    r->remakes = n;
}

/* Options that say how much of another there is to be. */
static void check_needs(const arguments *a) {
    static const struct {
        option_id given, needs, or ;
        const char *what;
    } NEEDS[] = {
        {OPT_AMOUNT, OPT_VARY, OPT_VARY, "the sound to make variations of"},
        {OPT_STRENGTH, OPT_INIT, OPT_INIT, "the sound to start from"},
        {OPT_ROUGH_BLUR, OPT_ROUGH, OPT_ROUGH, "the rough course to blur"},
        {OPT_BLEND_PART, OPT_BLEND, OPT_INTO, "what to go over into"},
    };
    for (size_t i = 0; i < sizeof NEEDS / sizeof *NEEDS; i++) {
        const option_id needs = NEEDS[i].needs, or = NEEDS[i].or ;
        if (!a->given[NEEDS[i].given] || text(a, needs) || text(a, or)) continue;
        fail(HISS_ERROR_ARGUMENT, "--%s needs --%s%s: %s", OPTION_TABLE[NEEDS[i].given].name, OPTION_TABLE[needs].name,
             or == needs ? "" : format(" or --%s", OPTION_TABLE[or].name), NEEDS[i].what);
    }
}

/* Where the sound varied goes over into the style alone, its style says what to make. */
static void read_varied(const arguments *a, sound_request *r) {
    const char *path = text(a, OPT_VARY);
    if (!path) return;
    if (r->init) fail(HISS_ERROR_ARGUMENT, "--vary and --init: give one of them");
    r->init = audio_read(path);
    r->strength = number(a, OPT_AMOUNT, 0.3);
    if (!text(a, OPT_REFERENCE)) r->reference = r->init;
}

/* What stays of a sound stays as the model makes sounds. */
static void tell_kept(const model *m, const char *path, const audio *sound) {
    if (sound->channels > m->channels) warn("%s: its %d channels are mixed to %d", path, sound->channels, m->channels);
    if (sound->rate != m->rate) warn("%s: resampled from %d Hz to the model's %d Hz", path, sound->rate, m->rate);
}

/* A sound that stays and is followed by a new part. */
static void read_continued(const arguments *a, const model *m, sound_request *r) {
    if (r->init) fail(HISS_ERROR_ARGUMENT, "--continue, --vary and --init: give one of them");
    r->init = audio_read(text(a, OPT_CONTINUE));
    tell_kept(m, text(a, OPT_CONTINUE), r->init);
    double there = (double) r->init->frames / r->init->rate;
    if (r->seconds == 0) r->seconds = there + (double) request_samples(m, r) / m->rate;
    if (r->seconds <= there)
        fail(HISS_ERROR_ARGUMENT, "--seconds %g: %s has %g s already; give the length of all", r->seconds,
             text(a, OPT_CONTINUE), there);
    time_span *rest = NEW(time_span);
    *rest = (time_span){there, r->seconds + 1};
    r->remake = rest;
    r->remakes = 1;
}

static void read_music(const arguments *a, sound_request *r) {
    r->bpm = number(a, OPT_BPM, 0);
    r->chords = text(a, OPT_CHORDS);
    if (text(a, OPT_MELODY)) r->melody = audio_read(text(a, OPT_MELODY));
    if (text(a, OPT_KEY)) r->key = key_named("--key", text(a, OPT_KEY));
}

/* The length of some bars. */
static void read_bars(const arguments *a, sound_request *r) {
    if (!a->given[OPT_BARS]) return;
    if (!a->given[OPT_BPM]) fail(HISS_ERROR_ARGUMENT, "--bars needs --bpm: how many beats a minute");
    if (a->given[OPT_SECONDS]) fail(HISS_ERROR_ARGUMENT, "--bars and --seconds: give one of them");
    r->seconds = (double) integer(a, OPT_BARS, 1) * 4 * 60 / number(a, OPT_BPM, 120);
}

/* Over the whole length, unless told otherwise; the styles of both sounds are followed, as those of variations are. */
static void read_into(const arguments *a, sound_request *r) {
    const char *path = text(a, OPT_INTO);
    if (!path) return;
    if (text(a, OPT_CONTINUE) || text(a, OPT_INPAINT))
        fail(HISS_ERROR_ARGUMENT, "--into: --continue and --inpaint keep what is there: give one of them");
    r->into = audio_read(path);
    if (!a->given[OPT_BLEND_PART]) r->blend_part = 0, r->blend_until = 1;
    if (!r->reference) r->reference = r->init;
    const double length = (double) r->into->frames / r->into->rate;
    if (!a->given[OPT_SECONDS] && !a->given[OPT_BARS] && r->init && length > r->seconds) r->seconds = length;
}

/* The files that a sound is to follow, and the length where they tell it. */
static void read_guides(const arguments *a, const model *m, sound_request *r) {
    const char *init = text(a, OPT_INIT), *reference = text(a, OPT_REFERENCE), *rough = text(a, OPT_ROUGH);
    if (init) r->init = audio_read(init);
    if (init) r->strength = number(a, OPT_STRENGTH, 0.5);
    read_varied(a, r);
    if (r->init && r->seconds == 0) r->seconds = (double) r->init->frames / r->init->rate;
    if (text(a, OPT_INPAINT) && !(init && r->init))
        fail(HISS_ERROR_ARGUMENT, "--inpaint needs --init: the sound of which parts are made anew");
    if (text(a, OPT_INPAINT)) read_spans(text(a, OPT_INPAINT), r);
    if (text(a, OPT_INPAINT) && r->init) tell_kept(m, init, r->init);
    if (text(a, OPT_CONTINUE)) read_continued(a, m, r);
    if (reference) r->reference = audio_read(reference);
    read_into(a, r);
    if (!rough) return;
    r->mel_blur = number(a, OPT_ROUGH_BLUR, 0);
    r->mel = rough_mel(rough, (double) request_samples(m, r) / m->rate);
    if (r->seconds == 0 && !rough_has_no_length(rough)) r->seconds = (double) r->mel->shape[0] * 512 / m->rate;
}

/* "0.5", or "0-1" over the length. */
static void read_blend_part(const char *words, sound_request *r) {
    if (!words) return; /* a command without the option */
    char *from = copy_string(words), *dash = strchr(from, '-');
    if (dash) *dash++ = 0;
    if (!parse_double(from, 0, 1, &r->blend_part) || (dash && !parse_double(dash, 0, 1, &r->blend_until)))
        fail(HISS_ERROR_ARGUMENT, "--blend-part %s: give a number from 0 to 1, or two of them as FROM-TO", words);
}

sound_request request_of(const arguments *a, const model *m) {
    sound_request r = sound_request_for(m);
    check_needs(a);
    r.seconds = number(a, OPT_SECONDS, 0);
    r.seed = (uint64_t) integer(a, OPT_SEED, 0);
    for (int k = 0; text(a, OPT_SEED_LIKE) && NOISE_NAMES[k]; k++)
        if (!strcmp(text(a, OPT_SEED_LIKE), NOISE_NAMES[k])) r.noise = (noise_kind) k;
    r.count = integer(a, OPT_COUNT, 1);
    r.steps = integer(a, OPT_STEPS, 0);
    r.sampler = text(a, OPT_SAMPLER);
    r.schedule = text(a, OPT_SCHEDULE);
    if (text(a, OPT_BETAS)) r.betas = read_betas(text(a, OPT_BETAS), &r.beta_count);
    r.eta = number(a, OPT_ETA, -1);
    r.class = model_class(m, text(a, OPT_CLASS));
    if (text(a, OPT_GUIDANCE)) read_guidance(text(a, OPT_GUIDANCE), &r);
    r.negative = text(a, OPT_NEGATIVE);
    r.blend = text(a, OPT_BLEND);
    read_blend_part(text(a, OPT_BLEND_PART), &r);
    r.loop = a->given[OPT_LOOP];
    r.stream = flag(a, OPT_STREAM) || (text(a, OPT_OUT) && !strcmp(text(a, OPT_OUT), "-"));
    r.start = number(a, OPT_START, 0);
    r.rescale = number(a, OPT_RESCALE, 0);
    r.set = text(a, OPT_SET);
    r.text_encoder = text(a, OPT_TEXT_ENCODER);
    r.vocoder = text(a, OPT_VOCODER);
    read_music(a, &r);
    read_bars(a, &r);
    read_guides(a, m, &r);
    return r;
}

void check_sound_path(const arguments *a) {
    if (!is_standard(text(a, OPT_OUT))) {
        check_result_path(text(a, OPT_OUT), SOUND_EXTENSIONS);
        return;
    }
    if (integer(a, OPT_COUNT, 1) != 1 || flag(a, OPT_PICTURE) || flag(a, OPT_STEPS_PICTURE) || flag(a, OPT_JSON))
        fail(HISS_ERROR_ARGUMENT, "--out -: one sound and nothing else goes to standard output: leave out --count, "
                                  "pictures and --json");
}

void say_sound(const arguments *a, const char *path, uint64_t seed, int64_t frames, int rate, json_t *list) {
    say(a, "%s", path);
    json_array_append_new(list, json_pack("{s:s, s:I, s:f, s:i}", "path", path, "seed", (json_int_t) seed, "seconds",
                                          (double) frames / rate, "sample_rate", rate));
}

void write_sound(const arguments *a, const audio *sound, const char *path, uint64_t seed, json_t *list) {
    audio_write(path, sound, audio_encoding_named(text(a, OPT_BITS)));
    if (is_standard(path)) return;
    say_sound(a, path, seed, sound->frames, sound->rate, list);
    if (!flag(a, OPT_PICTURE)) return;
    const char *picture = path_beside(path, ".png");
    picture_sound(picture, sound, path_stem(path));
    say(a, "%s", picture);
    json_object_set_new(json_array_get(list, json_array_size(list) - 1), "picture", json_string(picture));
}
