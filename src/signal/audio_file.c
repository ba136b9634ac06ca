/* Sound files through libsndfile, from and to memory: reading maps the file, writing encodes into a block that goes
 * through the atomic writer, so that nothing half-written ever carries the final name. Streams write their own WAV
 * header (RIFF, Microsoft and IBM 1991; float per the 1994 revision with a fact chunk). */
#include <math.h>
#include <sndfile.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"
#include "signal/audio.h"

/* Memory as libsndfile sees it. capacity 0: read only. */
typedef struct {
    unsigned char *data;
    sf_count_t size, position, capacity;
} block;

static sf_count_t block_length(void *user) { return ((block *) user)->size; }

static sf_count_t block_seek(sf_count_t offset, int whence, void *user) {
    block *b = user;
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? b->position : b->size;
    const sf_count_t limit = b->capacity ? b->capacity : b->size;
    if (offset < -base || offset > limit - base) return -1;
    return b->position = base + offset;
}

static sf_count_t block_tell(void *user) { return ((block *) user)->position; }

static sf_count_t block_read(void *to, sf_count_t count, void *user) {
    block *b = user;
    const sf_count_t left = b->size - b->position;
    const sf_count_t n = count < left ? count : left;
    if (n <= 0) return 0;
    memcpy(to, b->data + b->position, (size_t) n);
    b->position += n;
    return n;
}

static sf_count_t block_write(const void *from, sf_count_t count, void *user) {
    block *b = user;
    if (count > b->capacity - b->position)
        return 0; /* libsndfile reports it; the size was bounded from above, so this is its own bug */
    if (b->position > b->size) memset(b->data + b->size, 0, (size_t) (b->position - b->size));
    memcpy(b->data + b->position, from, (size_t) count);
    b->position += count;
    if (b->position > b->size) b->size = b->position;
    return count;
}

static SF_VIRTUAL_IO block_io = {block_length, block_seek, block_read, block_write, block_tell};

static void close_sound(void *file) { sf_close(file); }

/* The first value that no sound has, or `values`. */
static int64_t find_bad(const float *samples, int64_t values) {
    int64_t i = 0;
    while (i < values && fabsf(samples[i]) <= AUDIO_MAX_VALUE) i++; /* NaN compares false */
    return i;
}

/* Reads to the end whatever length the header claims: some forms do not know it, damaged ones lie. */
static audio *read_frames(SNDFILE *file, const SF_INFO *info, int64_t most, const char *name) {
    const int64_t channels = info->channels, at_first = (1 << 22) / channels; /* longer ones grow: headers lie */
    int64_t room = info->frames > 0 && info->frames < at_first ? info->frames : at_first, got = 0;
    if (room > most) room = most;
    audio *a = audio_new(room, info->channels, info->samplerate);
    for (;;) {
        const int64_t now = sf_readf_float(file, a->samples + got * channels, room - got);
        if (now <= 0) break;
        got += now;
        if (got == room && room < most) {
            const int64_t larger = room > most / 2 ? most : 2 * room;
            float *grown = alloc(sizeof(float) * (size_t) (larger * channels));
            memcpy(grown, a->samples, sizeof(float) * (size_t) (got * channels));
            block_release(a->samples);
            a->samples = grown;
            room = larger;
        } else if (got == room) {
            fail(HISS_ERROR_MEMORY, "%s: longer than %lld frames, the most that is read; cut it in pieces", name,
                 (long long) most);
        }
    }
    a->frames = got;
    if (got > 0 && sf_error(file))
        warn("%s: damaged after %lld frames (%s); only what comes before is used", name, (long long) got,
             sf_strerror(file));
    return a;
}

audio *audio_read_memory(const void *data, size_t size, const char *name) {
    if (size == 0) fail(HISS_ERROR_FORMAT, "%s: the file is empty", name);
    if (size > INT64_MAX / 2) fail(HISS_ERROR_MEMORY, "%s: too large", name);
    scope_begin();
    block b = {.data = (unsigned char *) (uintptr_t) data, .size = (sf_count_t) size};
    SF_INFO info = {0};
    SNDFILE *file = sf_open_virtual(&block_io, SFM_READ, &info, &b);
    if (!file) fail(HISS_ERROR_FORMAT, "%s: not a sound file that can be read (%s)", name, sf_strerror(NULL));
    defer(close_sound, file);
    if (info.channels < 1 || info.channels > AUDIO_MAX_CHANNELS)
        fail(HISS_ERROR_FORMAT, "%s: %d channels: 1 to %d can be read", name, info.channels, AUDIO_MAX_CHANNELS);
    if (info.samplerate < AUDIO_MIN_RATE || info.samplerate > AUDIO_MAX_RATE)
        fail(HISS_ERROR_FORMAT, "%s: a sample rate of %d Hz: %d to %d can be read", name, info.samplerate,
             AUDIO_MIN_RATE, AUDIO_MAX_RATE);
    /* No form packs real sound more than 4096 times: a small file that unfolds without end is stopped early. */
    int64_t most = AUDIO_MAX_VALUES / info.channels;
    if ((int64_t) size < most / 4096) most = ((int64_t) size + 16) * 4096;
    audio *a = read_frames(file, &info, most, name);
    if (a->frames == 0) fail(HISS_ERROR_FORMAT, "%s: there are no samples in it", name);
    const int64_t bad = find_bad(a->samples, a->frames * a->channels);
    if (bad < a->frames * a->channels)
        fail(HISS_ERROR_FORMAT, "%s: sample %lld of channel %lld is %g: the file is damaged or not a sound", name,
             (long long) (bad / a->channels), (long long) (bad % a->channels), (double) a->samples[bad]);
    scope *inner = scope_current(), *outer = scope_parent(inner);
    scope_switch(outer);
    audio *kept = NEW(audio);
    *kept = *a;
    scope_switch(inner);
    kept->samples = block_move(a->samples, outer);
    scope_end();
    return kept;
}

audio *audio_read(const char *path) {
    if (folder_exists(path)) fail(HISS_ERROR_FILE, "%s: is a folder, not a sound file", path);
    const bytes file = file_map(path);
    return audio_read_memory(file.data, file.size, path);
}

audio_encoding audio_encoding_named(const char *name) {
    static const char *const names[] = {"16", "24", "float"};
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) return AUDIO_PCM16 + (audio_encoding) i;
    fail(HISS_ERROR_ARGUMENT, "unknown sample format '%s': %s", name, suggest(name, names, 3));
}

/* The forms that are written. A subtype of 0 is not possible there. */
typedef struct {
    const char *extension;
    int major;
    int subtypes[AUDIO_ENCODINGS]; /* by audio_encoding */
    int most_channels;
    int64_t most_bytes;
} form;

static const form forms[] = {
    {".wav",
     SF_FORMAT_WAV,
     {SF_FORMAT_PCM_16, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_FLOAT},
     64,
     UINT32_MAX - 4096},
    {".flac", SF_FORMAT_FLAC, {SF_FORMAT_PCM_16, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_PCM_24}, 8, INT64_MAX},
    {".ogg", SF_FORMAT_OGG, {SF_FORMAT_VORBIS, SF_FORMAT_VORBIS, SF_FORMAT_VORBIS, SF_FORMAT_VORBIS}, 8, INT64_MAX},
    {".aiff",
     SF_FORMAT_AIFF,
     {SF_FORMAT_PCM_16, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_FLOAT},
     64,
     UINT32_MAX - 4096},
};
enum { FORMS = sizeof forms / sizeof *forms };

static const form *find_form(const char *path) {
    if (!strcmp(path, "-")) return &forms[0];
    const char *extension = path_extension(path);
    for (size_t i = 0; i < FORMS; i++)
        if (!strcmp(extension, forms[i].extension)) return &forms[i];
    fail(HISS_ERROR_ARGUMENT, "%s: the file name must end in .wav, .flac, .ogg or .aiff", path);
}

/* The form and its subtype for such a sound, or a failure that names the path. */
static const form *check_form(const char *path, int64_t frames, int channels, int rate, audio_encoding encoding) {
    const form *f = find_form(path);
    SF_INFO info = {.samplerate = rate, .channels = channels, .format = f->major | f->subtypes[encoding]};
    if (channels > f->most_channels || !sf_format_check(&info))
        fail(HISS_ERROR_ARGUMENT, "%s: %d channels at %d Hz are not possible in a %s file", path, channels, rate,
             f->extension + 1);
    if (frames > f->most_bytes / 4 / channels)
        fail(HISS_ERROR_ARGUMENT, "%s: too long for a %s file; write .flac instead", path, f->extension + 1);
    return f;
}

void audio_check_writable(const char *path, int64_t frames, int channels, int rate, audio_encoding encoding) {
    check_form(path, frames, channels, rate, encoding);
    if (strcmp(path, "-")) folder_check_writable(path_folder(path));
}

/* Full scale is 2^(bits - 1), as readers take it, rounded to nearest even and clipped. */
static int32_t quantise(float x, int bits) {
    const double scale = (double) (1 << (bits - 1));
    const double y = rint((double) x * scale);
    return (int32_t) (y < -scale ? -scale : y > scale - 1 ? scale - 1 : y);
}

static void check_written(const char *path, const float *samples, int64_t frames, int channels) {
    const int64_t bad = find_bad(samples, frames * channels);
    if (bad < frames * channels)
        fail(HISS_ERROR_ARGUMENT, "%s: sample %lld of channel %lld to be written is %g", path,
             (long long) (bad / channels), (long long) (bad % channels), (double) samples[bad]);
}

/* libsndfile takes integers left-aligned in 32 bits. */
static sf_count_t encode_integers(SNDFILE *file, const audio *a, int bits) {
    enum { CHUNK = 1 << 14 };
    int32_t chunk[CHUNK];
    const int64_t at_once = CHUNK / a->channels;
    int64_t done = 0;
    while (done < a->frames) {
        const int64_t n = a->frames - done < at_once ? a->frames - done : at_once;
        const float *x = a->samples + done * a->channels;
        for (int64_t i = 0; i < n * a->channels; i++)
            chunk[i] = (int32_t) ((uint32_t) quantise(x[i], bits) << (32 - bits));
        if (sf_writef_int(file, chunk, n) != n) return done;
        done += n;
    }
    return done;
}

void audio_write(const char *path, const audio *a, audio_encoding encoding) {
    scope_begin();
    const form *f = check_form(path, a->frames, a->channels, a->rate, encoding);
    if (a->frames < 1) fail(HISS_ERROR_ARGUMENT, "%s: a sound without samples is not written", path);
    check_written(path, a->samples, a->frames, a->channels);
    const int subtype = f->subtypes[encoding];
    writer *w = writer_open(path);
    block b = {.capacity = 4 * a->frames * a->channels + a->frames / 8 + (1 << 16)}; /* no form takes more */
    b.data = alloc((size_t) b.capacity);
    SF_INFO info = {.samplerate = a->rate, .channels = a->channels, .format = f->major | subtype};
    SNDFILE *file = sf_open_virtual(&block_io, SFM_WRITE, &info, &b);
    if (!file) fail(HISS_ERROR_FILE, "%s: cannot be written (%s)", path, sf_strerror(NULL));
    sf_command(file, SFC_SET_CLIPPING, NULL, SF_TRUE);
    sf_command(file, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE); /* it holds the time: equal sounds, unequal files */
    sf_count_t done = 0;
    if (subtype == SF_FORMAT_PCM_16 || subtype == SF_FORMAT_PCM_24)
        done = encode_integers(file, a, subtype == SF_FORMAT_PCM_16 ? 16 : 24);
    else
        for (int64_t n = 0; done < a->frames;
             done += n) { /* in pieces: libvorbis keeps a call's samples on the stack */
            n = a->frames - done < 4096 ? a->frames - done : 4096;
            if (sf_writef_float(file, a->samples + done * a->channels, n) != n) break;
        }
    const int closed = sf_close(file); /* nothing between opening and here jumps */
    if (done != a->frames || closed != 0)
        fail(HISS_ERROR_FILE, "%s: cannot be encoded (%s)", path, sf_error_number(closed));
    writer_put(w, b.data, (size_t) b.size);
    writer_commit(w);
    scope_end();
}

struct audio_stream {
    writer *out;
    const char *path;
    int64_t announced, done; /* frames */
    int channels, bits;      /* 32: float */
};

static void put_little(unsigned char **at, uint32_t value, int size) {
    for (int i = 0; i < size; i++) *(*at)++ = (unsigned char) (value >> 8 * i);
}

static void put_tag(unsigned char **at, const char *tag) {
    memcpy(*at, tag, 4);
    *at += 4;
}

/* 44 bytes, or 58 with the fact chunk that float demands. An unknown length is written as 2^32 - 1. */
static void put_header(audio_stream *s, int rate) {
    unsigned char header[58], *at = header;
    const bool is_float = s->bits == 32;
    const int frame_bytes = s->channels * s->bits / 8;
    const uint32_t data = s->announced < 0 ? UINT32_MAX : (uint32_t) (s->announced * frame_bytes);
    const uint32_t head = is_float ? 50 : 36;
    put_tag(&at, "RIFF");
    put_little(&at, s->announced < 0 ? UINT32_MAX : data + head + data % 2, 4);
    put_tag(&at, "WAVE");
    put_tag(&at, "fmt ");
    put_little(&at, is_float ? 18 : 16, 4);
    put_little(&at, is_float ? 3 : 1, 2);
    put_little(&at, (uint32_t) s->channels, 2);
    put_little(&at, (uint32_t) rate, 4);
    put_little(&at, (uint32_t) (rate * frame_bytes), 4);
    put_little(&at, (uint32_t) frame_bytes, 2);
    put_little(&at, (uint32_t) s->bits, 2);
    if (is_float) {
        put_little(&at, 0, 2);
        put_tag(&at, "fact");
        put_little(&at, 4, 4);
        put_little(&at, s->announced < 0 ? UINT32_MAX : (uint32_t) s->announced, 4);
    }
    put_tag(&at, "data");
    put_little(&at, data, 4);
    writer_put(s->out, header, (size_t) (at - header));
}

audio_stream *audio_stream_open(const char *path, int64_t frames, int channels, int rate, audio_encoding encoding) {
    const form *f = check_form(path, frames, channels, rate, encoding);
    if (f != &forms[0])
        fail(HISS_ERROR_ARGUMENT, "%s: only .wav files and - are written while the sound is made", path);
    if (frames < 0 && strcmp(path, "-"))
        fail(HISS_ERROR_ARGUMENT, "%s: the length must be known to write a file as a stream", path);
    audio_stream *s = NEW(audio_stream);
    const int bits = encoding == AUDIO_PCM24 ? 24 : encoding == AUDIO_FLOAT ? 32 : 16;
    *s = (audio_stream){.path = copy_string(path), .announced = frames, .channels = channels, .bits = bits};
    s->out = writer_open(path);
    put_header(s, rate);
    return s;
}

void audio_stream_put(audio_stream *s, const float *samples, int64_t frames) {
    enum { CHUNK = 4096 };
    unsigned char chunk[4 * CHUNK];
    if (s->announced >= 0 && frames > s->announced - s->done)
        fail(HISS_ERROR_INTERNAL, "%s: more frames than the %lld announced", s->path, (long long) s->announced);
    check_written(s->path, samples, frames, s->channels);
    const int64_t values = frames * s->channels;
    for (int64_t first = 0; first < values; first += CHUNK) {
        const int64_t n = values - first < CHUNK ? values - first : CHUNK;
        unsigned char *at = chunk;
        for (int64_t i = 0; i < n; i++) {
            uint32_t word;
            if (s->bits == 32) memcpy(&word, samples + first + i, 4);
            else word = (uint32_t) quantise(samples[first + i], s->bits);
            put_little(&at, word, s->bits / 8);
        }
        writer_put(s->out, chunk, (size_t) (at - chunk));
    }
    s->done += frames;
}

void audio_stream_close(audio_stream *s) {
    if (s->announced >= 0 && s->done != s->announced)
        fail(HISS_ERROR_INTERNAL, "%s: %lld frames came where %lld were announced", s->path, (long long) s->done,
             (long long) s->announced);
    if (s->done * s->channels * (s->bits / 8) % 2) writer_put(s->out, "", 1); /* RIFF chunks have even sizes */
    writer_commit(s->out);
}
