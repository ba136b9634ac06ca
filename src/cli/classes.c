/* hiss classes: what a model can be asked for. */
#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "systems/system.h"

static void run(const arguments *a) {
    const model *m = model_open(a->name_count ? a->names[0] : text(a, OPT_MODEL) ? text(a, OPT_MODEL) : "models/drums");
    json_t *result = json_make_object(), *list = json_array();
    json_object_set_new(result, "classes", list);
    for (int64_t i = 0; i < m->class_count; i++) {
        const char *name = m->classes ? m->classes[i] : format("%lld", (long long) i);
        say(a, "%s", name);
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
    .notes = "Without a model: that of models/drums.",
    .examples = {{"by name", "hiss classes models/drums"},
                 {"for a script", "hiss classes --model models/drums --json"}},
    .run = run,
};
