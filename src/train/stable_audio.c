/* Training of stable-audio-tools' diffusion transformers from a published checkpoint (Evans et al. 2024, arXiv 2407.14358): what the
 * network predicts of latents mixed with noise, v or the flow, in plain mean squared error; the autoencoder and the T5 stay as they
 * are. B windows, N positions, L numbers of a latent, S tokens, W their width. */
#include "systems/stable_audio.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "diffusion/draws.h"
#include "systems/stable_native.h"
#include "tensor/ops.h"
#include "train/checkpoint.h"
#include "train/published.h"
#include "train/stable_source.h"
#include "train/trainable.h"

/* Where times are drawn. */
typedef enum { TIMES_EVEN, TIMES_LOGIT_NORMAL, TIMES_TRUNCATED, TIMES_LOG_SNR, TIMES } times;
static const char *const TIME_NAMES[] = {"uniform", "logit_normal", "trunc_logit_normal", "log_snr"};
static const double LEFT = 0.075, MEAN_LOG_SNR = -1.2, STD_LOG_SNR = 2; /* the original's */

typedef struct {
    stable_learner learner;
    times times;
    double dropout, mean_log_snr, std_log_snr;
    json_t *lora_layers; /* of the recipe, or NULL */
} stable_training;

/* --- what is trained --- */

/* The recipe's object "diffusion", else what the model's configuration says of its training. */
static void read_settings(stable_training *m, config recipe) {
    static const char *const keys[] = {"timesteps", "dropout", NULL};
    const config settings = m->learner.settings, none = config_parse("{}", 2, "training"),
                 said = config_has(settings, "training") ? config_get(settings, "training") : none,
                 own = config_has(recipe, "diffusion") ? config_get(recipe, "diffusion") : none;
    config_only(own, keys);
    const char *name = config_string(own, "timesteps", config_string(said, "timestep_sampler", TIME_NAMES[TIMES_EVEN]));
    while (m->times < TIMES && strcmp(name, TIME_NAMES[m->times]) != 0) m->times++;
    if (m->times == TIMES)
        fail(HISS_ERROR_ARGUMENT, "timesteps (timestep_sampler) '%s': %s", name, suggest(name, TIME_NAMES, TIMES));
    m->dropout = config_number(own, "dropout", config_number(said, "cfg_dropout_prob", 0.1, 0, 1), 0, 1);
    const config more =
        config_has(said, "timestep_sampler_options") ? config_get(said, "timestep_sampler_options") : none;
    m->mean_log_snr = config_number(more, "mean_logsnr", MEAN_LOG_SNR, -100, 100);
    m->std_log_snr = config_number(more, "std_logsnr", STD_LOG_SNR, 0, 100);
}

static adopted_model *adopt(const char *path, config recipe, const char *out) {
    const char *from = stable_native_folder(path, out);
    stable_training *m = NEW(stable_training);
    m->learner = stable_audio_open_learning(from);
    read_settings(m, recipe);
    if (config_has(recipe, "training"))
        m->lora_layers = json_object_get(config_get(recipe, "training").value, "lora_layers");
    struct stat weights;
    adopted_model *a = NEW(adopted_model);
    *a = (adopted_model){.path = from,
                         .no_adapters = ".int_embedder.", /* a table: the original adapts linear layers */
                         .network = m,
                         .parameters = m->learner.parameters,
                         .settings = m->learner.settings,
                         .rate = m->learner.rate,
                         .samples = m->learner.samples,
                         .bytes = stat(m->learner.net->files.weights, &weights) ? 0 : weights.st_size};
    return a;
}

/* --- its batches --- */

static batch_source make_source(const trainable_data *d) {
    static const char *const keys[] = {"path",           "sample_rate", "seconds", "held_out",
                                       "held_out_clips", "balance",     "latents", NULL};
    stable_training *m = d->adopted->network;
    const config data = config_get(d->recipe, "data");
    config_only(data, keys);
    m->learner.samples = d->adopted->samples;
    stable_text_link(&m->learner.net->files, m->learner.settings, d->out);
    const stable_source_settings s = {.data = d->data,
                                      .learner = &m->learner,
                                      .from = d->adopted->path,
                                      .folder = config_string(data, "latents", path_join(d->out, "latents")),
                                      .dropout = m->dropout};
    return stable_source(&s);
}

/* --- loss --- */

static double time_drawn(const stable_training *m, const batch *b, int64_t i) {
    const double u = b->level[i], z = sqrt(-2 * log(1 - u)) * cos(2 * M_PI * b->place[i]);
    switch (m->times) {
    case TIMES_LOGIT_NORMAL: return draw_logit_normal(z, 0, 1);
    case TIMES_TRUNCATED: return 1 - draw_truncated_logit_normal(z, LEFT);
    case TIMES_LOG_SNR: return draw_log_snr(z, m->mean_log_snr, m->std_log_snr);
    case TIMES_EVEN:
    case TIMES: break;
    }
    return u;
}

/* Each window at its own time, and the target that belongs to it. */
static void mix_windows(const stable_audio *net, const batch *b, const float *t, tensor *noisy, tensor *target) {
    const int64_t each = count(b->latents) / b->size;
    const objective of = stable_dit_sizes(net->dit)->predicts;
    for (int64_t i = 0; i < b->size; i++) {
        const double angle = t[i] * M_PI / 2;
        const mixing at =
            net->process == PROCESS_ROTATING ? (mixing){cos(angle), sin(angle)} : (mixing){1 - t[i], t[i]};
        const tensor *x = tensor_view(b->latents, i * each, SHAPE(1, each)),
                     *e = tensor_view(b->noise, i * each, SHAPE(1, each));
        scope_begin();
        memcpy(f32(noisy) + i * each, mix(at, x, e)->data, (size_t) each * sizeof(float));
        memcpy(f32(target) + i * each, target_of(of, at, x, e)->data, (size_t) each * sizeof(float));
        scope_end();
    }
}

/* A condition of each window, [B, tokens, W]; numbers that no recording has are at their least. */
static const tensor *condition_rows(const stable_audio *net, const batch *b, int index) {
    const stable_condition *k = &stable_conditioner_sizes(net->conditioner)->items[index];
    if (k->kind == CONDITION_TEXT) return stable_embed_texts(net->conditioner, index, b->states, b->mask);
    const bool begin = !strcmp(k->id, "seconds_start"), total = !strcmp(k->id, "seconds_total");
    double *values = NEW_ARRAY(double, b->size);
    for (int64_t i = 0; i < b->size; i++) values[i] = begin ? b->begin[i] : total ? b->total[i] : k->least;
    return stable_embed_numbers(net->conditioner, index, values, b->size);
}

/* One after another; NULL for an empty list. */
static const tensor *tokens_of(const stable_audio *net, const batch *b, const condition_list *list) {
    const tensor *all = NULL;
    for (int i = 0; i < list->count; i++) {
        const tensor *rows = condition_rows(net, b, list->items[i]);
        all = all ? concat_time(all, rows) : rows;
    }
    return all;
}

static const tensor *vector_of(const stable_audio *net, const batch *b, const condition_list *list) {
    const tensor *all = NULL;
    for (int i = 0; i < list->count; i++) {
        const tensor *rows = condition_rows(net, b, list->items[i]);
        rows = reshape(rows, SHAPE(b->size, count(rows) / b->size));
        all = all ? concat_channels(all, rows) : rows;
    }
    return all;
}

/* All tokens of windows that are not given them are zeros. */
static const tensor *given(const batch *b, const tensor *tokens, uint32_t bit) {
    if (!tokens) return NULL;
    const int64_t each = count(tokens) / b->size;
    tensor *kept = tensor_new(F32, shape_of(tokens));
    for (int64_t i = 0; i < count(kept); i++) f32(kept)[i] = b->handles[i / each] & bit ? 1 : 0;
    return multiply(tokens, kept, F32);
}

static tensor *loss(const void *model, const batch *b, loss_trace *trace) {
    const stable_training *m = model;
    const stable_audio *net = m->learner.net;
    float *t = NEW_ARRAY(float, b->size);
    for (int64_t i = 0; i < b->size; i++) t[i] = (float) time_drawn(m, b, i);
    tensor *noisy = tensor_new(F32, shape_of(b->latents)), *target = tensor_new(F32, shape_of(b->latents));
    mix_windows(net, b, t, noisy, target);
    const tensor *tokens = given(b, tokens_of(net, b, &net->cross), GIVEN_CROSS);
    const stable_dit_condition k = {.context = tokens ? stable_dit_attend_to(net->dit, tokens) : NULL,
                                    .global = vector_of(net, b, &net->global),
                                    .prepend = given(b, tokens_of(net, b, &net->prepend), GIVEN_PREPEND)};
    tensor *predicted = stable_dit_forward(net->dit, noisy, t, &k);
    if (trace) *trace = (loss_trace){noisy, predicted, t};
    return mse_loss(predicted, target);
}

/* --- the published layout --- */

static void write_weights(const saved_model *m, const char *path) {
    const stable_training *t = m->network;
    published_write(path, t->learner.net->files.weights, m->weights, stable_published_name);
}

/* "model.model.X.lora_A.weight" -> "model.X.parametrizations.weight.0.lora_A": names within the diffusion model or the conditioner. */
static const char *tools_name(const store *s, const char *name) {
    const char *end = strstr(name, ".lora_"), *matrix = format("%.*s.weight", (int) (end - name), name),
               *published = stable_published_name(s, matrix), *inside = strchr(published, '.') + 1;
    const int length = (int) (strlen(inside) - strlen(".weight"));
    return format("%.*s.parametrizations.weight.0.%.*s", length, inside, (int) strlen("lora_A"), end + 1);
}

/* As stable-audio-tools' models/lora reads them. */
static void write_adapters(const saved_model *m, const char *path) {
    const stable_training *t = m->network;
    const params *learned = lora_params(m->adapters);
    scope_begin();
    const store *s = store_open(t->learner.net->files.weights);
    named_tensor *items = NEW_ARRAY(named_tensor, learned->count + 1);
    for (size_t i = 0; i < learned->count; i++)
        items[i] = (named_tensor){tools_name(s, learned->items[i]->name), learned->items[i]->value};
    json_t *own = json_make_object(), *notes = json_make_object();
    const json_int_t rank = learned->items[0]->value->shape[0];
    json_object_set_new(own, "rank", json_integer(rank));
    json_object_set_new(own, "alpha", json_integer(rank));
    json_object_set_new(own, "adapter_type", json_string("lora"));
    if (t->lora_layers) json_object_set(own, "include", t->lora_layers);
    json_object_set_new(notes, "lora_config", json_string(json_text(own)));
    safetensors_write(path, items, learned->count, notes);
    scope_end();
}

static const model_layout LAYOUT = {"model_config.json", "model.safetensors", false, write_weights, write_adapters};

static const char *const KEYS[] = {NULL};

const trainable TRAIN_STABLE_AUDIO = {.name = "stable-audio",
                                      .keys = KEYS,
                                      .listed = true,
                                      .adopt = adopt,
                                      .layout = &LAYOUT,
                                      .source = make_source,
                                      .loss = loss};
