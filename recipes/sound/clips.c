/* Recordings of the sound recipe: unpacks the containers of four games, and makes clips of recordings. Used by ./fetch;
 * needs libsndfile, libsoxr and zlib.
 *
 *   clips ocg FILE FOLDER              OpenClonk's groups, with the groups inside them
 *   clips wad FILE FOLDER              Doom's sounds: lumps DS*
 *   clips cat FILE FOLDER              OpenTTD's sound sets: 00.wav, 01.wav, ...
 *   clips make STORE FOLDER < ROWS     ROWS: lines of recordings.tsv; sounds of STORE become FOLDER/CLASS/NAME.flac, and
 *                                      rows of the manifest are printed
 */
#include <soxr.h>
#include <sys/stat.h>
#include <zlib.h>

#include "clip.h"

enum { largest = 1 << 29 };

typedef struct {
    uint8_t *bytes;
    size_t length;
} blob;

static blob read_all(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die("cannot read", path);
    long length = ftell(file);
    if (length < 0 || length > largest) die("too large", path);
    blob b = {get((size_t) length), (size_t) length};
    rewind(file);
    if (fread(b.bytes, 1, b.length, file) != b.length) die("cannot read", path);
    fclose(file);
    return b;
}

static void write_all(const char *folder, const char *name, const uint8_t *bytes, size_t length) {
    char path[1024];
    if (strchr(name, '/') || *name == '.') die("odd name in a container", name);
    if ((size_t) snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) die("name too long", name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, length, file) != length || fclose(file)) die("cannot write", path);
}

static uint32_t u32(const uint8_t *p) {
    return p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

/* --- OpenClonk: a gzip file whose magic bytes are 1E 8C; within, a scrambled header of 204 bytes with the number of
 * entries at 36, entries of 316 bytes (name[260], packed, child group, size, reserved, offset), then the data --- */

enum { header_bytes = 204, entry_bytes = 316, name_bytes = 260 };

static blob inflate_group(blob packed) {
    if (packed.length < 2 || packed.bytes[0] != 0x1E || packed.bytes[1] != 0x8C) return packed;
    packed.bytes[0] = 0x1F, packed.bytes[1] = 0x8B;
    z_stream z = {.next_in = packed.bytes, .avail_in = (unsigned) packed.length};
    blob out = {get(1 << 20), 0};
    size_t room = 1 << 20;
    if (inflateInit2(&z, 31) != Z_OK) die("zlib", "cannot start");
    for (int state = Z_OK; state != Z_STREAM_END;) {
        if (out.length == room && (room >= largest || !(out.bytes = realloc(out.bytes, room *= 2))))
            die("too large", "group");
        z.next_out = out.bytes + out.length, z.avail_out = (unsigned) (room - out.length);
        state = inflate(&z, Z_NO_FLUSH);
        out.length = room - z.avail_out;
        if (state != Z_OK && state != Z_STREAM_END) die("damaged", "group");
    }
    inflateEnd(&z);
    return out;
}

static void unpack_group(blob group, const char *folder, int depth) {
    if (group.length < header_bytes || depth > 12) die("damaged group for", folder);
    mkdir(folder, 0777);
    uint8_t head[header_bytes];
    for (int i = 0; i < header_bytes; i++)
        head[i] = group.bytes[i / 3 * 3 + 2 - i % 3] ^ 237; /* bytes 0 and 2 of triples */
    size_t entries = u32(head + 36), data = header_bytes + entries * entry_bytes;
    if (memcmp(head, "RedWolf Design GrpFolder", 24) || entries > 100000 || data > group.length)
        die("damaged group for", folder);
    for (size_t i = 0; i < entries; i++) {
        const uint8_t *entry = group.bytes + header_bytes + i * entry_bytes, *numbers = entry + name_bytes;
        size_t size = u32(numbers + 8), offset = data + u32(numbers + 16);
        if (memchr(entry, 0, name_bytes) == NULL || offset > group.length || size > group.length - offset)
            die("damaged group for", folder);
        const char *name = (const char *) entry;
        char path[1024];
        if (strchr(name, '/') || (size_t) snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
            die("odd name", name);
        if (u32(numbers + 4)) unpack_group((blob){group.bytes + offset, size}, path, depth + 1);
        else if (strstr(name, ".wav") || strstr(name, ".ogg")) write_all(folder, name, group.bytes + offset, size);
    }
}

/* --- a WAV file around 8-bit samples --- */

static void write_wav8(const char *folder, const char *name, const uint8_t *samples, uint32_t count, uint32_t hz) {
    uint8_t *file = get(count + 44);
    const uint32_t numbers[] = {count + 36, 16, 1 | 1 << 16, hz, hz, 1 | 8 << 16, count};
    const int places[] = {4, 16, 20, 24, 28, 32, 40};
    memcpy(file, "RIFF    WAVEfmt ", 16);
    memcpy(file + 36, "data", 4);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 4; k++) file[places[i] + k] = (uint8_t) (numbers[i] >> 8 * k);
    memcpy(file + 44, samples, count);
    write_all(folder, name, file, count + 44);
    free(file);
}

/* Doom: a table of (offset, size, name[8]); a sound is u16 3, u16 rate, u32 count, samples with 16 of padding each side. */
static void unpack_wad(blob wad, const char *folder) {
    if (wad.length < 12 || memcmp(wad.bytes + 1, "WAD", 3)) die("no WAD for", folder);
    size_t lumps = u32(wad.bytes + 4), table = u32(wad.bytes + 8);
    if (lumps > 1 << 20 || table > wad.length || lumps * 16 > wad.length - table) die("damaged WAD for", folder);
    for (size_t i = 0; i < lumps; i++) {
        const uint8_t *lump = wad.bytes + table + 16 * i;
        size_t offset = u32(lump), size = u32(lump + 4);
        char name[16] = "";
        memcpy(name, lump + 8, 8);
        if (strncmp(name, "DS", 2) || size < 48 || offset > wad.length || size > wad.length - offset) continue;
        const uint8_t *sound = wad.bytes + offset;
        uint32_t hz = sound[2] | (uint32_t) sound[3] << 8, count = u32(sound + 4);
        if (sound[0] == 3 && count > 32 && count <= size - 8) write_wav8(folder, name, sound + 24, count - 32, hz);
    }
}

/* OpenTTD: a table of (offset, size), as long as the first offset says; at the offset a length byte, a name, then RIFF. */
static void unpack_cat(blob cat, const char *folder) {
    size_t sounds = cat.length < 8 ? 0 : (u32(cat.bytes) & 0x7FFFFFFF) / 8;
    if (!sounds || sounds > 1000 || sounds * 8 > cat.length) die("damaged sound set for", folder);
    for (size_t i = 0; i < sounds; i++) {
        size_t start = u32(cat.bytes + 8 * i) & 0x7FFFFFFF;
        if (start >= cat.length) die("damaged sound set for", folder);
        start += 1 + (size_t) cat.bytes[start];
        if (start + 8 > cat.length || memcmp(cat.bytes + start, "RIFF", 4)) continue;
        size_t size = 8 + (size_t) u32(cat.bytes + start + 4);
        char name[16];
        snprintf(name, sizeof name, "%02zu.wav", i);
        write_all(folder, name, cat.bytes + start, size < cat.length - start ? size : cat.length - start);
    }
}

/* --- clips: the mean of the channels at 44.1 kHz, a minute at most, in pieces of ten seconds --- */

enum { longest_seconds = 60, piece = 10 * rate, shortest_rest = 3 * rate };

static float *read_sound(const char *path, size_t *n) {
    SF_INFO info = {0};
    SNDFILE *file = sf_open(path, SFM_READ, &info);
    if (!file || info.frames < 50 || info.channels > 8 || info.samplerate < 4000 || info.samplerate > 192000)
        return NULL;
    size_t room = (size_t) longest_seconds * (size_t) info.samplerate, channels = (size_t) info.channels;
    if ((sf_count_t) room > info.frames) room = (size_t) info.frames;
    float *frames = get(room * channels * sizeof *frames);
    size_t got = (size_t) sf_readf_float(file, frames, (sf_count_t) room);
    sf_close(file);
    for (size_t i = 0; i < got; i++) {
        float sum = 0;
        for (size_t c = 0; c < channels; c++) sum += frames[i * channels + c];
        frames[i] = sum / (float) channels;
    }
    size_t out_room = (size_t) ((double) got * rate / info.samplerate) + 1, done;
    float *out = get(out_room * sizeof *out);
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    if (soxr_oneshot(info.samplerate, rate, 1, frames, got, NULL, out, out_room, &done, NULL, &quality, NULL))
        die("soxr", path);
    free(frames);
    *n = done;
    return out;
}

/* A file name out of the last parts of a path: letters, digits and dots alone. */
static void name_of(const char *path, char *name, size_t room) {
    const char *start = path + strlen(path);
    for (int slashes = 0; start > path && (start[-1] != '/' || ++slashes < 3); start--) {
    }
    size_t n = 0;
    for (; *start && n + 1 < room; start++) name[n++] = strchr("/ ~()'\"", *start) ? '-' : *start;
    name[n] = 0;
    for (const char *ends = ".wav .ogg .oga .mp3 .flac"; *ends; ends += strcspn(ends, " "), ends += *ends == ' ') {
        size_t k = strcspn(ends, " ");
        if (n > k && !strncmp(name + n - k, ends, k)) name[n - k] = 0, n -= k;
    }
}

static void make_clip(char *row, const char *store, const char *folder) {
    char *field[6], *rest = row, path[1024], name[300];
    for (int i = 0; i < 6; i++)
        if (!(field[i] = strsep(&rest, "\t"))) die("a row of fewer than 6 columns", row);
    if ((size_t) snprintf(path, sizeof path, "%s/%s", store, field[1]) >= sizeof path) die("name too long", field[1]);
    size_t n;
    float *x = read_sound(path, &n);
    if (!x) {
        fprintf(stderr, "sound: %s cannot be read: left out\n", path);
        return;
    }
    name_of(field[1], name, sizeof name);
    snprintf(path, sizeof path, "%s/%s", folder, field[2]);
    mkdir(path, 0777);
    n = clean(x, n);
    for (size_t at = 0, part = 0; at < n && (at == 0 || n - at >= shortest_rest); at += piece, part++) {
        size_t left = n - at < piece + shortest_rest ? n - at : piece;
        if (left < rate / 50) break;
        char file[700];
        snprintf(file, sizeof file, part ? "%s/%s-%s-%zu.flac" : "%s/%s-%s.flac", field[2], field[0], name, part);
        snprintf(path, sizeof path, "%s/%s", folder, file);
        write_clip(x + at, left, path);
        printf("%s\t%s\t%s\t%s\t%s\treal\t%s\t\t\t%.3f\n", file, field[2], field[3], field[0], field[5], field[4],
               (double) left / rate);
        if (left > piece) break;
    }
    free(x);
}

int main(int argc, char **argv) {
    if (argc == 4) mkdir(argv[3], 0777);
    if (argc == 4 && !strcmp(argv[1], "ocg")) return unpack_group(inflate_group(read_all(argv[2])), argv[3], 0), 0;
    if (argc == 4 && !strcmp(argv[1], "wad")) return unpack_wad(read_all(argv[2]), argv[3]), 0;
    if (argc == 4 && !strcmp(argv[1], "cat")) return unpack_cat(read_all(argv[2]), argv[3]), 0;
    if (argc == 4 && !strcmp(argv[1], "make")) {
        char row[4096];
        while (fgets(row, sizeof row, stdin)) {
            row[strcspn(row, "\n")] = 0;
            if (*row && *row != '#') make_clip(row, argv[2], argv[3]);
        }
        return 0;
    }
    fprintf(stderr, "usage: clips ocg|wad|cat FILE FOLDER | make STORE FOLDER < ROWS\n");
    return 2;
}
