/* Music of recipes/sound: what a caption says of tempo, key and notes is what is played. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "music.h"

enum { ITEMS = 400 };

static const instrument table[] = {{0, 28, 96, 0, "piano", {"grand piano", "piano"}, 2},
                                   {48, 36, 91, 0, "strings", {"strings"}, 1},
                                   {33, 28, 55, 1, "bass", {"bass guitar"}, 1},
                                   {73, 60, 96, 1, "flute", {"flute"}, 1}};

static score drawn(void (*draw)(score *s), int seed) {
    score s = {.instruments = table, .instrument_count = 4, .d = {(uint64_t) seed * 977}, .number = seed};
    draw(&s);
    return s;
}

static void check_item(const score *s) {
    assert_true(s->now.length > 200 && s->now.length < 20000);
    assert_true(*s->now.class && *s->now.take && *s->now.caption && strlen(s->now.caption) < 1100);
    assert_null(strpbrk(s->now.caption, "\t\n%"));
    assert_null(strstr(s->now.caption, "  "));
    int sounding = 0, starts = 0;
    for (size_t i = 0; i < s->count; i++) {
        event e = s->events[i];
        assert_true(e.at >= 0 && e.at <= s->now.length && e.first >= 0 && e.first < 128 && e.second >= 0 &&
                    e.second < 128);
        if (e.kind == NOTE_ON) sounding++, starts++;
        if (e.kind == NOTE_OFF) sounding--;
    }
    assert_int_equal(sounding, 0);
    assert_true(starts > 0);
}

static const char *const note_names[] = {"C",       "C sharp", "D",      "E flat", "E",      "F",
                                         "F sharp", "G",       "A flat", "A",      "B flat", "B"};

/* The tonic of a key as 0 .. 11, and whether it is minor. */
static int key_of(const char *key, int *minor) {
    *minor = strstr(key, "minor") != NULL;
    int best = -1;
    for (int i = 0; i < 12; i++)
        if (!strncmp(key, note_names[i], strlen(note_names[i])) &&
            (best < 0 || strlen(note_names[i]) > strlen(note_names[best])))
            best = i;
    return best;
}

static int in_scale(int note, int tonic, int minor) {
    static const int scales[2] = {0xAB5, 0x5AD}; /* bit k: k semitones over the tonic */
    return scales[minor] >> (note - tonic + 120) % 12 & 1;
}

static void check_key_and_tempo(const score *s) {
    int minor, tonic = key_of(s->now.key, &minor);
    char bpm[32];
    assert_true(tonic >= 0);
    snprintf(bpm, sizeof bpm, "%.0f BPM", s->now.bpm);
    assert_non_null(strstr(s->now.caption, s->now.key));
    assert_non_null(strstr(s->now.caption, bpm));
    for (size_t i = 0; i < s->count; i++)
        if (s->events[i].kind == NOTE_ON && s->events[i].channel != DRUMS)
            assert_true(in_scale(s->events[i].first, tonic, minor));
}

/* Notes of a melody start on quarters of the beat, to the millisecond that a MIDI tick is. */
static void check_grid(const score *s, double step, double slack) {
    for (size_t i = 0; i < s->count; i++) {
        if (s->events[i].kind != NOTE_ON) continue;
        double steps = (double) s->events[i].at / step;
        assert_true(fabs(steps - nearbyint(steps)) * step < slack);
    }
}

static void test_notes(void **state) {
    (void) state;
    for (int k = 0; k < ITEMS; k++) {
        score s = drawn(draw_note, k);
        check_item(&s);
        int note = -1;
        for (size_t i = 0; i < s.count; i++)
            if (s.events[i].kind == NOTE_ON) note = s.events[i].first;
        assert_non_null(strstr(s.now.caption, name_of_note(note, 1)));
        free(s.events);
    }
    assert_string_equal(name_of_note(60, 1), "C4");
    assert_string_equal(name_of_note(70, 1), "B flat 4");
}

static void test_melodies(void **state) {
    (void) state;
    for (int k = 0; k < ITEMS; k++) {
        score s = drawn(draw_melody, k);
        check_item(&s);
        check_key_and_tempo(&s);
        check_grid(&s, 15000 / s.now.bpm, 1);
        free(s.events);
    }
}

static void test_pieces(void **state) {
    (void) state;
    for (int k = 0; k < ITEMS; k++) {
        score s = drawn(draw_piece, k);
        check_item(&s);
        check_key_and_tempo(&s);
        free(s.events);
    }
}

static void test_chords(void **state) {
    (void) state;
    for (int k = 0; k < ITEMS; k++) {
        score s = drawn(draw_chord, k);
        check_item(&s);
        int lowest = 127;
        for (size_t i = 0; i < s.count; i++)
            if (s.events[i].kind == NOTE_ON && s.events[i].first < lowest) lowest = s.events[i].first;
        char root[24];
        snprintf(root, sizeof root, "%s ", note_names[lowest % 12]);
        assert_non_null(strstr(s.now.caption, root));
        free(s.events);
    }
}

static void test_drums(void **state) {
    (void) state;
    for (int k = 0; k < ITEMS; k++) {
        score hit = drawn(draw_hit, k), loop = drawn(draw_loop, k);
        check_item(&hit);
        check_item(&loop);
        char bpm[32];
        snprintf(bpm, sizeof bpm, "at %.0f BPM", loop.now.bpm);
        assert_non_null(strstr(loop.now.caption, bpm));
        if (!strstr(loop.now.caption, "jazz") && !strstr(loop.now.caption, "reggae") &&
            !strstr(loop.now.caption, "dub"))
            check_grid(&loop, 15000 / loop.now.bpm, 1);
        free(hit.events), free(loop.events);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_notes), cmocka_unit_test(test_chords),
                                       cmocka_unit_test(test_melodies), cmocka_unit_test(test_pieces),
                                       cmocka_unit_test(test_drums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
