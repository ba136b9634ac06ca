/* Items of music.h: single notes, chords, melodies, pieces for a band, drum hits and drum loops. Tempo, key, notes and words
 * of a caption are those that are played. Times are milliseconds. */
#include "music.h"

enum { tail = 1000 };

static const instrument *any_instrument(score *s, int needs_chords) {
    const instrument *i;
    do i = &s->instruments[below(&s->d, s->instrument_count)];
    while (needs_chords && i->mono);
    return i;
}

static void use(score *s, int channel, const instrument *i) { put(s, 0, channel, PROGRAM, i->program, 0); }

static void set_class(score *s, const char *class) { snprintf(s->now.class, sizeof s->now.class, "%s", class); }

/* Orchestra hits and timpani are no melody instruments. */
static const instrument *melodic(score *s) {
    const instrument *i;
    do i = any_instrument(s, 0);
    while (i->program == 55 || i->program == 47);
    return i;
}

/* --- notes --- */

void draw_note(score *s) {
    static const int velocities[] = {45, 60, 80, 100, 120};
    static const double lengths[] = {250, 500, 900, 1500, 2200, 3000};
    const instrument *i = any_instrument(s, 0);
    int note = i->low + below(&s->d, i->high - i->low + 1), velocity = PICK(&s->d, velocities);
    double length = PICK(&s->d, lengths) * uniform(&s->d, .85, 1.15);
    const char *name = a_name(s, i), *pitch = name_of_note(note, 1);
    const char *loud = velocity <= 60 ? "soft " : velocity >= 100 ? "loud " : "";
    const char *longs = length < 650 ? "short " : length > 1400 ? "long " : "";
    const int third = (note - i->low) * 3 / (i->high - i->low + 1);
    static const char *const heights[] = {"low ", "", "high "};
    char words[64];
    snprintf(words, sizeof words, "%s%s%s", longs, loud, heights[third]);
    set_class(s, i->class);
    use(s, 0, i);
    play(s, 0, 0, note, velocity, length);
    s->now.length += tail;
    say(s, "a single %s note on %s", pitch, name);
    if (*words) say(s, "%s %s%s note", article(words), words, name);
    say(s, "%s %s note, %s", article(name), name, pitch);
    if (*words) say(s, "%s playing one %snote", i->names[0], words);
    say(s, "%s", name);
    snprintf(s->now.take, sizeof s->now.take, "note-%d-%d", i->program, note);
}

/* --- chords --- */

static const struct {
    const char *name;
    int notes[5], count;
} chords[] = {{"major", {0, 4, 7}, 3},
              {"minor", {0, 3, 7}, 3},
              {"seventh", {0, 4, 7, 10}, 4},
              {"sus4", {0, 5, 7}, 3},
              {"major seventh", {0, 4, 7, 11}, 4},
              {"minor seventh", {0, 3, 7, 10}, 4},
              {"diminished", {0, 3, 6}, 3},
              {"augmented", {0, 4, 8}, 3},
              {"power", {0, 7, 12}, 3},
              {"added ninth", {0, 4, 7, 14}, 4}};

void draw_chord(score *s) {
    static const int likely[] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const double spreads[] = {0, 0, 22, 130};
    static const char *const ways[] = {"", "", "strummed ", "arpeggiated "};
    const instrument *i = any_instrument(s, 1);
    int type = PICK(&s->d, likely), way = below(&s->d, 4), octave = chance(&s->d, .35),
        velocity = 55 + below(&s->d, 65);
    int low = i->low > 40 ? i->low : 40, high = i->high - 15 < 68 ? i->high - 15 : 68;
    int root = low + below(&s->d, high > low ? high - low + 1 : 1);
    double length = uniform(&s->d, 500, 2800);
    set_class(s, strcmp(i->class, "acoustic-guitar") || way != 2 ? i->class : "guitar-strum");
    use(s, 0, i);
    for (int k = 0; k < chords[type].count + octave; k++) {
        int note = root + (k < chords[type].count ? chords[type].notes[k] : 12 + chords[type].notes[0]);
        if (type == 8 && k == chords[type].count) break;
        double at = k * spreads[way] * uniform(&s->d, .85, 1.15);
        play(s, at, 0, note, velocity, length - at > 200 ? length - at : 200);
    }
    s->now.length += tail;
    const char *name = a_name(s, i), *pitch = name_of_note(root, 0), *word = ways[way], *quality = chords[type].name;
    const char *size = length < 900 ? "short " : length > 2000 ? "long " : "";
    say(s, "%s %s%s %s chord on %s", article(*word ? word : pitch), word, pitch, quality, name);
    say(s, "%s %s chord, %s", pitch, quality, name);
    say(s, "%s %s%s%s chord on %s", article(*size ? size : *word ? word : quality), size, word, quality, name);
    say(s, "%s %s chord", article(name), name);
    snprintf(s->now.key, sizeof s->now.key, "%s %s", pitch,
             type == 1 || type == 5                             ? "minor"
             : type == 0 || type == 2 || type == 4 || type == 9 ? "major"
                                                                : "");
    if (type == 3 || type == 6 || type == 7 || type == 8) *s->now.key = 0;
    snprintf(s->now.take, sizeof s->now.take, "chord-%d-%d-%d", i->program, root, type);
}

/* --- melodies --- */

static const struct {
    const char *name, *others[2];
    double slowest, fastest;
    int velocity, mode; /* 0 major, 1 minor, 2 either */
    double beats[4];
} moods[] = {
    {"calm", {"peaceful", "relaxed"}, 60, 84, 60, 2, {2, 1, 1, 2}},
    {"sad", {"melancholic", "mournful"}, 54, 76, 62, 1, {2, 1, 2, 1}},
    {"gentle", {"tender", "quiet"}, 66, 92, 64, 2, {1, 1, .5, 1}},
    {"happy", {"cheerful", "joyful"}, 108, 140, 96, 0, {.5, .5, 1, .5}},
    {"energetic", {"lively", "driving"}, 132, 168, 112, 2, {.5, .5, .25, .5}},
    {"dark", {"gloomy", "sinister"}, 60, 96, 90, 1, {1, 2, 1, 1}},
    {"playful", {"funny", "bouncy"}, 104, 150, 88, 0, {.5, .25, .5, .25}},
    {"heroic", {"triumphant", "epic"}, 92, 126, 112, 0, {1, .5, .5, 1}},
    {"mysterious", {"eerie", "strange"}, 60, 90, 70, 1, {1, .5, 1, 2}},
};
enum { mood_count = sizeof moods / sizeof *moods };

static const int scales[2][7] = {{0, 2, 4, 5, 7, 9, 11}, {0, 2, 3, 5, 7, 8, 10}};

/* Semitones of a step of the scale over the tonic; steps may be negative. */
static int on_scale(int mode, int step) {
    int octave = (step + 70) / 7 - 10, place = (step + 70) % 7;
    return 12 * octave + scales[mode][place];
}

/* A walk by -3 .. 3 steps from the tonic nearest the middle, back to the tonic at the end. */
static void walk(score *s, int channel, const instrument *i, int tonic, int mode, int mood, double beat, double until,
                 double from) {
    int middle = (i->low + i->high) / 2, base = middle - ((middle - tonic) % 12 + 12) % 12, step = 0,
        velocity = moods[mood].velocity;
    if (middle - base > 6) base += 12;
    for (double at = from; at < until - 1;) {
        double length = PICK(&s->d, moods[mood].beats) * beat;
        int last = at + length >= until - beat * .3;
        if (last) step = 7 * ((step + 73) / 7 - 10), length = until - at + beat * .5;
        int note = base + on_scale(mode, step);
        if (note >= i->low && note <= i->high)
            play(s, at, channel, note, velocity + below(&s->d, 17) - 8, length * uniform(&s->d, .85, .98));
        at += length;
        step += below(&s->d, 7) - 3;
        if (chance(&s->d, .12)) step = 7 * ((step + 73) / 7 - 10);
        while (base + on_scale(mode, step) > i->high) step -= 7;
        while (base + on_scale(mode, step) < i->low) step += 7;
    }
}

static const char *tempo_word(double bpm) { return bpm < 76 ? "slow " : bpm > 134 ? "fast " : ""; }

static void say_melody(score *s, const char *mood, const char *name, const char *pitch, const char *mode) {
    int bpm = (int) s->now.bpm;
    const char *speed = tempo_word(bpm);
    say(s, "%s %s %s melody in %s %s, %d BPM", article(mood), mood, name, pitch, mode, bpm);
    say(s, "%s %s melody, %s %s, %d BPM", mood, name, pitch, mode, bpm);
    say(s, "%s %s%s %s tune", article(*speed ? speed : mood), speed, mood, name);
    say(s, "%s melody at %d BPM", name, bpm);
    say(s, "%s %s%s melody in %s %s", article(*speed ? speed : name), speed, name, pitch, mode);
    say(s, "%s playing %s %s melody", name, article(mood), mood);
}

void draw_melody(score *s) {
    const instrument *i = melodic(s);
    int mood = below(&s->d, mood_count), mode = moods[mood].mode, tonic = below(&s->d, 12);
    if (mode == 2) mode = below(&s->d, 2);
    s->now.bpm = floor(uniform(&s->d, moods[mood].slowest, moods[mood].fastest + 1));
    double beat = 60000 / s->now.bpm, seconds = uniform(&s->d, 4, 6.5);
    double until = floor(seconds * 1000 / beat) * beat;
    const char *pitch = name_of_note(tonic, 0), *mode_name = mode ? "minor" : "major";
    set_class(s, i->class);
    use(s, 0, i);
    if (chance(&s->d, .1)) { /* a scale instead */
        int down = below(&s->d, 2), base = i->low + ((tonic - i->low) % 12 + 12) % 12;
        if (base + 24 <= i->high && chance(&s->d, .5)) base += 12;
        for (int k = 0; k < 8 && base + on_scale(mode, 7) <= i->high; k++)
            play(s, k * beat / 2, 0, base + on_scale(mode, down ? 7 - k : k), moods[mood].velocity, beat * .47);
        if (s->now.length) {
            say(s, "%s %s %s scale on %s", down ? "a falling" : "a rising", pitch, mode_name, a_name(s, i));
            say(s, "%s playing %s %s scale at %.0f BPM", a_name(s, i), article(pitch), mode_name, s->now.bpm);
        }
    }
    if (!s->now.length) {
        walk(s, 0, i, tonic, mode, mood, beat, until, 0);
        say_melody(s, below(&s->d, 2) ? moods[mood].name : moods[mood].others[below(&s->d, 2)], a_name(s, i), pitch,
                   mode_name);
    }
    s->now.length += tail;
    snprintf(s->now.key, sizeof s->now.key, "%s %s", pitch, mode_name);
    snprintf(s->now.take, sizeof s->now.take, "melody-%d", s->number);
}

/* --- drums --- */

static const struct {
    int program;
    const char *name;
} kits[] = {{0, "acoustic"}, {8, "room"}, {16, "rock"}, {24, "electronic"}, {25, "808"}, {32, "jazz"}, {40, "brush"}};
enum { kit_count = 7 };

static const struct {
    const char *class, *names[3];
    int notes[6], count;
} drums[] = {{"kick", {"kick drum", "bass drum", "kick"}, {35, 36}, 2},
             {"snare", {"snare drum", "snare", "snare hit"}, {38, 40}, 2},
             {"snare", {"rim shot", "side stick", "snare rim"}, {37}, 1},
             {"clap", {"hand clap", "clap", "clapping hands"}, {39}, 1},
             {"hi-hat", {"closed hi-hat", "hi-hat", "closed hat"}, {42, 44}, 2},
             {"hi-hat", {"open hi-hat", "hi-hat", "open hat"}, {46}, 1},
             {"cymbal", {"crash cymbal", "cymbal crash", "cymbal"}, {49, 57, 55}, 3},
             {"cymbal", {"ride cymbal", "ride", "cymbal"}, {51, 59, 53}, 3},
             {"cymbal", {"china cymbal", "cymbal", "trashy cymbal"}, {52}, 1},
             {"tom", {"@ tom", "@ tom drum", "tom"}, {41, 43}, 2},
             {"tom", {"@ tom", "@ tom drum", "tom drum"}, {45, 47}, 2},
             {"tom", {"@ tom", "@ tom drum", "drum tom"}, {48, 50}, 2},
             {"percussion", {"tambourine", "tambourine hit", "tambourine"}, {54}, 1},
             {"percussion", {"cowbell", "cow bell", "cowbell hit"}, {56}, 1},
             {"percussion", {"bongo", "bongo drum", "hand drum"}, {60, 61}, 2},
             {"percussion", {"conga", "conga drum", "hand drum"}, {62, 63, 64}, 3},
             {"percussion", {"shaker", "maraca", "cabasa"}, {69, 70, 82}, 3},
             {"percussion", {"claves", "clave", "wooden clave"}, {75}, 1},
             {"percussion", {"wood block", "woodblock", "temple block"}, {76, 77}, 2},
             {"percussion", {"triangle", "triangle hit", "metal triangle"}, {80, 81}, 2}};

void draw_hit(score *s) {
    int k = below(&s->d, kit_count), j;
    /* Brush kits have a slap on the clap's note. */
    do j = below(&s->d, (int) (sizeof drums / sizeof *drums));
    while (kits[k].program == 40 && drums[j].notes[0] == 39);
    int note = drums[j].notes[below(&s->d, drums[j].count)], velocity = 50 + below(&s->d, 78);
    set_class(s, drums[j].class);
    put(s, 0, DRUMS, PROGRAM, kits[k].program, 0);
    play(s, 0, DRUMS, note, velocity, 1500);
    s->now.length = !strcmp(drums[j].class, "cymbal") ? 3000 : 1600;
    const char *name = drums[j].names[below(&s->d, 3)], *loud = velocity < 75 ? "soft " : velocity > 110 ? "hard " : "";
    say(s, "%s %s %s", article(kits[k].name), kits[k].name, name);
    say(s, "a single %s%s hit", loud, drums[j].names[0]);
    say(s, "%s %s%s", article(*loud ? loud : name), loud, name);
    snprintf(s->now.take, sizeof s->now.take, "hit-%d-%d", kits[k].program, note);
}

/* Sixteen steps of a bar: kick, snare, hat, and another drum; swing moves the second eighths. */
static const struct {
    const char *name, *other;
    double slowest, fastest, swing;
    const char *kick, *snare, *hat, *extra;
    int hat_note, extra_note, kits[4];
} styles[] = {
    {"rock",
     "rock and roll",
     100,
     144,
     0,
     "x.......x.x.....",
     "....x.......x...",
     "x.x.x.x.x.x.x.x.",
     "",
     42,
     0,
     {0, 8, 16, 16}},
    {"house",
     "electronic dance",
     118,
     130,
     0,
     "x...x...x...x...",
     "....x.......x...",
     "..x...x...x...x.",
     "x.xxx.xxx.xxx.xx",
     46,
     70,
     {24, 25, 24, 25}},
    {"techno",
     "hard techno",
     126,
     142,
     0,
     "x...x...x...x...",
     "............x...",
     "xxxxxxxxxxxxxxxx",
     "..x...x...x...x.",
     42,
     46,
     {24, 25, 24, 25}},
    {"hip hop",
     "boom bap",
     80,
     98,
     0,
     "x..x......x.....",
     "....x.......x..x",
     "x.x.x.x.x.x.x.x.",
     "",
     42,
     0,
     {0, 25, 8, 25}},
    {"trap",
     "trap",
     130,
     150,
     0,
     "x.....x...x.....",
     "........x.......",
     "x.x.xxx.x.x.x.xx",
     "",
     42,
     0,
     {25, 25, 24, 25}},
    {"drum and bass",
     "jungle",
     160,
     178,
     0,
     "x.........x.....",
     "....x..x.x..x..x",
     "x.x.x.x.x.x.x.x.",
     "",
     42,
     0,
     {0, 16, 24, 8}},
    {"jazz",
     "swing jazz",
     110,
     160,
     .33,
     "x.......x.......",
     "....x.......x...",
     "x...x.x.x...x.x.",
     "....x.......x...",
     51,
     44,
     {32, 40, 32, 40}},
    {"funk", "funky", 94, 116, 0, "x.x.......xx..x.", "....x..x.x..x..x", "xxxxxxxxxxxxxxxx", "", 42, 0, {0, 8, 0, 16}},
    {"reggae",
     "dub",
     68,
     90,
     .2,
     "........x.......",
     "........x.......",
     "x.x.x.x.x.x.x.x.",
     "....x.......x...",
     42,
     76,
     {0, 8, 0, 8}},
    {"disco",
     "disco",
     110,
     126,
     0,
     "x...x...x...x...",
     "....x.......x...",
     "..x...x...x...x.",
     "x.x.x.x.x.x.x.x.",
     46,
     42,
     {0, 8, 16, 24}},
    {"bossa nova",
     "Latin",
     110,
     140,
     0,
     "x..xx..xx..xx..x",
     "",
     "xxxxxxxxxxxxxxxx",
     "x..x..x...x..x..",
     70,
     37,
     {0, 32, 40, 0}},
    {"samba",
     "Brazilian",
     96,
     116,
     0,
     "x..xx..xx..xx..x",
     "",
     "xxxxxxxxxxxxxxxx",
     "x.x.xx.x.x.xx.x.",
     69,
     63,
     {0, 8, 0, 8}},
};
enum { style_count = sizeof styles / sizeof *styles };

static void beat_pattern(score *s, int style, double bpm, int bars, int force) {
    const struct {
        const char *steps;
        int note;
    } rows[] = {{styles[style].kick, chance(&s->d, .5) ? 36 : 35},
                {styles[style].snare, chance(&s->d, .5) ? 38 : 40},
                {styles[style].hat, styles[style].hat_note},
                {chance(&s->d, .6) ? styles[style].extra : "", styles[style].extra_note}};
    double step = 15000 / bpm;
    for (int bar = 0; bar < bars; bar++)
        for (int i = 0; i < 16; i++)
            for (int r = 0; r < 4; r++) {
                int on = *rows[r].steps && rows[r].steps[i] == 'x' && chance(&s->d, i ? .95 : 1);
                int ghost = r == 1 && !on && chance(&s->d, .04);
                double at = (bar * 16 + i + (i % 4 == 2 ? 2 * styles[style].swing : 0)) * step;
                int velocity = force + below(&s->d, 28) - 14 - (r == 2 && i % 4 ? 12 : 0);
                if (on || ghost) play(s, at, DRUMS, rows[r].note, ghost ? 38 : velocity, step * .9);
            }
}

void draw_loop(score *s) {
    int style = below(&s->d, style_count), kit = styles[style].kits[below(&s->d, 4)], k = 0;
    while (kits[k].program != kit) k++;
    s->now.bpm = floor(uniform(&s->d, styles[style].slowest, styles[style].fastest + 1));
    double bar = 240000 / s->now.bpm;
    int bars = (int) lrint(uniform(&s->d, 4000, 7000) / bar), bpm = (int) s->now.bpm;
    if (bars < 1) bars = 1;
    set_class(s, "drum-loop");
    put(s, 0, DRUMS, PROGRAM, kit, 0);
    beat_pattern(s, style, s->now.bpm, bars, 98);
    s->now.length = lrint(bars * bar) + 250;
    const char *name = chance(&s->d, .7) ? styles[style].name : styles[style].other, *speed = tempo_word(bpm);
    say(s, "%s %s drum loop at %d BPM", article(name), name, bpm);
    say(s, "%s %s beat on %s drums", article(name), name, kits[k].name);
    say(s, "%s drum beat, %d BPM", name, bpm);
    say(s, "%s %s%s drum loop", article(*speed ? speed : name), speed, name);
    say(s, "drums playing %s at %d BPM", name, bpm);
    snprintf(s->now.take, sizeof s->now.take, "loop-%d", s->number);
}

/* --- pieces: chords, bass, melody, drums --- */

static const int progressions[2][5][4] = {{{0, 4, 5, 3}, {0, 5, 3, 4}, {0, 3, 4, 0}, {5, 3, 0, 4}, {0, 3, 0, 4}},
                                          {{0, 5, 2, 6}, {0, 3, 4, 0}, {0, 6, 5, 6}, {0, 3, 6, 2}, {0, 5, 3, 4}}};

static const instrument *of_class(score *s, const char *const *classes, int count) {
    for (;;) {
        const instrument *i = melodic(s);
        for (int c = 0; c < count; c++)
            if (!strcmp(i->class, classes[c])) return i;
    }
}

void draw_piece(score *s) {
    static const char *const backings[] = {"piano",           "electric-piano", "organ",    "acoustic-guitar",
                                           "electric-guitar", "strings",        "synth-pad"};
    static const char *const leads[] = {"flute", "woodwind", "brass",   "synth-lead",
                                        "piano", "mallets",  "strings", "electric-guitar"};
    static const char *const low[] = {"bass", "synth-bass"};
    int mood = below(&s->d, mood_count), mode = moods[mood].mode, tonic = below(&s->d, 12),
        style = below(&s->d, style_count);
    if (mode == 2) mode = below(&s->d, 2);
    const instrument *backing, *lead = of_class(s, leads, 8), *bass = of_class(s, low, 2);
    do backing = of_class(s, backings, 7);
    while (backing->mono);
    int drums_too = chance(&s->d, .65), lead_too = chance(&s->d, .75);
    double from = drums_too ? styles[style].slowest : moods[mood].slowest,
           to = drums_too ? styles[style].fastest : moods[mood].fastest;
    s->now.bpm = floor(uniform(&s->d, from, to + 1));
    double beat = 60000 / s->now.bpm, chord_beats = s->now.bpm > 100 ? 4 : 2;
    const int *roots = progressions[mode][below(&s->d, 5)];
    use(s, 0, backing);
    use(s, 1, bass);
    use(s, 2, lead);
    for (int c = 0; c < 4; c++) {
        double at = c * chord_beats * beat;
        for (int k = 0; k < 3; k++)
            play(s, at + k * 8, 0, 48 + tonic % 12 + on_scale(mode, roots[c] + 2 * k) - (tonic > 7 ? 12 : 0), 72,
                 chord_beats * beat * .95);
        for (int b = 0; b < chord_beats; b++) {
            int note = 28 + ((tonic + on_scale(mode, roots[c]) - 28) % 12 + 12) % 12;
            play(s, at + b * beat, 1, note, 92, beat * .85);
        }
    }
    double until = 4 * chord_beats * beat;
    if (lead_too) walk(s, 2, lead, tonic, mode, mood, beat, until, 0);
    if (drums_too) {
        put(s, 0, DRUMS, PROGRAM, styles[style].kits[below(&s->d, 4)], 0);
        beat_pattern(s, style, s->now.bpm, (int) chord_beats, 80);
    }
    s->now.length = lrint(until) + 900;
    const char *pitch = name_of_note(tonic, 0), *mode_name = mode ? "minor" : "major",
               *what = drums_too ? styles[style].name : moods[mood].name;
    int bpm = (int) s->now.bpm;
    char players[160];
    snprintf(players, sizeof players, "%s%s%s, %s%s", lead_too ? a_name(s, lead) : "", lead_too ? ", " : "",
             a_name(s, backing), a_name(s, bass), drums_too ? " and drums" : "");
    set_class(s, "music");
    say(s, "%s %s piece in %s %s at %d BPM with %s", article(what), what, pitch, mode_name, bpm, players);
    say(s, "%s%s music, %d BPM", tempo_word(bpm), what, bpm);
    say(s, "%s music with %s", what, players);
    say(s, "%s %s backing track in %s %s", article(what), what, pitch, mode_name);
    snprintf(s->now.key, sizeof s->now.key, "%s %s", pitch, mode_name);
    snprintf(s->now.take, sizeof s->now.take, "piece-%d", s->number);
}
