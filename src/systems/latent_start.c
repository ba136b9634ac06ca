#include "systems/latent_start.h"

#include <math.h>
#include <string.h>

#include "signal/edit.h"
#include "signal/fit.h"
#include "systems/guard.h"

static void refuse_silence(const audio *sound, const char *what) {
    if (!(audio_peak(sound) > 1e-5f)) fail(HISS_ERROR_ARGUMENT, "the sound to %s is silent", what);
}

void start_check(const model *m, const sound_request *r) {
    const double whole = (double) request_samples(m, r) / m->rate;
    for (size_t i = 0; i < r->remakes; i++)
        if (r->remake[i].from >= whole)
            fail(HISS_ERROR_ARGUMENT, "the part from %g s cannot be made anew: the sound ends at %g s",
                 r->remake[i].from, whole);
    if (r->init) refuse_silence(r->init, "start from");
    if (!r->into) return;
    refuse_silence(r->into, "go over into");
    if (!r->init && !r->reference)
        fail(HISS_ERROR_ARGUMENT,
             "a sound to go over into needs one to come from: --init, or --reference for its style");
    if (r->remakes) fail(HISS_ERROR_ARGUMENT, "a sound of which parts stay cannot go over into another");
    if (r->loop) fail(HISS_ERROR_ARGUMENT, "a loop ends where it begins: it cannot go over into another sound");
}

/* --- where the two sounds lie --- */

/* The first begins with the result, the second ends with it: seconds at which the first ends and the second begins. */
typedef struct {
    double first_ends, second_begins;
} places;

static places places_of(const model *m, const sound_request *r) {
    const double whole = (double) request_samples(m, r) / m->rate;
    if (!r->init || !r->into) return (places){whole, 0}; /* styles have no place */
    const double first = (double) r->init->frames / r->init->rate, second = (double) r->into->frames / r->into->rate;
    return (places){fmin(first, whole), fmax(whole - second, 0)};
}

double start_way(const model *m, const sound_request *r, double seconds) {
    const places p = places_of(m, r);
    const double from = fmin(p.first_ends, p.second_begins), to = fmax(p.first_ends, p.second_begins),
                 until = isnan(r->blend_until) ? r->blend_part : r->blend_until;
    if (seconds < from || from == to) return seconds < from ? 0 : 1;
    if (seconds > to) return 1;
    const double smooth = 0.5 - 0.5 * cos(M_PI * (seconds - from) / (to - from));
    return r->blend_part + (until - r->blend_part) * smooth;
}

/* Nothing is known of what lies between the sounds but that it resembles them. */
static const double BETWEEN_STRENGTH = 0.8;

static bool is_between(const places *p, double seconds) {
    return seconds > p->first_ends && seconds < p->second_begins;
}

double start_strength(const model *m, const sound_request *r) {
    const places p = places_of(m, r);
    return p.second_begins > p.first_ends ? fmax(r->strength, BETWEEN_STRENGTH) : r->strength;
}

/* --- sounds as the network knows them --- */

/* At the model's rate. */
static const audio *at_rate(const model *m, const audio *sound) {
    sound = audio_with_channels(sound, m->channels);
    return sound->rate != m->rate ? audio_resample(sound, m->rate) : sound;
}

/* At the level of training; *gain undoes that. */
static const audio *at_level(const model *m, const audio *sound, float *gain) {
    *gain = 1;
    if (!m->latent->peak) return sound;
    *gain = audio_peak(sound) / m->latent->peak;
    audio *a = audio_copy(sound);
    for (int64_t i = 0; i < a->frames * a->channels; i++) a->samples[i] /= *gain;
    return a;
}

/* The same sound, or its end, at the end of so many frames. */
static const audio *at_end(const audio *sound, int64_t frames) {
    audio *a = audio_new(frames, sound->channels, sound->rate);
    const int64_t skip = sound->frames > frames ? sound->frames - frames : 0, n = sound->frames - skip, C = a->channels;
    memset(a->samples, 0, (size_t) (frames * C) * sizeof(float));
    memcpy(a->samples + (frames - n) * C, sound->samples + skip * C, (size_t) (n * C) * sizeof(float));
    return a;
}

static double middle_of(const model *m, int64_t position) {
    return ((double) position + 0.5) * (double) m->hop / m->rate;
}

/* Row i of something of n rows that goes back and forth beyond its end. */
static int64_t there_and_back(int64_t i, int64_t n) {
    i %= 2 * n;
    return i < n ? i : 2 * n - 1 - i;
}

/* Rows of both mixed: of spectrograms in the logarithm and of latents, so that this is no cross-fade of sounds. What a sound does not
 * reach has rows that mirror it, so that the level stays. */
static tensor *clean_of(const model *m, const sound_request *r, const latent_start *s, int64_t N, noise_source noise) {
    tensor *first = m->latent->encode(m, s->sound, N, noise);
    if (!s->into) return first;
    const tensor *second = m->latent->encode(m, s->into, N, noise);
    const places p = places_of(m, r);
    const double each = (double) m->hop / m->rate, whole = (double) request_samples(m, r) / m->rate;
    const int64_t C = first->shape[2], last = (int64_t) ceil(whole / each) - 1,
                  n = (int64_t) fmax(p.first_ends / each, 1),
                  of_second = (int64_t) fmax((whole - p.second_begins) / each, 1);
    tensor *clean = tensor_new(F32, shape_of(first));
    for (int64_t i = 0; i < N; i++) {
        const float part = (float) start_way(m, r, middle_of(m, i)), *a = f32(first) + there_and_back(i, n) * C,
                    *b = f32(second) + (i > last ? i : last - there_and_back(last - i, of_second)) * C;
        for (int64_t c = 0; c < C; c++) f32(clean)[i * C + c] = (1 - part) * a[c] + part * b[c];
    }
    return clean;
}

/* --- what stays, and for how long --- */

static bool is_remade(const sound_request *r, double from, double to) {
    for (size_t i = 0; i < r->remakes; i++)
        if (r->remake[i].from < to && r->remake[i].to > from) return true;
    return false;
}

/* Which positions stay: those that no span touches. */
static const float *kept_positions(const model *m, const sound_request *r, int64_t positions) {
    float *keep = NEW_ARRAY(float, positions);
    double each = (double) m->hop / m->rate;
    for (int64_t i = 0; i < positions; i++) keep[i] = is_remade(r, (double) i * each, (double) (i + 1) * each) ? 0 : 1;
    return keep;
}

static double sigma_of(process kind, double strength) {
    return kind == PROCESS_ROTATING ? tan(strength * M_PI / 2) : strength / (1 - strength);
}

/* What stays is never the network's; all else is, from where its strength of the way is left. */
static const float *levels_of_freedom(const model *m, const sound_request *r, const float *keep, int64_t N) {
    if (!keep && start_strength(m, r) == r->strength) return NULL; /* the walk begins there */
    const places p = places_of(m, r);
    float *below = NEW_ARRAY(float, N);
    for (int64_t i = 0; i < N; i++) {
        const double share = is_between(&p, middle_of(m, i)) ? start_strength(m, r) : r->strength;
        below[i] = (float) (sigma_of(m->latent->process, share) * (1 + 1e-6));
        if (keep) below[i] = keep[i] != 0 ? -1 : INFINITY;
    }
    return below;
}

const latent_start *start_from(const model *m, const sound_request *r, int64_t positions, noise_source noise) {
    if (!r->init) return NULL;
    require(positions > 0);
    latent_start *s = NEW(latent_start);
    if (r->remakes) s->own = at_rate(m, r->init);
    scope_begin(); /* the other sounds are not needed further */
    s->sound = at_level(m, s->own ? s->own : at_rate(m, r->init), &s->gain);
    if (r->into) s->into = at_end(at_level(m, at_rate(m, r->into), &s->into_gain), request_samples(m, r));
    s->clean = scope_end_keep(clean_of(m, r, s, positions, noise));
    s->sound = s->into = NULL;
    if (r->remakes) s->keep = kept_positions(m, r, positions);
    s->free_below = levels_of_freedom(m, r, s->keep, positions);
    return s;
}

/* --- after the walk --- */

/* The samples outside of the spans are those of before, faded over at the edges. */
static void put_kept_back(const model *m, const sound_request *r, const audio *before, audio *a, int64_t first) {
    static const double FADE_SECONDS = 0.02;
    for (int64_t i = 0; i < a->frames && first + i < before->frames; i++) {
        double at = (double) (first + i) / m->rate, made = 0;
        for (size_t k = 0; k < r->remakes; k++) {
            double outside = fmax(r->remake[k].from - at, at - r->remake[k].to);
            made = fmax(made, fmin(fmax(1 - outside / FADE_SECONDS, 0), 1));
        }
        for (int c = 0; c < a->channels; c++) {
            float *sample = &a->samples[i * a->channels + c];
            *sample = (float) (sqrt(made) * *sample + sqrt(1 - made) * before->samples[(first + i) * a->channels + c]);
        }
    }
}

void start_limit(audio *a) {
    static const float FULL = 1, CEILING = 0.95f;
    if (audio_peak(a) <= FULL) return;
    const audio *before = audio_copy(a);
    joined l = {a, 0};
    guard *g = guard_begin(a->channels, a->rate, CEILING, join_samples, &l);
    guard_put(g, before->samples, before->frames);
    guard_end(g);
    require(l.done == a->frames);
}

void start_finish(const model *m, const sound_request *r, const latent_start *s, audio *a, int64_t first) {
    const int C = a->channels;
    for (int64_t i = 0; i < a->frames; i++) {
        float gain = s->gain;
        if (r->into) gain *= powf(s->into_gain / s->gain, (float) start_way(m, r, (double) (first + i) / m->rate));
        for (int c = 0; c < C; c++) a->samples[i * C + c] *= gain;
    }
    if (s->keep) put_kept_back(m, r, s->own, a, first);
}
