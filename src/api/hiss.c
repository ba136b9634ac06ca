/* The public functions of include/hiss.h: the border where jumps become values. Every object handed out lives in a scope of
 * its own, which its free function destroys. */
#include "hiss.h"

#include <string.h>

#include "base/parallel.h"
#include "base/progress.h"
#include "base/scope.h"
#include "systems/generate.h"
#include "tensor/device.h"
#include "train/loop.h"

#ifndef HISS_VERSION
#define HISS_VERSION "0.1.0"
#endif

struct hiss_model {
    scope *home;
    model *m;
};

/* A result and the scope it lives in. */
typedef struct {
    hiss_audio sound;
    scope *home;
} owned_audio;

typedef struct {
    hiss_mel mel;
    scope *home;
} owned_mel;

/* --- the border --- */

static void make_scope(void *home) { *(scope **) home = scope_create(); }

typedef struct {
    void (*body)(void *);
    void *argument;
} inner;

/* What the body made would go with try_run's scope: it is handed to the scope around, and an empty one ends in its place. */
static void run_and_keep(void *argument) {
    inner *i = argument;
    i->body(i->argument);
    scope_end_merge();
    scope_begin();
}

static bool on_device; /* hiss_device */

/* try_run where networks run. */
static bool run_there(void (*body)(void *), void *argument, hiss_error *error) {
    hiss_error unheard;
    bool was = device_switch(on_device), fine = try_run(body, argument, error ? error : &unheard);
    device_switch(was);
    return fine;
}

/* Runs body in a scope with a life of its own, which *home becomes; NULL and *error if it failed. */
static bool run_in_new_scope(void (*body)(void *), void *argument, scope **home, hiss_error *error) {
    hiss_error unheard;
    if (!error) error = &unheard;
    *error = (hiss_error){0};
    *home = NULL;
    if (!try_run(make_scope, home, error)) return false;
    scope *before = scope_switch(*home);
    bool fine = run_there(run_and_keep, &(inner){body, argument}, error);
    scope_switch(before);
    if (!fine) scope_destroy(*home);
    return fine;
}

/* --- sounds --- */

typedef struct {
    const char *path;
    const hiss_audio *sound;
    model *m;
    const hiss_request *request;
    const hiss_mel *mel;
    const char *front;
    double alpha_bar;
    uint64_t seed;
    int bits;
    void *result;
} call;

static audio as_audio(const hiss_audio *a) {
    if (!a || !a->samples || a->frames < 1 || a->channels < 1 || a->rate < 1)
        fail(HISS_ERROR_ARGUMENT, "a sound without samples, channels or rate");
    return (audio){.samples = a->samples, .frames = a->frames, .channels = a->channels, .rate = a->rate};
}

static void set_audio(call *c, const audio *a) {
    owned_audio *o = NEW(owned_audio);
    o->sound = (hiss_audio){a->samples, a->frames, a->channels, a->rate};
    c->result = o;
}

static hiss_audio *hand_out_audio(void (*body)(void *), call *c, hiss_error *error) {
    scope *home;
    if (!run_in_new_scope(body, c, &home, error)) return NULL;
    owned_audio *o = c->result;
    o->home = home;
    return &o->sound;
}

void hiss_audio_free(hiss_audio *sound) {
    if (sound) scope_destroy(((owned_audio *) (void *) sound)->home);
}

static void read_body(void *argument) {
    call *c = argument;
    set_audio(c, audio_read(c->path));
}

hiss_audio *hiss_read(const char *path, hiss_error *error) {
    return hand_out_audio(read_body, &(call){.path = path}, error);
}

static void write_body(void *argument) {
    call *c = argument;
    audio a = as_audio(c->sound);
    if (c->bits != 16 && c->bits != 24 && c->bits != 32)
        fail(HISS_ERROR_ARGUMENT, "%d bits: give 16, 24 or 32", c->bits);
    audio_write(c->path, &a, c->bits == 16 ? AUDIO_PCM16 : c->bits == 24 ? AUDIO_PCM24 : AUDIO_FLOAT);
}

bool hiss_write(const hiss_audio *sound, const char *path, int bits, hiss_error *error) {
    hiss_error unheard;
    return try_run(write_body, &(call){.sound = sound, .path = path, .bits = bits}, error ? error : &unheard);
}

/* --- mel spectrograms --- */

static void set_mel(call *c, const tensor *t) {
    owned_mel *o = NEW(owned_mel);
    o->mel = (hiss_mel){f32(t), t->shape[0], t->shape[1]};
    c->result = o;
}

static hiss_mel *hand_out_mel(void (*body)(void *), call *c, hiss_error *error) {
    scope *home;
    if (!run_in_new_scope(body, c, &home, error)) return NULL;
    owned_mel *o = c->result;
    o->home = home;
    return &o->mel;
}

void hiss_mel_free(hiss_mel *mel) {
    if (mel) scope_destroy(((owned_mel *) (void *) mel)->home);
}

static void mel_body(void *argument) {
    call *c = argument;
    audio a = as_audio(c->sound);
    mel_front front = c->m ? model_front(c->m) : mel_front_named(c->front);
    set_mel(c, mel_of(&front, &a));
}

hiss_mel *hiss_mel_of(const hiss_audio *sound, const char *front, hiss_error *error) {
    return hand_out_mel(mel_body, &(call){.sound = sound, .front = front}, error);
}

hiss_mel *hiss_model_mel(const hiss_model *h, const hiss_audio *sound, hiss_error *error) {
    return hand_out_mel(mel_body, &(call){.sound = sound, .m = h->m}, error);
}

/* --- models --- */

static void open_body(void *argument) {
    call *c = argument;
    hiss_model *h = NEW(hiss_model);
    h->m = model_open(c->path);
    c->result = h;
}

hiss_model *hiss_open(const char *path, hiss_error *error) {
    call c = {.path = path};
    scope *home;
    if (!run_in_new_scope(open_body, &c, &home, error)) return NULL;
    hiss_model *h = c.result;
    h->home = home;
    return h;
}

static void adapt_body(void *argument) {
    call *c = argument;
    model_adapt(c->m, c->path, 1);
}

bool hiss_adapt(hiss_model *h, const char *files, hiss_error *error) {
    hiss_error unheard;
    return try_run(adapt_body, &(call){.m = h->m, .path = files}, error ? error : &unheard);
}

void hiss_close(hiss_model *h) {
    if (h) scope_destroy(h->home);
}

int hiss_model_rate(const hiss_model *h) { return h->m->rate; }
int64_t hiss_model_parameters(const hiss_model *h) { return params_elements(h->m->parameters); }
int64_t hiss_model_classes(const hiss_model *h) { return h->m->class_count; }

const char *hiss_model_class(const hiss_model *h, int64_t index) {
    const struct model *m = h->m;
    return m->classes && index >= 0 && index < m->class_count ? m->classes[index] : NULL;
}

hiss_request hiss_request_default(void) { return (hiss_request){.eta = -1, .guidance = -1}; }

static noise_kind noise_of(const char *name) {
    for (int k = 0; NOISE_NAMES[k]; k++)
        if (!name || !strcmp(name, NOISE_NAMES[k])) return (noise_kind) k;
    fail(HISS_ERROR_ARGUMENT, "seed_like '%s': give hiss, torch or torch-cuda", name);
}

static sound_request as_request(const call *c) {
    hiss_request q = c->request ? *c->request : hiss_request_default();
    if (q.steps < 0 || q.steps > 10000) fail(HISS_ERROR_ARGUMENT, "%lld steps: give 0 to 10000", (long long) q.steps);
    sound_request r = sound_request_for(c->m);
    r.seconds = q.seconds;
    r.seed = q.seed;
    r.noise = noise_of(q.seed_like);
    r.steps = q.steps;
    r.sampler = q.sampler;
    r.schedule = q.schedule;
    r.eta = q.eta;
    r.class = model_class(c->m, q.class_name);
    if (q.guidance >= 0) r.guidance = q.guidance;
    r.prompt = q.prompt;
    r.negative = q.negative;
    return r;
}

static void take(void *context, int64_t i, const audio *sound) {
    (void) i;
    memcpy(((audio *) context)->samples, sound->samples, (size_t) sound->frames * sizeof(float));
}

static void generate_body(void *argument) {
    call *c = argument;
    sound_request r = as_request(c);
    audio *a = audio_new(request_samples(c->m, &r), 1, c->m->rate);
    generate_sounds(c->m, &r, take, a);
    set_audio(c, a);
}

/* While the caller's function hears of the progress. */
static hiss_audio *sing(void (*body)(void *), call *c, hiss_error *error) {
    progress_handler handler;
    void *context;
    progress_to(c->request ? c->request->progress : NULL, c->request ? c->request->context : NULL, &handler, &context);
    hiss_audio *result = hand_out_audio(body, c, error);
    progress_to(handler, context, NULL, NULL);
    return result;
}

hiss_audio *hiss_generate(hiss_model *h, const hiss_request *request, hiss_error *error) {
    return sing(generate_body, &(call){.m = h->m, .request = request}, error);
}

static void vocode_body(void *argument) {
    call *c = argument;
    if (!c->mel || !c->mel->values || c->mel->frames < 1 || c->mel->bands < 1 || c->mel->bands > 65536)
        fail(HISS_ERROR_ARGUMENT, "a mel spectrogram without values, frames or bands");
    sound_request r = as_request(c);
    set_audio(c, vocode_mel(c->m, &r, tensor_wrap(F32, SHAPE(c->mel->frames, c->mel->bands), c->mel->values)));
}

hiss_audio *hiss_vocode(hiss_model *h, const hiss_mel *mel, const hiss_request *request, hiss_error *error) {
    return sing(vocode_body, &(call){.m = h->m, .mel = mel, .request = request}, error);
}

/* --- the rest --- */

static void noise_body(void *argument) {
    call *c = argument;
    audio a = as_audio(c->sound);
    if (!(c->alpha_bar >= 0 && c->alpha_bar <= 1)) fail(HISS_ERROR_ARGUMENT, "alpha_bar %g: give 0 to 1", c->alpha_bar);
    set_audio(c, add_noise(&a, c->alpha_bar, c->seed));
}

hiss_audio *hiss_noise(const hiss_audio *sound, double alpha_bar, uint64_t seed, hiss_error *error) {
    return hand_out_audio(noise_body, &(call){.sound = sound, .alpha_bar = alpha_bar, .seed = seed}, error);
}

typedef struct {
    train_options options;
    hiss_progress progress;
    void *context;
} training;

static void watch(const train_report *report, void *context) {
    training *t = context;
    if (t->progress && t->progress(t->context, "training", report->step, report->steps))
        fail(HISS_ERROR_INTERRUPTED, "stopped while training, at step %lld", (long long) report->step);
}

static void train_body(void *argument) { train_run(&((training *) argument)->options); }

bool hiss_train(const char *recipe, const char *data, const char *out, bool resume, hiss_progress tell, void *context,
                hiss_error *error) {
    training t = {{.recipe = recipe, .data = data, .out = out, .resume = resume, .watch = watch}, tell, context};
    t.options.context = &t;
    return run_there(train_body, &t, error);
}

static void device_body(void *name) {
    device_open(name);
    on_device = strcmp(name, "cpu") != 0;
}

bool hiss_device(const char *name, hiss_error *error) {
    hiss_error unheard;
    return try_run(device_body, (void *) (name ? name : "auto"), error ? error : &unheard);
}

const char *hiss_version(void) { return HISS_VERSION; }
void hiss_threads(int count) { threads_set(count < 0 ? 0 : count); }
