/* Sounds: read from and written to files (libsndfile), resampled (soxr), channels picked or mixed.
 *
 * Stated treatment of unusual sounds: any number of channels up to AUDIO_MAX_CHANNELS is read as it is (mix or pick
 * them afterwards); a sound may be as short as one sample; values beyond +-1 are kept. Refused with a message that
 * names the file: no samples at all, NaN or infinite samples, values beyond +-AUDIO_MAX_VALUE (a damaged file), rates
 * outside AUDIO_MIN_RATE .. AUDIO_MAX_RATE, more than AUDIO_MAX_VALUES values. */
#ifndef HISS_SIGNAL_AUDIO_H
#define HISS_SIGNAL_AUDIO_H

#include <stddef.h>
#include <stdint.h>

#define AUDIO_MAX_VALUE 1e6f
enum {
    AUDIO_MAX_CHANNELS = 64,
    AUDIO_MIN_RATE = 1000,
    AUDIO_MAX_RATE = 768000,
    AUDIO_MAX_VALUES = 1 << 29 /* frames times channels: 2 GiB of samples */
};

/* A sound, interleaved like every tensor: samples [frames, channels], +-1 is full scale. A frame is one sample of each
 * channel. */
typedef struct {
    float *samples;
    int64_t frames;
    int channels;
    int rate; /* hz */
} audio;

typedef enum { AUDIO_BY_NAME, AUDIO_PCM16, AUDIO_PCM24, AUDIO_FLOAT, AUDIO_ENCODINGS } audio_encoding;
/* "16", "24" or "float", as users type it; fails with the list on anything else. */
audio_encoding audio_encoding_named(const char *name);

/* A sound in the current scope, samples undefined. Fails on sizes beyond the bounds above. */
audio *audio_new(int64_t frames, int channels, int rate);
audio *audio_copy(const audio *a);

/* The whole file, whatever libsndfile reads (WAV, FLAC, Ogg, MP3, AIFF, ...). */
audio *audio_read(const char *path);
/* The same from memory; name: for messages. */
audio *audio_read_memory(const void *data, size_t size, const char *name);

/* Writes the whole sound, or nothing under that name. The extension names the form: .wav (16 bit unless said
 * otherwise), .flac (16 or 24 bit; 24 where float is asked for), .ogg (Vorbis), .aiff; "-" is WAV on standard output.
 * Samples beyond full scale are clipped, in float files kept. Reading a 16-bit file and writing it gives the same
 * samples. */
void audio_write(const char *path, const audio *a, audio_encoding encoding);
/* Fails now if audio_write could not write such a file: unknown extension, too many channels or frames for the form,
 * a folder that is missing or read-only. Call it before long work. */
void audio_check_writable(const char *path, int64_t frames, int channels, int rate, audio_encoding encoding);

/* A WAV file or WAV on standard output ("-"), written while the sound is made. frames: the length if known, else -1 (on
 * standard output the header then says "as long as it lasts", as ffmpeg and sox do). */
typedef struct audio_stream audio_stream;
audio_stream *audio_stream_open(const char *path, int64_t frames, int channels, int rate, audio_encoding encoding);
void audio_stream_put(audio_stream *s, const float *samples, int64_t frames);
/* Ends the file and gives it its name. Fails if fewer or more frames came than were announced. */
void audio_stream_close(audio_stream *s);

/* New sounds in the current scope. */
audio *audio_mix_down(const audio *a);             /* mono: the mean of the channels */
audio *audio_channel(const audio *a, int channel); /* one channel, from 0 */
audio *audio_cut(const audio *a, int64_t first, int64_t frames);
/* Band-limited resampling (soxr, high quality, linear phase): ceil(frames * rate / a->rate) frames, aligned in time.
 * The same rate gives a copy. */
audio *audio_resample(const audio *a, int rate);

#endif
