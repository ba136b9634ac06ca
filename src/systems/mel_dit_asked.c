#include "systems/mel_dit_asked.h"

#include <math.h>
#include <string.h>

#include "models/mel_dit.h"
#include "models/tonal_course.h"
#include "signal/edit.h"
#include "systems/latent_start.h"
#include "systems/mel_dit_words.h"
#include "systems/prompt.h"
#include "systems/shipped.h"
#include "text/musical.h"

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

/* At the model's rate, all channels mixed. */
static const audio *mono_of(const model *m, const audio *sound) {
    const audio *mono = sound->channels > 1 ? audio_mix_down(sound) : sound;
    return mono->rate != m->rate ? audio_resample(mono, m->rate) : mono;
}

/* Frames first .. last - 1, as far as the sound goes with silence for the end of the last window: what lies around them is seen. */
static tensor *features_between(const model *m, const audio *mono, int64_t first, int64_t last) {
    enum { AROUND = 4 /* frames, more than a window reaches */ };
    const mel_front f = front_of(m);
    const int64_t frames = (mono->frames + HOP - 1) / HOP + 2, end = last < frames ? last : frames,
                  from = first > AROUND ? first - AROUND : 0, to = end + AROUND < frames ? end + AROUND : frames,
                  M = f.bands;
    if (end <= first) return tensor_new(F32, SHAPE(0, M));
    scope_begin();
    float *samples = NEW_ARRAY(float, (to - from) * HOP);
    const int64_t there = mono->frames - from * HOP, n = there < (to - from) * HOP ? there : (to - from) * HOP;
    if (n > 0) memcpy(samples, mono->samples + from * HOP, (size_t) n * sizeof(float));
    const tensor *mel = mel_compute(&f, samples, (to - from) * HOP);
    tensor *part = tensor_new(F32, SHAPE(end - first, M));
    memcpy(f32(part), f32(mel) + (first - from) * M, tensor_bytes(part));
    return scope_end_keep(part);
}

static tensor *features_of(const model *m, const audio *sound) {
    return features_between(m, mono_of(m, sound), 0, INT64_MAX / 2);
}

/* In blocks, so that a long sound takes no more than its patches. */
tensor *mel_dit_clean(const model *m, const audio *sound, int64_t positions) {
    const mel_patches *p = mel_dit_patches(m->network);
    const int64_t C = mel_dit_sizes(m->network)->components;
    tensor *clean = tensor_new(F32, SHAPE(1, positions, C));
    scope_begin();
    const audio *mono = mono_of(m, sound);
    for (int64_t i = 0; i < positions; i += LONGEST) {
        scope_begin();
        const int64_t n = positions - i < LONGEST ? positions - i : LONGEST;
        const tensor *mel = features_between(m, mono, i * p->frames, (i + n) * p->frames);
        memcpy(f32(clean) + i * C, f32(mel_to_patches(p, normal_of(m, mel, n * p->frames))),
               (size_t) (n * C) * sizeof(float));
        scope_end();
    }
    scope_end();
    return clean;
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
    return coarse;
}

static const tensor *style_of(const model *m, const audio *reference) {
    const mel_patches *p = mel_dit_patches(m->network);
    if (!(audio_peak(reference) > 1e-5f))
        fail(HISS_ERROR_ARGUMENT, "the reference is silent: give a sound to take the style of");
    const tensor *mel = features_of(m, trim_silence(reference, 60, 0, 0.02)),
                 *normal = normal_of(m, mel, mel->shape[0]);
    return handle_rows(mel_style(p, normal, &mel->shape[0]), 1, NULL);
}

/* Its pitch classes, silence behind it. */
static const tensor *melody_of(const model *m, const audio *sound, int64_t positions) {
    const mel_front f = front_of(m);
    const int64_t P = mel_dit_sizes(m->network)->frames, M = f.bands, F = positions * P;
    if (!(audio_peak(sound) > 1e-5f))
        fail(HISS_ERROR_ARGUMENT, "the melody is silent: give a sound whose pitches are to be followed");
    const tensor *mel = features_of(m, sound);
    tensor *all = tensor_new(F32, SHAPE(1, F, M));
    for (int64_t i = 0; i < F * M; i++) f32(all)[i] = i < count(mel) ? f32(mel)[i] : SILENCE;
    return tonal_course(all, P, mel_front_centres(&f));
}

/* --- guidance --- */

/* Pitches are the faintest of the handles. Where nothing is said they pull as others do until the instrument is settled, and after
 * that time so much more. Measured: docs/sound.md. */
static const double SETTLED = 0.4, MELODY_PULL = 3;

/* What a handle adds, and how strongly. */
typedef struct {
    int handle;
    double guidance;
} pull;

static bool is_given(const sound_request *r, int handle) {
    const bool given[REQUEST_HANDLES] = {
        [REQUEST_TEXT] = r->prompt != NULL, [REQUEST_CLASS] = r->class >= 0,
        [REQUEST_MEL] = r->mel != NULL,     [REQUEST_REFERENCE] = r->reference != NULL,
        [REQUEST_TEMPO] = r->bpm > 0,       [REQUEST_MELODY] = r->melody || r->chords || r->key >= 0};
    return given[handle];
}

/* The handles given, the weakest first. */
static int pulls_of(const sound_request *r, bool settled, pull to[REQUEST_HANDLES]) {
    int n = 0;
    for (int h = 0; h < REQUEST_HANDLES; h++) {
        if (!is_given(r, h)) continue;
        const double usual = r->guidance * (h == REQUEST_MELODY && settled ? MELODY_PULL : 1),
                     own = r->handle_guidance[h];
        pull p = {h, isnan(own) ? usual : own};
        int at = n++;
        for (; at > 0 && to[at - 1].guidance > p.guidance; at--) to[at] = to[at - 1];
        to[at] = p;
    }
    return n;
}

static void give(branch *b, const branch *all, int handle) {
    if (handle == REQUEST_TEXT) b->text = all->text;
    if (handle == REQUEST_TEXT && all->said) b->class = all->class, b->said = true;
    if (handle == REQUEST_CLASS) b->class = all->class;
    if (handle == REQUEST_MEL) b->coarse = true;
    if (handle == REQUEST_REFERENCE) b->style = all->style;
    if (handle == REQUEST_TEMPO) b->tempo = true;
    if (handle == REQUEST_MELODY) b->melody = true;
}

/* Classifier-free guidance (Ho and Salimans 2022) with a weight for each handle: handles of one weight are added together, the
 * weakest first, and each addition counts times its weight. `nothing` is what all additions start from. */
static void branch_out(plan *a, const pull *pulls, int n, const branch *nothing, const branch *all) {
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

/* The guidance that a few-step network is to hold inside it: that of the weakest handles, which every branch then has, the other weights
 * being multiples of it. 1: none, where it was not taught that or something is asked away. */
static double guidance_inside(const model *m, const sound_request *r, const pull *pulls, int n) {
    const mel_dit_config *c = mel_dit_sizes(m->network);
    if (!c->few_steps || r->negative || !n || pulls[0].guidance < c->guidance_low) return 1;
    return fmin(pulls[0].guidance, c->guidance_high);
}

static plan plan_of(const model *m, const sound_request *r, bool settled, const branch *nothing, const branch *all) {
    pull pulls[REQUEST_HANDLES];
    const int n = pulls_of(r, settled, pulls);
    const double inside = guidance_inside(m, r, pulls, n), weakest = n ? pulls[0].guidance : 1;
    if (inside != 1 && inside < weakest && !settled)
        warn("%s was taught guidance from %g to %g: %g is taken in place of %g", m->path,
             mel_dit_sizes(m->network)->guidance_low, mel_dit_sizes(m->network)->guidance_high, inside, weakest);
    for (int i = 0; i < n && inside != 1; i++) pulls[i].guidance /= weakest;
    plan p = {.inside = (float) inside};
    branch_out(&p, pulls, n, nothing, all);
    return p;
}

/* --- the vocoder --- */

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

/* --- all of it --- */

/* From one prompt to another over the length: each window hears what belongs to its middle. */
static void lay_texts(asked_for *a, const model *m, const text_encoder *e, const sound_request *r, int64_t positions) {
    if (positions <= LONGEST)
        fail(HISS_ERROR_ARGUMENT, "a prompt can change over sounds of more than 5.9 s: make a longer one");
    for (int k = 0; k <= WAY; k++) {
        const double part = r->blend_part + (r->blend_until - r->blend_part) * k / WAY;
        a->text_way[k] = mel_dit_text_rows(prompt_between(e, r->prompt, r->blend, part));
        a->class_way[k] = mel_dit_class_said(m, a->text_way[k]);
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

plan plan_at(const asked_for *a, int64_t middle, int64_t whole, double t) {
    plan here = t < SETTLED ? a->first : a->then;
    const int64_t k = whole > 1 ? middle * WAY / (whole - 1) : 0;
    for (int i = 0; i < here.count; i++) {
        branch *b = &here.branches[i];
        if (b->text && b->text == a->text && a->text_way[0]) {
            b->text = a->text_way[k];
            if (b->said) b->class = a->class_way[k];
        }
        if (b->style && a->style_way[0]) b->style = a->style_way[k];
    }
    return here;
}

/* What only other models are told. */
static void refuse_others(const model *m, const sound_request *r) {
    const char *asked = r->start != 0     ? "a start"
                        : r->rescale != 0 ? "a rescaling"
                        : r->set          ? "other conditions"
                        : r->text_encoder ? "another text encoder"
                                          : NULL;
    if (asked) fail(HISS_ERROR_ARGUMENT, "%s cannot be asked for %s", m->path, asked);
}

/* The request with the tempo and key that its prompt says, where nothing else does; without both for a network that knows none. */
static sound_request with_music(const model *m, const sound_request *asked) {
    sound_request r = *asked;
    const music_request said = music_asked(r.prompt ? r.prompt : "");
    if (!(r.bpm > 0)) r.bpm = said.bpm;
    if (r.key < 0) r.key = key_number(said.key);
    if (mel_dit_sizes(m->network)->music) return r;
    if (r.melody || r.chords)
        fail(HISS_ERROR_ARGUMENT, "%s cannot be asked for %s: it was not taught to follow pitches", m->path,
             r.melody ? "a melody" : "chords");
    r.bpm = 0, r.key = -1;
    return r;
}

/* A loop holds whole beats: where a tempo within 5 % does, that is taken. */
static double loop_tempo(double bpm, double seconds) {
    const double whole = fmax(round(bpm / 60 * seconds), 1) * 60 / seconds;
    return fabs(whole - bpm) <= 0.05 * bpm ? whole : bpm;
}

asked_for *ask_mel_dit(const model *m, const sound_request *asked, int64_t samples, int64_t positions) {
    asked_for *a = NEW(asked_for);
    const sound_request musical = with_music(m, asked), *r = &musical;
    branch nothing = {.class = -1}, all = {.class = r->class};
    refuse_others(m, r);
    if (r->prompt) prompt_check("prompt", r->prompt);
    if (r->negative) prompt_check("negative prompt", r->negative);
    if (r->blend) prompt_check("second prompt", r->blend);
    if (r->blend && !r->prompt) fail(HISS_ERROR_ARGUMENT, "a second prompt needs a first one to start from");
    if (r->prompt || r->negative) {
        const text_encoder *e = mel_dit_encoder(m);
        if (r->prompt) all.text = mel_dit_text_rows(prompt_between(e, r->prompt, r->blend, r->blend_part));
        if (r->prompt) prompt_note_language(m, e, r->prompt);
        all.said = r->prompt && r->class == CLASS_OF_WORDS;
        if (all.said) all.class = mel_dit_class_said(m, all.text);
        if (r->blend && !isnan(r->blend_until)) lay_texts(a, m, e, r, positions);
        if (r->negative) nothing.text = mel_dit_text_rows(prompt_between(e, r->negative, NULL, 0));
    }
    a->text = all.text;
    a->seconds = (float) ((double) samples / m->rate);
    /* Longer sounds are seen in parts, and a loop has no beginning either. */
    if (positions > LONGEST || r->loop) a->seconds = (float) ((double) LONGEST * (double) m->hop / m->rate);
    a->stride = (r->loop ? (double) samples / (double) positions : (double) m->hop) / m->rate;
    a->bpm = r->loop ? loop_tempo(r->bpm, (double) samples / m->rate) : r->bpm;
    if (r->mel) a->coarse = coarse_of(m, r, positions);
    if (r->melody) a->melody = melody_of(m, r->melody, positions);
    else a->composed = compose(r, (double) samples / m->rate);
    if (r->reference) all.style = a->style = style_of(m, r->reference);
    if (r->reference && r->into) lay_styles(a, m, r, samples);
    a->first = plan_of(m, r, false, &nothing, &all);
    a->then = plan_of(m, r, true, &nothing, &all);
    a->vocoder = open_vocoder(m, r);
    return a;
}
