/* Models and what is asked of them, of include/hiss.h. */
#include <math.h>
#include <string.h>

#include "api/border.h"
#include "systems/generate.h"
#include "systems/prompt.h"
#include "systems/shipped.h"
#include "text/musical.h"

static const listener NOBODY = {0};

/* --- models --- */

typedef struct {
    const char *path;
    hiss_model *model;
} open_call;

static void open_body(void *argument) {
    open_call *c = argument;
    c->model = NEW(hiss_model);
    if (!c->path) c->path = shipped_sound();
    c->model->m = model_open(c->path ? c->path : shipped_model("sound"));
}

hiss_model *hiss_open(const char *path, hiss_error *error) {
    open_call c = {.path = path};
    scope *home = run_to_keep(open_body, &c, NOBODY, error);
    if (home) c.model->home = home;
    return home ? c.model : NULL;
}

static void adapt_body(void *argument) {
    open_call *c = argument;
    model_adapt(c->model->m, c->path, 1);
}

bool hiss_adapt(hiss_model *model, const char *files, hiss_error *error) {
    return run_there(adapt_body, &(open_call){files, model}, NOBODY, error);
}

void hiss_close(hiss_model *model) {
    if (model) scope_destroy(model->home);
}

int hiss_model_rate(const hiss_model *model) { return model->m->rate; }
int hiss_model_channels(const hiss_model *model) { return model->m->channels; }
int64_t hiss_model_parameters(const hiss_model *model) { return params_elements(model->m->parameters); }
int64_t hiss_model_classes(const hiss_model *model) { return model->m->class_count; }

const char *hiss_model_class(const hiss_model *model, int64_t index) {
    const struct model *m = model->m;
    return m->classes && index >= 0 && index < m->class_count ? m->classes[index] : NULL;
}

/* --- requests --- */

hiss_request hiss_request_default(void) {
    return (hiss_request){.eta = -1,
                          .guidance = -1,
                          .text_guidance = -1,
                          .class_guidance = -1,
                          .mel_guidance = -1,
                          .reference_guidance = -1,
                          .tempo_guidance = -1,
                          .melody_guidance = -1,
                          .blend_part = 0.5,
                          .blend_until = -1,
                          .strength = 0.5};
}

/* Numbers and what they lie within; those of which a negative one means "not given" have no lower bound. */
static void check_numbers(const hiss_request *q) {
    const struct {
        const char *name;
        double value, least, most;
    } rows[] = {
        {"seconds", q->seconds, 0, INFINITY},
        {"steps", (double) q->steps, 0, 10000},
        {"eta", q->eta, -INFINITY, 10},
        {"guidance", q->guidance, -INFINITY, 100},
        {"text_guidance", q->text_guidance, -INFINITY, 100},
        {"class_guidance", q->class_guidance, -INFINITY, 100},
        {"mel_guidance", q->mel_guidance, -INFINITY, 100},
        {"reference_guidance", q->reference_guidance, -INFINITY, 100},
        {"tempo_guidance", q->tempo_guidance, -INFINITY, 100},
        {"melody_guidance", q->melody_guidance, -INFINITY, 100},
        {"mel_blur", q->mel_blur, 0, 64},
        {"blend_part", q->blend_part, 0, 1},
        {"blend_until", q->blend_until, -INFINITY, 1},
        {"strength", q->strength, 0, 1},
        {"start", q->start, 0, 36000},
        {"rescale", q->rescale, 0, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!(rows[i].value >= rows[i].least && rows[i].value <= rows[i].most))
            fail(HISS_ERROR_ARGUMENT, "%s %g: give at most %g%s", rows[i].name, rows[i].value, rows[i].most,
                 rows[i].least == 0 ? " and at least 0" : "");
}

static noise_kind noise_of(const char *name) {
    for (int k = 0; NOISE_NAMES[k]; k++)
        if (!name || !strcmp(name, NOISE_NAMES[k])) return (noise_kind) k;
    fail(HISS_ERROR_ARGUMENT, "seed_like '%s': give hiss, torch or torch-cuda", name);
}

static const audio *kept_audio(const hiss_audio *a) {
    if (!a) return NULL;
    audio *kept = NEW(audio);
    *kept = as_audio(a);
    return kept;
}

static const tensor *kept_mel(const hiss_mel *mel) {
    enum { MOST_BANDS = 1 << 16, MOST_VALUES = 1 << 29 };
    if (!mel || !mel->values || mel->frames < 1 || mel->bands < 1 || mel->bands > MOST_BANDS ||
        mel->frames > MOST_VALUES / mel->bands)
        fail(HISS_ERROR_ARGUMENT, "a mel spectrogram without values, or with frames or bands that none has");
    return tensor_wrap(F32, SHAPE(mel->frames, mel->bands), mel->values);
}

static void set_spans(const hiss_request *q, sound_request *r) {
    enum { MOST = 4096 };
    if (q->remakes > MOST || (q->remakes && !q->remake))
        fail(HISS_ERROR_ARGUMENT, "remakes %zu: give 0 to %d spans", q->remakes, MOST);
    if (q->remakes && !q->init) fail(HISS_ERROR_ARGUMENT, "remake needs init: the sound of which parts are made anew");
    time_span *spans = NEW_ARRAY(time_span, q->remakes);
    for (size_t i = 0; i < q->remakes; i++) {
        spans[i] = (time_span){q->remake[i].from, q->remake[i].to};
        if (!(spans[i].from >= 0 && spans[i].from < spans[i].to))
            fail(HISS_ERROR_ARGUMENT, "remake: %g to %g is no span of seconds", spans[i].from, spans[i].to);
    }
    r->remake = spans;
    r->remakes = q->remakes;
}

/* Where nothing is said of the length it is that of what is followed. */
static void set_length(const hiss_request *q, sound_request *r) {
    static const int HOP = 512, RATE = 44100; /* of the front end "hiss" */
    r->seconds = q->seconds;
    if (r->seconds == 0 && r->init) r->seconds = (double) r->init->frames / r->init->rate;
    if (r->seconds == 0 && r->mel) r->seconds = (double) r->mel->shape[0] * HOP / RATE;
}

static void set_music(const hiss_request *q, sound_request *r) {
    if (q->bpm != 0 && !(q->bpm >= SLOWEST_BPM && q->bpm <= FASTEST_BPM))
        fail(HISS_ERROR_ARGUMENT, "bpm %g: from %d to %d, or 0", q->bpm, SLOWEST_BPM, FASTEST_BPM);
    r->bpm = q->bpm;
    if (q->key) r->key = key_named("key", q->key);
    r->chords = q->chords;
    r->melody = kept_audio(q->melody);
    r->prompt = prompt_with_music(q->prompt, r->bpm, r->key);
}

/* In the current scope; what it points to stays the caller's. */
static sound_request as_request(const model *m, const hiss_request *given) {
    const hiss_request q = given ? *given : hiss_request_default();
    check_numbers(&q);
    sound_request r = sound_request_for(m);
    r.seed = q.seed;
    r.noise = noise_of(q.seed_like);
    r.steps = q.steps;
    r.sampler = q.sampler;
    r.schedule = q.schedule;
    r.eta = q.eta;
    r.class = model_class(m, q.class_name);
    if (q.guidance >= 0) r.guidance = q.guidance;
    const double own[REQUEST_HANDLES] = {[REQUEST_TEXT] = q.text_guidance,   [REQUEST_CLASS] = q.class_guidance,
                                         [REQUEST_MEL] = q.mel_guidance,     [REQUEST_REFERENCE] = q.reference_guidance,
                                         [REQUEST_TEMPO] = q.tempo_guidance, [REQUEST_MELODY] = q.melody_guidance};
    for (int h = 0; h < REQUEST_HANDLES; h++)
        if (own[h] >= 0) r.handle_guidance[h] = own[h];
    set_music(&q, &r);
    r.negative = q.negative;
    r.reference = kept_audio(q.reference);
    if (q.mel) r.mel = kept_mel(q.mel);
    r.mel_blur = q.mel_blur;
    r.blend = q.blend;
    r.blend_part = q.blend_part;
    if (q.blend_until >= 0) r.blend_until = q.blend_until;
    r.init = kept_audio(q.init);
    r.into = kept_audio(q.into);
    if (r.init) r.strength = q.strength;
    set_spans(&q, &r);
    r.loop = q.loop;
    r.start = q.start;
    r.rescale = q.rescale;
    r.set = q.set;
    r.text_encoder = q.text_encoder;
    r.vocoder = q.vocoder;
    set_length(&q, &r);
    return r;
}

/* --- sounds --- */

typedef struct {
    const model *m;
    const hiss_request *request;
    const hiss_mel *mel;
    hiss_take take;
    void *context;
    hiss_audio *result;
} sound_call;

static listener listener_of(const hiss_request *r) { return r ? (listener){r->progress, r->context} : NOBODY; }

static void keep_whole(void *context, int64_t i, const audio *sound) {
    (void) i;
    const audio *whole = context;
    require(sound->frames == whole->frames && sound->channels == whole->channels);
    memcpy(whole->samples, sound->samples, (size_t) (sound->frames * sound->channels) * sizeof(float));
}

static void generate_body(void *argument) {
    sound_call *c = argument;
    sound_request r = as_request(c->m, c->request);
    request_check(c->m, &r);
    request_settle(c->m, &r);
    audio *whole = audio_new(request_samples(c->m, &r), c->m->channels, c->m->rate);
    generate_sounds(c->m, &r, keep_whole, whole);
    c->result = audio_to_keep(whole);
}

hiss_audio *hiss_generate(hiss_model *model, const hiss_request *request, hiss_error *error) {
    sound_call c = {.m = model->m, .request = request};
    scope *home = run_to_keep(generate_body, &c, listener_of(request), error);
    return home ? hand_out_audio(c.result, home) : NULL;
}

static void hand_on(void *context, const float *samples, int64_t frames) {
    const sound_call *c = context;
    if (c->take(c->context, samples, frames)) fail(HISS_ERROR_INTERRUPTED, "stopped by who takes the sound");
}

static void hand_on_whole(void *context, int64_t i, const audio *sound) {
    (void) i;
    hand_on(context, sound->samples, sound->frames);
}

static void stream_body(void *argument) {
    sound_call *c = argument;
    sound_request r = as_request(c->m, c->request);
    r.stream = true;
    request_check(c->m, &r);
    request_settle(c->m, &r);
    if (has_pieces(c->m, &r)) generate_pieces(c->m, &r, 0, hand_on, c);
    else generate_sounds(c->m, &r, hand_on_whole, c);
}

bool hiss_stream(hiss_model *model, const hiss_request *request, hiss_take take, void *context, hiss_error *error) {
    sound_call c = {.m = model->m, .request = request, .take = take, .context = context};
    return run_there(stream_body, &c, listener_of(request), error);
}

static void vocode_body(void *argument) {
    sound_call *c = argument;
    const sound_request r = as_request(c->m, c->request);
    c->result = audio_to_keep(vocode_mel(c->m, &r, kept_mel(c->mel)));
}

hiss_audio *hiss_vocode(hiss_model *model, const hiss_mel *mel, const hiss_request *request, hiss_error *error) {
    sound_call c = {.m = model->m, .mel = mel, .request = request};
    scope *home = run_to_keep(vocode_body, &c, listener_of(request), error);
    return home ? hand_out_audio(c.result, home) : NULL;
}
