/* hiss's sound model as a system: its network, asked for what mel_dit_asked.h holds; patches become sound through a vocoder. N patches,
 * F frames, M bands. */
#include "models/mel_dit.h"

#include <math.h>
#include <string.h>

#include "models/beat_clock.h"
#include "models/tonal_course.h"
#include "systems/latent.h"
#include "systems/mel_dit_asked.h"
#include "systems/mel_dit_words.h"
#include "systems/rows.h"
#include "systems/vocoder.h"

enum { RATE = 44100 };
/* Patches of the canvases of training, in frames of 8: the shortest that holds a sound is taken. */
static const int64_t CANVASES[] = {8, 16, 32, 64};
enum { CANVAS_COUNT = 4, OVERLAP = 16 };

static void open(model *m, const store *s, binder *b) {
    (void) s;
    mel_dit_config c = mel_dit_config_read(m->settings);
    m->network = mel_dit_bind(&c, b);
    m->hop = HOP * c.frames;
    m->rate = RATE;
    m->class_count = c.classes;
    m->limit = INFINITY;
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

static void *prepare(const model *m, const sound_request *r, int64_t samples) {
    return ask_mel_dit(m, r, samples, state(m, samples, r->loop).dims[0]);
}

static tensor *encode(const model *m, const audio *sound, int64_t positions, noise_source noise) {
    (void) noise;
    return mel_dit_clean(m, sound, positions);
}

/* Rows [1, C] of each branch as one batch, off where a branch has none; NULL if none has. */
static const tensor *stack(const plan *p, const tensor *(*of)(const branch *b)) {
    int64_t C = 0;
    for (int i = 0; i < p->count; i++)
        if (of(&p->branches[i])) C = of(&p->branches[i])->shape[1];
    if (!C) return NULL;
    tensor *y = tensor_zero(F32, SHAPE(p->count, C));
    for (int i = 0; i < p->count; i++) {
        if (of(&p->branches[i])) memcpy(f32(y) + i * C, f32(of(&p->branches[i])), (size_t) C * sizeof(float));
        else f32(y)[(i + 1) * C - 1] = 1;
    }
    return y;
}

static const tensor *text_of(const branch *b) { return b->text; }
static const tensor *style_row(const branch *b) { return b->style; }

/* What is said of a position, C numbers, and which branches are told. */
typedef struct {
    int64_t C;
    bool (*told)(const branch *b);
    void (*say)(const model *m, const asked_for *a, int64_t position, float *to);
} course;

/* Of all branches at these positions [branches, n, C + 1], off where a branch is not told. */
static const tensor *stack_course(const model *m, const asked_for *a, const plan *p, const int64_t *at, int64_t n,
                                  course c) {
    tensor *y = tensor_zero(F32, SHAPE(p->count, n, c.C + 1));
    scope_begin();
    float *row = NEW_ARRAY(float, c.C);
    for (int64_t i = 0; i < n; i++) {
        c.say(m, a, at[i], row);
        for (int b = 0; b < p->count; b++) {
            float *to = f32(y) + (b * n + i) * (c.C + 1);
            if (c.told(&p->branches[b])) memcpy(to, row, (size_t) c.C * sizeof(float));
            else to[c.C] = 1;
        }
    }
    scope_end();
    return y;
}

static bool told_coarse(const branch *b) { return b->coarse; }
static bool told_tempo(const branch *b) { return b->tempo; }
static bool told_melody(const branch *b) { return b->melody; }

static void say_coarse(const model *m, const asked_for *a, int64_t position, float *to) {
    const int64_t C = a->coarse->shape[2];
    (void) m;
    memcpy(to, f32(a->coarse) + position * C, (size_t) C * sizeof(float));
}

static void say_beats(const model *m, const asked_for *a, int64_t position, float *to) {
    const int64_t frames = mel_dit_sizes(m->network)->frames;
    beat_clock(to, a->bpm, (double) position * a->stride, a->stride / (double) frames, frames);
}

static void say_pitches(const model *m, const asked_for *a, int64_t position, float *to) {
    (void) m;
    if (a->melody) memcpy(to, f32(a->melody) + position * PITCH_CLASSES, PITCH_CLASSES * sizeof(float));
    else composed_at(a->composed, a->seed, ((double) position + 0.5) * a->stride, to);
}

/* Tunes are made up of the sound's seed. */
static void vary(void *asked, uint64_t seed) { ((asked_for *) asked)->seed = seed; }

static estimate denoise(const model *m, const void *asked, const tensor *x, double sigma, double to, const int64_t *at,
                        int64_t whole) {
    int64_t n = x->shape[1], P = x->shape[2];
    const asked_for *a = asked;
    const float level = (float) (1 / (1 + sigma));
    const plan p = plan_at(a, at[n / 2], whole, level);
    const int64_t B = p.count;
    float t[MOST_BRANCHES], seconds[MOST_BRANCHES], jump[MOST_BRANCHES], inside[MOST_BRANCHES];
    int32_t classes[MOST_BRANCHES];
    scope_begin();
    tensor *z = tensor_new(F32, SHAPE(B, n, P));
    for (int64_t b = 0; b < B; b++) {
        t[b] = level;
        seconds[b] = a->seconds;
        jump[b] = (float) (1 / (1 + to)) - level;
        inside[b] = p.inside;
        classes[b] = p.branches[b].class;
        for (int64_t i = 0; i < n * P; i++) f32(z)[b * n * P + i] = level * f32(x)[i];
    }
    const course coarse = {a->coarse ? a->coarse->shape[2] : 0, told_coarse, say_coarse},
                 beats = {beat_clock_width(mel_dit_sizes(m->network)->frames), told_tempo, say_beats},
                 pitches = {PITCH_CLASSES, told_melody, say_pitches};
    mel_dit_condition c = {.seconds = seconds,
                           .classes = classes,
                           .text = stack(&p, text_of),
                           .coarse = a->coarse ? stack_course(m, a, &p, at, n, coarse) : NULL,
                           .style = stack(&p, style_row),
                           .clock = a->bpm > 0 ? stack_course(m, a, &p, at, n, beats) : NULL,
                           .melody = a->melody || a->composed ? stack_course(m, a, &p, at, n, pitches) : NULL,
                           .jump = jump,
                           .guidance = inside};
    const float *w = f32(mel_dit_forward(m->network, z, t, &c));
    tensor *clean = tensor_zero(F32, SHAPE(1, n, P));
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < n * P; i++) f32(clean)[i] += (float) p.branches[b].share * w[b * n * P + i];
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

/* Frames of a loop from `first` (which may be before its beginning) on, around and around, stretched so that one turn takes `turn`
 * frames: [frames, M]. */
static tensor *wind_on(const mel_patches *p, const tensor *x, double turn, int64_t first, int64_t frames) {
    const int64_t N = x->shape[1], C = x->shape[2], M = p->bands, P = p->frames;
    const double stride = (double) (N * P) / turn, begin = floor((double) first * stride / (double) P);
    const int64_t rows = (int64_t) ((double) frames * stride / (double) P) + 3;
    scope_begin();
    tensor *part = tensor_new(F32, SHAPE(1, rows, C)), *y = tensor_new(F32, SHAPE(frames, M));
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at = (((int64_t) begin + i) % N + N) % N;
        memcpy(f32(part) + i * C, f32(x) + at * C, (size_t) C * sizeof(float));
    }
    const float *mel = f32(mel_of_patches(p, part));
    for (int64_t f = 0; f < frames; f++) {
        const double at = (double) (first + f) * stride - begin * (double) P;
        const int64_t low = (int64_t) at;
        const float rest = (float) (at - floor(at));
        for (int64_t m = 0; m < M; m++)
            f32(y)[f * M + m] = mel[low * M + m] + rest * (mel[(low + 1) * M + m] - mel[low * M + m]);
    }
    return scope_end_keep(y);
}

enum { FADE = 4096 /* samples around a loop's seam */ };

static const audio *sing(const asked_for *a, const tensor *mel, uint64_t seed) {
    sound_request r = sound_request_default();
    r.seed = seed;
    return vocode_mel(a->vocoder, &r, mel);
}

/* What the vocoder makes of the beginning after the end is faded into the beginning itself. */
static void sing_loop(const asked_for *a, const mel_patches *p, const tensor *x, audio *to, uint64_t seed) {
    int64_t n = to->frames, over = n < FADE ? n : FADE, frames = (n + over + HOP - 1) / HOP + 1;
    const float *sung = sing(a, wind_on(p, x, (double) n / HOP, 0, frames), seed)->samples;
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
    const mel_patches *p = mel_dit_patches(m->network);
    if (loop) {
        sing_loop(a, p, x, result, seed);
    } else {
        tensor *mel = mel_of_patches(p, x);
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

/* A loop in order: it is sung from some frames before its beginning on, and its last samples are faded over into those that came before
 * the first. */
typedef struct {
    int64_t at, n; /* the next sample, from below 0 on; samples of the loop */
    float before[FADE];
    take_samples *take;
    void *context;
} seam;

static void pass_around(void *context, const float *samples, int64_t count) {
    seam *s = context;
    float *kept = NEW_ARRAY(float, count + 1);
    int64_t passed = 0;
    for (int64_t i = 0; i < count; i++, s->at++) {
        if (s->at >= -FADE && s->at < 0) s->before[s->at + FADE] = samples[i];
        if (s->at < 0 || s->at >= s->n) continue;
        const int64_t in = s->at - (s->n - FADE);
        const double part = in < 0 ? 0 : ((double) in + 0.5) / FADE;
        kept[passed++] = in < 0 ? samples[i] : (float) (sqrt(1 - part) * samples[i] + sqrt(part) * s->before[in]);
    }
    if (passed) s->take(s->context, kept, passed);
}

static void sing_around(const asked_for *a, const mel_patches *p, const tensor *x, int64_t samples, uint64_t seed,
                        take_samples *take, void *context) {
    enum { LEAD = 32, BLOCK = 256 }; /* frames sung before the beginning, at once */
    seam s = {.at = -(int64_t) LEAD * HOP, .n = samples, .take = take, .context = context};
    vocoder_stream *stream = vocoder_stream_of(a->vocoder, seed, pass_around, &s);
    const int64_t end = (samples + HOP - 1) / HOP;
    for (int64_t f = -LEAD; f < end; f += BLOCK) {
        scope_begin();
        const int64_t n = end - f < BLOCK ? end - f : BLOCK;
        vocoder_stream_push(stream, f32(wind_on(p, x, (double) samples / HOP, f, n)), n);
        scope_end();
    }
    vocoder_stream_finish(stream);
}

/* Of a state that is there already. */
static void decode_pieces(const model *m, const void *asked, const tensor *x, int64_t samples, uint64_t seed, bool loop,
                          take_samples *take, void *context) {
    const int64_t C = x->shape[2];
    scope_begin();
    if (loop && samples > 2 * FADE) {
        sing_around(asked, mel_dit_patches(m->network), x, samples, seed, take, context);
    } else if (loop) {
        take(context, decode(m, asked, x, samples, seed, true)->samples, samples);
    } else {
        void *v = voice_begin(m, asked, samples, seed, take, context);
        for (int64_t i = 0; i < x->shape[1]; i += LONGEST) {
            scope_begin();
            const int64_t n = x->shape[1] - i < LONGEST ? x->shape[1] - i : LONGEST;
            voice_put(v, tensor_wrap(F32, SHAPE(1, n, C), f32(x) + i * C));
            scope_end();
        }
        voice_end(v);
    }
    scope_end();
}

static const struct latent_row LATENT = {.window = LONGEST,
                                         .overlap = OVERLAP,
                                         .steps = 12,
                                         .guidance = 2,
                                         .least = 0.02,
                                         .most = 1000,
                                         .process = PROCESS_STRAIGHT,
                                         .begins_with_window = true,
                                         .peak = 0.95f,
                                         .prepare = prepare,
                                         .vary = vary,
                                         .state = state,
                                         .denoise = denoise,
                                         .encode = encode,
                                         .decode = decode,
                                         .decode_pieces = decode_pieces,
                                         .loops_in_pieces = true,
                                         .voice_begin = voice_begin,
                                         .voice_put = voice_put,
                                         .voice_end = voice_end,
                                         .class_like = mel_dit_class_like,
                                         .usual_seconds = mel_dit_usual_seconds};

const system_row SYSTEM_MEL_DIT = {
    .name = "mel-dit",
    .paper = "hiss's own; docs/sound.md",
    .landmark = "patch.basis",
    .open = open,
    .sampler = "euler",
    .latent = &LATENT,
};
