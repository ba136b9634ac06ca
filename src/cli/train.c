/* hiss train: a model from recordings. hiss distil: one of few steps from a trained one. */
#include "train/loop.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"

typedef struct {
    bool quiet, terminal;
    int64_t measured; /* step whose line told of held-out clips: it is its own line, too */
} watching;

static void watch(const train_report *report, void *context) {
    watching *w = context;
    if (w->quiet || (report->event == TRAIN_STEP && report->step == w->measured)) return;
    if (report->event == TRAIN_HELD_OUT) w->measured = report->step;
    scope_begin();
    bool lasting = report->event != TRAIN_STEP;
    const char *words = report->message ? report->message : train_report_text(report);
    if (w->terminal) fprintf(stderr, "\r\033[K%s%s", words, lasting ? "\n" : "");
    else fprintf(stderr, "%s\n", words);
    fflush(stderr);
    scope_end();
}

static precision precision_of(const char *name) {
    if (!strcmp(name, "int8"))
        fail(HISS_ERROR_ARGUMENT, "--precision int8 is for running models: train in auto, f32 or bf16");
    return !strcmp(name, "f32") ? PRECISION_F32 : !strcmp(name, "bf16") ? PRECISION_BF16 : PRECISION_AUTO;
}

static json_t *real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static void run_as(const arguments *a, bool distil) {
    watching w = {flag(a, OPT_QUIET), isatty(STDERR_FILENO) == 1, -1};
    train_options o = {
        .recipe = text(a, OPT_RECIPE),
        .data = text(a, OPT_DATA),
        .out = text(a, OPT_OUT),
        .from = text(a, OPT_FROM),
        .distil = distil,
        .lora = integer(a, OPT_RANK, 0),
        .resume = flag(a, OPT_RESUME),
        .steps = integer(a, OPT_UPDATES, 0),
        .minutes = number(a, OPT_MINUTES, 0),
        .has_seed = a->given[OPT_RUN_SEED],
        .seed = (uint64_t) integer(a, OPT_RUN_SEED, 0),
        .has_precision = a->given[OPT_PRECISION],
        .numbers = precision_of(text(a, OPT_PRECISION)),
        .watch = watch,
        .context = &w,
    };
    prepare(a);
    train_result r = train_run(&o);
    if (w.terminal && !w.quiet) fprintf(stderr, "\n");
    say(a, "%s", o.out);
    if (r.interrupted) warn("stopped and saved at step %lld; go on with --resume", (long long) r.step);
    json_t *result = json_make_object();
    json_object_set_new(result, "path", json_string(o.out));
    json_object_set_new(result, "step", json_integer(r.step));
    json_object_set_new(result, "loss", real(r.loss));
    json_object_set_new(result, "held_out", real(r.held_out));
    json_object_set_new(result, "interrupted", json_boolean(r.interrupted));
    say_json(a, result);
}

static void run(const arguments *a) { run_as(a, false); }
static void run_distil(const arguments *a) { run_as(a, true); }

#define TRAINING_OPTIONS                                                                                               \
    OPT_RECIPE, OPT_DATA, OPT_OUT, OPT_FROM, OPT_RESUME, OPT_UPDATES, OPT_MINUTES, OPT_RUN_SEED, OPT_PRECISION,        \
        OPT_DEVICE, OPT_THREADS, OPT_JSON, OPT_QUIET, OPT_HELP

static const option_id TAKES[] = {TRAINING_OPTIONS, OPT_RANK, OPTS};

const command COMMAND_TRAIN = {
    .name = "train",
    .summary = "train a model on a folder of recordings",
    .names = "",
    .takes = TAKES,
    .needs = {OPT_RECIPE, OPT_OUT, OPTS},
    .notes =
        "The output folder can be given to hiss generate at any moment. Ctrl-C saves and stops; --resume goes on "
        "as if it "
        "had never stopped. A recording that cannot be read is named and skipped. --from goes on from a trained model "
        "with its network and classes; what says nothing else of a sound is its caption: its folder's name or its own.",
    .examples = EXAMPLES(
        {"teach the shipped sound model some sounds of one's own, in minutes",
         "hiss train --recipe recipes/fine-tune.json --from default --data my-sounds/ -o mine/"},
        {"the same as adapters, a file of 1 MB",
         "hiss train --recipe recipes/fine-tune.json --from default --lora 8 --data my-sounds/ -o mine/"},
        {"a small model of one's own from nothing; sub-folders are classes",
         "hiss train --recipe recipes/tiny.json --data hits/ -o model/"},
        {"go on for half an hour",
         "hiss train --recipe recipes/tiny.json --data hits/ -o model/ --resume --minutes 30"},
        {"the shipped sound model, from what recipes/sound/ made",
         "hiss train --recipe recipes/sound.json --data data/sound/manifest.tsv -o sound/"},
        {"its vocoder", "hiss train --recipe recipes/vocoder.json --data data/sound/manifest.tsv -o vocoder/"}),
    .run = run,
};

static const option_id TAKES_DISTIL[] = {TRAINING_OPTIONS, OPTS};

const command COMMAND_DISTIL = {
    .name = "distil",
    .summary = "teach a trained sound model to make its sounds in few steps",
    .names = "",
    .takes = TAKES_DISTIL,
    .needs = {OPT_RECIPE, OPT_OUT, OPTS},
    .notes =
        "The network learns to jump where the trained one (--from, the teacher) walks, with guidance inside, so that "
        "1 to 4 passes make a sound. What is told as held-out is how far its few steps end from the teacher's many. "
        "Stops and goes on as hiss train does; --resume needs the same teacher.",
    .examples =
        EXAMPLES({"the sound model in four steps", "hiss distil --recipe recipes/sound-few-step.json --data "
                                                   "data/sound/manifest.tsv -o few/"},
                 {"a model of one's own", "hiss distil --recipe recipes/sound-few-step.json --from model/ --data "
                                          "recordings/ -o few/"}),
    .run = run_distil,
};
