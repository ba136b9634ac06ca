/* Reading recipes: see recipe.h. */
#include "train/recipe.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "nn/lora.h"
#include "systems/shipped.h"

enum { MOST_STEPS = 1000000000 };

static config part(config c, const char *key, const char *const *keys) {
    if (!config_has(c, key)) return config_parse("{}", 2, key);
    config inner = config_get(c, key);
    config_only(inner, keys);
    return inner;
}

static precision read_precision(config c) {
    static const char *const names[] = {"auto", "f32", "bf16"};
    const char *word = config_string(c, "precision", "auto");
    for (int i = 0; i < 3; i++)
        if (!strcmp(word, names[i])) return (precision) i;
    fail(HISS_ERROR_ARGUMENT, "%s: precision: '%s' is not known; %s", c.where, word, suggest(word, names, 3));
}

static const char **read_texts(config c, const char *key) {
    if (!config_has(c, key)) return NULL;
    const config list = config_get(c, key);
    const size_t n = json_is_array(list.value) ? config_count(list) : 0;
    const char **texts = NEW_ARRAY(const char *, n + 1);
    for (size_t i = 0; i < n; i++) texts[i] = json_string_value(config_at(list, i).value);
    for (size_t i = 0; i < n || !n; i++)
        if (!n || !texts[i]) fail(HISS_ERROR_ARGUMENT, "%s: a list of texts is needed", list.where);
    return texts;
}

static void read_training(recipe *r, config c) {
    static const char *const keys[] = {"batch",         "accumulate", "steps",       "precision", "seed",
                                       "class_dropout", "lora",       "lora_layers", NULL};
    c = part(c, "training", keys);
    r->batch = config_int(c, "batch", 16, 1, 65536);
    r->accumulate = config_int(c, "accumulate", 1, 1, 65536);
    r->steps = config_int(c, "steps", 100000, 1, MOST_STEPS);
    r->seed = (uint64_t) config_int(c, "seed", 0, 0, INT64_MAX);
    r->class_dropout = config_number(c, "class_dropout", r->by_class ? 0.1 : 0, 0, 1);
    r->lora = config_int(c, "lora", 0, 0, LORA_MOST_RANK);
    r->lora_layers = read_texts(c, "lora_layers");
    r->numbers = read_precision(c);
}

static void read_rhythm(recipe *r, config c) {
    static const char *const every[] = {"log", "held_out", "sounds", "checkpoint", NULL};
    static const char *const sounds[] = {"count", "steps", "sampler", "schedule", "guidance", NULL};
    config e = part(c, "every", every), s = part(c, "sounds", sounds);
    r->every.log = config_int(e, "log", 10, 1, MOST_STEPS);
    r->every.held_out = config_int(e, "held_out", 500, 0, MOST_STEPS);
    r->every.sounds = config_int(e, "sounds", 5000, 0, MOST_STEPS);
    r->every.checkpoint = config_int(e, "checkpoint", 1000, 1, MOST_STEPS);
    r->sounds.count = config_int(s, "count", 4, 1, 1000);
    r->sounds.steps = config_int(s, "steps", 0, 0, 100000);
    r->sounds.sampler = config_string(s, "sampler", NULL);
    r->sounds.schedule = config_string(s, "schedule", NULL);
    r->sounds.guidance = config_number(s, "guidance", NAN, -100, 100);
}

/* Names, and words for each of them. */
static void read_classes(recipe *r, config document) {
    if (!config_has(document, "classes")) return;
    config classes = config_get(document, "classes");
    if (!json_is_object(classes.value))
        fail(HISS_ERROR_FORMAT, "%s: must be an object: a list of synonyms under each name", classes.where);
    const char *name, **names = NEW_ARRAY(const char *, config_count(classes) + 1);
    json_t *words;
    json_object_foreach(classes.value, name, words) names[r->data.class_count++] = name;
    r->data.class_names = names;
}

/* What a published model says of the sound it is trained on. */
static void take_rate(const recipe *r, config data) {
    if (!config_has(data, "sample_rate"))
        json_object_set_new(data.value, "sample_rate", json_integer(r->adopted->rate));
    if (config_int(data, "sample_rate", 0, 1, INT64_MAX) != r->adopted->rate)
        fail(HISS_ERROR_ARGUMENT, "%s: sample_rate: that of %s is %d", data.where, r->adopted->path, r->adopted->rate);
}

static void read_data(recipe *r, config document) {
    config c = config_get(document, "data");
    int64_t mels = r->system->mels ? r->system->mels(r->network) : 0, hop = mels ? r->system->hop(r->network) : 1;
    if (r->adopted) take_rate(r, c);
    r->data = dataset_settings_read(c, hop);
    if (r->adopted && !config_has(c, "seconds")) r->data.samples = r->adopted->samples;
    if (r->adopted) r->adopted->samples = r->data.samples;
    r->data_path = config_string(c, "path", NULL);
    r->data.features = r->system->features;
    r->data.listed = r->system->listed;
    r->data.names_say = r->from || r->adopted;
    read_classes(r, document);
    r->by_class = config_bool(c, "class", r->from && r->data.class_count);
    if (r->by_class && !r->system->classes)
        fail(HISS_ERROR_ARGUMENT, "%s: class: %s takes no class labels", c.where, r->system->name);
    if (!mels) return;
    if (r->data.augment.on)
        fail(HISS_ERROR_ARGUMENT, "%s: augment changes sounds, and %s takes their mel spectrograms", c.where,
             r->system->name);
    r->front = mel_front_named(r->system->front);
    r->front.rate = r->data.rate;
    r->front.bands = (int) mels;
    r->front.stft.hop = (int) hop;
    if (r->system->adapt_front) r->system->adapt_front(r->network, &r->front);
    r->data.mel = &r->front;
}

/* --- training that starts from a model --- */

/* The row and the model. */
static void choose_start(recipe *r, config c, const char *from, bool distil, const char *out) {
    const char *system = r->system->name;
    if (!from) from = config_string(c, "from", distil ? "default" : NULL);
    if (distil && !(r->system = r->system->few_steps))
        fail(HISS_ERROR_ARGUMENT, "%s: %s cannot be distilled into few steps; mel-dit can", c.where, system);
    if (r->system->adopt && !from)
        fail(HISS_ERROR_ARGUMENT, "%s: %s is trained from a published model: name it (--from MODEL)", c.where, system);
    if (!from) return;
    if (r->system->adopt) {
        r->adopted = r->system->adopt(from, c, out);
        return;
    }
    r->from = model_open(!strcmp(from, "default") ? shipped_model("sound") : from);
    if (strcmp(r->from->system->name, system) != 0)
        fail(HISS_ERROR_ARGUMENT, "%s: the recipe is for %s, and %s is of %s", c.where, system, from,
             r->from->system->name);
    if (config_has(r->from->settings, "few_steps"))
        fail(HISS_ERROR_ARGUMENT, "%s is distilled into few steps already: start from the model that it learned from",
             from);
}

/* The few-step model that a student begins as, in place of its teacher: distil.student. */
static void choose_student(recipe *r, config c) {
    if (!config_has(c, "distil")) return;
    config how = config_get(c, "distil");
    const char *path = config_string(how, "student", NULL);
    if (!path) return;
    r->student = model_open(path);
    if (!config_has(r->student->settings, "few_steps"))
        fail(HISS_ERROR_ARGUMENT, "%s: student: %s is no model of few steps", how.where, path);
}

/* The model's network, with what a few-step one knows besides; the recipe may say the same, and what the network is to learn anew. */
static void take_network(recipe *r, config c) {
    json_t *network = json_make_object();
    for (const char *const *key = r->system->keys; *key; key++)
        json_object_set(network, *key, json_object_get(r->from->settings.value, *key));
    const char *key;
    json_t *said;
    json_object_foreach(r->network.value, key, said) {
        json_t *its = json_object_get(network, key);
        if (!its && json_is_true(said)) json_object_set(network, key, said); /* new to the model: it is to learn it */
        else if (!json_equal(said, its))
            fail(HISS_ERROR_ARGUMENT, "%s: network.%s is not that of %s, which training starts from", c.where, key,
                 r->from->path);
    }
    if (r->system->teach) {
        json_t *few = json_make_object();
        json_t *range = config_has(c, "distil") ? json_object_get(config_get(c, "distil").value, "guidance") : NULL;
        json_object_set_new(few, "guidance", range ? json_incref(range) : json_pack("[i, i]", 1, 4));
        json_object_set_new(network, "few_steps", few);
    }
    r->network = (config){network, c.where, NULL};
}

/* Its classes and their words, in its order. */
static void take_classes(recipe *r, config c) {
    if (!r->from->classes) return;
    json_t *classes = json_make_object();
    for (int32_t i = 0; i < r->from->class_count; i++) {
        const char **words;
        size_t n = model_class_words(r->from, i, &words);
        json_t *list = json_array();
        for (size_t k = 0; k < n; k++) json_array_append_new(list, json_string(words[k]));
        json_object_set_new(classes, r->from->classes[i], list);
    }
    if (config_has(c, "classes") && !json_equal(config_get(c, "classes").value, classes))
        warn("%s: the classes are those of %s, not the recipe's", c.where, r->from->path);
    json_object_set(c.value, "classes", classes);
}

recipe *recipe_load(const char *path, const char *from, bool distil, const char *out) {
    static const char *const keys[] = {"about",   "system",   "network",   "data",        "training", "optimizer",
                                       "average", "every",    "sounds",    "canvas",      "classes",  "from",
                                       "distil",  "sampling", "diffusion", "autoencoder", NULL};
    recipe *r = NEW(recipe);
    config c = r->document = config_load(path);
    config_only(c, keys);
    r->system = trainable_named(config_need_string(c, "system"));
    sampling_read(c);
    choose_start(r, c, from, distil, out);
    r->network = part(c, "network", r->system->keys);
    if (r->from) {
        take_network(r, c);
        take_classes(r, c);
        if (r->system->teach) choose_student(r, c);
    }
    read_data(r, c);
    read_training(r, c);
    read_rhythm(r, c);
    r->optimizer = optimizer_settings_read(c);
    return r;
}

config recipe_model(const recipe *r, const char *const *classes, size_t class_count) {
    if (r->adopted) return r->adopted->settings;
    json_t *o = json_make_object();
    json_object_set_new(o, "system", json_string(r->system->name));
    json_object_set_new(o, "sample_rate", json_integer(r->data.rate));
    json_object_set_new(o, "audio_len", json_integer(r->data.samples));
    if (r->data.mel) {
        json_object_set_new(o, "hop_samples", json_integer(r->front.stft.hop));
        json_object_set_new(o, "front", json_string(r->front.name));
    }
    json_object_update(o, r->network.value);
    config saying = config_has(r->document, "sampling") || !r->from ? r->document : r->from->settings;
    if (config_has(saying, "sampling")) json_object_set(o, "sampling", config_get(saying, "sampling").value);
    if (r->by_class) {
        json_t *list = json_array();
        for (size_t i = 0; i < class_count; i++) json_array_append_new(list, json_string(classes[i]));
        json_object_set_new(o, "classes", list);
        if (r->data.class_names) json_object_set(o, "class_words", config_get(r->document, "classes").value);
    }
    return (config){o, "the model's configuration", NULL};
}
