/* hiss info: what a file is. */
#include <string.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "systems/latent.h"
#include "systems/shipped.h"

static int64_t elements(shape s) {
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) n *= s.dims[i];
    return n;
}

static json_t *dims_json(shape s) {
    json_t *list = json_array();
    for (int i = 0; i < s.rank; i++) json_array_append_new(list, json_integer(s.dims[i]));
    return list;
}

typedef struct {
    const char *path;
    model *m;
} opening;

static void open_model(void *context) {
    opening *o = context;
    o->m = model_open(o->path);
    scope_end_merge(); /* the model outlives try_run's scope */
    scope_begin();
}

/* Long lists, such as a schedule's betas, as their ends. */
static char *setting_text(const json_t *value) {
    size_t n = json_array_size(value);
    if (n > 8)
        return format("[%s, %s, ... %s] (%zu)", json_text(json_array_get(value, 0)),
                      json_text(json_array_get(value, 1)), json_text(json_array_get(value, n - 1)), n);
    return json_text(value);
}

static void tell_settings(const arguments *a, config settings, json_t *result) {
    const char *key;
    json_t *value;
    if (!json_object_size(settings.value)) return;
    say(a, "configuration:");
    json_object_foreach(settings.value, key, value) say(a, "  %s: %s", key, setting_text(value));
    json_object_set(result, "configuration", settings.value);
}

static void tell_tensors(const arguments *a, const store *s, json_t *result) {
    json_t *list = json_array();
    json_object_set_new(result, "tensors", list);
    for (size_t i = 0; i < store_count(s); i++) {
        const store_entry *e = store_at(s, i);
        say(a, "  %-60s %-5s %s", e->name, dtype_name(e->type), shape_text(e->shape));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", e->name, "type", dtype_name(e->type), "shape",
                                              dims_json(e->shape)));
    }
}

static const char *levels_text(const model *m) {
    return format("; %zu noise levels in training, %zu by default", m->beta_count, m->fast_count);
}

/* Of models whose state is not sound: what a pass sees, and how it is used by default. */
static const char *latent_text(const model *m) {
    const struct latent_row *row = m->latent;
    return format("%s; windows of %lld states of %lld samples (%.2f s); %lld steps of %s, guidance %g",
                  m->channels == 1   ? "mono"
                  : m->channels == 2 ? "stereo"
                                     : format("%d channels", m->channels),
                  (long long) row->window, (long long) m->hop, (double) (row->window * m->hop) / m->rate,
                  (long long) row->steps, m->sampler, row->guidance);
}

static void tell_fit(const arguments *a, const char *path, json_t *result) {
    opening o = {path, NULL};
    hiss_error error = {0};
    bool fits = try_run(open_model, &o, &error);
    json_object_set_new(result, "fits", json_boolean(fits));
    if (!fits) {
        say(a, "does not open as a model: %s", error.message);
        json_object_set_new(result, "problem", json_string(error.message));
        return;
    }
    const model *m = o.m;
    say(a, "sound: %d Hz, %s", m->rate,
        m->latent        ? latent_text(m)
        : m->mels        ? format("from mel spectrograms of %lld bands, %lld samples a frame%s", (long long) m->mels,
                                  (long long) m->hop, levels_text(m))
        : m->class_count ? format("%lld classes%s", (long long) m->class_count, levels_text(m))
                         : format("unconditional%s", levels_text(m)));
    if (m->latent) {
        json_object_set_new(result, "channels", json_integer(m->channels));
        json_object_set_new(result, "hop_samples", json_integer(m->hop));
        json_object_set_new(result, "window", json_integer(m->latent->window));
        json_object_set_new(result, "sampler", json_string(m->sampler));
        json_object_set_new(result, "steps", json_integer(m->latent->steps));
        json_object_set_new(result, "guidance", json_real(m->latent->guidance));
    }
    json_object_set_new(result, "sample_rate", json_integer(m->rate));
    json_object_set_new(result, "mel_bands", json_integer(m->mels));
    json_object_set_new(result, "classes", json_integer(m->class_count));
}

static void run(const arguments *a) {
    const char *path = model_named(a->names[0]);
    store *s = store_open(model_weights_path(path));
    config settings = model_settings(path, s);
    const system_row *row = system_find(settings, s);
    int64_t total = 0;
    for (size_t i = 0; i < store_count(s); i++) total += elements(store_at(s, i)->shape);
    json_t *result = json_make_object();
    say(a, "%s: %s", store_path(s), store_kind(s));
    say(a, "system: %s", row ? format("%s (%s)", row->name, row->paper) : "not one hiss knows");
    say(a, "parameters: %lld in %zu tensors", (long long) total, store_count(s));
    json_object_set_new(result, "path", json_string(store_path(s)));
    json_object_set_new(result, "kind", json_string(store_kind(s)));
    json_object_set_new(result, "system", row ? json_string(row->name) : json_null());
    json_object_set_new(result, "parameters", json_integer(total));
    if (row) tell_fit(a, path, result);
    tell_settings(a, settings, result);
    if (flag(a, OPT_TENSORS)) tell_tensors(a, s, result);
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_TENSORS, OPT_JSON, OPT_QUIET, OPT_HELP, OPTS};

const command COMMAND_INFO = {
    .name = "info",
    .summary = "say what a model file is: system, configuration, tensors, what does not fit",
    .names = "FILE",
    .names_least = 1,
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPTS},
    .examples = EXAMPLES({"a published checkpoint", "hiss info diffwave-ljspeech-22kHz-1000578.pt"},
                         {"every tensor, for a script", "hiss info models/drums --tensors --json"}),
    .run = run,
};
