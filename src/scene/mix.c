/* A voice is one cue at work: a sound read once or round and round, filtered by the air, faded, and placed between left and
 * right. A bed's width comes from a second reading of its loop, half a loop away, that is added on the left and taken away
 * on the right: the two sides are alike in sound, differ in detail, and their sum is the loop alone. */
#include "scene/mix.h"

#include <math.h>
#include <string.h>

#include "base/scope.h"

static const double NEAR_METRES = 10, AIR_DB = 1.4e-9;

typedef struct {
    double b0, b1, b2, a1, a2;
} filter;

typedef struct {
    const audio *sound;
    bool loops, filtered;
    int64_t begin, end;        /* frames of the scene */
    int64_t fade_in, fade_out; /* frames */
    filter air;
    float left, right, middle, side;
    double state[2][2]; /* of the filter: middle, side */
} voice;

struct mixer {
    voice *voices; /* in order of time */
    size_t count, next;
    size_t *alive, alive_count;
    int64_t now;
};

void pan_gains(double pan, float *left, float *right) {
    const double angle = (pan + 1) * M_PI / 4;
    *left = (float) cos(angle);
    *right = (float) sin(angle);
}

double distance_gain(double metres) { return NEAR_METRES / (NEAR_METRES + metres); }

double distance_cutoff_hz(double metres) { return sqrt(3 / (AIR_DB * fmax(metres, 1e-3))); }

int64_t scene_frames(const scene *s) { return llround(s->seconds * s->rate); }

/* Butterworth of second order, by the bilinear transform. */
static filter low_pass(double hz, int rate) {
    const double k = tan(M_PI * hz / rate), a0 = 1 + M_SQRT2 * k + k * k;
    return (filter){k * k / a0, 2 * k * k / a0, k * k / a0, 2 * (k * k - 1) / a0, (1 - M_SQRT2 * k + k * k) / a0};
}

static double run_filter(const filter *f, double state[2], double x) {
    const double y = f->b0 * x + state[0];
    state[0] = f->b1 * x - f->a1 * y + state[1];
    state[1] = f->b2 * x - f->a2 * y;
    return y;
}

static voice voice_of(const scene *s, const cue *c, const audio *sound) {
    const layer *l = &s->layers[c->layer];
    voice v = {.sound = sound, .loops = l->kind == LAYER_BED};
    v.begin = llround(c->seconds * s->rate);
    v.end = v.begin + (v.loops ? llround(c->length * s->rate) : sound->frames);
    const double length = (double) (v.end - v.begin), asked = (l->fade_in + l->fade_out) * s->rate;
    const double share = asked > length ? length / asked : 1;
    v.fade_in = (int64_t) (l->fade_in * s->rate * share);
    v.fade_out = (int64_t) (l->fade_out * s->rate * share);
    const double hz = distance_cutoff_hz(c->distance);
    v.filtered = hz < 0.45 * s->rate;
    if (v.filtered) v.air = low_pass(hz, s->rate);
    const float level = (float) (pow(10, c->gain / 20) * distance_gain(c->distance));
    pan_gains(c->pan, &v.left, &v.right);
    v.left *= level;
    v.right *= level;
    v.middle = (float) sqrt(1 - l->width / 2);
    v.side = v.loops ? (float) sqrt(l->width / 2) : 0;
    return v;
}

mixer *mixer_new(const scene *s, const score *r, audio *const *const *sounds) {
    mixer *m = NEW(mixer);
    m->voices = NEW_ARRAY(voice, r->count);
    m->alive = NEW_ARRAY(size_t, r->count);
    for (size_t i = 0; i < r->count; i++) {
        const cue *c = &r->cues[i];
        const audio *sound = sounds[c->layer][c->take];
        if (sound->frames > 0) m->voices[m->count++] = voice_of(s, c, sound);
    }
    return m;
}

void mixer_rewind(mixer *m) {
    for (size_t i = 0; i < m->count; i++) memset(m->voices[i].state, 0, sizeof m->voices[i].state);
    m->next = m->alive_count = 0;
    m->now = 0;
}

/* Raised cosine. */
static float rise(int64_t t, int64_t length) {
    return (float) (0.5 - 0.5 * cos(M_PI * ((double) t + 0.5) / (double) length));
}

static float envelope(const voice *v, int64_t t) {
    const int64_t left = v->end - v->begin - 1 - t;
    float e = 1;
    if (t < v->fade_in) e = rise(t, v->fade_in);
    if (left < v->fade_out) e *= rise(left, v->fade_out);
    return e;
}

/* Adds frames now .. now + frames of the scene to out. */
static void sound_voice(voice *v, int64_t now, float *out, int64_t frames) {
    const int64_t from = now > v->begin ? now : v->begin, to = now + frames < v->end ? now + frames : v->end;
    const int64_t n = v->sound->frames;
    int64_t i = (from - v->begin) % n, across = (i + n / 2) % n;
    for (int64_t at = from; at < to; at++) {
        double middle = v->middle * v->sound->samples[i];
        double side = v->side > 0 ? v->side * v->sound->samples[across] : 0;
        if (++i == n) i = 0;
        if (++across == n) across = 0;
        if (v->filtered) {
            middle = run_filter(&v->air, v->state[0], middle);
            side = run_filter(&v->air, v->state[1], side);
        }
        const float e = envelope(v, at - v->begin);
        out[2 * (at - now)] += e * v->left * (float) (middle + side);
        out[2 * (at - now) + 1] += e * v->right * (float) (middle - side);
    }
}

void mixer_pull(mixer *m, float *out, int64_t frames) {
    memset(out, 0, sizeof(float) * 2 * (size_t) frames);
    while (m->next < m->count && m->voices[m->next].begin < m->now + frames) m->alive[m->alive_count++] = m->next++;
    size_t kept = 0;
    for (size_t i = 0; i < m->alive_count; i++) {
        voice *v = &m->voices[m->alive[i]];
        sound_voice(v, m->now, out, frames);
        if (v->end > m->now + frames) m->alive[kept++] = m->alive[i];
    }
    m->alive_count = kept;
    m->now += frames;
}
