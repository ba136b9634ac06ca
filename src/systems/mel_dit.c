/* hiss's sound model as a system: prompts, classes, rough spectrograms and references become what the network is asked for; patches
 * become sound through the shipped vocoder. N patches, F frames, M bands, E numbers of a text. */
#include "models/mel_dit.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "signal/edit.h"
#include "systems/latent_start.h"
#include "systems/prompt.h"
#include "systems/rows.h"
#include "systems/shipped.h"
#include "systems/vocoder.h"

enum { HOP = 512, RATE = 44100 };
/* Patches of the canvases of training, in frames of 8: the shortest that holds a sound is taken. */
static const int64_t CANVASES[] = {8, 16, 32, 64};
enum { CANVAS_COUNT = 4, LONGEST = 64, OVERLAP = 16 };
static const float SILENCE = -11.512925f; /* ln 1e-5 */

/* One way to ask: a text, class, coarse rows and style, each given or not. */
typedef struct {
    const tensor *text, *style; /* [1, E + 1], [1, 2 M + 1], or NULL */
    int32_t class;              /* -1: none */
    bool coarse;
    double share; /* of its prediction in the result */
} branch;

enum { MOST_BRANCHES = REQUEST_HANDLES + 1, WAY = 32 /* steps between two prompts or styles */ };
typedef struct {
    branch branches[MOST_BRANCHES];
    int count;
    const tensor *coarse;       /* [1, N, M / 8 + 1] of all positions, or NULL */
    const tensor *text, *style; /* what was asked for first */
    /* Where it changes, rows over the sound's length, else NULL. */
    const tensor *text_way[WAY + 1], *style_way[WAY + 1];
    float seconds;
    float inside; /* guidance that a few-step network is told; 1: none */
    const model *vocoder;
} asked_for;

static void open(model *m, const store *s, binder *b) {
    (void) s;
    mel_dit_config c = mel_dit_config_read(m->settings);
    m->network = mel_dit_bind(&c, b);
    m->hop = HOP * c.frames;
    m->rate = RATE;
    m->class_count = c.classes;
    m->limit = INFINITY;
}

static mel_front front_of(const model *m) {
    mel_front f = mel_front_named("hiss");
    f.bands = (int) mel_dit_sizes(m->network)->bands;
    return f;
}

/* --- sounds to what the network knows --- */

/* [1, F, M] normalised, of a mel [F', M] continued with silence or cut. */
static tensor *normal_of(const model *m, const tensor *mel, int64_t frames) {
    int64_t M = mel->shape[1], n = mel->shape[0] < frames ? mel->shape[0] : frames;
    tensor *x = tensor_new(F32, SHAPE(1, frames, M));
    memcpy(f32(x), f32(mel), (size_t) (n * M) * sizeof(float));
    for (int64_t i = n * M; i < frames * M; i++) f32(x)[i] = SILENCE;
    return mel_normalise(mel_dit_patches(m->network), x);
}

/* Mono at the model's rate, all channels mixed, with silence for the end of the last window. */
static tensor *features_of(const model *m, const audio *sound) {
    mel_front f = front_of(m);
    const audio *mono = sound->channels > 1 ? audio_mix_down(sound) : sound;
    if (mono->rate != m->rate) mono = audio_resample(mono, m->rate);
    int64_t n = (mono->frames + HOP - 1) / HOP * HOP + 2 * HOP;
    float *samples = NEW_ARRAY(float, n);
    memcpy(samples, mono->samples, (size_t) mono->frames * sizeof(float));
    return mel_compute(&f, samples, n);
}

static tensor *encode(const model *m, const audio *sound, int64_t positions, noise_source noise) {
    (void) noise;
    const mel_patches *p = mel_dit_patches(m->network);
    scope_begin();
    return scope_end_keep(mel_to_patches(p, normal_of(m, features_of(m, sound), positions * p->frames)));
}

/* A Gaussian over patches and groups of bands. */
static void blur(tensor *coarse, double width) { /* [1, N, C] */
    int64_t N = coarse->shape[1], C = coarse->shape[2], reach = (int64_t) ceil(3 * width);
    scope_begin();
    for (int axis = 0; axis < 2; axis++) {
        const float *from = f32(tensor_to_f32(coarse));
        int64_t length = axis ? C : N, step = axis ? 1 : C;
        for (int64_t i = 0; i < N * C; i++) {
            int64_t at = i / step % length;
            double sum = 0, weights = 0;
            for (int64_t k = -reach; k <= reach; k++) {
                if (at + k < 0 || at + k >= length) continue;
                double weight = exp(-0.5 * (double) (k * k) / (width * width));
                sum += weight * from[i + k * step];
                weights += weight;
            }
            f32(coarse)[i] = (float) (sum / weights);
        }
    }
    scope_end();
}

static bool is_silent(const tensor *mel) {
    for (int64_t i = 0, n = count(mel); i < n; i++)
        if (f32(mel)[i] > SILENCE + 1e-3f) return false;
    return true;
}

static const tensor *coarse_of(const model *m, const sound_request *r, int64_t positions) {
    const mel_patches *p = mel_dit_patches(m->network);
    if (r->mel->shape[1] != p->bands)
        fail(HISS_ERROR_ARGUMENT, "the rough mel has %lld bands, %s has %lld", (long long) r->mel->shape[1], m->path,
             (long long) p->bands);
    if (is_silent(r->mel))
        fail(HISS_ERROR_ARGUMENT, "the rough mel is silent: give a course that the sound is to follow");
    tensor *coarse = mel_coarse(p, normal_of(m, r->mel, positions * p->frames));
    if (r->mel_blur > 0) blur(coarse, r->mel_blur);
    return handle_rows(coarse, 1, NULL);
}

static const tensor *style_of(const model *m, const audio *reference) {
    const mel_patches *p = mel_dit_patches(m->network);
    if (!(audio_peak(reference) > 1e-5f))
        fail(HISS_ERROR_ARGUMENT, "the reference is silent: give a sound to take the style of");
    const tensor *mel = features_of(m, trim_silence(reference, 60, 0, 0.02)),
                 *normal = normal_of(m, mel, mel->shape[0]);
    return handle_rows(mel_style(p, normal, &mel->shape[0]), 1, NULL);
}

/* --- texts --- */

static text_encoder *encoder_of(const model *m) { return prompt_encoder(m, mel_dit_sizes(m->network)->text); }

/* As the network takes them: unit vectors times sqrt(E). */
static const tensor *text_rows(const tensor *unit) { return handle_rows(unit, sqrtf((float) unit->shape[1]), NULL); }

/* The class whose words mean nearly the same. */
static int32_t class_like(const model *m, const char *text) {
    static const float LEAST = 0.6f; /* cosine below which words do not mean the same */
    if (!m->classes) return -1;
    scope_begin();
    float likeness;
    int32_t best = prompt_class(m, encoder_of(m), text, &likeness);
    scope_end();
    return likeness > LEAST ? best : -1;
}

/* --- guidance --- */

/* What a handle adds, and how strongly. */
typedef struct {
    int handle;
    double guidance;
} pull;

static bool is_given(const sound_request *r, int handle) {
    const bool given[REQUEST_HANDLES] = {[REQUEST_TEXT] = r->prompt != NULL,
                                         [REQUEST_CLASS] = r->class >= 0,
                                         [REQUEST_MEL] = r->mel != NULL,
                                         [REQUEST_REFERENCE] = r->reference != NULL};
    return given[handle];
}

/* The handles given, the weakest first. */
static int pulls_of(const sound_request *r, pull to[REQUEST_HANDLES]) {
    int n = 0;
    for (int h = 0; h < REQUEST_HANDLES; h++) {
        if (!is_given(r, h)) continue;
        pull p = {h, isnan(r->handle_guidance[h]) ? r->guidance : r->handle_guidance[h]};
        int at = n++;
        for (; at > 0 && to[at - 1].guidance > p.guidance; at--) to[at] = to[at - 1];
        to[at] = p;
    }
    return n;
}

static void give(branch *b, const branch *all, int handle) {
    if (handle == REQUEST_TEXT) b->text = all->text;
    if (handle == REQUEST_CLASS) b->class = all->class;
    if (handle == REQUEST_MEL) b->coarse = true;
    if (handle == REQUEST_REFERENCE) b->style = all->style;
}

/* Classifier-free guidance (Ho and Salimans 2022) with a weight for each handle: handles of one weight are added together, the
 * weakest first, and each addition counts times its weight. `nothing` is what all additions start from. */
static void branch_out(asked_for *a, const sound_request *r, const branch *nothing, const branch *all) {
    a->inside = 1;
    pull pulls[REQUEST_HANDLES];
    int n = pulls_of(r, pulls);
    branch b = *nothing;
    double before = 1;
    for (int i = 0; i < n;) {
        double g = pulls[i].guidance;
        b.share = before - g;
        if (b.share != 0) a->branches[a->count++] = b;
        for (; i < n && pulls[i].guidance == g; i++) give(&b, all, pulls[i].handle);
        before = g;
    }
    b.share = before;
    if (b.share != 0 || !a->count) a->branches[a->count++] = b;
}

/* A few-step network has guidance inside: one branch where all handles pull alike and nothing is asked away; else branches are
 * mixed as of any network. */
static bool guided_inside(asked_for *a, const model *m, const sound_request *r, const branch *all) {
    const mel_dit_config *c = mel_dit_sizes(m->network);
    pull pulls[REQUEST_HANDLES];
    int n = pulls_of(r, pulls);
    if (!c->few_steps || r->negative || !n || pulls[0].guidance != pulls[n - 1].guidance) return false;
    double g = pulls[0].guidance, held = fmin(g, c->guidance_high);
    if (g < c->guidance_low) return false;
    if (g > held)
        warn("%s was taught guidance from %g to %g: %g is taken in place of %g", m->path, c->guidance_low,
             c->guidance_high, held, g);
    a->branches[a->count++] = *all;
    a->branches[0].coarse = r->mel != NULL;
    a->branches[0].share = 1;
    a->inside = (float) held;
    return true;
}

/* --- the row --- */

/* A loop takes the nearest number of patches: its spectrogram is stretched to its length. */
static shape state(const model *m, int64_t samples, bool loop) {
    const mel_dit_config *c = mel_dit_sizes(m->network);
    int64_t patches = (samples + m->hop - 1) / m->hop, nearest = (samples + m->hop / 2) / m->hop;
    if (loop) return SHAPE(nearest < 2 ? 2 : nearest, c->components);
    for (int i = 0; i < CANVAS_COUNT && patches <= LONGEST; i++)
        if (CANVASES[i] >= patches) return SHAPE(CANVASES[i], c->components);
    return SHAPE(patches, c->components);
}

/* Whether what a vocoder takes is what the network gives. */
static bool sings(const model *vocoder, const mel_front *own) {
    if (!vocoder->mels) return false;
    const mel_front its = model_front(vocoder);
    const double top = own->high_hz > 0 ? own->high_hz : own->rate / 2.0,
                 its_top = its.high_hz > 0 ? its.high_hz : its.rate / 2.0;
    return its.rate == own->rate && its.bands == own->bands && its.stft.hop == own->stft.hop &&
           its.stft.n_fft == own->stft.n_fft && its.stft.window == own->stft.window && its.log == own->log &&
           its.scale == own->scale && its.low_hz == own->low_hz && its_top == top;
}

static const model *open_vocoder(const model *m, const sound_request *r) {
    if (!r->vocoder) return model_open(shipped_model("vocoder"));
    const model *vocoder = model_open(r->vocoder);
    const mel_front own = front_of(m);
    if (!sings(vocoder, &own))
        fail(HISS_ERROR_ARGUMENT,
             "--vocoder %s: does not sing the mel spectrograms of %s: it must take those of BigVGAN v2 at %d Hz, %d "
             "bands, hop "
             "%d, window %d",
             r->vocoder, m->path, own.rate, own.bands, own.stft.hop, own.stft.window);
    return vocoder;
}

/* From one prompt to another over the length: each window hears what belongs to its middle. */
static void lay_texts(asked_for *a, const text_encoder *e, const sound_request *r, int64_t positions) {
    if (positions <= LONGEST)
        fail(HISS_ERROR_ARGUMENT, "a prompt can change over sounds of more than 5.9 s: make a longer one");
    for (int k = 0; k <= WAY; k++) {
        const double part = r->blend_part + (r->blend_until - r->blend_part) * k / WAY;
        a->text_way[k] = text_rows(prompt_between(e, r->prompt, r->blend, part));
    }
}

/* The same of styles; a single window hears that of its middle. */
static void lay_styles(asked_for *a, const model *m, const sound_request *r, int64_t samples) {
    const tensor *first = a->style, *second = style_of(m, r->into);
    for (int k = 0; k <= WAY; k++) {
        const float part = (float) start_way(m, r, (double) samples / m->rate * k / WAY);
        tensor *row = tensor_to_f32(first);
        for (int64_t i = 0, n = count(row); i < n; i++)
            f32(row)[i] = (1 - part) * f32(first)[i] + part * f32(second)[i];
        a->style_way[k] = row;
    }
}

/* What is asked of a window whose middle is that position. */
static asked_for asked_at(const asked_for *a, int64_t middle, int64_t whole) {
    asked_for here = *a;
    const int64_t k = whole > 1 ? middle * WAY / (whole - 1) : 0;
    for (int i = 0; i < a->count; i++) {
        branch *b = &here.branches[i];
        if (b->text && b->text == a->text && a->text_way[0]) b->text = a->text_way[k];
        if (b->style && a->style_way[0]) b->style = a->style_way[k];
    }
    return here;
}

static void *prepare(const model *m, const sound_request *r, int64_t samples) {
    asked_for *a = NEW(asked_for);
    branch nothing = {.class = -1}, all = {.class = r->class};
    const int64_t positions = state(m, samples, r->loop).dims[0];
    if (r->prompt) prompt_check("prompt", r->prompt);
    if (r->negative) prompt_check("negative prompt", r->negative);
    if (r->blend) prompt_check("second prompt", r->blend);
    if (r->blend && !r->prompt) fail(HISS_ERROR_ARGUMENT, "a second prompt needs a first one to start from");
    if (r->prompt || r->negative) {
        const text_encoder *e = encoder_of(m);
        if (r->prompt) all.text = text_rows(prompt_between(e, r->prompt, r->blend, r->blend_part));
        if (r->prompt) prompt_note_language(m, e, r->prompt);
        if (r->blend && !isnan(r->blend_until)) lay_texts(a, e, r, positions);
        if (r->negative) nothing.text = text_rows(prompt_between(e, r->negative, NULL, 0));
    }
    a->text = all.text;
    a->seconds = (float) ((double) samples / m->rate);
    if (positions > LONGEST) a->seconds = (float) ((double) LONGEST * (double) m->hop / m->rate);
    if (r->mel) a->coarse = coarse_of(m, r, positions);
    if (r->reference) all.style = a->style = style_of(m, r->reference);
    if (r->reference && r->into) lay_styles(a, m, r, samples);
    if (!guided_inside(a, m, r, &all)) branch_out(a, r, &nothing, &all);
    a->vocoder = open_vocoder(m, r);
    return a;
}

/* Rows [1, C] of each branch as one batch, off where a branch has none; NULL if none has. */
static const tensor *stack(const asked_for *a, const tensor *(*of)(const asked_for *a, int branch)) {
    int64_t C = 0;
    for (int i = 0; i < a->count; i++)
        if (of(a, i)) C = of(a, i)->shape[1];
    if (!C) return NULL;
    tensor *y = tensor_zero(F32, SHAPE(a->count, C));
    for (int i = 0; i < a->count; i++) {
        if (of(a, i)) memcpy(f32(y) + i * C, f32(of(a, i)), (size_t) C * sizeof(float));
        else f32(y)[(i + 1) * C - 1] = 1;
    }
    return y;
}

static const tensor *text_of(const asked_for *a, int i) { return a->branches[i].text; }
static const tensor *style_row(const asked_for *a, int i) { return a->branches[i].style; }

static const tensor *stack_coarse(const asked_for *a, const int64_t *at, int64_t n) {
    if (!a->coarse) return NULL;
    int64_t C = a->coarse->shape[2];
    tensor *y = tensor_zero(F32, SHAPE(a->count, n, C));
    for (int b = 0; b < a->count; b++)
        for (int64_t i = 0; i < n; i++) {
            float *to = f32(y) + (b * n + i) * C;
            if (a->branches[b].coarse) memcpy(to, f32(a->coarse) + at[i] * C, (size_t) C * sizeof(float));
            else to[C - 1] = 1;
        }
    return y;
}

static estimate denoise(const model *m, const void *asked, const tensor *x, double sigma, double to, const int64_t *at,
                        int64_t whole) {
    int64_t n = x->shape[1], P = x->shape[2];
    const asked_for here = asked_at(asked, at[n / 2], whole), *a = &here;
    int64_t B = a->count;
    float level = (float) (1 / (1 + sigma)), t[MOST_BRANCHES], seconds[MOST_BRANCHES], jump[MOST_BRANCHES],
          inside[MOST_BRANCHES];
    int32_t classes[MOST_BRANCHES];
    scope_begin();
    tensor *z = tensor_new(F32, SHAPE(B, n, P));
    for (int64_t b = 0; b < B; b++) {
        t[b] = level;
        seconds[b] = a->seconds;
        jump[b] = (float) (1 / (1 + to)) - level;
        inside[b] = a->inside;
        classes[b] = a->branches[b].class;
        for (int64_t i = 0; i < n * P; i++) f32(z)[b * n * P + i] = level * f32(x)[i];
    }
    mel_dit_condition c = {.seconds = seconds,
                           .classes = classes,
                           .text = stack(a, text_of),
                           .coarse = stack_coarse(a, at, n),
                           .style = stack(a, style_row),
                           .jump = jump,
                           .guidance = inside};
    const float *w = f32(mel_dit_forward(m->network, z, t, &c));
    tensor *clean = tensor_zero(F32, SHAPE(1, n, P));
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < n * P; i++) f32(clean)[i] += (float) a->branches[b].share * w[b * n * P + i];
    return (estimate){scope_end_keep(clean), NULL};
}

/* log-mel [F, M] of patches [1, N, P]. */
static tensor *mel_of_patches(const mel_patches *p, const tensor *x) {
    tensor *mel = mel_from_patches(p, x);
    mel_denormalise(p, mel);
    for (int64_t i = 0, n = count(mel); i < n; i++) f32(mel)[i] = fmaxf(f32(mel)[i], SILENCE);
    mel->rank = 2;
    mel->shape[0] = mel->shape[1];
    mel->shape[1] = p->bands;
    return mel;
}

/* Frames of a loop, the first again after the last, stretched so that one turn takes `turn` frames: [frames, M]. */
static tensor *wind_on(const tensor *mel, double turn, int64_t frames) {
    int64_t F = mel->shape[0], M = mel->shape[1];
    tensor *y = tensor_new(F32, SHAPE(frames, M));
    for (int64_t f = 0; f < frames; f++) {
        double at = fmod((double) f * (double) F / turn, (double) F);
        int64_t low = (int64_t) at % F, high = (low + 1) % F;
        float part = (float) (at - floor(at));
        for (int64_t m = 0; m < M; m++)
            f32(y)[f * M + m] = f32(mel)[low * M + m] + part * (f32(mel)[high * M + m] - f32(mel)[low * M + m]);
    }
    return y;
}

static const audio *sing(const asked_for *a, const tensor *mel, uint64_t seed) {
    sound_request r = sound_request_default();
    r.seed = seed;
    return vocode_mel(a->vocoder, &r, mel);
}

/* What the vocoder makes of the beginning after the end is faded into the beginning itself. */
static void sing_loop(const asked_for *a, const tensor *mel, audio *to, uint64_t seed) {
    enum { FADE = 4096 };
    int64_t n = to->frames, over = n < FADE ? n : FADE, frames = (n + over + HOP - 1) / HOP + 1;
    const float *sung = sing(a, wind_on(mel, (double) n / HOP, frames), seed)->samples;
    memcpy(to->samples, sung, (size_t) n * sizeof(float));
    for (int64_t i = 0; i < over; i++) {
        double in = ((double) i + 0.5) / (double) over;
        to->samples[i] = (float) (sqrt(in) * sung[i] + sqrt(1 - in) * sung[n + i]);
    }
}

static audio *decode(const model *m, const void *asked, const tensor *x, int64_t samples, uint64_t seed, bool loop) {
    const asked_for *a = asked;
    audio *result = audio_new(samples, 1, m->rate);
    scope_begin();
    tensor *mel = mel_of_patches(mel_dit_patches(m->network), x);
    if (loop) {
        sing_loop(a, mel, result, seed);
    } else {
        mel->shape[0] = (samples + HOP - 1) / HOP;
        memcpy(result->samples, sing(a, mel, seed)->samples, (size_t) samples * sizeof(float));
    }
    scope_end();
    return result;
}

/* --- the same piece by piece --- */

typedef struct {
    const model *m;
    vocoder_stream *stream;
    int64_t frames, samples; /* left */
    take_samples *take;
    void *context;
} voice;

/* The last frame reaches beyond the end. */
static void pass_sung(void *context, const float *samples, int64_t n) {
    voice *v = context;
    if (n > v->samples) n = v->samples;
    v->samples -= n;
    if (n) v->take(v->context, samples, n);
}

static void *voice_begin(const model *m, const void *asked, int64_t samples, uint64_t seed, take_samples *take,
                         void *context) {
    const asked_for *a = asked;
    if (a->vocoder->system != &SYSTEM_VOCODER)
        fail(HISS_ERROR_ARGUMENT,
             "%s: sounds as long as this are sung as they come, which %s cannot; make shorter ones", a->vocoder->path,
             a->vocoder->system->name);
    voice *v = NEW(voice);
    *v = (voice){m, NULL, (samples + HOP - 1) / HOP, samples, take, context};
    v->stream = vocoder_stream_of(a->vocoder, seed, pass_sung, v);
    return v;
}

static void voice_put(void *to, const tensor *rows) {
    voice *v = to;
    const tensor *mel = mel_of_patches(mel_dit_patches(v->m->network), rows);
    const int64_t n = mel->shape[0] < v->frames ? mel->shape[0] : v->frames;
    vocoder_stream_push(v->stream, f32(mel), n);
    v->frames -= n;
}

static void voice_end(void *to) { vocoder_stream_finish(((voice *) to)->stream); }

static const struct latent_row LATENT = {.window = LONGEST,
                                         .overlap = OVERLAP,
                                         .steps = 12,
                                         .guidance = 2,
                                         .least = 0.02,
                                         .most = 1000,
                                         .process = PROCESS_STRAIGHT,
                                         .peak = 0.95f,
                                         .prepare = prepare,
                                         .state = state,
                                         .denoise = denoise,
                                         .encode = encode,
                                         .decode = decode,
                                         .voice_begin = voice_begin,
                                         .voice_put = voice_put,
                                         .voice_end = voice_end,
                                         .class_like = class_like};

const system_row SYSTEM_MEL_DIT = {
    .name = "mel-dit",
    .paper = "hiss's own; docs/sound.md",
    .landmark = "patch.basis",
    .open = open,
    .sampler = "euler",
    .latent = &LATENT,
};
