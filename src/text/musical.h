/* What words say of music: a tempo and a key. */
#ifndef HISS_TEXT_MUSICAL_H
#define HISS_TEXT_MUSICAL_H

#include <stdbool.h>

/* Pitch classes from C = 0. tonic -1: none. */
typedef struct {
    int tonic;
    bool minor;
} music_key;
enum { MUSIC_KEYS = 24 };

/* "B flat major". In the current scope. */
const char *key_name(music_key k);
/* Major keys from C = 0, then minor ones from C = 12; -1: none; and back. */
int key_number(music_key k);
music_key key_of_number(int number);

/* "D minor" alone; fails on others. asker: "--key", for the message. */
int key_named(const char *asker, const char *name);

/* What words ask for: "105 BPM", "90 beats per minute"; "in B flat major", "F# minor", "in d minor". bpm 0 and tonic -1 where they
 * say nothing. */
typedef struct {
    double bpm;
    music_key key;
} music_request;
enum { SLOWEST_BPM = 20, FASTEST_BPM = 400 };
music_request music_asked(const char *words);

#endif
