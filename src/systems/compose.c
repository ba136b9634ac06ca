/* See compose.h. Pitch classes from C = 0. */
#include "systems/compose.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "text/musical.h"

enum { CLASSES = 12, DEGREES = 7, BEATS = 4, EIGHTHS = 8, MOST_CHORDS = 256, PURPOSE = 0x70 };
enum { SCALE_END = 3 /* notes that the last of a scale lasts */ };
static const double USUAL_BPM = 100;

typedef enum { TUNE_CHORD, TUNE_RISING, TUNE_FALLING, TUNE_PIECE, TUNE_MELODY } tune;

typedef struct {
    int root, third, fifth; /* pitch classes */
} chord;

struct composition {
    tune kind;
    music_key key;
    chord chords[MOST_CHORDS]; /* one a bar, around and around */
    int count;
    bool named; /* by the request */
    double bpm, seconds;
    int64_t bars; /* of a loop; 0: no end */
};

static const int SCALES[2][DEGREES] = {{0, 2, 4, 5, 7, 9, 11}, {0, 2, 3, 5, 7, 8, 10}};
static const int PROGRESSIONS[2][4] = {{0, 4, 0, 3}, {0, 4, 0, 5}}; /* degrees: I V I IV; i v i VI */

static int pitch_of(music_key key, int degree) {
    const int turned = (degree % DEGREES + DEGREES) % DEGREES;
    return (key.tonic + SCALES[key.minor][turned]) % CLASSES;
}

static chord chord_on(music_key key, int degree) {
    return (chord){pitch_of(key, degree), pitch_of(key, degree + 2), pitch_of(key, degree + 4)};
}

/* --- chords by name --- */

/* "Dm", "F#", "Bb7", "Gmaj7", "Asus4", "Bdim": the triad. */
static chord read_chord(const char *name) {
    static const int LETTERS[7] = {9, 11, 0, 2, 4, 5, 7}; /* A to G */
    static const struct {
        const char *suffix;
        int third, fifth;
    } KINDS[] = {{"", 4, 7},     {"m", 3, 7},    {"min", 3, 7}, {"maj", 4, 7},  {"7", 4, 7},   {"m7", 3, 7},
                 {"min7", 3, 7}, {"maj7", 4, 7}, {"6", 4, 7},   {"m6", 3, 7},   {"9", 4, 7},   {"m9", 3, 7},
                 {"add9", 4, 7}, {"sus4", 5, 7}, {"sus", 5, 7}, {"sus2", 2, 7}, {"dim", 3, 6}, {"dim7", 3, 6},
                 {"m7b5", 3, 6}, {"aug", 4, 8},  {"+", 4, 8},   {"5", 7, 7}};
    const char *rest = name;
    if (*rest >= 'A' && *rest <= 'G') {
        int root = LETTERS[*rest++ - 'A'];
        if (*rest == '#' || *rest == 'b') root += *rest++ == '#' ? 1 : 11;
        for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
            if (!strcmp(rest, KINDS[i].suffix))
                return (chord){root % CLASSES, (root + KINDS[i].third) % CLASSES, (root + KINDS[i].fifth) % CLASSES};
    }
    fail(HISS_ERROR_ARGUMENT, "chords: '%s' names none: give names such as C, Dm, F#7, Bbmaj7, Gsus4, Bdim", name);
}

static void read_chords(composition *c, const char *words) {
    size_t n;
    char **names = split(words, ' ', &n);
    for (size_t i = 0; i < n; i++) {
        if (!*names[i]) continue;
        if (c->count == MOST_CHORDS) fail(HISS_ERROR_ARGUMENT, "chords: at most %d", MOST_CHORDS);
        c->chords[c->count++] = read_chord(names[i]);
    }
    if (!c->count) fail(HISS_ERROR_ARGUMENT, "chords: name some, one for each bar, such as \"Dm Bb F C\"");
    const chord first = c->chords[0];
    c->key = (music_key){first.root, (first.third - first.root + CLASSES) % CLASSES == 3};
}

/* --- what kind of tune --- */

static bool has_word(const char *text, const char *const *words) {
    for (; *words; words++)
        if (strcasestr(text, *words)) return true;
    return false;
}

static tune tune_of(const char *prompt) {
    static const char *const PIECES[] = {"piece", "music", "song", "band", "progression", "loop", "orchestra", NULL},
                             *const CHORDS[] = {"chord", "drone", "pad ", "note", NULL},
                             *const SCALE[] = {"scale", NULL}, *const DOWN[] = {"falling", "descending", NULL};
    if (has_word(prompt, SCALE)) return has_word(prompt, DOWN) ? TUNE_FALLING : TUNE_RISING;
    if (has_word(prompt, PIECES)) return TUNE_PIECE;
    return has_word(prompt, CHORDS) ? TUNE_CHORD : TUNE_MELODY;
}

composition *compose(const sound_request *r, double seconds) {
    if (r->key < 0 && !r->chords) return NULL;
    composition *c = NEW(composition);
    *c = (composition){.kind = tune_of(r->prompt ? r->prompt : ""),
                       .key = key_of_number(r->key),
                       .bpm = r->bpm > 0 ? r->bpm : USUAL_BPM,
                       .seconds = seconds};
    if (r->chords) {
        read_chords(c, r->chords);
        c->named = true;
        if (c->kind != TUNE_MELODY) c->kind = TUNE_PIECE;
    } else {
        for (c->count = 0; c->count < 4; c->count++)
            c->chords[c->count] = chord_on(c->key, PROGRESSIONS[c->key.minor][c->count]);
    }
    if (!r->loop) return c;
    c->bars = llround(fmax(seconds * c->bpm / 60 / BEATS, 1));
    c->bpm = (double) c->bars * BEATS * 60 / seconds;
    return c;
}

/* --- what sounds when --- */

/* A tone of the triad: how likely the root and the fifth are, the rest is the third's. */
static int tone_of(const chord *k, double u, double root, double fifth) {
    return u < root ? k->root : u < root + fifth ? k->fifth : k->third;
}

static int degree_in(music_key key, int class) {
    int degree = DEGREES - 1;
    while (degree >= 0 && pitch_of(key, degree) != class) degree--;
    return degree;
}

/* The melody in an eighth of a bar. The first and third beats are tones of the chord, and six in ten of the other beats hold them, the
 * rest lie a step or two beside; slow tunes halve three beats in ten. The first bar tells the root and the third, the root is the
 * likeliest to begin a bar, and notes are long enough to be heard: so a key shows. */
static int melody_class(const composition *c, uint64_t seed, int64_t bar, int eighth, const chord *under) {
    static const int STEPS[] = {-2, -1, -1, 1, 1, 2};
    static const double HELD = 0.6, HALVED = 0.3, SLOW_BPM = 110;
    enum { HOLD = 100, HALVE = 200 }; /* draws of their own */
    const random_key key = random_child(random_child((random_key){seed, PURPOSE}, PURPOSE), (uint64_t) bar);
    const int beat = eighth / 2, strong = beat / 2 * 2;
    const double u = random_uniform(key, (uint64_t) strong);
    int tone = strong ? tone_of(under, u, 0.4, 0.35) : tone_of(under, u, 0.85, 0.08);
    if (!bar) tone = strong ? under->third : under->root;
    int degree = degree_in(c->key, tone);
    if (degree < 0) return tone; /* a chord beyond the key */
    if (beat > strong && random_uniform(key, (uint64_t) (HOLD + beat)) >= HELD)
        degree += STEPS[random_below(key, (uint64_t) beat, sizeof STEPS / sizeof *STEPS)];
    if (eighth % 2 && c->bpm <= SLOW_BPM && random_uniform(key, (uint64_t) (HALVE + eighth)) < HALVED)
        degree += STEPS[random_below(key, (uint64_t) (HALVE + HOLD + eighth), sizeof STEPS / sizeof *STEPS)];
    return pitch_of(c->key, degree);
}

static void raise(float strength[CLASSES], int class, float to) { strength[class] = fmaxf(strength[class], to); }

static void sound_note(float strength[CLASSES], int class) {
    raise(strength, class, 1);
    raise(strength, (class + 7) % CLASSES, 0.15f); /* its third harmonic */
}

static void sound_chord(float strength[CLASSES], const chord *k, float loud) {
    raise(strength, k->root, loud);
    raise(strength, k->third, 0.7f * loud);
    raise(strength, k->fifth, 0.7f * loud);
}

void composed_at(const composition *c, uint64_t seed, double seconds, float strength[CLASSES]) {
    const double beats = fmax(seconds, 0) * c->bpm / 60;
    int64_t bar = (int64_t) (beats / BEATS);
    const int eighth = (int) ((beats - (double) bar * BEATS) * EIGHTHS / BEATS);
    if (c->bars) bar %= c->bars;
    const chord *under = &c->chords[bar % c->count], home = chord_on(c->key, 0);
    memset(strength, 0, CLASSES * sizeof *strength);
    if (c->kind == TUNE_CHORD) {
        sound_chord(strength, &home, 1);
    } else if (c->kind == TUNE_RISING || c->kind == TUNE_FALLING) {
        const int step = (int) fmin(floor(fmax(seconds, 0) / c->seconds * (DEGREES + SCALE_END)), DEGREES);
        sound_note(strength, pitch_of(c->key, c->kind == TUNE_RISING ? step : DEGREES - step));
    } else {
        const bool alone = c->kind == TUNE_MELODY && !c->named; /* a melody stays at home */
        sound_note(strength,
                   melody_class(c, seed, bar, eighth < EIGHTHS ? eighth : EIGHTHS - 1, alone ? &home : under));
        if (c->kind == TUNE_PIECE) sound_chord(strength, under, 0.6f);
    }
}
