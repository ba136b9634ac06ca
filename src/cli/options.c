/* The table of options and the parsing of a command line by it. */
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "base/text.h"
#include "cli/choices.h"
#include "nn/lora.h"
#include "text/musical.h"

/* Beyond this a seed would not survive the way through a JSON number. */
static const double SEED_MOST = 9007199254740991.0;

const char *const GROUP_NAMES[GROUPS] = {
    [GROUP_MAKE] = "what to make",       [GROUP_EDIT] = "edits of a sound", [GROUP_TRAINING] = "training",
    [GROUP_MEASURE] = "what to measure", [GROUP_MODEL] = "model",           [GROUP_SAMPLING] = "from noise to sound",
    [GROUP_OUTPUT] = "output",           [GROUP_RUNNING] = "running",       [GROUP_STABLE] = "of Stable Audio alone",
};

const option OPTION_TABLE[OPTS] = {
    [OPT_MODEL] = {GROUP_MODEL, "model", 'm', KIND_PATH, "PATH", NULL, 0, 0, NULL,
                   "a model folder of hiss's or a published one, or a published .pt, .ckpt or .safetensors file", NULL},
    [OPT_OUT] = {GROUP_OUTPUT, "out", 'o', KIND_PATH, "PATH", NULL, 0, 0, NULL,
                 "where the result goes; a name ending in / or without extension is a folder", NULL},
    [OPT_SECONDS] = {GROUP_MAKE, "seconds", 's', KIND_NUMBER, "SECONDS", "s", 0.001, 36000, NULL,
                     "length of the sound; default: as such sounds last where the model reads that of words, else the "
                     "length it was trained on, 5 where it knows any (for scene: the scene's own, or 30)",
                     NULL},
    [OPT_COUNT] = {GROUP_MAKE, "count", 'n', KIND_INTEGER, "N", NULL, 1, 100000, "1", "how many sounds", NULL},
    [OPT_SEED] = {GROUP_MAKE, "seed", 0, KIND_INTEGER, "N", NULL, 0, SEED_MOST, "0",
                  "names the sound: the same seed gives the same samples; sound i of several has seed + i", NULL},
    [OPT_SEED_LIKE] = {GROUP_SAMPLING, "seed-like", 0, KIND_CHOICE, "WHOSE", NULL, 0, 0, "hiss",
                       "whose random numbers a seed stands for", choices_seed_like},
    [OPT_STEPS] = {GROUP_SAMPLING, "steps", 0, KIND_INTEGER, "N", NULL, 1, 10000, NULL,
                   "passes through the network; default: the model's or the schedule's own", NULL},
    [OPT_UPDATES] = {GROUP_TRAINING, "steps", 0, KIND_INTEGER, "N", NULL, 1, 1e9, NULL,
                     "updates of the weights in all, those before a --resume included; default: the recipe's", NULL},
    [OPT_RUN_SEED] = {GROUP_TRAINING, "seed", 0, KIND_INTEGER, "N", NULL, 0, SEED_MOST, NULL,
                      "names the random numbers; default: the recipe's (of encode: none are drawn)", NULL},
    [OPT_SAMPLER] = {GROUP_SAMPLING, "sampler", 0, KIND_CHOICE, "NAME", NULL, 0, 0, NULL,
                     "how noise becomes sound; default: the model's paper", choices_sampler},
    [OPT_SCHEDULE] = {GROUP_SAMPLING, "schedule", 0, KIND_CHOICE, "NAME", NULL, 0, 0, NULL,
                      "noise levels visited; default: the model's paper", choices_schedule},
    [OPT_BETAS] =
        {GROUP_SAMPLING, "betas", 0, KIND_PATH, "FILE", NULL, 0, 0, NULL,
         "a noise schedule of one's own in place of --schedule: what hiss schedule wrote, a JSON list, or .npy, from "
         "the least noise to the most",
         NULL},
    [OPT_TRIES] = {GROUP_SAMPLING, "tries", 0, KIND_INTEGER, "N", NULL, 1, 1000000, "50", "how many schedules to try",
                   NULL},
    [OPT_ETA] = {GROUP_SAMPLING, "eta", 0, KIND_NUMBER, "AMOUNT", NULL, 0, 10, NULL,
                 "fresh noise of ddim, tcd and the ancestral and sde samplers; 0: none; default: the sampler's own",
                 NULL},
    [OPT_CLASS] =
        {GROUP_MAKE, "class", 'c', KIND_TEXT, "NAME", NULL, 0, 0, NULL,
         "what to make, by name or number (see hiss classes); default: what the model reads of the prompt, else any; "
         "any: not even that",
         NULL},
    [OPT_GUIDANCE] = {GROUP_MAKE, "guidance", 'g', KIND_TEXT, "SCALE[,HANDLE=SCALE...]", NULL, 0, 100, NULL,
                      "how strongly to follow what is asked for, all of it or text, class, mel, reference, tempo, "
                      "melody each; 1: as trained; "
                      "default: the model's own",
                      NULL},
    [OPT_PROMPTS] = {GROUP_MAKE, "prompts", 0, KIND_PATH, "FILE.tsv", NULL, 0, 0, NULL,
                     "a list of prompts: a sound of each into the folder, with a manifest for hiss eval; columns "
                     "prompt (or caption), "
                     "class, seconds",
                     NULL},
    [OPT_RESCALE] = {GROUP_STABLE, "guidance-rescale", 0, KIND_NUMBER, "PART", NULL, 0, 1, "0",
                     "how far what guidance drives apart is brought back to its level without", NULL},
    [OPT_NEGATIVE] = {GROUP_MAKE, "negative", 0, KIND_TEXT, "PROMPT", NULL, 0, 0, NULL,
                      "what the sound is to be led away from", NULL},
    [OPT_BLEND] = {GROUP_MAKE, "blend", 0, KIND_TEXT, "PROMPT", NULL, 0, 0, NULL,
                   "a second prompt that the sound lies on the way to", NULL},
    [OPT_BLEND_PART] =
        {GROUP_MAKE, "blend-part", 0, KIND_TEXT, "PART[-PART]", NULL, 0, 1, "0.5",
         "how far on that way: 0 the first prompt, 1 the second; 0-1: from the one to the other over the length of a "
         "sound of more than 5.9 s, which is how --into goes",
         NULL},
    [OPT_ROUGH] = {GROUP_MAKE, "mel", 0, KIND_PATH, "FILE", NULL, 0, 0, NULL,
                   "a rough course that the sound follows: a sound, a mel spectrogram (.npy), or a picture of one "
                   "(.png, high at the top, "
                   "white loud)",
                   NULL},
    [OPT_SUNG] = {GROUP_MAKE, "mel", 0, KIND_PATH, "FILE", NULL, 0, 0, NULL,
                  "a mel spectrogram to sing (.npy, .safetensors), or a sound; the same as IN", NULL},
    [OPT_ROUGH_BLUR] = {GROUP_MAKE, "mel-blur", 0, KIND_NUMBER, "CELLS", NULL, 0, 64, "0",
                        "blur of the rough course, in cells of 93 ms by 8 bands: leaves more to the model", NULL},
    [OPT_REFERENCE] = {GROUP_MAKE, "reference", 0, KIND_PATH, "SOUND", NULL, 0, 0, NULL,
                       "a sound whose style is taken, not its content", NULL},
    [OPT_INIT] = {GROUP_EDIT, "init", 0, KIND_PATH, "SOUND", NULL, 0, 0, NULL,
                  "a sound to start from, in place of noise", NULL},
    [OPT_STRENGTH] = {GROUP_EDIT, "strength", 0, KIND_NUMBER, "PART", NULL, 0.01, 1, "0.5",
                      "how far the sound started from is given up: 1 all of it", NULL},
    [OPT_INTO] = {GROUP_EDIT, "into", 0, KIND_PATH, "SOUND", NULL, 0, 0, NULL,
                  "a second sound: what starts from --init ends as this one, and so does the style of --reference; "
                  "--blend-part 0.5 in place of 0-1 stays half-way",
                  NULL},
    [OPT_VARY] = {GROUP_EDIT, "vary", 0, KIND_PATH, "SOUND", NULL, 0, 0, NULL,
                  "a sound to make variations of: started from, and its style kept", NULL},
    [OPT_AMOUNT] = {GROUP_EDIT, "amount", 0, KIND_NUMBER, "PART", NULL, 0.01, 1, "0.3",
                    "how far variations go: 1 leaves only the style", NULL},
    [OPT_INPAINT] = {GROUP_EDIT, "inpaint", 0, KIND_TEXT, "FROM:TO[,...]", "s", 0, 0, NULL,
                     "parts of the sound of --init that are made anew; the rest stays as it is", NULL},
    [OPT_CONTINUE] = {GROUP_EDIT, "continue", 0, KIND_PATH, "SOUND", NULL, 0, 0, NULL,
                      "a sound that goes on, up to --seconds in all", NULL},
    [OPT_LOOP] = {GROUP_MAKE, "loop", 0, KIND_FLAG, NULL, NULL, 0, 0, NULL, "make the end lead into the beginning",
                  NULL},
    [OPT_STREAM] = {GROUP_OUTPUT, "stream", 0, KIND_FLAG, NULL, NULL, 0, 0, NULL,
                    "write a WAV file while the sound is still being decoded; -o - always does", NULL},
    [OPT_START] = {GROUP_STABLE, "start", 0, KIND_NUMBER, "SECONDS", "s", 0, 36000, "0",
                   "how far into a longer piece the sound is to begin, where the model is told it", NULL},
    [OPT_SET] = {GROUP_STABLE, "set", 0, KIND_TEXT, "NAME=NUMBER[,...]", NULL, 0, 0, NULL,
                 "other numbers that a model of stable-audio-tools is conditioned on, by their ids", NULL},
    [OPT_TEXT_ENCODER] = {GROUP_STABLE, "text-encoder", 0, KIND_PATH, "FOLDER", NULL, 0, 0, NULL,
                          "the T5 of a Stable Audio model, if it lies neither in its folder nor beside it", NULL},
    [OPT_BPM] = {GROUP_MAKE, "bpm", 0, KIND_NUMBER, "BEATS", "a minute", SLOWEST_BPM, FASTEST_BPM, NULL,
                 "tempo: said to the model with the prompt, and what --bars counts in", NULL},
    [OPT_KEY] = {GROUP_MAKE, "key", 0, KIND_TEXT, "KEY", NULL, 0, 0, NULL,
                 "key of music, such as \"D minor\": a tune in it is made up of the seed and followed", NULL},
    [OPT_CHORDS] = {GROUP_MAKE, "chords", 0, KIND_TEXT, "NAMES", NULL, 0, 0, NULL,
                    "chords to follow, one for each bar of four beats, such as \"Dm Bb F C\"", NULL},
    [OPT_MELODY] = {GROUP_MAKE, "melody", 0, KIND_PATH, "SOUND", NULL, 0, 0, NULL,
                    "a sound, hummed or played, whose pitches are followed", NULL},
    [OPT_BARS] = {GROUP_MAKE, "bars", 0, KIND_INTEGER, "N", NULL, 1, 1000, NULL,
                  "length in bars of four beats, in place of --seconds; needs --bpm", NULL},
    [OPT_VOCODER] =
        {GROUP_MODEL, "vocoder", 0, KIND_PATH, "PATH", NULL, 0, 0, NULL,
         "what sings the spectrograms in place of the shipped vocoder: BigVGAN v2's 44 kHz generators of 128 bands and "
         "hop 512, HiFi-GANs of the same form",
         NULL},
    [OPT_QUALITY] =
        {GROUP_MODEL, "quality", 0, KIND_CHOICE, "NAME", NULL, 0, 0, "usual",
         "fast: a few-step network where there is one, else fewer steps; best: the network it was made from, with four "
         "times the steps; usual: few steps where they were learned, else the model's own",
         choices_quality},
    [OPT_LEVELS] = {GROUP_SAMPLING, "levels", 0, KIND_TEXT, "T,T,...", NULL, 0, 1, "0,0.1,0.25,0.5,0.75,1",
                    "how far into the forward process, 0 (clean) to 1 (its end)", NULL},
    [OPT_FRONT] = {GROUP_MODEL, "front", 0, KIND_CHOICE, "NAME", NULL, 0, 0, "hiss",
                   "whose mel spectrogram to compute; --model overrides it", choices_front},
    [OPT_TYPE] = {GROUP_OUTPUT, "type", 0, KIND_CHOICE, "TYPE", NULL, 0, 0, NULL, "of the stored numbers",
                  choices_type},
    [OPT_TENSORS] = {GROUP_OUTPUT, "tensors", 0, KIND_FLAG, NULL, NULL, 0, 0, NULL,
                     "list every tensor with type and shape", NULL},
    [OPT_RECIPE] = {GROUP_TRAINING, "recipe", 0, KIND_PATH, "FILE", NULL, 0, 0, NULL, "what to train and how (JSON)",
                    NULL},
    [OPT_DATA] = {GROUP_TRAINING, "data", 0, KIND_PATH, "PATH", NULL, 0, 0, NULL,
                  "folder of recordings (sub-folders are classes), or a .tsv or .jsonl manifest", NULL},
    [OPT_FROM] = {GROUP_MODEL, "from", 0, KIND_PATH, "MODEL", NULL, 0, 0, NULL,
                  "the trained model to start from, or 'default': the one that comes with hiss", NULL},
    [OPT_RANK] = {GROUP_MODEL, "lora", 0, KIND_INTEGER, "RANK", NULL, 1, LORA_MOST_RANK, NULL,
                  "learn adapters of this rank in place of the weights of --from: a small file of their own", NULL},
    [OPT_LORA] =
        {GROUP_MODEL, "lora", 0, KIND_TEXT, "FILE[:WEIGHT],...", NULL, 0, 0, NULL,
         "adapters for this model, each times its weight (1): made by hiss train --lora or, for Stable Audio, by "
         "stable-audio-tools",
         NULL},
    [OPT_LORA_STRENGTH] = {GROUP_MODEL, "lora-strength", 0, KIND_NUMBER, "TIMES", NULL, -100, 100, "1",
                           "what the weights of all --lora adapters are multiplied by", NULL},
    [OPT_MINUTES] = {GROUP_TRAINING, "minutes", 0, KIND_NUMBER, "MINUTES", "min", 0.001, 1e6, NULL,
                     "stop, saved, after this long; default: the recipe's", NULL},
    [OPT_RESUME] = {GROUP_TRAINING, "resume", 0, KIND_FLAG, NULL, NULL, 0, 0, NULL,
                    "go on from the checkpoint in the output folder", NULL},
    [OPT_BITS] = {GROUP_OUTPUT, "bits", 0, KIND_CHOICE, "BITS", NULL, 0, 0, "16", "sample format of WAV and FLAC files",
                  choices_bits},
    [OPT_PICTURE] = {GROUP_OUTPUT, "picture", 'p', KIND_FLAG, NULL, NULL, 0, 0, NULL,
                     "also write a picture beside the sound: waveform over mel spectrogram", NULL},
    [OPT_STEPS_PICTURE] = {GROUP_OUTPUT, "steps-picture", 0, KIND_FLAG, NULL, NULL, 0, 0, NULL,
                           "also draw the sound on its way out of noise, at up to 12 of the steps (NAME-steps.png)",
                           NULL},
    [OPT_PAGE] = {GROUP_OUTPUT, "picture", 'p', KIND_PATH, "FILE.png", NULL, 0, 0, NULL,
                  "draw recorded beside generated sounds of each class", NULL},
    [OPT_JUDGE] = {GROUP_MEASURE, "judge", 0, KIND_PATH, "DIR", NULL, 0, 0, NULL, "a judge that hiss train made", NULL},
    [OPT_REAL] = {GROUP_MEASURE, "reference", 0, KIND_PATH, "PATH", NULL, 0, 0, NULL,
                  "real sounds, a folder or a manifest (of which those held out)", NULL},
    [OPT_FEATURES] = {GROUP_MEASURE, "features", 0, KIND_PATH, "FILE", NULL, 0, 0, NULL,
                      "a listening network, VGGish or Cnn14 (PANNs) as published; default: log-mel statistics", NULL},
    [OPT_MUSIC] = {GROUP_MEASURE, "music", 0, KIND_FLAG, NULL, NULL, 0, 0, NULL,
                   "hear whether sounds have the tempo and the key that captions or names ask for", NULL},
    [OPT_STEADY] = {GROUP_MEASURE, "steady", 0, KIND_FLAG, NULL, NULL, 0, 0, NULL,
                    "measure whether level and spectrum of a long sound drift, and whether it repeats itself", NULL},
    [OPT_PRECISION] = {GROUP_RUNNING, "precision", 0, KIND_CHOICE, "NAME", NULL, 0, 0, "auto",
                       "of matrix operands; auto: bf16 where it is multiplied faster than f32, else f32; int8: Stable "
                       "Audio's transformer",
                       choices_precision},
    [OPT_DEVICE] = {GROUP_RUNNING, "device", 0, KIND_TEXT, "NAME", NULL, 0, 0, "auto",
                    "where networks run: cpu, cuda, cuda:N (hiss devices lists them); auto: a GPU if there is one",
                    NULL},
    [OPT_THREADS] = {GROUP_RUNNING, "threads", 't', KIND_INTEGER, "N", NULL, 0, 4096, "0",
                     "processor cores to use; 0: all", NULL},
    [OPT_MAN] = {GROUP_OUTPUT, "man", 0, KIND_FLAG, NULL, NULL, 0, 0, NULL, "print the manual page (roff)", NULL},
    [OPT_COMPLETION] = {GROUP_OUTPUT, "completion", 0, KIND_CHOICE, "SHELL", NULL, 0, 0, NULL,
                        "print a completion script", choices_shell},
    [OPT_JSON] = {GROUP_OUTPUT, "json", 0, KIND_FLAG, NULL, NULL, 0, 0, NULL, "results as JSON on standard output",
                  NULL},
    [OPT_QUIET] = {GROUP_OUTPUT, "quiet", 'q', KIND_FLAG, NULL, NULL, 0, 0, NULL,
                   "no progress, no warnings; only results and errors", NULL},
    [OPT_HELP] = {GROUP_RUNNING, "help", 'h', KIND_FLAG, NULL, NULL, 0, 0, NULL, "this help", NULL},
};

/* --- looking words up --- */

static bool takes(const command *c, option_id id) {
    for (const option_id *i = c->takes; *i != OPTS; i++)
        if (*i == id) return true;
    return false;
}

static option_id find_long(const command *c, const char *name, size_t length) {
    for (int i = 0; i < OPTS; i++) {
        const char *known = OPTION_TABLE[i].name;
        if (strlen(known) == length && !strncmp(known, name, length) && takes(c, (option_id) i)) return (option_id) i;
    }
    return OPTS;
}

static option_id find_letter(const command *c, char letter) {
    for (int i = 0; i < OPTS; i++)
        if (OPTION_TABLE[i].letter == letter && takes(c, (option_id) i)) return (option_id) i;
    return OPTS;
}

_Noreturn static void unknown(const command *c, const char *word) {
    const char *known[OPTS];
    size_t count = 0;
    for (const option_id *i = c->takes; *i != OPTS; i++) known[count++] = format("--%s", OPTION_TABLE[*i].name);
    const char *typed = copy_string(word);
    char *equals = strchr(typed, '=');
    if (equals) *equals = 0;
    for (int i = 0; i < OPTS; i++)
        if (!strcmp(typed, format("--%s", OPTION_TABLE[i].name)))
            fail(HISS_ERROR_ARGUMENT, "hiss %s takes no %s; see hiss %s --help", c->name, typed, c->name);
    fail(HISS_ERROR_ARGUMENT, "hiss %s: unknown option %s: %s", c->name, typed, suggest(typed, known, count));
}

/* --- values --- */

static char *range_text(const option *o) {
    return format("%s from %g to %.16g", o->kind == KIND_INTEGER ? "a whole number" : "a number", o->low, o->high);
}

static void check(const option *o, const char *value) {
    long long whole;
    double real;
    size_t count = 0;
    switch (o->kind) {
    case KIND_INTEGER:
        if (!parse_long(value, (long long) o->low, (long long) o->high, &whole))
            fail(HISS_ERROR_ARGUMENT, "--%s %s: give %s", o->name, value, range_text(o));
        return;
    case KIND_NUMBER:
        if (!parse_double(value, o->low, o->high, &real))
            fail(HISS_ERROR_ARGUMENT, "--%s %s: give %s", o->name, value, range_text(o));
        return;
    case KIND_CHOICE:
        for (const char *const *names = o->choices(); names[count]; count++)
            if (!strcmp(names[count], value)) return;
        fail(HISS_ERROR_ARGUMENT, "--%s %s: no such name: %s", o->name, value, suggest(value, o->choices(), count));
    case KIND_PATH:
    case KIND_TEXT:
        if (!*value) fail(HISS_ERROR_ARGUMENT, "--%s: give a value (%s)", o->name, o->value);
        return;
    case KIND_FLAG: return;
    }
}

static void set(arguments *a, option_id id, const char *value) {
    const option *o = &OPTION_TABLE[id];
    check(o, value);
    a->text[id] = value;
    a->given[id] = true;
}

/* --- the line --- */

typedef struct {
    arguments *a;
    int argc, at;
    char **argv;
} line;

static const char *next_value(line *l, const option *o) {
    if (l->at + 1 >= l->argc) fail(HISS_ERROR_ARGUMENT, "--%s needs a value: --%s %s", o->name, o->name, o->value);
    return l->argv[++l->at];
}

/* --name, --name value, --name=value */
static void take_long(line *l, const char *word) {
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t) (equals - word - 2) : strlen(word + 2);
    option_id id = find_long(l->a->command, word + 2, length);
    if (id == OPTS) unknown(l->a->command, word);
    const option *o = &OPTION_TABLE[id];
    if (o->kind == KIND_FLAG) {
        if (equals) fail(HISS_ERROR_ARGUMENT, "--%s takes no value", o->name);
        set(l->a, id, "");
    } else {
        set(l->a, id, equals ? equals + 1 : next_value(l, o));
    }
}

/* -q, -qp, -o value, -ovalue */
static void take_letters(line *l, const char *word) {
    for (const char *c = word + 1; *c; c++) {
        option_id id = find_letter(l->a->command, *c);
        if (id == OPTS) unknown(l->a->command, format("-%c", *c));
        const option *o = &OPTION_TABLE[id];
        if (o->kind != KIND_FLAG) {
            set(l->a, id, c[1] ? c + 1 : next_value(l, o));
            return;
        }
        set(l->a, id, "");
    }
}

static void check_names(const arguments *a) {
    const command *c = a->command;
    if (a->name_count < c->names_least)
        fail(HISS_ERROR_ARGUMENT, "hiss %s needs %s; see hiss %s --help", c->name, c->names, c->name);
    if (a->name_count > c->names_most)
        fail(HISS_ERROR_ARGUMENT, "hiss %s: '%s' is one argument too many; see hiss %s --help", c->name,
             a->names[c->names_most], c->name);
    for (int i = 0; i < 3 && c->needs[i] != OPTS; i++)
        if (!a->given[c->needs[i]])
            fail(HISS_ERROR_ARGUMENT, "hiss %s needs --%s %s; see hiss %s --help", c->name,
                 OPTION_TABLE[c->needs[i]].name, OPTION_TABLE[c->needs[i]].value, c->name);
}

arguments arguments_parse(const command *c, int argc, char **argv) {
    arguments a = {.command = c, .names = NEW_ARRAY(const char *, argc + 1)};
    for (const option_id *i = c->takes; *i != OPTS; i++) a.text[*i] = OPTION_TABLE[*i].otherwise;
    line l = {&a, argc, 0, argv};
    bool only_names = false;
    for (; l.at < argc; l.at++) {
        const char *word = argv[l.at];
        if (only_names || word[0] != '-' || !word[1]) a.names[a.name_count++] = word;
        else if (!strcmp(word, "--")) only_names = true;
        else if (word[1] == '-') take_long(&l, word);
        else take_letters(&l, word);
    }
    if (!a.given[OPT_HELP]) check_names(&a);
    return a;
}

bool flag(const arguments *a, option_id id) { return a->given[id]; }

const char *text(const arguments *a, option_id id) { return a->text[id]; }

int64_t integer(const arguments *a, option_id id, int64_t otherwise) {
    const option *o = &OPTION_TABLE[id];
    long long value = otherwise;
    if (a->text[id]) parse_long(a->text[id], (long long) o->low, (long long) o->high, &value);
    return value;
}

double number(const arguments *a, option_id id, double otherwise) {
    const option *o = &OPTION_TABLE[id];
    double value = otherwise;
    if (a->text[id]) parse_double(a->text[id], o->low, o->high, &value);
    return value;
}

double *numbers(const arguments *a, option_id id, size_t *count) {
    const option *o = &OPTION_TABLE[id];
    char **pieces = split(a->text[id], ',', count);
    double *values = NEW_ARRAY(double, *count);
    for (size_t i = 0; i < *count; i++)
        if (!parse_double(pieces[i], o->low, o->high, &values[i]))
            fail(HISS_ERROR_ARGUMENT, "--%s: '%s' is not a number from %g to %g", o->name, pieces[i], o->low, o->high);
    return values;
}
