/* Drum hits for the recipe: writes a MIDI file with one hit in each slot, cuts the rendering of it into one-shots, cleans
 * single recordings, and tells which hits are the same take. Used by ./fetch only; needs libsndfile.
 *
 *   hits midi PLAN OUT.mid             PLAN: lines of  kit note velocity cents file
 *   hits cut PLAN RENDERING FOLDER     one clip per line of PLAN, in FOLDER/file
 *   hits clip IN OUT CENTS             one recording made a clip, its pitch shifted by the rate in its header
 *   hits takes LIST                    LIST: lines of  file family key ; prints  file take  for each
 *   hits heights LIST                  LIST: lines of  file ; prints  file low|mid|high  by the pitch of each
 */
#include <math.h>
#include <sndfile.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { rate = 44100, slot = 66150, clip_longest = 48510 }; /* 1.5 s and 1.1 s */

typedef struct {
    int kit, note, velocity, cents;
    char file[200];
} hit;

static void die(const char *what, const char *name) {
    fprintf(stderr, "hits: %s: %s\n", what, name);
    exit(1);
}

static void *get(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory) die("memory", "not enough");
    return memory;
}

static hit *read_plan(const char *path, size_t *count) {
    FILE *file = fopen(path, "r");
    if (!file) die("cannot read", path);
    size_t room = 1024, n = 0;
    hit *hits = get(room * sizeof *hits), h;
    while (fscanf(file, "%d %d %d %d %199s", &h.kit, &h.note, &h.velocity, &h.cents, h.file) == 5) {
        if (n == room && !(hits = realloc(hits, (room *= 2) * sizeof *hits))) die("memory", path);
        hits[n++] = h;
    }
    fclose(file);
    *count = n;
    return hits;
}

/* --- midi: format 0, 1000 ticks a beat at 60 beats a minute, so that a tick is a millisecond --- */

typedef struct {
    uint8_t *bytes;
    size_t length, room;
    long now;
} track;

static void put(track *t, int byte) {
    if (t->length == t->room && !(t->bytes = realloc(t->bytes, t->room = t->room * 2 + 4096))) die("memory", "MIDI");
    t->bytes[t->length++] = (uint8_t) byte;
}

static void put_event(track *t, long when, int status, int first, int second) {
    long wait = when - t->now;
    t->now = when;
    for (int shift = 21; shift > 0; shift -= 7)
        if (wait >> shift) put(t, (int) (wait >> shift & 127) | 128);
    put(t, (int) (wait & 127));
    put(t, status);
    put(t, first);
    if (second >= 0) put(t, second);
}

enum { control = 0xB9, program = 0xC9, bend = 0xE9, on = 0x99, off = 0x89 }; /* channel 10: drums */

static void put_hit(track *t, long start, hit h) {
    int value = 8192 + h.cents * 8191 / 300;
    put_event(t, start, control, 120, 0); /* silence what still sounds */
    put_event(t, start, program, h.kit, -1);
    put_event(t, start, control, 101, 0); /* bend range: three semitones */
    put_event(t, start, control, 100, 0);
    put_event(t, start, control, 6, 3);
    put_event(t, start, bend, value & 127, value >> 7);
    put_event(t, start + 100, on, h.note, h.velocity);
    put_event(t, start + 1450, off, h.note, 0);
}

static void write_midi(const char *plan, const char *path) {
    size_t n;
    hit *hits = read_plan(plan, &n);
    track t = {0};
    const uint8_t tempo[] = {0, 0xFF, 0x51, 3, 0x0F, 0x42, 0x40}, end[] = {0, 0xFF, 0x2F, 0};
    for (size_t i = 0; i < sizeof tempo; i++) put(&t, tempo[i]);
    for (size_t i = 0; i < n; i++) put_hit(&t, (long) i * 1500, hits[i]);
    put_event(&t, (long) n * 1500, control, 120, 0);
    for (size_t i = 0; i < sizeof end; i++) put(&t, end[i]);
    uint8_t head[] = {'M',
                      'T',
                      'h',
                      'd',
                      0,
                      0,
                      0,
                      6,
                      0,
                      0,
                      0,
                      1,
                      1000 >> 8,
                      1000 & 255,
                      'M',
                      'T',
                      'r',
                      'k',
                      (uint8_t) (t.length >> 24),
                      (uint8_t) (t.length >> 16),
                      (uint8_t) (t.length >> 8),
                      (uint8_t) t.length};
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(head, 1, sizeof head, file) != sizeof head || fwrite(t.bytes, 1, t.length, file) != t.length ||
        fclose(file))
        die("cannot write", path);
}

/* --- clips --- */

/* From the onset (-40 dB of the peak, 1 ms kept before it) to where the sound has fallen below -60 dB for good or to the
 * longest clip, faded out over the last tenth; mean removed, peak 0.95. Returns the length, 0 for silence. */
static size_t clean(float *x, size_t n, int hz) {
    double mean = 0;
    float peak = 0;
    for (size_t i = 0; i < n; i++) mean += x[i];
    for (size_t i = 0; i < n; i++) {
        x[i] -= (float) (mean / (double) n);
        if (fabsf(x[i]) > peak) peak = fabsf(x[i]);
    }
    if (!(peak > 1e-3f)) return 0;
    size_t first = 0, last = n, before = (size_t) hz / 1000, longest = (size_t) ((double) clip_longest * hz / rate);
    while (fabsf(x[first]) < 0.01f * peak) first++;
    first = first > before ? first - before : 0;
    if (last > first + longest) last = first + longest;
    while (last > first + 1 && fabsf(x[last - 1]) < 0.001f * peak) last--;
    size_t length = last - first, fade = length / 10;
    memmove(x, x + first, length * sizeof *x);
    for (size_t i = 0; i < length; i++) {
        x[i] *= 0.95f / peak;
        if (i + fade >= length) x[i] *= 0.5f + 0.5f * cosf(3.14159265f * (float) (i + fade - length) / (float) fade);
    }
    return length;
}

static int write_clip(float *x, size_t n, int hz, const char *path) {
    size_t length = clean(x, n, hz);
    if (length < (size_t) hz / 100) return 0;
    SF_INFO info = {.samplerate = hz, .channels = 1, .format = SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    if (!file || sf_writef_float(file, x, (sf_count_t) length) != (sf_count_t) length) die("cannot write", path);
    sf_close(file);
    return 1;
}

/* Frames mixed to mono; the number read. */
static size_t read_mono(SNDFILE *file, int channels, float *out, size_t n) {
    float *frames = get(n * (size_t) channels * sizeof *frames);
    size_t got = (size_t) sf_readf_float(file, frames, (sf_count_t) n);
    for (size_t i = 0; i < got; i++) {
        float sum = 0;
        for (int c = 0; c < channels; c++) sum += frames[i * (size_t) channels + (size_t) c];
        out[i] = sum / (float) channels;
    }
    free(frames);
    return got;
}

static void cut(const char *plan, const char *rendering, const char *folder) {
    size_t n, written = 0;
    hit *hits = read_plan(plan, &n);
    SF_INFO info = {0};
    SNDFILE *file = sf_open(rendering, SFM_READ, &info);
    if (!file || info.samplerate != rate) die("cannot read, or not 44.1 kHz", rendering);
    float *x = get(slot * sizeof *x);
    for (size_t i = 0; i < n && read_mono(file, info.channels, x, slot) == slot; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, hits[i].file);
        if (write_clip(x + 2205, slot - 4410, rate, path)) written++;
        else fprintf(stderr, "hits: %s is silent: left out\n", hits[i].file);
    }
    sf_close(file);
    fprintf(stderr, "hits: %zu of %zu hits written\n", written, n);
}

static void clip(const char *in, const char *out, int cents) {
    SF_INFO info = {0};
    SNDFILE *file = sf_open(in, SFM_READ, &info);
    if (!file || info.frames < 100 || info.frames > 60 * 192000) die("cannot use", in);
    float *x = get((size_t) info.frames * sizeof *x);
    size_t n = read_mono(file, info.channels, x, (size_t) info.frames);
    sf_close(file);
    if (!write_clip(x, n, (int) lrint(info.samplerate * exp2(cents / 1200.0)), out)) die("silent", in);
}

/* --- takes: hits whose first 0.1 s agree (correlation over 0.9 at some small shift), or that share family and key --- */

enum { compared = 4410, shift = 60 };

typedef struct {
    char file[300], family[40], key[80];
    float x[compared + 2 * shift];
    size_t parent;
} sound;

static int same_take(const sound *a, const sound *b) {
    double aa = 0;
    for (int i = 0; i < compared; i++) aa += (double) a->x[i + shift] * a->x[i + shift];
    for (int s = 0; s <= 2 * shift; s++) {
        float ab = 0, bb = 0;
        for (int i = 0; i < compared; i++) ab += a->x[i + shift] * b->x[i + s], bb += b->x[i + s] * b->x[i + s];
        if (ab * fabsf(ab) > 0.81 * aa * bb) return 1;
    }
    return 0;
}

static size_t root(sound *sounds, size_t i) {
    while (sounds[i].parent != i) i = sounds[i].parent;
    return i;
}

static void print_takes(const char *path) {
    FILE *list = fopen(path, "r");
    if (!list) die("cannot read", path);
    size_t n = 0, room = 4096;
    sound *sounds = get(room * sizeof *sounds);
    while (n < room && fscanf(list, "%299s %39s %79s", sounds[n].file, sounds[n].family, sounds[n].key) == 3) {
        SF_INFO info = {0};
        SNDFILE *file = sf_open(sounds[n].file, SFM_READ, &info);
        if (!file) continue; /* a silent hit was not written */
        read_mono(file, info.channels, sounds[n].x + shift, compared);
        sf_close(file);
        sounds[n].parent = n;
        n++;
    }
    fclose(list);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            sound *a = sounds + i, *b = sounds + j;
            if (strcmp(a->family, b->family) || root(sounds, i) == root(sounds, j)) continue;
            if (!strcmp(a->key, b->key) || same_take(a, b)) sounds[root(sounds, i)].parent = root(sounds, j);
        }
    for (size_t i = 0; i < n; i++) printf("%s %s\n", sounds[i].file, sounds[root(sounds, i)].file);
}

/* --- heights of toms --- */

/* The strongest frequency of 45 to 400 Hz in the first quarter of a second after the strike, in hertz: a Hann-windowed Fourier
 * sum at steps of a third of a semitone. */
static double pitch(const float *x, size_t n, int hz) {
    size_t first = (size_t) hz / 100, length = (size_t) hz / 4;
    if (n <= first) return 0;
    if (length > n - first) length = n - first;
    double best = 0, at = 0;
    for (double f = 45; f < 400; f *= exp2(1 / 36.0)) {
        double re = 0, im = 0;
        for (size_t i = 0; i < length; i++) {
            double w = 0.5 - 0.5 * cos(6.283185307 * (double) i / (double) length);
            re += w * x[first + i] * cos(6.283185307 * f * (double) i / hz);
            im += w * x[first + i] * sin(6.283185307 * f * (double) i / hz);
        }
        if (re * re + im * im > best) best = re * re + im * im, at = f;
    }
    return at;
}

/* Kits disagree about which tom is high: one kit's lowest sounds above another's highest. So pitch decides. */
static void print_heights(const char *path) {
    enum { mid_from = 100, high_from = 140 }; /* hz: a third each of the hits, about */
    FILE *list = fopen(path, "r");
    if (!list) die("cannot read", path);
    char name[300];
    float *x = get(rate * sizeof *x);
    while (fscanf(list, "%299s", name) == 1) {
        SF_INFO info = {0};
        SNDFILE *file = sf_open(name, SFM_READ, &info);
        if (!file) continue;
        double f = pitch(x, read_mono(file, info.channels, x, rate / 2), info.samplerate);
        sf_close(file);
        printf("%s %s\n", name, f < mid_from ? "low" : f < high_from ? "mid" : "high");
    }
    fclose(list);
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "midi")) return write_midi(argv[2], argv[3]), 0;
    if (argc == 5 && !strcmp(argv[1], "cut")) return cut(argv[2], argv[3], argv[4]), 0;
    if (argc == 5 && !strcmp(argv[1], "clip")) return clip(argv[2], argv[3], atoi(argv[4])), 0;
    if (argc == 3 && !strcmp(argv[1], "takes")) return print_takes(argv[2]), 0;
    if (argc == 3 && !strcmp(argv[1], "heights")) return print_heights(argv[2]), 0;
    fprintf(stderr,
            "usage: hits midi PLAN OUT.mid | cut PLAN RENDERING FOLDER | clip IN OUT CENTS | takes LIST | heights "
            "LIST\n");
    return 2;
}
