/* What items of music.h are made of: events, captions, names of notes. */
#include "music.h"

#include <stdarg.h>

void put(score *s, double at, int channel, int kind, int first, int second) {
    if (s->count == s->room && !(s->events = realloc(s->events, (s->room = 2 * s->room + 1024) * sizeof *s->events)))
        die("memory", "MIDI");
    s->events[s->count++] = (event){s->start + lrint(at), channel, kind, first, second};
}

void play(score *s, double at, int channel, int note, int velocity, double length) {
    put(s, at, channel, NOTE_ON, note, velocity < 1 ? 1 : velocity > 127 ? 127 : velocity);
    put(s, at + length, channel, NOTE_OFF, note, 0);
    if (at + length > (double) s->now.length) s->now.length = lrint(at + length);
}

void say(score *s, const char *format, ...) {
    size_t used = strlen(s->now.caption);
    if (used) used += (size_t) snprintf(s->now.caption + used, sizeof s->now.caption - used, " | ");
    va_list list;
    va_start(list, format);
    vsnprintf(s->now.caption + used, sizeof s->now.caption - used, format, list);
    va_end(list);
}

const char *name_of_note(int note, int octave) {
    static const char *const names[] = {"C",       "C sharp", "D",      "E flat", "E",      "F",
                                        "F sharp", "G",       "A flat", "A",      "B flat", "B"};
    static char text[4][16];
    static int turn;
    char *to = text[turn++ % 4];
    if (octave) snprintf(to, sizeof *text, "%s%s%d", names[note % 12], names[note % 12][1] ? " " : "", note / 12 - 1);
    else snprintf(to, sizeof *text, "%s", names[note % 12]);
    return to;
}

const char *a_name(score *s, const instrument *i) { return i->names[below(&s->d, i->name_count)]; }
const char *article(const char *word) { return strchr("aeiouAEF", *word) ? "an" : "a"; }
