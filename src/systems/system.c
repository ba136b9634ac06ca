/* Opening models and asking them for noise. */
#include "systems/system.h"

#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"
#include "diffusion/guidance.h"
#include "nn/lora.h"
#include "systems/latent.h"
#include "systems/rows.h"
#include "systems/shipped.h"
#include "systems/window.h"

enum { MOST_CLASSES = 10000, WINDOW_SAMPLES = 1 << 16, DEFAULT_RATE = 22050 };

const system_row *const SYSTEMS[] = {&SYSTEM_DIFFWAVE, &SYSTEM_WAVEGRAD,     &SYSTEM_WAVE_UNET,
                                     &SYSTEM_VOCODER,  &SYSTEM_HIFIGAN,      &SYSTEM_BIGVGAN,
                                     &SYSTEM_MEL_DIT,  &SYSTEM_STABLE_AUDIO, NULL};

void use_betas(model *m, const double *betas, size_t count) {
    m->fast = NEW_ARRAY(double, count);
    memcpy(m->fast, betas, count * sizeof *betas);
    m->fast_count = count;
}

/* --- files --- */

/* Files of a system with a layout of its own: that system, or NULL. */
static const system_row *find_laid_out(const char *path, const char **weights, const char **settings) {
    for (int i = 0; SYSTEMS[i]; i++)
        if (SYSTEMS[i]->find && SYSTEMS[i]->find(path, weights, settings)) return SYSTEMS[i];
    return NULL;
}

const char *model_weights_path(const char *path) {
    const char *weights, *settings;
    if (find_laid_out(path, &weights, &settings)) return weights;
    if (!folder_exists(path)) {
        if (!file_exists(path)) fail(HISS_ERROR_FILE, "%s: no such model file or folder", path);
        return path;
    }
    static const char *const NAMES[] = {"weights.safetensors", "model.safetensors", "weights.pt",
                                        "bigvgan_generator.pt"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (file_exists(path_join(path, NAMES[i]))) return path_join(path, NAMES[i]);
    fail(HISS_ERROR_FILE, "%s: holds no weights.safetensors (is it a model folder, and has its training saved once?)",
         path);
}

static bool is_of(const system_row *row, const store *s) {
    return row->landmark ? store_find(s, row->landmark) != NULL : row->holds && row->holds(s);
}

/* Files whose settings are the config.json beside them: hiss's own, and HiFi-GAN's and BigVGAN's generators. */
static bool goes_with_configuration(const char *name, const store *s) {
    return !strcmp(name, "weights.safetensors") || is_of(&SYSTEM_HIFIGAN, s) || is_of(&SYSTEM_BIGVGAN, s);
}

/* A published .pt keeps its settings under "params"; a converted one as text under "config". */
config model_settings(const char *path, const store *s) {
    const char *file =
        folder_exists(path) ? path_join(path, "config.json") : path_join(path_folder(path), "config.json");
    const char *weights, *settings;
    if (find_laid_out(path, &weights, &settings)) return config_load(settings);
    config said = store_metadata(s);
    if (folder_exists(path) && file_exists(file)) return config_load(file);
    if (config_has(said, "params") && json_is_object(config_get(said, "params").value))
        return config_get(said, "params");
    if (config_has(said, "config")) {
        const char *words = config_string(said, "config", "{}");
        return config_parse(words, strlen(words), format("%s: config", store_path(s)));
    }
    if (goes_with_configuration(path_name(path), s) && file_exists(file)) return config_load(file);
    return config_parse("{}", 2, store_path(s));
}

const system_row *system_find(config settings, const store *s) {
    const char *name = config_string(settings, "system", NULL), *names[16];
    size_t count = 0;
    for (; SYSTEMS[count]; count++) {
        names[count] = SYSTEMS[count]->name;
        if (name ? !strcmp(name, names[count]) : is_of(SYSTEMS[count], s)) return SYSTEMS[count];
    }
    if (name) fail(HISS_ERROR_FORMAT, "%s: unknown system '%s': %s", settings.where, name, suggest(name, names, count));
    return NULL;
}

sampling_defaults sampling_read(config c) {
    static const char *const keys[] = {"sampler", "steps", "guidance", NULL};
    sampling_defaults d = {0};
    if (!config_has(c, "sampling")) return d;
    c = config_get(c, "sampling");
    config_only(c, keys);
    d.sampler = config_string(c, "sampler", NULL);
    d.steps = config_int(c, "steps", 0, 0, 100000);
    d.guidance = config_number(c, "guidance", 0, 0, 100);
    if (d.sampler && !sampler_find(d.sampler))
        fail(HISS_ERROR_FORMAT, "%s: sampler: there is no '%s'", c.where, d.sampler);
    return d;
}

/* What the model says of its own sounds. */
static void use_sampling(model *m) {
    const sampling_defaults own = sampling_read(m->settings);
    if (own.sampler) m->sampler = own.sampler;
    if (!m->latent || (!own.steps && !(own.guidance > 0))) return;
    struct latent_row *row = NEW(struct latent_row);
    *row = *m->latent;
    if (own.steps) row->steps = own.steps;
    if (own.guidance > 0) row->guidance = own.guidance;
    m->latent = row;
}

static void read_classes(model *m) {
    if (!config_has(m->settings, "classes")) return;
    config list = config_get(m->settings, "classes");
    if (!json_is_array(list.value)) return;
    int64_t count = (int64_t) config_count(list);
    if (count != m->class_count || count > MOST_CLASSES)
        fail(HISS_ERROR_FORMAT, "%s: names %lld classes, but the weights hold %lld", list.where, (long long) count,
             (long long) m->class_count);
    m->classes = NEW_ARRAY(const char *, count + 1);
    for (int64_t i = 0; i < count; i++) {
        m->classes[i] = json_string_value(config_at(list, (size_t) i).value);
        if (!m->classes[i]) fail(HISS_ERROR_FORMAT, "%s: class %lld is not a name", list.where, (long long) i);
    }
}

static void check_betas(const char *where, const double *betas, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!(betas[i] > 0 && betas[i] < 1))
            fail(HISS_ERROR_FORMAT, "%s: beta %zu of the noise schedule is %g, not between 0 and 1", where, i,
                 betas[i]);
}

model *model_open(const char *path) {
    path = model_named(path);
    store *s = store_open(model_weights_path(path));
    return model_from(path, s, model_settings(path, s));
}

model *model_from(const char *path, const store *s, config settings) {
    model *m = NEW(model);
    m->path = copy_string(path);
    m->weights = store_path(s);
    m->settings = settings;
    const char *there, *said;
    m->system = find_laid_out(path, &there, &said); /* whatever its weights lack */
    if (!m->system) m->system = system_find(m->settings, s);
    if (!m->system)
        fail(HISS_ERROR_FORMAT,
             "%s: not a model hiss knows (DiffWave, WaveGrad, wave U-Net, vocoders, sound models); hiss info %s "
             "--tensors shows what "
             "is inside",
             path, path);
    m->rate = (int) config_int(m->settings, "sample_rate", DEFAULT_RATE, 1, 768000);
    m->length = config_int(m->settings, "audio_len", 0, 0, INT64_C(1) << 31);
    m->limit = 1;
    m->channels = 1;
    m->latent = m->system->latent;
    m->sampler = m->system->sampler;
    binder *b = binder_load(s);
    m->system->open(m, s, b);
    use_sampling(m);
    m->parameters = binder_finish(b, true);
    m->window = WINDOW_SAMPLES;
    m->front = m->mels ? config_string(m->settings, "front", m->system->front) : NULL;
    check_betas(m->settings.where, m->betas, m->beta_count);
    check_betas(m->settings.where, m->fast, m->fast_count);
    read_classes(m);
    return m;
}

void model_adapt(model *m, const char *files, double strength) {
    static const double MOST = 100;
    size_t n;
    char **pieces = split(files, ',', &n);
    for (size_t i = 0; i < n; i++) {
        char *colon = strrchr(pieces[i], ':');
        double weight = 1;
        if (colon && parse_double(colon + 1, -MOST, MOST, &weight)) *colon = 0;
        lora_apply(m->parameters, pieces[i], weight * strength);
    }
}

/* --- classes --- */

size_t model_class_words(const model *m, int32_t class, const char ***words) {
    *words = NULL;
    if (!m->classes || !config_has(m->settings, "class_words")) return 0;
    config all = config_get(m->settings, "class_words");
    if (!json_is_object(all.value) || !config_has(all, m->classes[class])) return 0;
    config list = config_get(all, m->classes[class]);
    size_t n = json_is_array(list.value) ? config_count(list) : 0;
    *words = NEW_ARRAY(const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        (*words)[i] = json_string_value(config_at(list, i).value);
        if (!(*words)[i]) fail(HISS_ERROR_FORMAT, "%s: word %zu is not a text", list.where, i);
    }
    return n;
}

static int32_t class_by_words(const model *m, const char *name) {
    for (int32_t c = 0; m->classes && c < m->class_count; c++) {
        const char **words;
        size_t n = model_class_words(m, c, &words);
        for (size_t i = 0; i < n; i++)
            if (!strcasecmp(words[i], name)) return c;
    }
    return -1;
}

int32_t model_class_for(const model *m, const char *name, const char *asker) {
    if (!name) return CLASS_OF_WORDS;
    if (!strcasecmp(name, "any")) return CLASS_NONE;
    if (!m->class_count) fail(HISS_ERROR_ARGUMENT, "%s %s: %s knows no classes", asker, name, m->path);
    for (int64_t i = 0; m->classes && i < m->class_count; i++)
        if (!strcasecmp(name, m->classes[i])) return (int32_t) i;
    long long number;
    if (parse_long(name, 0, m->class_count - 1, &number)) return (int32_t) number;
    int32_t like = class_by_words(m, name);
    int32_t nearest[NEAREST_CLASSES] = {-1, -1, -1};
    if (like < 0 && m->latent && m->latent->class_like) like = m->latent->class_like(m, name, nearest);
    if (like >= 0) {
        warn("%s %s: taken as %s", asker, name, m->classes[like]);
        return like;
    }
    if (!m->classes)
        fail(HISS_ERROR_ARGUMENT, "%s %s: %s has classes 0 to %lld", asker, name, m->path,
             (long long) m->class_count - 1);
    if (nearest[NEAREST_CLASSES - 1] >= 0)
        fail(HISS_ERROR_ARGUMENT, "%s %s: no such class (hiss classes lists them): the nearest are '%s', '%s' and '%s'",
             asker, name, m->classes[nearest[0]], m->classes[nearest[1]], m->classes[nearest[2]]);
    fail(HISS_ERROR_ARGUMENT, "%s %s: no such class (hiss classes lists them): %s", asker, name,
         suggest(name, m->classes, (size_t) m->class_count));
}

int32_t model_class(const model *m, const char *name) { return model_class_for(m, name, "--class"); }

/* --- noise --- */

typedef struct {
    const condition *c;
    const int32_t *classes;
    double alpha_bar;
} request;

/* Frames that belong to samples first .. first + n - 1: [B, F, M] -> [B, n / hop, M]. */
static const tensor *cut_mel(const model *m, const tensor *mel, int64_t first, int64_t n) {
    int64_t B = mel->shape[0], F = mel->shape[1], M = mel->shape[2], frames = n / m->hop;
    if (frames == F) return mel;
    tensor *part = tensor_new(F32, SHAPE(B, frames, M));
    for (int64_t b = 0; b < B; b++)
        memcpy(f32(part) + b * frames * M, f32(mel) + (b * F + first / m->hop) * M,
               (size_t) (frames * M) * sizeof(float));
    return part;
}

static tensor *predict_window(void *context, const tensor *x, int64_t first) {
    request *r = context;
    const model *m = r->c->m;
    scope_begin();
    const tensor *mel = r->c->mel ? cut_mel(m, r->c->mel, first, x->shape[1]) : NULL;
    return scope_end_keep(m->system->predict(m, x, r->alpha_bar, mel, r->classes));
}

static tensor *predict_with(const condition *c, const int32_t *classes, const tensor *x, double alpha_bar) {
    request r = {c, classes, alpha_bar};
    window w = {c->m->window, c->m->halo, c->m->hop};
    return predict_in_windows(w, x, predict_window, &r);
}

tensor *predict_noise(const condition *c, const tensor *x, double alpha_bar) {
    if (!c->classes || c->guidance == 1) return predict_with(c, c->classes, x, alpha_bar);
    scope_begin();
    const tensor *free = predict_with(c, NULL, x, alpha_bar), *bound = predict_with(c, c->classes, x, alpha_bar);
    return scope_end_keep(guide(&(guidance){.scale = c->guidance}, bound, free, NULL, NULL));
}
