/* hiss eval: how good generated sounds are. */
#include "cli/eval.h"

#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"
#include "tensor/tape.h"

static void run(const arguments *a) {
    prepare(a);
    precision_set(PRECISION_F32); /* networks that measure hear as the originals do, on every processor */
    json_t *result = json_make_object();
    if (!text(a, OPT_JUDGE) && !text(a, OPT_REAL) && !flag(a, OPT_MUSIC) && !flag(a, OPT_STEADY))
        fail(HISS_ERROR_ARGUMENT,
             "hiss eval needs something to measure with: --judge DIR, --reference PATH, --music or "
             "--steady; see hiss eval --help");
    if (text(a, OPT_PAGE) && !text(a, OPT_JUDGE))
        fail(HISS_ERROR_ARGUMENT, "--picture shows the classes of a judge: give --judge DIR, too");
    if (text(a, OPT_FEATURES) && !text(a, OPT_REAL))
        fail(HISS_ERROR_ARGUMENT, "--features are for a comparison: give --reference PATH, too");
    if (text(a, OPT_JUDGE)) eval_with_judge(a, result);
    if (text(a, OPT_REAL)) eval_with_reference(a, result);
    if (flag(a, OPT_MUSIC)) eval_music(a, result);
    if (flag(a, OPT_STEADY)) eval_steadiness(a, result);
    if (text(a, OPT_PAGE)) say(a, "%s", text(a, OPT_PAGE));
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_JUDGE, OPT_DATA,   OPT_PAGE,       OPT_REAL, OPT_FEATURES,
                                  OPT_MUSIC, OPT_STEADY, COMMON_OPTIONS, OPTS};

const command COMMAND_EVAL = {
    .name = "eval",
    .summary = "measure generated sounds: recognised classes, distances to recordings, onsets and tails",
    .names = "[GENERATED]",
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPTS},
    .notes = "GENERATED is a folder or a manifest; the class of a sound is that of the manifest, its sub-folder, or "
             "the one its file's "
             "name holds. A judge is trained with a recipe like recipes/judge.json on the same recordings as the "
             "model; it is asked about "
             "those held out, too, so that the figures can be read. Rise: 10 to 90 % of the envelope's peak; tail: the "
             "last 50 ms of the "
             "judge's clip against the peak; both are medians. Frechet distances depend on the number of sounds: "
             "compare equal ones. --reference compares with any real sounds: Frechet and "
             "kernel distances of log-mel statistics or of a listening network's features, and, where files have the "
             "same names, distances of "
             "signals. --steady takes one sound of 30 s and more.",
    .examples = EXAMPLES({"drums", "hiss eval --judge judge/ --data data/drums/manifest.tsv out/ --picture page.png"},
                         {"Frechet audio distance", "hiss eval --reference real/ --features vggish-10086976.pth out/"}),
    .run = run,
};
