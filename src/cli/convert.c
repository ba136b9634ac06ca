/* hiss convert: any readable model file as safetensors. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "store/quantise.h"
#include "systems/system.h"

static dtype type_named(const char *name) { return !strcmp(name, "bf16") ? BF16 : !strcmp(name, "f16") ? F16 : F32; }

/* Of types that share a scale among a group of elements, 0 for the others. */
static int bits_named(const char *name) { return name && starts_with(name, "int") ? name[3] - '0' : 0; }

static bool is_real(dtype t) { return t == F32 || t == BF16 || t == F16 || t == F64; }

/* What the file says of itself goes along as text, where hiss finds it again. */
static json_t *metadata_of(config settings, const system_row *row) {
    json_t *metadata = json_make_object();
    if (row) json_object_set_new(metadata, "system", json_string(row->name));
    if (json_object_size(settings.value))
        json_object_set_new(metadata, "config", json_string(json_text_compact(settings.value)));
    return metadata;
}

static void run(const arguments *a) {
    static const char *const EXTENSIONS[] = {".safetensors", NULL};
    const char *in = a->names[0], *out = a->names[1];
    check_result_path(out, EXTENSIONS);
    show_progress(a);
    store *s = store_open(model_weights_path(in));
    config settings = model_settings(in, s);
    size_t n = store_count(s);
    if (!n) fail(HISS_ERROR_FORMAT, "%s: holds no tensors", in);
    named_tensor *items = NEW_ARRAY(named_tensor, n);
    for (size_t i = 0; i < n; i++) {
        const char *name = store_at(s, i)->name;
        tensor *value = store_read(s, name);
        dtype type = a->given[OPT_TYPE] ? type_named(text(a, OPT_TYPE)) : F32;
        bool convert = is_real(value->type) && (a->given[OPT_TYPE] || value->type == F64) && value->type != type;
        items[i] = (named_tensor){name, convert ? tensor_convert(value, type) : value};
        progress("reading", (int64_t) i + 1, (int64_t) n);
    }
    json_t *metadata = metadata_of(settings, system_find(settings, s));
    if (bits_named(text(a, OPT_TYPE))) {
        int *bits = NEW_ARRAY(int, n);
        for (size_t i = 0; i < n; i++) bits[i] = quantise_worth(items[i].value) ? bits_named(text(a, OPT_TYPE)) : 0;
        items = quantise_all(items, &n, bits, metadata);
    }
    const char *path = result_path(out, path_stem(in), 0, 1, ".safetensors");
    safetensors_write(path, items, n, metadata);
    say(a, "%s", path);
    json_t *result = json_make_object();
    json_object_set_new(result, "path", json_string(path));
    json_object_set_new(result, "tensors", json_integer((json_int_t) n));
    say_json(a, result);
}

static const option_id TAKES[] = {OPT_TYPE, OPT_JSON, OPT_QUIET, OPT_HELP, OPTS};

const command COMMAND_CONVERT = {
    .name = "convert",
    .summary = "write a model file as safetensors",
    .names = "IN OUT.safetensors",
    .names_least = 2,
    .names_most = 2,
    .takes = TAKES,
    .needs = {OPTS},
    .notes =
        "Without --type every tensor keeps its type. int8 to int4 store matrices in that many bits, 32 elements to a "
        "scale, and everything else as f32; hiss turns them to f32 when it loads them. The configuration goes along as "
        "metadata.",
    .examples = EXAMPLES({"a published checkpoint", "hiss convert diffwave.pt diffwave.safetensors"},
                         {"at half the size", "hiss convert wavegrad.pt wavegrad.safetensors --type bf16"}),
    .run = run,
};
