/* See stable_native.h. */
#include "systems/stable_native.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "models/oobleck.h"
#include "models/stable_condition.h"
#include "models/stable_dit.h"
#include "store/store.h"
#include "systems/stable_audio.h"

/* --- tensors: each of one to three of diffusers', one behind the other --- */

enum { MOST_PIECES = 3 };

typedef struct {
    const store *from;
    const char *names[MOST_PIECES];
    int count;
} pieces;

typedef struct {
    store_entry *entries;
    pieces *of;
    size_t count;
} listing;

static const tensor *read_pieces(void *context, size_t i) {
    const listing *l = context;
    const pieces *p = &l->of[i];
    if (p->count == 1) return store_read(p->from, p->names[0]);
    tensor *whole = tensor_new(l->entries[i].type, l->entries[i].shape);
    uint8_t *to = whole->data;
    for (int k = 0; k < p->count; k++) {
        const tensor *t = store_read(p->from, p->names[k]);
        memcpy(to, t->data, tensor_bytes(t));
        to += tensor_bytes(t);
        if (t->view) file_unneeded(t->data, tensor_bytes(t));
    }
    return whole;
}

/* With one text in place of another, once. */
static const char *replaced(const char *name, const char *from, const char *to) {
    const char *at = strstr(name, from);
    return at ? format("%.*s%s%s", (int) (at - name), name, to, at + strlen(from)) : name;
}

static void add_tensor(listing *l, const store *s, const char *name, const char *native, shape how) {
    const store_entry *e = store_find(s, name);
    l->entries[l->count] = (store_entry){native, e->type, how};
    l->of[l->count++] = (pieces){s, {name}, 1};
}

/* Matrices of the last one's inputs, below one another. */
static void add_fused(listing *l, const store *s, const char *name, const char *native, const char *first,
                      const char *const *others) {
    add_tensor(l, s, name, native, store_find(s, name)->shape);
    store_entry *e = &l->entries[l->count - 1];
    pieces *p = &l->of[l->count - 1];
    const shape one = e->shape;
    for (; *others; others++) {
        const char *other = replaced(name, first, *others);
        const store_entry *o = store_find(s, other);
        if (!o || o->type != e->type || o->shape.rank != 2 || one.rank != 2 || o->shape.dims[0] != one.dims[0] ||
            o->shape.dims[1] != one.dims[1])
            fail(HISS_ERROR_FORMAT, "%s: %s is missing or not like %s", store_path(s), other, name);
        p->names[p->count++] = other;
        e->shape.dims[0] += one.dims[0];
    }
}

/* --- the transformer --- */

static const char *dit_name(const char *name) {
    static const char *const PAIRS[][2] = {{"transformer_blocks.", "transformer.layers."},
                                           {".attn1.", ".self_attn."},
                                           {".attn2.", ".cross_attn."},
                                           {".to_out.0.", ".to_out."},
                                           {".norm1.weight", ".pre_norm.gamma"},
                                           {".norm1.bias", ".pre_norm.beta"},
                                           {".norm2.weight", ".cross_attend_norm.gamma"},
                                           {".norm2.bias", ".cross_attend_norm.beta"},
                                           {".norm3.weight", ".ff_norm.gamma"},
                                           {".norm3.bias", ".ff_norm.beta"},
                                           {".ff.net.", ".ff.ff."}};
    static const char *const FRONTS[][2] = {
        {"proj_in.", "transformer.project_in."}, {"proj_out.", "transformer.project_out."},
        {"time_proj.", "timestep_features."},    {"timestep_proj.", "to_timestep_embed."},
        {"global_proj.", "to_global_embed."},    {"cross_attention_proj.", "to_cond_embed."}};
    for (size_t i = 0; i < sizeof FRONTS / sizeof *FRONTS; i++)
        if (starts_with(name, FRONTS[i][0])) return format("%s%s", FRONTS[i][1], name + strlen(FRONTS[i][0]));
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) name = replaced(name, PAIRS[i][0], PAIRS[i][1]);
    return name;
}

static void list_dit(listing *l, const store *s) {
    static const char SELF[] = ".attn1.to_q.", CROSS[] = ".attn2.to_k.";
    for (size_t i = 0; i < store_count(s); i++) {
        const char *name = store_at(s, i)->name, *native = format("model.model.%s", dit_name(name));
        const bool taken = strstr(name, ".attn1.to_k.") || strstr(name, ".attn1.to_v.") || strstr(name, ".attn2.to_v.");
        shape how = store_at(s, i)->shape;
        if (taken) continue;
        if (strstr(name, SELF))
            add_fused(l, s, name, replaced(native, ".to_q.", ".to_qkv."), SELF,
                      (const char *const[]){".attn1.to_k.", ".attn1.to_v.", NULL});
        else if (strstr(name, CROSS))
            add_fused(l, s, name, replaced(native, ".to_k.", ".to_kv."), CROSS,
                      (const char *const[]){".attn2.to_v.", NULL});
        else {
            if (starts_with(name, "time_proj.") && how.rank == 1) how = SHAPE(how.dims[0], 1);
            add_tensor(l, s, name, native, how);
        }
    }
}

/* --- the autoencoder --- */

/* What stands behind "block.N." or before: a unit's part, or one of the stage or half itself. */
static const char *inner_name(const char *rest, bool encoder) {
    static const char *const UNIT[] = {"snake1.", "conv1.", "snake2.", "conv2."};
    int unit, used = 0;
    if (sscanf(rest, "res_unit%d.%n", &unit, &used) == 1 && used) {
        for (int i = 0; i < 4; i++)
            if (starts_with(rest + used, UNIT[i]))
                return format("layers.%d.layers.%d.%s", unit - 1 + (encoder ? 0 : 2), i, rest + used + strlen(UNIT[i]));
        return NULL;
    }
    if (starts_with(rest, "snake1.")) return format("layers.%d.%s", encoder ? 3 : 0, rest + strlen("snake1."));
    if (starts_with(rest, "conv1.")) return format("layers.4.%s", rest + strlen("conv1."));
    if (starts_with(rest, "conv_t1.")) return format("layers.1.%s", rest + strlen("conv_t1."));
    return NULL;
}

/* NULL: not a name of the autoencoder. */
static const char *coder_name(const char *name, int64_t stages) {
    static const char *const OUTER[] = {"conv1.", "snake1.", "conv2."};
    const bool encoder = starts_with(name, "encoder.");
    const int64_t places[] = {0, stages + 1, stages + 2};
    const char *rest = name + strlen("encoder.");
    int block, used = 0;
    if (!encoder && !starts_with(name, "decoder.")) return NULL;
    const char *half = format("%.*s", (int) (rest - name), name);
    for (int i = 0; i < 3; i++)
        if (starts_with(rest, OUTER[i]))
            return format("%slayers.%lld.%s", half, (long long) places[i], rest + strlen(OUTER[i]));
    if (sscanf(rest, "block.%d.%n", &block, &used) != 1 || !used || block < 0 || block > 64) return NULL;
    const char *inner = inner_name(rest + used, encoder);
    return inner ? format("%slayers.%d.%s", half, block + 1, inner) : NULL;
}

static void list_coder(listing *l, const store *s, int64_t stages, const char *front) {
    for (size_t i = 0; i < store_count(s); i++) {
        const char *name = store_at(s, i)->name, *native = coder_name(name, stages);
        shape how = store_at(s, i)->shape;
        if (!native) fail(HISS_ERROR_FORMAT, "%s: %s is not part of the autoencoder", store_path(s), name);
        const bool snake = ends_with(name, ".alpha") || ends_with(name, ".beta");
        if (snake && how.rank == 3 && how.dims[0] == 1 && how.dims[2] == 1) how = SHAPE(how.dims[1]);
        native = replaced(native, "parametrizations.weight.original0", "weight_g");
        native = replaced(native, "parametrizations.weight.original1", "weight_v");
        add_tensor(l, s, name, format("%s%s", front, native), how);
    }
}

/* --- the conditions --- */

static void list_conditions(listing *l, const store *s) {
    static const char *const PAIRS[][2] = {
        {"start_number_conditioner.time_positional_embedding", "seconds_start.embedder.embedding"},
        {"end_number_conditioner.time_positional_embedding", "seconds_total.embedder.embedding"},
        {"text_projection", "prompt.proj_out"}};
    for (size_t i = 0; i < store_count(s); i++) {
        const char *name = store_at(s, i)->name, *native = name;
        for (int k = 0; k < 3; k++) native = replaced(native, PAIRS[k][0], PAIRS[k][1]);
        add_tensor(l, s, name, format("conditioner.conditioners.%s", native), store_at(s, i)->shape);
    }
}

/* --- configurations --- */

static json_t *numbers(const int64_t *values, int n) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_integer(values[i]));
    return list;
}

static json_t *half_json(const oobleck_half *h, const char *channels, int64_t audio) {
    json_t *own = json_pack("{s:I, s:I, s:o, s:o, s:I, s:b}", channels, (json_int_t) audio, "channels",
                            (json_int_t) h->channels, "c_mults", numbers(h->widths, h->stages), "strides",
                            numbers(h->strides, h->stages), "latent_dim", (json_int_t) h->ends, "use_snake", 1);
    if (!strcmp(channels, "out_channels")) json_object_set_new(own, "final_tanh", json_false());
    return json_pack("{s:s, s:o}", "type", "oobleck", "config", own);
}

static json_t *coder_json(const oobleck_config *c) {
    return json_pack("{s:o, s:o, s:{s:s}, s:I, s:I, s:I}", "encoder", half_json(&c->encoder, "in_channels", c->audio),
                     "decoder", half_json(&c->decoder, "out_channels", c->audio), "bottleneck", "type", "vae",
                     "latent_dim", (json_int_t) c->latent, "downsampling_ratio", (json_int_t) c->ratio, "io_channels",
                     (json_int_t) c->audio);
}

/* Keys and values are as wide as their tokens or as the network, as the original's are. */
static json_t *dit_json(const stable_dit_config *d, const char *where) {
    enum { LEAST_ROTARY = 32 };
    const bool projected = d->token_width != d->tokens;
    if ((projected && d->token_width != d->width) || d->rotary < LEAST_ROTARY)
        fail(HISS_ERROR_ARGUMENT, "%s: stable-audio-tools has no such network: it cannot be trained", where);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s}", "io_channels", (json_int_t) d->channels, "embed_dim",
                     (json_int_t) d->width, "depth", (json_int_t) d->depth, "num_heads", (json_int_t) d->heads,
                     "cond_token_dim", (json_int_t) d->tokens, "global_cond_dim", (json_int_t) d->global,
                     "project_cond_tokens", projected, "transformer_type", "continuous_transformer");
}

static json_t *number_json(const stable_condition *k) {
    return json_pack("{s:s, s:s, s:{s:f, s:f}}", "id", k->id, "type", "number", "config", "min_val", k->least,
                     "max_val", k->most);
}

static json_t *conditions_json(const stable_conditions *c) {
    json_t *text = json_pack("{s:s, s:s, s:{s:s, s:I}}", "id", "prompt", "type", "t5", "config", "t5_model_name",
                             "t5-base", "max_length", (json_int_t) c->items[0].tokens);
    if (c->items[0].text_width) json_object_set_new(json_object_get(text, "config"), "project_out", json_true());
    return json_pack("{s:[o, o, o], s:I}", "configs", text, number_json(&c->items[1]), number_json(&c->items[2]),
                     "cond_dim", (json_int_t) c->width);
}

/* --- all --- */

static json_t *frame_json(const char *type, int64_t samples, int64_t rate, int64_t audio, json_t *model) {
    json_t *o = json_make_object();
    json_object_set_new(o, "model_type", json_string(type));
    json_object_set_new(o, "sample_size", json_integer(samples));
    json_object_set_new(o, "sample_rate", json_integer(rate));
    json_object_set_new(o, "audio_channels", json_integer(audio));
    json_object_set_new(o, "model", model);
    return o;
}

typedef struct {
    const store *vae, *dit, *conditions; /* the last two NULL: an autoencoder alone */
    json_t *settings;
    int64_t stages;
} sources;

static sources open_coder(const char *folder) {
    const config c = config_load(path_join(folder, "config.json"));
    const oobleck_config sizes = oobleck_config_read_diffusers(c);
    const int64_t rate = config_int(c, "sampling_rate", 44100, 1, 768000), usual = 65536;
    return (sources){.vae = store_open(folder),
                     .settings = frame_json("autoencoder", usual, rate, sizes.audio, coder_json(&sizes)),
                     .stages = sizes.encoder.stages};
}

static sources open_pipeline(const stable_files *f) {
    static const char *const PARTS[] = {"transformer", "vae", "projection_model", NULL};
    const char *vae = path_join(f->folder, "vae"), *projection = path_join(f->folder, "projection_model");
    stable_check_parts(f, PARTS, true);
    sources r = open_coder(vae);
    const config transformer = config_load(path_join(f->weights, "config.json")),
                 autoencoder = config_load(path_join(vae, "config.json"));
    const stable_dit_config d = stable_dit_config_read_diffusers(transformer);
    const oobleck_config sizes = oobleck_config_read_diffusers(autoencoder);
    const stable_conditions k = stable_conditions_read_diffusers(config_load(path_join(projection, "config.json")),
                                                                 stable_tokens_of_tokenizer(f));
    const int64_t window = config_int(transformer, "sample_size", 1024, 1, 1 << 20);
    json_t *ids = json_pack("[s, s, s]", "prompt", "seconds_start", "seconds_total"),
           *seconds = json_pack("[s, s]", "seconds_start", "seconds_total"),
           *diffusion =
               json_pack("{s:o, s:o, s:s, s:s, s:o}", "cross_attention_cond_ids", ids, "global_cond_ids", seconds,
                         "diffusion_objective", "v", "type", "dit", "config", dit_json(&d, transformer.where)),
           *pretransform =
               json_pack("{s:s, s:b, s:o}", "type", "autoencoder", "iterate_batch", 1, "config", coder_json(&sizes)),
           *model = json_pack("{s:o, s:o, s:o, s:I}", "pretransform", pretransform, "conditioning", conditions_json(&k),
                              "diffusion", diffusion, "io_channels", (json_int_t) sizes.latent);
    r.dit = store_open(f->weights);
    r.conditions = store_open(projection);
    r.settings = frame_json("diffusion_cond", window * sizes.ratio,
                            config_int(autoencoder, "sampling_rate", 44100, 1, 768000), sizes.audio, model);
    return r;
}

static void link_part(const stable_files *f, const char *part, const char *folder) {
    const char *link = path_join(folder, part);
    char *whole = realpath(path_join(f->folder, part), NULL);
    if (!whole) return;
    unlink(link);
    if (symlink(whole, link) && errno != EEXIST) warn("%s: cannot be linked to %s", link, whole);
    free(whole);
}

static const char STAMP[] = "converted_from";

static bool is_converted(const char *weights, const char *stamp) {
    return file_exists(weights) && !strcmp(config_string(store_metadata(store_open(weights)), STAMP, ""), stamp);
}

static void convert(const stable_files *f, const char *folder, const char *weights, const char *stamp) {
    scope_begin();
    const bool whole = strcmp(stable_kind(config_load(f->settings)), "StableAudioPipeline") == 0;
    const sources s = whole ? open_pipeline(f) : open_coder(f->folder);
    const size_t most = store_count(s.vae) + (whole ? store_count(s.dit) + store_count(s.conditions) : 0) + 1;
    listing l = {NEW_ARRAY(store_entry, most), NEW_ARRAY(pieces, most), 0};
    if (whole) list_dit(&l, s.dit);
    list_coder(&l, s.vae, s.stages, whole ? "pretransform.model." : "");
    if (whole) list_conditions(&l, s.conditions);
    json_t *notes = json_make_object();
    json_object_set_new(notes, STAMP, json_string(stamp));
    folder_make(folder);
    const char *text = json_text(s.settings);
    file_write(path_join(folder, "model_config.json"), text, strlen(text));
    safetensors_write_each(weights, l.entries, l.count, read_pieces, &l, notes);
    if (whole) link_part(f, "text_encoder", folder);
    if (whole) link_part(f, "tokenizer", folder);
    scope_end();
}

const char *stable_native_folder(const char *path, const char *out) {
    stable_files f;
    if (!out || !stable_files_find(path, &f) || !f.diffusers) return path;
    const char *folder = path_join(out, "from"), *weights = path_join(folder, "model.safetensors"),
               *made =
                   folder_exists(f.weights) ? file_stamp(f.weights) : "", /* else parts are missing, which is told */
                   *stamp = format("%s, %s, %s", f.weights, made, file_stamp(f.settings));
    if (!is_converted(weights, stamp)) convert(&f, folder, weights, stamp);
    return folder;
}
