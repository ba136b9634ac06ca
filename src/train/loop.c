/* The training loop: see loop.h. */
#include "train/loop.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/parallel.h"
#include "base/text.h"
#include "tensor/device.h"
#include "train/checkpoint.h"
#include "train/loader.h"
#include "train/log.h"
#include "train/preview.h"
#include "train/recipe.h"

/* Children of the run's key. */
enum { KEY_START, KEY_DATA, KEY_FIT, KEY_ADAPTERS, KEY_RIVAL };

typedef struct {
    const train_options *options;
    recipe *recipe;
    dataset *data;
    batch_source source;
    random_key key;
    int64_t steps;
    config model; /* config.json */
    params *parameters;
    void *network;
    lora *adapters; /* what is learned, or NULL: the parameters themselves */
    optimizer *optimizer;
    rival *rival; /* or NULL */
    loader *loader;
    batch **held_out;
    int64_t held_out_batches;
    progress_state state;
    train_log log;
    double started, norm;
    int64_t first_step; /* of this session */
    int bad_steps;      /* in a row, with gradients that are not finite */
} run;

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

/* --- reports --- */

static train_report report_now(const run *r, train_event event, const char *message) {
    int64_t here = r->state.step - r->first_step;
    double seconds = seconds_now() - r->started;
    train_report report = {.event = event, .step = r->state.step, .steps = r->steps, .message = message};
    report.loss = r->state.loss_count ? r->state.loss_sum / (double) r->state.loss_count : NAN;
    report.held_out = r->state.held_out;
    report.rival_name = r->rival ? r->rival->row->name : NULL;
    report.rival = r->state.rival_count ? r->state.rival_sum / (double) r->state.rival_count : NAN;
    report.learning_rate = optimizer_rate(&r->recipe->optimizer, r->state.step ? r->state.step - 1 : 0, r->steps);
    report.gradient_norm = r->norm;
    report.seconds = seconds;
    if (here > 0 && seconds > 0) {
        report.clips_per_second = (double) (here * r->recipe->batch * r->recipe->accumulate) / seconds;
        report.seconds_left = seconds / (double) here * (double) (r->steps - r->state.step);
    }
    return report;
}

static void tell(run *r, train_event event, const char *message) {
    train_report report = report_now(r, event, message);
    log_report(&r->log, &report);
    if (r->options->watch) r->options->watch(&report, r->options->context);
}

/* --- setting up --- */

static void read_recipe(run *r) {
    const train_options *o = r->options;
    r->recipe = recipe_load(o->recipe, o->from, o->distil, o->out);
    if (o->lora) r->recipe->lora = o->lora;
    if (r->recipe->lora && o->distil)
        fail(HISS_ERROR_ARGUMENT, "%s: lora: distilling learns all weights; leave it out", o->recipe);
    if (r->recipe->lora) device_switch(false); /* adapters live on the host */
    if (r->recipe->lora && !r->recipe->from && !r->recipe->adopted)
        fail(HISS_ERROR_ARGUMENT, "adapters (--lora) are learned for a trained model: name it (--from MODEL)");
    if (o->has_seed) r->recipe->seed = o->seed;
    if (o->has_precision) r->recipe->numbers = o->numbers;
    r->steps = o->steps ? o->steps : r->recipe->steps;
    r->key = (random_key){r->recipe->seed, 0};
    precision_set(r->recipe->numbers);
    folder_make(o->out);
    bool there = checkpoint_latest(o->out) != NULL;
    if (there && !o->resume)
        fail(HISS_ERROR_ARGUMENT, "%s holds a run already: resume it (--resume) or give another folder", o->out);
    if (!there && o->resume) warn("%s holds no checkpoint to resume: starting from the beginning", o->out);
}

static void open_data(run *r) {
    const char *path = r->options->data ? r->options->data : r->recipe->data_path;
    if (!path) fail(HISS_ERROR_ARGUMENT, "no recordings are named: give a folder (--data) or data.path in the recipe");
    r->data = dataset_open(path, &r->recipe->data);
    const recordings *list = dataset_recordings(r->data);
    if (r->recipe->by_class && !list->class_count)
        fail(HISS_ERROR_ARGUMENT,
             "%s: no classes: put the recordings into one sub-folder for each class, or name them in "
             "a manifest",
             path);
    r->model = recipe_model(r->recipe, list->classes, list->class_count);
    trainable_data d = {r->data, r->recipe->document, r->model, r->options->out, r->recipe->adopted};
    r->source = r->recipe->system->source ? r->recipe->system->source(&d) : dataset_source(r->data);
}

/* The weights of the model that training starts from; what only the new network has keeps its own beginning. */
static void start_from(const run *r, const model *from) {
    for (size_t i = 0; i < r->parameters->count; i++) {
        param *to = r->parameters->items[i], *old = params_find(from->parameters, to->name);
        if (!old) continue;
        if (count(old->value) != count(to->value))
            fail(HISS_ERROR_ARGUMENT, "%s: %s is %s, the recipe's network has %s: give it the same classes", from->path,
                 to->name, shape_text(shape_of(old->value)), shape_text(shape_of(to->value)));
        memcpy(f32(to->value), f32(old->value), tensor_bytes(to->value));
        param_changed(to);
    }
    for (size_t i = 0; i < from->parameters->count; i++) from->parameters->items[i]->trainable = false;
}

/* Changes with any weight. */
static uint64_t fingerprint_of(const params *p) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < p->count; i++) {
        scope_begin();
        const tensor *t = param_values(p->items[i]);
        const uint16_t *bits = t->data;
        for (size_t k = 0, n = tensor_bytes(t) / sizeof *bits; k < n; k++) h = (h ^ bits[k]) * 0x100000001B3u;
        param_packed(p->items[i], t);
        scope_end();
    }
    return h;
}

static params *learned(const run *r) { return r->adapters ? lora_params(r->adapters) : r->parameters; }

static void merge_adapters(void *adapters) { lora_merge(adapters); }

/* A new network, with the weights of the model that training starts from, or that model itself. */
static void open_network(run *r) {
    const trainable *system = r->recipe->system;
    const model *from = r->recipe->from;
    if (r->recipe->adopted) {
        r->network = r->recipe->adopted->network;
        r->parameters = r->recipe->adopted->parameters;
        return;
    }
    binder *b = binder_new(random_child(r->key, KEY_START));
    r->network = system->make(r->model, b);
    r->parameters = binder_finish(b, true);
    if (from) start_from(r, from);
    if (r->recipe->student) start_from(r, r->recipe->student);
    if (from && system->teach) system->teach(r->network, from->network, r->recipe->document);
}

static saved_model to_save(const run *r) {
    const model_layout *layout = r->recipe->system->layout ? r->recipe->system->layout : &OWN_LAYOUT;
    return (saved_model){r->model, r->parameters, r->adapters,
                         layout,   r->network,    r->rival ? r->rival->optimizer : NULL};
}

static void make_network(run *r) {
    open_network(r);
    if (r->recipe->lora) {
        const adopted_model *adopted = r->recipe->adopted;
        const lora_settings s = {
            .rank = r->recipe->lora, .layers = r->recipe->lora_layers, .except = adopted ? adopted->no_adapters : NULL};
        r->adapters = lora_new(r->parameters, &s, random_child(r->key, KEY_ADAPTERS));
    }
    r->optimizer = optimizer_new(&r->recipe->optimizer, learned(r));
    if (r->adapters) optimizer_watch(r->optimizer, merge_adapters, r->adapters);
    int64_t weights = params_elements(r->parameters) * (int64_t) sizeof(float);
    if (r->recipe->adopted) weights += r->recipe->adopted->bytes;
    r->rival =
        rival_new(r->recipe->adopted ? r->recipe->adopted->rival : NULL, r->network, random_child(r->key, KEY_RIVAL));
    if (r->rival) weights += optimizer_state_bytes(r->rival->optimizer);
    checkpoint_prepare(r->options->out, weights + optimizer_state_bytes(r->optimizer));
}

static void resume(run *r) {
    r->state = (progress_state){.held_out = NAN, .seed = r->recipe->seed, .data = dataset_fingerprint(r->data)};
    if (r->recipe->from) r->state.data ^= fingerprint_of(r->recipe->from->parameters);
    if (r->recipe->adopted) r->state.data ^= fingerprint_of(r->recipe->adopted->parameters);
    char *latest = r->options->resume ? checkpoint_latest(r->options->out) : NULL;
    if (!latest) {
        if (r->recipe->system->fit && !r->recipe->from)
            r->recipe->system->fit(r->network, r->source, random_child(r->key, KEY_FIT));
        return;
    }
    const saved_model model = to_save(r);
    progress_state saved = checkpoint_restore(latest, &model, r->optimizer);
    if (saved.data != r->state.data)
        warn("the recordings, or the model started from, are not those of before: the losses will differ");
    if (saved.seed != r->state.seed) warn("the seed is not that of before: the losses will differ");
    saved.data = r->state.data;
    saved.seed = r->state.seed;
    r->state = saved;
}

/* The held-out clips stay in memory: the same ones, with the same noise, each time. */
static void make_held_out(run *r) {
    int64_t clips = r->recipe->every.held_out ? dataset_held_out_clips(r->data) : 0, size = r->recipe->batch;
    r->held_out_batches = (clips + size - 1) / size;
    r->held_out = NEW_ARRAY(batch *, r->held_out_batches + 1);
    for (int64_t i = 0; i < r->held_out_batches; i++) {
        int64_t first = i * size, left = clips - first;
        r->held_out[i] =
            r->source.held_out(r->source.context, random_child(r->key, KEY_DATA), first, left < size ? left : size);
    }
}

static void tell_start(run *r) {
    const recordings *list = dataset_recordings(r->data);
    size_t training = dataset_usable(r->data, false), held = dataset_usable(r->data, true);
    scope_begin();
    tell(
        r, TRAIN_NOTE,
        format(
            "%zu recordings in %zu classes: %zu to train on, %zu held out, %zu skipped; %.1f min in memory (%.0f of at "
            "most %.0f MiB)",
            list->count, list->class_count, training, held, list->count - training - held,
            dataset_seconds(r->data) / 60, (double) dataset_cached_bytes(r->data) / 0x1p20,
            (double) r->recipe->data.cache_bytes / 0x1p20));
    tell(r, TRAIN_NOTE,
         format("%s: %.2f million parameters, %s, %d threads, batches of %" PRId64 " clips of %.2f s",
                r->recipe->system->name, (double) params_elements(r->parameters) / 1e6, dtype_name(operands()),
                threads_get(), r->recipe->batch * r->recipe->accumulate,
                (double) r->recipe->data.samples / r->recipe->data.rate));
    if (r->adapters)
        tell(r, TRAIN_NOTE,
             format("adapters of rank %" PRId64 ": %.3f million numbers to learn", r->recipe->lora,
                    (double) params_elements(learned(r)) / 1e6));
    if (r->state.step) tell(r, TRAIN_NOTE, format("going on from step %" PRId64, r->state.step));
    scope_end();
}

static void set_up(run *r) {
    read_recipe(r);
    open_data(r);
    make_network(r);
    resume(r);
    make_held_out(r);
    r->log = train_log_open(r->options->out, r->options->resume ? r->state.step : -1);
    char *text = json_text(r->recipe->document.value);
    file_write(path_join(r->options->out, "recipe.json"), text, strlen(text));
    r->loader = loader_start(r->source, random_child(r->key, KEY_DATA), r->state.step * r->recipe->accumulate,
                             r->recipe->batch, r->recipe->by_class ? r->recipe->class_dropout : 0);
    r->first_step = r->state.step;
    r->started = seconds_now();
    tell_start(r);
}

/* --- steps --- */

/* rivals: it is the rival's turn. */
static double one_batch(run *r, bool rivals, float scale) {
    const batch *b = loader_next(r->loader);
    scope_begin();
    tape_begin();
    const tensor *loss = rivals ? r->rival->row->loss(r->network, b) : r->recipe->system->loss(r->network, b, NULL);
    double value = *f32(loss);
    backward(loss, scale);
    scope_end();
    return value;
}

static double update(run *r, bool rivals) {
    const optimizer_settings *s = rivals ? &r->rival->settings : &r->recipe->optimizer;
    return optimizer_step(rivals ? r->rival->optimizer : r->optimizer, optimizer_rate(s, r->state.step, r->steps));
}

static void check_step(run *r, bool good) {
    enum { BAD_STEPS = 10 };
    r->bad_steps = good ? 0 : r->bad_steps + 1;
    if (r->bad_steps == BAD_STEPS)
        fail(HISS_ERROR_ARGUMENT,
             "step %" PRId64 ": %d steps in a row gave no finite gradients; lower learning_rate or set "
             "max_gradient and resume",
             r->state.step, BAD_STEPS);
}

static void one_step(run *r) {
    int64_t parts = r->recipe->accumulate;
    double loss = 0;
    const bool rivals = rival_begins(r->rival, r->network, r->state.step);
    params_zero_grad(r->parameters);
    if (r->adapters) params_zero_grad(lora_params(r->adapters));
    for (int64_t i = 0; i < parts; i++) loss += one_batch(r, rivals, 1.0f / (float) parts) / (double) parts;
    const double norm = update(r, rivals);
    bool good = isfinite(norm) && isfinite(loss);
    check_step(r, good);
    r->state.step++;
    if (!rivals) r->norm = norm;
    if (!good) return;
    *(rivals ? &r->state.rival_sum : &r->state.loss_sum) += loss;
    *(rivals ? &r->state.rival_count : &r->state.loss_count) += 1;
}

static void measure_held_out(run *r) {
    double sum = 0;
    int64_t clips = 0;
    optimizer_swap_average(r->optimizer);
    for (int64_t i = 0; i < r->held_out_batches; i++) {
        scope_begin();
        const trainable *system = r->recipe->system;
        const tensor *loss = system->measure ? system->measure(r->network, r->held_out[i])
                                             : system->loss(r->network, r->held_out[i], NULL);
        sum += (double) *f32(loss) * (double) r->held_out[i]->size;
        clips += r->held_out[i]->size;
        scope_end();
    }
    optimizer_swap_average(r->optimizer);
    r->state.held_out = sum / (double) clips;
    tell(r, TRAIN_HELD_OUT, NULL);
}

static void save(run *r) {
    scope_begin();
    const saved_model model = to_save(r);
    char *folder = checkpoint_write(r->options->out, &model, r->optimizer, &r->state);
    tell(r, TRAIN_CHECKPOINT, folder);
    scope_end();
}

static void sing(run *r) {
    scope_begin();
    char *folder = path_join(r->options->out, format("samples/step-%010" PRId64, r->state.step));
    const tensor *mel = r->held_out_batches ? r->held_out[0]->mel : NULL;
    if (preview_make(r->recipe, r->options->out, folder, mel)) tell(r, TRAIN_SOUNDS, folder);
    scope_end();
}

static bool due(int64_t step, int64_t every) { return every > 0 && step % every == 0; }

/* True when the run is to stop now. */
static bool asked_to_stop(const run *r) {
    double minutes = r->options->minutes;
    return interrupted() || (minutes > 0 && seconds_now() - r->started > 60 * minutes);
}

static void after_step(run *r, bool last) {
    int64_t step = r->state.step;
    if (r->held_out_batches && (last || due(step, r->recipe->every.held_out))) measure_held_out(r);
    if (due(step, r->recipe->every.log)) {
        tell(r, TRAIN_STEP, NULL);
        r->state.loss_sum = 0;
        r->state.loss_count = 0;
        r->state.rival_sum = 0;
        r->state.rival_count = 0;
    }
    bool sounds = r->recipe->every.sounds > 0 && (last || due(step, r->recipe->every.sounds));
    if (last || sounds || due(step, r->recipe->every.checkpoint)) save(r);
    if (sounds) sing(r);
}

static void tell_memory(run *r) {
    scope_begin();
    tell(r, TRAIN_NOTE,
         format("memory: %.0f MiB, at most %.0f MiB so far", (double) memory_in_use() / 0x1p20,
                (double) memory_peak() / 0x1p20));
    scope_end();
}

train_result train_run(const train_options *options) {
    scope_begin();
    run *r = NEW(run);
    r->options = options;
    set_up(r);
    double loss = NAN;
    bool stop = false;
    while (r->state.step < r->steps && !stop) {
        one_step(r);
        if (r->state.step == r->first_step + 1) tell_memory(r);
        if (r->state.loss_count) loss = r->state.loss_sum / (double) r->state.loss_count;
        after_step(r, r->state.step == r->steps);
        stop = asked_to_stop(r);
    }
    if (stop && r->state.step < r->steps) save(r);
    train_result result = {r->state.step, loss, r->state.held_out, interrupted()};
    scope_end();
    return result;
}
