/* Opening models of stable-audio-tools: from their configuration to their parts, in both layouts. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "diffusion/sampler.h"
#include "diffusion/shift.h"
#include "systems/stable_audio.h"

/* How a kind of network is used where it was published. */
typedef struct {
    const char *objective, *sampler;
    int64_t steps;
    double guidance;
} usage;
static const usage NATIVE_USAGE[] = {{"v", "dpmpp-3m-sde", 100, 7},
                                     {"rectified_flow", "euler", 50, 6},
                                     {"rf_denoiser", "ping-pong", 8, 1}},
                   PIPELINE_USAGE = {"v", "dpmpp-2m-sde", 100, 7};

static const double LEAST_SIGMA = 0.3, MOST_SIGMA = 500; /* of v; the model cards' */

/* Value i of n that PyTorch's linspace has. */
static float even(float from, float to, int64_t i, int64_t n) {
    const float step = (to - from) / (float) (n - 1);
    return i < n / 2 ? fmaf(step, (float) i, from) : fmaf(-step, (float) (n - 1 - i), to);
}

/* Even in the logarithm, rounded as by the original, whose Brownian path has these times. */
static levels even_logarithms(int64_t steps, double least, double most, bool diffusers) {
    levels l = levels_between(schedule_find("polyexponential"), steps, least, most, 1);
    const float low = (float) log(least), high = (float) log(most), width = (float) (log(most) - log(least));
    for (int64_t i = 0; i < steps && steps > 1; i++) {
        const float product = (float) ((double) even(1, 0, i, steps) * width); /* rounded before the sum */
        l.sigmas[i] = (double) expf(diffusers ? even(low, high, steps - 1 - i, steps) : product + low);
    }
    return l;
}

/* Of v, even in the logarithm of sigma; of flows, in that of the signal to noise, as their authors do. */
static levels own_levels(const model *m, int64_t steps, double strength) {
    const stable_audio *net = m->network;
    if (net->process == PROCESS_STRAIGHT)
        return levels_of_times(PROCESS_STRAIGHT, times_log_snr(strength, steps), steps);
    const double wanted = strength < 1 ? tan(strength * M_PI / 2) : MOST_SIGMA,
                 most = fmin(fmax(wanted, LEAST_SIGMA * 1.01), MOST_SIGMA);
    return even_logarithms(steps, LEAST_SIGMA, most, net->files.diffusers);
}

static void read_ids(condition_list *to, const stable_conditions *known, config c, const char *key) {
    if (!config_has(c, key)) return;
    const config list = config_get(c, key);
    if (!json_is_array(list.value) || config_count(list) > STABLE_MOST_CONDITIONS)
        fail(HISS_ERROR_FORMAT, "%s: a list of names is needed", list.where);
    for (size_t i = 0; i < config_count(list); i++) {
        const char *id = json_string_value(config_at(list, i).value);
        const int index = id ? stable_condition_find(known, id) : -1;
        if (index < 0)
            fail(HISS_ERROR_FORMAT, "%s: '%s' is not among the conditions", list.where, id ? id : "(not a name)");
        to->items[to->count++] = index;
    }
}

/* Channels beside the latents are known in one form: what is kept, as mask and as latents. */
static bool reads_kept(config diffusion) {
    static const char *const IDS[] = {"inpaint_mask", "inpaint_masked_input"};
    if (!config_has(diffusion, "input_concat_ids")) return false;
    const config list = config_get(diffusion, "input_concat_ids");
    const size_t n = json_is_array(list.value) ? config_count(list) : 0;
    for (size_t i = 0; i < n; i++) {
        const char *id = json_string_value(config_at(list, i).value);
        if (n != 2 || !id || strcmp(id, IDS[i]) != 0)
            fail(HISS_ERROR_FORMAT, "%s: hiss knows ['inpaint_mask', 'inpaint_masked_input'] alone", list.where);
    }
    return n > 0;
}

/* Conditions and their places must be what the network takes. */
static void check_widths(const stable_audio *net, int64_t latent, const char *where) {
    const stable_dit_config *d = stable_dit_sizes(net->dit);
    const int64_t W = net->conditioner ? stable_conditioner_sizes(net->conditioner)->width : 0;
    const int64_t concat = net->inpaints ? 1 + latent : 0;
    if (d->channels != latent)
        fail(HISS_ERROR_FORMAT, "%s: the autoencoder has %lld numbers a latent, the network %lld", where,
             (long long) latent, (long long) d->channels);
    if (d->tokens != (net->cross.count ? W : 0) || d->global != net->global.count * W ||
        d->prepend != (net->prepend.count ? W : 0) || d->concat != concat)
        fail(HISS_ERROR_FORMAT,
             "%s: the conditions do not fit the network: %d for cross-attention, %d global and %d in front, each of "
             "%lld numbers; cond_token_dim %lld, global_cond_dim %lld, prepend_cond_dim %lld, input_concat_dim %lld",
             where, net->cross.count, net->global.count, net->prepend.count, (long long) W, (long long) d->tokens,
             (long long) d->global, (long long) d->prepend, (long long) d->concat);
}

/* Names of a checkpoint of training have "diffusion." in front, and those of its running average something else. */
typedef struct {
    const char *dit, *rest;
} prefixes;

static prefixes prefixes_of(const store *s) {
    static const char LANDMARK[] = "transformer.project_in.weight";
    static const prefixes KNOWN[] = {
        {"model.model", ""}, {"diffusion_ema.ema_model.model", "diffusion."}, {"diffusion.model.model", "diffusion."}};
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (store_find(s, format("%s.%s", KNOWN[i].dit, LANDMARK))) return KNOWN[i];
    return KNOWN[0];
}

/* What else training keeps. */
static void ignore_training(const prefixes *p, const store *s, binder *b) {
    if (!*p->rest) return;
    const char *const used[] = {format("%s.", p->dit), format("%spretransform.", p->rest),
                                format("%sconditioner.", p->rest)};
    for (size_t i = 0; i < store_count(s); i++) {
        const char *name = store_at(s, i)->name;
        if (!starts_with(name, used[0]) && !starts_with(name, used[1]) && !starts_with(name, used[2]))
            bind_ignore(b, name);
    }
}

static void open_autoencoder(stable_audio *net, config model_part, const store *s, binder *b, const char *prefix) {
    if (!config_has(model_part, "pretransform"))
        fail(HISS_ERROR_FORMAT, "%s: a network without autoencoder (pretransform): not in hiss", model_part.where);
    const config pretransform = config_get(model_part, "pretransform");
    const char *type = config_need_string(pretransform, "type");
    if (strcmp(type, "autoencoder") != 0)
        fail(HISS_ERROR_FORMAT, "%s: pretransform '%s': hiss has 'autoencoder'", pretransform.where, type);
    const oobleck_config c = oobleck_config_read(config_get(pretransform, "config"));
    net->latent_scale = config_number(pretransform, "scale", 1, 1e-6, 1e6);
    (void) s;
    bind_push(b, "%spretransform.model", prefix);
    net->autoencoder = oobleck_bind(&c, b, OOBLECK_BOTH, false);
    bind_pop(b);
}

static void open_conditioner(stable_audio *net, config model_part, config diffusion, const store *s, binder *b,
                             const char *prefix) {
    if (!config_has(model_part, "conditioning")) return;
    stable_conditions c = stable_conditions_read(config_get(model_part, "conditioning"));
    stable_conditions_fit(&c, s, format("%sconditioner.", prefix));
    bind_push(b, "%sconditioner", prefix);
    net->conditioner = stable_conditioner_bind(&c, b);
    bind_pop(b);
    read_ids(&net->cross, &c, diffusion, "cross_attention_cond_ids");
    read_ids(&net->global, &c, diffusion, "global_cond_ids");
    read_ids(&net->prepend, &c, diffusion, "prepend_cond_ids");
}

static const usage *usage_of(config diffusion) {
    const char *objective = config_string(diffusion, "diffusion_objective", "v");
    for (size_t i = 0; i < sizeof NATIVE_USAGE / sizeof *NATIVE_USAGE; i++)
        if (!strcmp(NATIVE_USAGE[i].objective, objective)) return &NATIVE_USAGE[i];
    fail(HISS_ERROR_FORMAT, "%s: diffusion_objective '%s': hiss has v, rectified_flow and rf_denoiser", diffusion.where,
         objective);
}

/* The network and what it is conditioned on. */
static const usage *open_conditioned(stable_audio *net, config model_part, const prefixes *p, const store *s,
                                     binder *b) {
    const config diffusion = config_has(model_part, "diffusion") ? config_get(model_part, "diffusion") : model_part;
    const char *type = config_string(diffusion, "type", "dit");
    if (strcmp(type, "dit") != 0)
        fail(HISS_ERROR_FORMAT, "%s: a network of type '%s': hiss has 'dit'", diffusion.where, type);
    const usage *u = usage_of(diffusion);
    stable_dit_config c = stable_dit_config_read(config_get(diffusion, "config"));
    c.predicts = u == &NATIVE_USAGE[0] ? PREDICT_V : PREDICT_FLOW;
    bind_push(b, "%s", p->dit);
    net->dit = stable_dit_bind(&c, b);
    bind_pop(b);
    open_conditioner(net, model_part, diffusion, s, b, p->rest);
    net->inpaints = reads_kept(diffusion);
    net->process = u == &NATIVE_USAGE[0] ? PROCESS_ROTATING : PROCESS_STRAIGHT;
    return u;
}

enum { DEFAULT_SAMPLES = 2097152 };

static const usage *open_native(model *m, const store *s, binder *b) {
    stable_audio *net = m->network;
    const config part = config_get(m->settings, "model");
    const prefixes p = prefixes_of(s);
    ignore_training(&p, s, b);
    const usage *u = open_conditioned(net, part, &p, s, b);
    open_autoencoder(net, part, s, b, p.rest);
    net->window = oobleck_frames(net->autoencoder, config_int(m->settings, "sample_size", DEFAULT_SAMPLES, 1, 1 << 28));
    return u;
}

/* A part of diffusers' folder, each with a file of its own. */
static binder *part_of(const stable_files *f, const char *name, config *c) {
    const char *folder = path_join(f->folder, name);
    *c = config_load(path_join(folder, "config.json"));
    return binder_load(store_open(folder));
}

int64_t stable_tokens_of_tokenizer(const stable_files *f) {
    const char *path = path_join(f->folder, "tokenizer/tokenizer_config.json");
    const int64_t otherwise = 128;
    if (!file_exists(path)) return otherwise;
    const double most = config_number(config_load(path), "model_max_length", (double) otherwise, 1, INFINITY);
    return most <= 4096 ? (int64_t) most : otherwise;
}

static const usage *open_pipeline(model *m, binder *b) {
    static const char *const PARTS[] = {"transformer", "vae", "projection_model", NULL};
    stable_audio *net = m->network;
    config c;
    stable_check_parts(&net->files, PARTS, true);
    const config transformer = config_load(path_join(net->files.weights, "config.json"));
    const stable_dit_config sizes = stable_dit_config_read_diffusers(transformer);
    net->dit = stable_dit_bind(&sizes, b);
    binder *vae = part_of(&net->files, "vae", &c);
    const oobleck_config coded = oobleck_config_read_diffusers(c);
    net->autoencoder = oobleck_bind(&coded, vae, OOBLECK_BOTH, false);
    binder_finish(vae, true);
    m->rate = (int) config_int(c, "sampling_rate", 44100, 1, 768000);
    binder *projection = part_of(&net->files, "projection_model", &c);
    const stable_conditions known = stable_conditions_read_diffusers(c, stable_tokens_of_tokenizer(&net->files));
    net->conditioner = stable_conditioner_bind(&known, projection);
    binder_finish(projection, true);
    net->cross = (condition_list){{0, 1, 2}, 3};
    net->global = (condition_list){{1, 2}, 2};
    net->latent_scale = 1;
    net->process = PROCESS_ROTATING;
    net->window = config_int(transformer, "sample_size", 1024, 1, 1 << 20);
    return &PIPELINE_USAGE;
}

/* Whole seconds that fit the window; of the long window of 1.0 as many as its card asks for. */
static int64_t default_length(const stable_audio *net, int64_t whole, int rate) {
    static const double CARD_SECONDS = 30;
    const double window = (double) whole / rate;
    if (net->files.diffusers || window < 1) return whole;
    return (int64_t) ((window > CARD_SECONDS ? CARD_SECONDS : floor(window)) * rate);
}

void stable_audio_open(model *m, const store *s, binder *b, const struct latent_row *general) {
    stable_audio *net = NEW(stable_audio);
    struct latent_row *own = NEW(struct latent_row);
    m->network = net;
    if (!stable_files_find(m->path, &net->files))
        fail(HISS_ERROR_FORMAT, "%s: weights of a Stable Audio model, but no model_config.json beside them", m->path);
    const usage *u = net->files.diffusers ? open_pipeline(m, b) : open_native(m, s, b);
    check_widths(net, oobleck_sizes(net->autoencoder)->latent, m->settings.where);
    *own = *general;
    own->levels = own_levels;
    own->window = net->window;
    own->overlap = net->window / 4;
    own->steps = u->steps;
    own->guidance = net->cross.count || net->prepend.count ? u->guidance : 1;
    own->process = net->process;
    own->channels_first = true;
    own->path_of_seed = net->files.diffusers;
    own->most = net->process == PROCESS_STRAIGHT ? NO_SIGNAL : MOST_SIGMA;
    own->least = net->process == PROCESS_STRAIGHT ? 0.02 : LEAST_SIGMA;
    m->latent = own;
    m->sampler = u->sampler;
    m->channels = (int) oobleck_sizes(net->autoencoder)->audio;
    m->hop = oobleck_sizes(net->autoencoder)->ratio;
    m->limit = INFINITY;
    m->length = default_length(net, oobleck_samples(net->autoencoder, net->window), m->rate);
}

/* --- for training --- */

/* Conditions that no list of recordings tells, parts that training does not have. */
static void check_learnable(const stable_audio *net, const char *path) {
    const stable_conditions *c = net->conditioner ? stable_conditioner_sizes(net->conditioner) : NULL;
    int texts = 0;
    for (int i = 0; c && i < c->count; i++) texts += c->items[i].kind == CONDITION_TEXT;
    if (texts > 1) fail(HISS_ERROR_ARGUMENT, "%s: conditioned on %d texts: hiss trains networks with one", path, texts);
    if (net->inpaints)
        fail(HISS_ERROR_ARGUMENT, "%s: a network that is shown what is kept (inpainting): not trained by hiss", path);
}

stable_learner stable_audio_open_learning(const char *path) {
    stable_learner r = {.net = NEW(stable_audio)};
    stable_audio *net = r.net;
    if (!stable_files_find(path, &net->files) || net->files.diffusers)
        fail(HISS_ERROR_ARGUMENT,
             "%s: training starts from stable-audio-tools' layout: a folder with model_config.json and "
             "model.safetensors or model.ckpt",
             path);
    r.settings = config_load(net->files.settings);
    const char *kind = stable_kind(r.settings);
    if (!kind || !starts_with(kind, "diffusion"))
        fail(HISS_ERROR_ARGUMENT, "%s: a model of type '%s': training needs a diffusion model", path,
             kind ? kind : "(none)");
    const config part = config_get(r.settings, "model"), pretransform = config_get(part, "pretransform");
    const oobleck_config coded = oobleck_config_read(config_get(pretransform, "config"));
    const store *s = store_open(net->files.weights);
    const prefixes p = prefixes_of(s);
    binder *b = binder_load(s);
    ignore_training(&p, s, b);
    for (size_t i = 0; i < store_count(s); i++)
        if (starts_with(store_at(s, i)->name, format("%spretransform.", p.rest))) bind_ignore(b, store_at(s, i)->name);
    open_conditioned(net, part, &p, s, b);
    net->latent_scale = config_number(pretransform, "scale", 1, 1e-6, 1e6);
    check_widths(net, coded.latent, r.settings.where);
    check_learnable(net, path);
    r.parameters = binder_finish(b, true);
    r.rate = (int) config_int(r.settings, "sample_rate", 44100, 1, 768000);
    r.samples = config_int(r.settings, "sample_size", DEFAULT_SAMPLES, 1, 1 << 28);
    return r;
}

const char *stable_published_name(const store *s, const char *name) {
    const prefixes p = prefixes_of(s);
    const char *dit = format("%s.", p.dit), *rest = name + strlen(p.rest);
    if (starts_with(name, dit)) return format("model.model.%s", name + strlen(dit));
    const bool known =
        starts_with(name, p.rest) && (starts_with(rest, "pretransform.") || starts_with(rest, "conditioner."));
    return known ? rest : NULL;
}
