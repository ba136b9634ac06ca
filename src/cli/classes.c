/* hiss classes: what a model can be asked for. */
#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "systems/shipped.h"
#include "systems/system.h"

static void run(const arguments *a) {
    const char *named = a->name_count ? a->names[0] : text(a, OPT_MODEL);
    const model *m = model_open(named ? named : shipped_model("sound"));
    json_t *result = json_make_object(), *list = json_array(), *meanings = json_object();
    json_object_set_new(result, "classes", list);
    json_object_set_new(result, "words", meanings);
    for (int64_t i = 0; i < m->class_count; i++) {
        const char *name = m->classes ? m->classes[i] : format("%lld", (long long) i);
        const char **words;
        size_t n = model_class_words(m, (int32_t) i, &words);
        const char *line = name;
        json_t *others = json_array();
        for (size_t k = 0; k < n; k++) json_array_append_new(others, json_string(words[k]));
        json_object_set_new(meanings, name, others);
        for (size_t k = 0; k < n; k++) line = format("%s%s%s", line, k ? ", " : "\t", words[k]);
        say(a, "%s", line);
        json_array_append_new(list, json_string(name));
    }
    if (!m->class_count) warn("%s knows no classes", m->path);
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_MODEL, OPT_JSON, OPT_QUIET, OPT_HELP, OPTS};

const command COMMAND_CLASSES = {
    .name = "classes",
    .summary = "list the classes a model knows",
    .names = "[MODEL]",
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPTS},
    .notes =
        "Without a model: the sound model that comes with hiss. Behind a name stand other words that mean the class.",
    .examples = EXAMPLES({"by name", "hiss classes models/drums"},
                         {"for a script", "hiss classes --model models/drums --json"}),
    .run = run,
};
