/* Music of the sound recipe: what is to be played is drawn from (font, number) alone and kept as events of a MIDI file; a
 * plan says where each item lies in the rendering and what it is. */
#ifndef RECIPES_SOUND_MUSIC_H
#define RECIPES_SOUND_MUSIC_H

#include "clip.h"

/* --- chance: splitmix64, the same everywhere --- */

typedef struct {
    uint64_t state;
} dice;

static inline uint64_t roll(dice *d) {
    uint64_t z = d->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}
static inline double uniform(dice *d, double low, double high) {
    return low + (high - low) * (double) (roll(d) >> 11) / 9007199254740992.0;
}
static inline int below(dice *d, int n) { return (int) (roll(d) % (uint64_t) n); }
static inline int chance(dice *d, double p) { return uniform(d, 0, 1) < p; }
#define PICK(d, array) ((array)[below(d, (int) (sizeof(array) / sizeof *(array)))])

/* --- instruments and items --- */

typedef struct {
    int program, low, high, mono;
    char class[32], names[4][48];
    int name_count;
} instrument;

typedef struct {
    long at; /* milliseconds */
    int channel, kind, first, second;
} event;

typedef struct {
    char class[32], caption[1200], take[120], key[16];
    double bpm;
    long length; /* milliseconds, from the onset */
} item;

typedef struct {
    dice d;
    const instrument *instruments;
    int instrument_count;
    event *events;
    size_t count, room;
    long start; /* of the item */
    item now;
    int number; /* of the item in its font */
} score;

enum { NOTE_ON = 0x90, NOTE_OFF = 0x80, CONTROL = 0xB0, PROGRAM = 0xC0, DRUMS = 9 };

void put(score *s, double at, int channel, int kind, int first, int second); /* at: ms from the item's start */
void play(score *s, double at, int channel, int note, int velocity, double length);
void say(score *s, const char *format, ...) __attribute__((format(printf, 2, 3))); /* one more caption */
const char *name_of_note(int note, int octave);
const char *a_name(score *s, const instrument *i); /* one of its names */
const char *article(const char *word);

/* Each draws one item: its events, class, captions, take and length. */
void draw_note(score *s), draw_chord(score *s), draw_melody(score *s), draw_piece(score *s);
void draw_hit(score *s), draw_loop(score *s);

#endif
