/* See musical.h. */
#include "text/musical.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

const char *key_name(music_key k) {
    static const char *const NAMES[12] = {"C",       "C sharp", "D",      "E flat", "E",      "F",
                                          "F sharp", "G",       "A flat", "A",      "B flat", "B"};
    if (k.tonic < 0 || k.tonic > 11) return "none";
    return format("%s %s", NAMES[k.tonic], k.minor ? "minor" : "major");
}

int key_number(music_key k) { return k.tonic < 0 ? -1 : k.tonic + (k.minor ? 12 : 0); }

music_key key_of_number(int number) {
    return number < 0 || number >= MUSIC_KEYS ? (music_key){-1, false} : (music_key){number % 12, number >= 12};
}

static const char *skip(const char *text) {
    while (*text == ' ' || *text == '-' || *text == '_') text++;
    return text;
}

static bool take(const char **text, const char *word) {
    size_t n = strlen(word);
    if (strncasecmp(*text, word, n) != 0) return false;
    *text += n;
    return true;
}

/* A small letter is a note in "in d minor" and "key of a minor" alone: "a minor change" names none. */
static bool names_note(const char *words, const char *at) {
    if (*at >= 'A' && *at <= 'G') return true;
    if (*at < 'a' || *at > 'g') return false;
    return (at - words >= 3 && !strncasecmp(at - 3, "in ", 3)) || (at - words >= 3 && !strncasecmp(at - 3, "of ", 3));
}

/* A note's letter, perhaps flat or sharp, then major or minor. */
static bool read_key(const char *words, const char *text, music_key *key) {
    static const int LETTERS[7] = {9, 11, 0, 2, 4, 5, 7}; /* A to G */
    if (!names_note(words, text)) return false;
    const bool small = islower((unsigned char) *text);
    int tonic = LETTERS[toupper((unsigned char) *text++) - 'A'];
    if (*text == '#' || *text == 'b') tonic += *text++ == '#' ? 1 : -1;
    else {
        const char *next = skip(text);
        if (take(&next, "sharp")) tonic++, text = next;
        else if (take(&next, "flat")) tonic--, text = next;
    }
    text = skip(text);
    const bool minor = take(&text, "minor");
    if (!minor && !take(&text, "major")) return false;
    text = skip(text);
    if (small && (take(&text, "key") || take(&text, "chord"))) return false; /* "in a minor key" */
    *key = (music_key){(tonic + 12) % 12, minor};
    return true;
}

static bool read_unit(const char *text) {
    text = skip(text);
    return take(&text, "bpm") || take(&text, "beats per minute") || take(&text, "beats a minute");
}

music_request music_asked(const char *words) {
    music_request r = {0, {-1, false}};
    for (const char *c = words; *c; c++) {
        if (c > words && isalnum((unsigned char) c[-1])) continue;
        if (r.key.tonic < 0) read_key(words, c, &r.key);
        if (!isdigit((unsigned char) *c) || r.bpm > 0) continue;
        char *end;
        const double value = strtod(c, &end);
        if (read_unit(end) && value >= SLOWEST_BPM && value <= FASTEST_BPM) r.bpm = value;
    }
    return r;
}

int key_named(const char *asker, const char *name) {
    const int key = key_number(music_asked(format("in %s", name)).key);
    if (key < 0)
        fail(HISS_ERROR_ARGUMENT, "%s %s: give a note and major or minor, such as \"B flat major\"", asker, name);
    return key;
}
