/* Music for the sound recipe: writes MIDI files of random notes, chords, melodies, pieces, drum hits and loops, and cuts the
 * rendering of one into clips. Used by ./fetch; needs libsndfile.
 *
 *   music midi INSTRUMENTS FONT BATCH OUT.mid PLAN   items 1000 BATCH .. 1000 BATCH + 999 of a SoundFont
 *   music cut PLAN FOLDER < SAMPLES                  SAMPLES: 16-bit stereo at 44.1 kHz; FOLDER/CLASS/... are written and
 *                                                    rows of the manifest printed
 */
#include "music.h"

#include <sys/stat.h>

enum { batch_items = 1000, rest = 500, most_instruments = 128 };

/* --- instruments.tsv --- */

static int read_instruments(const char *path, instrument *to) {
    FILE *file = fopen(path, "r");
    if (!file) die("cannot read", path);
    char line[512], poly[8], names[256];
    int n = 0;
    while (n < most_instruments && fgets(line, sizeof line, file)) {
        instrument i = {0};
        if (*line == '#') continue;
        if (sscanf(line, "%d %31s %d %d %7s %255[^\n]", &i.program, i.class, &i.low, &i.high, poly, names) != 6)
            die("damaged line", line);
        i.mono = !strcmp(poly, "mono");
        for (char *name = strtok(names, ","); name && i.name_count < 4; name = strtok(NULL, ","))
            snprintf(i.names[i.name_count++], sizeof *i.names, "%s", name + strspn(name, " "));
        to[n++] = i;
    }
    fclose(file);
    return n;
}

/* --- one batch --- */

static int by_time(const void *a, const void *b) {
    const event *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    /* Programs and controls first, then ends, then starts. */
    static const int order[] = {[NOTE_OFF >> 4] = 1, [NOTE_ON >> 4] = 2, [CONTROL >> 4] = 0, [PROGRAM >> 4] = 0};
    int difference = order[x->kind >> 4] - order[y->kind >> 4];
    if (difference) return difference;
    return x->channel != y->channel ? x->channel - y->channel
           : x->first != y->first   ? x->first - y->first
                                    : x->second - y->second;
}

static const struct {
    double share;
    void (*draw)(score *s);
} kinds[] = {{.27, draw_note},  {.16, draw_chord}, {.24, draw_melody},
             {.08, draw_piece}, {.12, draw_hit},   {.13, draw_loop}};

static void draw_item(score *s, const char *font, int number) {
    uint64_t seed = 0x5EEDu;
    for (const char *c = font; *c; c++) seed = seed * 131 + (uint64_t) *c;
    s->d = (dice){seed * 1000003u + (uint64_t) number};
    roll(&s->d);
    s->now = (item){0};
    s->number = number;
    double u = uniform(&s->d, 0, 1);
    size_t k = 0;
    while (k + 1 < sizeof kinds / sizeof *kinds && u >= kinds[k].share) u -= kinds[k++].share;
    kinds[k].draw(s);
    for (int c = 0; c < 16; c++) { /* the slot ends in silence */
        put(s, (double) s->now.length + rest - 50, c, CONTROL, 120, 0);
    }
}

static void put_bytes(FILE *file, unsigned long value, int bytes) {
    while (bytes--) putc((int) (value >> 8 * bytes & 255), file);
}

static void put_wait(FILE *file, long wait) {
    for (int shift = 21; shift > 0; shift -= 7)
        if (wait >> shift) putc((int) (wait >> shift & 127) | 128, file);
    putc((int) (wait & 127), file);
}

/* Format 0; 1000 ticks a beat at 60 beats a minute, so that a tick is a millisecond. */
static void write_midi(score *s, const char *path) {
    FILE *file = fopen(path, "wb");
    if (!file) die("cannot write", path);
    fwrite("MThd\0\0\0\6\0\0\0\1\3\350MTrk", 1, 18, file);
    put_bytes(file, 0, 4);
    fwrite("\0\377\121\3\17\102\100", 1, 7, file);
    qsort(s->events, s->count, sizeof *s->events, by_time);
    long now = 0;
    for (size_t i = 0; i < s->count; i++) {
        event e = s->events[i];
        put_wait(file, e.at - now);
        now = e.at;
        putc(e.kind | e.channel, file);
        putc(e.first, file);
        if (e.kind != PROGRAM) putc(e.second, file);
    }
    fwrite("\0\377\57\0", 1, 4, file);
    long end = ftell(file);
    fseek(file, 18, SEEK_SET);
    put_bytes(file, (unsigned long) end - 22, 4);
    if (ferror(file) | fclose(file)) die("cannot write", path);
}

static void write_batch(char **argv) {
    static instrument instruments[most_instruments];
    score s = {.instruments = instruments, .instrument_count = read_instruments(argv[2], instruments), .start = 200};
    const char *font = argv[3];
    int first = atoi(argv[4]) * batch_items;
    FILE *plan = fopen(argv[6], "w");
    if (!plan) die("cannot write", argv[6]);
    for (int c = 0; c < 16; c++) { /* volume 115, reverb 20 (drums: dry) */
        put(&s, -150, c, CONTROL, 7, 115);
        put(&s, -150, c, CONTROL, 91, c == DRUMS ? 0 : 20);
    }
    for (int i = first; i < first + batch_items; i++) {
        draw_item(&s, font, i);
        char bpm[16] = "";
        if (s.now.bpm > 0) snprintf(bpm, sizeof bpm, "%.0f", s.now.bpm);
        fprintf(plan, "%ld\t%ld\t%s/%s-%05d.flac\t%s\t%s\t%s:%s\t%s\t%s\n", s.start, s.now.length, s.now.class, font, i,
                s.now.class, s.now.caption, font, s.now.take, bpm, s.now.key);
        s.start += s.now.length + rest;
    }
    put(&s, 1500, 0, CONTROL, 123, 0);
    if (fclose(plan)) die("cannot write", argv[6]);
    write_midi(&s, argv[5]);
}

/* --- cutting --- */

/* The strongest frequency of 45 to 400 Hz in the first quarter of a second: a Hann-windowed Fourier sum at steps of a third
 * of a semitone. */
static double pitch(const float *x, size_t n) {
    size_t first = rate / 100, length = rate / 4;
    if (n <= first) return 0;
    if (length > n - first) length = n - first;
    double most = 0, at = 0;
    for (double f = 45; f < 400; f *= exp2(1 / 36.0)) {
        double re = 0, im = 0;
        for (size_t i = 0; i < length; i += 4) {
            double w = 0.5 - 0.5 * cos(6.283185307 * (double) i / (double) length),
                   angle = 6.283185307 * f * (double) i / rate;
            re += w * x[first + i] * cos(angle);
            im += w * x[first + i] * sin(angle);
        }
        if (re * re + im * im > most) most = re * re + im * im, at = f;
    }
    return at;
}

/* A caption's "@" becomes the height of the drum: kits disagree about which tom is high, so pitch decides. */
static void put_height(char *caption, size_t room, const float *x, size_t n) {
    char with[1600];
    if (!strchr(caption, '@')) return;
    double hz = pitch(x, n);
    const char *word = hz < 100 ? "low" : hz < 140 ? "mid" : "high";
    size_t used = 0;
    for (const char *c = caption; *c && used + 5 < sizeof with; c++) {
        if (*c == '@') used += (size_t) sprintf(with + used, "%s", word);
        else with[used++] = *c;
    }
    with[used] = 0;
    memcpy(caption, with, used + 1 < room ? used + 1 : room);
}

/* Samples from..to of standard input, which is read once from front to back, as the mean of both channels. */
static size_t read_slot(float *x, long from, long to, long *at) {
    static int16_t frames[2 * 4096];
    size_t n = 0;
    while (*at < to) {
        size_t want = 4096;
        if (to - *at < 4096) want = (size_t) (to - *at);
        size_t got = fread(frames, 4, want, stdin);
        if (!got) return 0;
        for (size_t i = 0; i < got; i++, (*at)++)
            if (*at >= from) x[n++] = (float) (frames[2 * i] + frames[2 * i + 1]) / 65536;
    }
    return n;
}

static void cut(const char *plan, const char *folder) {
    FILE *file = fopen(plan, "r");
    if (!file) die("cannot read", plan);
    char row[4096], *field[8], path[1024];
    long at = 0;
    int silent = 0;
    while (fgets(row, sizeof row, file)) {
        char *left = row;
        row[strcspn(row, "\n")] = 0;
        for (int i = 0; i < 8; i++)
            if (!(field[i] = strsep(&left, "\t"))) die("damaged plan", plan);
        long from = (atol(field[0]) - 5) * rate / 1000, to = from + atol(field[1]) * rate / 1000;
        if (to - from > 60 * rate) die("damaged plan", plan);
        float *x = get((size_t) (to - from) * sizeof *x);
        size_t n = read_slot(x, from, to, &at);
        if (!n) die("the rendering is too short for", plan);
        n = clean(x, n);
        snprintf(path, sizeof path, "%s/%s", folder, field[3]);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/%s", folder, field[2]);
        if (n < rate / 50) silent++;
        else {
            char caption[1600];
            snprintf(caption, sizeof caption, "%s", field[4]);
            put_height(caption, sizeof caption, x, n);
            write_clip(x, n, path);
            const char *source = strncmp(field[5], "fluid", 5) ? "musescore-general-soundfont" : "fluid-soundfont-gm";
            printf("%s\t%s\t%s\t%s\tMIT\trendered\t%s\t%s\t%s\t%.3f\n", field[2], field[3], caption, source, field[5],
                   field[6], field[7], (double) n / rate);
        }
        free(x);
    }
    if (silent) fprintf(stderr, "sound: %s: %d items were silent and left out\n", plan, silent);
    fclose(file);
    while (fread(row, 1, sizeof row, stdin)) {
    } /* let the writer end */
}

int main(int argc, char **argv) {
    if (argc == 7 && !strcmp(argv[1], "midi")) return write_batch(argv), 0;
    if (argc == 4 && !strcmp(argv[1], "cut")) return cut(argv[2], argv[3]), 0;
    fprintf(stderr, "usage: music midi INSTRUMENTS FONT BATCH OUT.mid PLAN | cut PLAN FOLDER < SAMPLES\n");
    return 2;
}
