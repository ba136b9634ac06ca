/* Cases of levels and rates: loudness and peaks, what sets levels before writing, resampling. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parity.h"
#include "signal/edit.h"
#include "signal/sinc.h"

/* A recording stored as [channels, samples] times 32768, once for each of the gains. */
static audio *repeated(const tensor *stored, const double *gains, size_t gain_count, int rate) {
    const int64_t channels = stored->shape[0], T = stored->shape[1];
    audio *a = audio_new(T * (int64_t) gain_count, (int) channels, rate);
    for (int64_t i = 0; i < a->frames; i++)
        for (int64_t k = 0; k < channels; k++)
            a->samples[i * channels + k] = (float) (gains[i / T] * f32(stored)[k * T + i % T] / 32768);
    return a;
}

static void run_loudness(parity_case *c) {
    const config runs = config_get(parity_info(c), "runs");
    const char *name;
    json_t *value;
    json_object_foreach(runs.value, name, value) {
        const config r = config_get(runs, name);
        size_t gain_count, peaks;
        const double *gains = config_numbers(r, "gains", 64, &gain_count);
        const double *peak = config_numbers(r, "true_peak", 64, &peaks);
        const audio *a =
            repeated(parity_in_f32(c, name), gains, gain_count, (int) config_need_int(r, "rate", 1, 1 << 20));
        tensor *lufs = tensor_new(F32, SHAPE(1));
        *f32(lufs) = (float) loudness(a);
        parity_out(c, format("%s_lufs", name), lufs);
        const double range = fabs(loudness_range(a) - config_number(r, "range_lu", 0, 0, 100));
        if (a->frames > 3 * a->rate) parity_figure(c, format("%s range, LU", name), range, 0.5);
        for (size_t i = 0; i < peaks; i++) {
            const double over = decibel(true_peak(audio_channel(a, (int) i)) / peak[i]);
            parity_figure(c, format("%s peak %zu, dB", name, i), fmax(over / 0.2, -over / 0.4), 1);
        }
    }
}

static void run_resamplers(parity_case *c) {
    static const struct {
        const char *name;
        const sinc_filter *filter;
        int from, to;
    } ROWS[] = {{"default_44100_16000", &SINC_TORCHAUDIO, 44100, 16000},
                {"default_16000_48000", &SINC_TORCHAUDIO, 16000, 48000},
                {"default_44100_32000", &SINC_TORCHAUDIO, 44100, 32000},
                {"fadtk_44100_16000", &SINC_FADTK, 44100, 16000},
                {"fadtk_22050_48000", &SINC_FADTK, 22050, 48000},
                {"melody_44100_32000", &SINC_MELODY, 44100, 32000},
                {"julius_44100_32000", &SINC_JULIUS, 44100, 32000},
                {"julius_16000_24000", &SINC_JULIUS, 16000, 24000}};
    const tensor *x = parity_in_f32(c, "x");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        audio *a = audio_new(count(x), 1, ROWS[i].from);
        for (int64_t k = 0; k < count(x); k++) a->samples[k] = f32(x)[k] / 32768;
        const audio *b = sinc_resample(a, ROWS[i].to, ROWS[i].filter);
        parity_out(c, ROWS[i].name, tensor_wrap(F32, SHAPE(b->frames), b->samples));
    }
}

/* --- levels before writing, as audiocraft sets them --- */

typedef struct {
    double b[3], a[3];
} cookbook;

/* Bristow-Johnson's shelf and high-pass, as torchaudio's treble_biquad and highpass_biquad have them. */
static cookbook treble(double hz, double decibels, double q, int rate) {
    const double w = 2 * M_PI * hz / rate, A = pow(10, decibels / 40), up = A + 1, down = A - 1, turn = cos(w);
    const double wide = 2 * sqrt(A) * sin(w) / 2 / q;
    return (cookbook){{A * (up + down * turn + wide), -2 * A * (down + up * turn), A * (up + down * turn - wide)},
                      {up - down * turn + wide, 2 * (down - up * turn), up - down * turn - wide}};
}

static cookbook high_pass(double hz, double q, int rate) {
    const double w = 2 * M_PI * hz / rate, turn = cos(w), wide = sin(w) / 2 / q;
    return (cookbook){{(1 + turn) / 2, -1 - turn, (1 + turn) / 2}, {1 + wide, -2 * turn, 1 - wide}};
}

/* Clipped to +-1 afterwards, as torchaudio's filters do. */
static void run_filter(const cookbook *f, double *x, int64_t n) {
    double s[2] = {0};
    for (int64_t i = 0; i < n; i++) {
        const double in = x[i], y = (f->b[0] * in + s[0]) / f->a[0];
        s[0] = f->b[1] * in - f->a[1] * y + s[1];
        s[1] = f->b[2] * in - f->a[2] * y;
        x[i] = y;
    }
    for (int64_t i = 0; i < n; i++) x[i] = fmax(-1, fmin(1, x[i]));
}

static double mean_above(const double *energy, int64_t n, double gate) {
    double sum = 0;
    int64_t above = 0;
    for (int64_t i = 0; i < n; i++)
        if (-0.691 + 10 * log10(energy[i]) > gate) {
            sum += energy[i];
            above++;
        }
    return -0.691 + 10 * log10(sum / (double) above);
}

/* torchaudio's loudness, LKFS: another number than BS.1770's (its filters are others, and clip). One or two channels. */
static double torchaudio_loudness(const audio *a) {
    enum { BLOCKS_A_GATE = 4 };
    const int64_t gate = lrint(0.4 * a->rate), step = gate / BLOCKS_A_GATE;
    const int64_t blocks = a->frames < gate ? 0 : 1 + (a->frames - gate) / step;
    const cookbook shelf = treble(1500, 4, M_SQRT1_2, a->rate), cut = high_pass(38, 0.5, a->rate);
    double *energy = NEW_ARRAY(double, blocks), *x = NEW_ARRAY(double, a->frames);
    for (int c = 0; c < a->channels; c++) {
        for (int64_t i = 0; i < a->frames; i++) x[i] = a->samples[i * a->channels + c];
        run_filter(&shelf, x, a->frames);
        run_filter(&cut, x, a->frames);
        for (int64_t b = 0; b < blocks; b++)
            for (int64_t i = 0; i < gate; i++) energy[b] += x[b * step + i] * x[b * step + i] / (double) gate;
    }
    return mean_above(energy, blocks, fmax(-70, mean_above(energy, blocks, -70) - 10));
}

static double channel_mean_rms(const audio *a) {
    const audio *mono = audio_mix_down(a);
    double square = 0;
    for (int64_t i = 0; i < mono->frames; i++) square += (double) mono->samples[i] * mono->samples[i];
    return sqrt(square / (double) mono->frames);
}

/* A copy times `factor`, through tanh where asked, clipped. */
static audio *changed(const audio *from, double factor, bool compress, double clip) {
    audio *a = audio_copy(from);
    for (int64_t i = 0; i < a->frames * a->channels; i++) {
        const double y = factor * a->samples[i];
        a->samples[i] = (float) fmax(-clip, fmin(clip, compress ? tanh(y) : y));
    }
    return a;
}

/* Samples 4000 to 6999, [channels, 3000]; times `factor`, of that type. */
static void out_shown(parity_case *c, const char *name, const audio *a, float factor, dtype type) {
    enum { FIRST = 4000, SHOWN = 3000 };
    tensor *t = tensor_new(F32, SHAPE(a->channels, SHOWN));
    for (int64_t k = 0; k < a->channels; k++)
        for (int64_t i = 0; i < SHOWN; i++) f32(t)[k * SHOWN + i] = a->samples[(FIRST + i) * a->channels + k] * factor;
    parity_out(c, name, tensor_convert(t, type));
}

static void remove_file(void *path) { unlink(path); }

/* Written to a file in 16 bits and read again. */
static audio *through_pcm16(const audio *a) {
    char *path = copy_string("/tmp/hiss-parity-XXXXXX.wav");
    const int file = mkstemps(path, 4);
    if (file < 0) fail(HISS_ERROR_FILE, "%s: no file can be made there", path);
    close(file);
    defer(remove_file, path);
    audio_write(path, a, AUDIO_PCM16);
    return audio_read(path);
}

static void run_levels(parity_case *c) {
    const double louder = config_number(parity_info(c), "gain", 1, 0, 100), full = amplitude_of(-1);
    const audio *a = repeated(parity_in_f32(c, "x"), &louder, 1, 44100);
    audio *peak = audio_copy(a), *left = audio_channel(a, 0);
    normalise_peak(peak, -1);
    normalise_peak(left, -1);
    out_shown(c, "peak", peak, 1, F32);
    out_shown(c, "peak_minus_1", left, 1, F32);
    out_shown(c, "clip", changed(a, 1, false, full), 1, F32);
    out_shown(c, "rms", changed(a, amplitude_of(-18) / channel_mean_rms(a), false, 1), 1, F32);
    const double to_loudness = amplitude_of(-14 - torchaudio_loudness(a));
    out_shown(c, "loudness", changed(a, to_loudness, false, 1), 1, F32);
    out_shown(c, "loudness_compressor", changed(a, to_loudness, true, 1), 1, F32);
    audio *whole = changed(a, 1 / (double) audio_peak(a), false, 1);
    float highest = 0; /* 32768 would not fit: then 32767 is full scale; -32768 fits */
    for (int64_t i = 0; i < whole->frames * whole->channels; i++) highest = fmaxf(highest, whole->samples[i]);
    if (highest * 32768 > 32767) whole = changed(whole, 32767.0 / 32768, false, 1);
    out_shown(c, "pcm16", through_pcm16(whole), 32768, I16);
}

/* --- the quality of audio_resample --- */

typedef struct {
    double gain_db, rest_db, late; /* of a sine: how loud it comes out, all else, delay in samples */
} sine_response;

/* A full-scale sine of a second, away from its ends. */
static sine_response respond(int from, int to, double hz) {
    audio *a = audio_new(from, 1, from);
    for (int64_t i = 0; i < from; i++) a->samples[i] = (float) sin(2 * M_PI * hz * (double) i / from);
    const audio *b = audio_resample(a, to);
    const int64_t first = b->frames / 4, n = b->frames / 2;
    double ss = 0, sc = 0, cc = 0, ys = 0, yc = 0, rest = 0;
    for (int64_t i = 0; i < n; i++) {
        const double turn = 2 * M_PI * hz * (double) (first + i) / to, s = sin(turn), c = cos(turn);
        ss += s * s;
        sc += s * c;
        cc += c * c;
        ys += b->samples[first + i] * s;
        yc += b->samples[first + i] * c;
    }
    const bool heard = hz < fmin(from, to) / 2;
    const double p = heard ? (ys * cc - yc * sc) / (ss * cc - sc * sc) : 0;
    const double q = heard ? (yc * ss - ys * sc) / (ss * cc - sc * sc) : 0;
    for (int64_t i = 0; i < n; i++) {
        const double turn = 2 * M_PI * hz * (double) (first + i) / to;
        rest += pow(b->samples[first + i] - p * sin(turn) - q * cos(turn), 2);
    }
    return (sine_response){decibel(hypot(p, q)), decibel(sqrt(2 * rest / (double) n)),
                           -atan2(q, p) / (2 * M_PI * hz) * to};
}

static void check_rates(parity_case *c, int from, int to, config required) {
    static const double PASSED[] = {0.05, 0.3, 0.5, 0.8, 0.88, 1}, STOPPED[] = {1, 1.1, 1.5};
    const double lower = fmin(from, to) / 2, edge = config_number(required, "passband_edge", 0.9, 0, 1);
    const double stop = config_number(required, "stopband_edge", 1.1, 1, 2);
    double ripple = 0, rest = -INFINITY, late = 0, through = -INFINITY;
    for (size_t i = 0; i < sizeof PASSED / sizeof *PASSED; i++) {
        const sine_response r = respond(from, to, PASSED[i] * edge * lower);
        ripple = fmax(ripple, fabs(r.gain_db));
        rest = fmax(rest, r.rest_db);
        late = fmax(late, fabs(r.late));
    }
    for (size_t i = 0; i < sizeof STOPPED / sizeof *STOPPED; i++)
        if (STOPPED[i] * stop * lower < from / 2.0)
            through = fmax(through, respond(from, to, STOPPED[i] * stop * lower).rest_db);
    const char *rates = format("%d to %d", from, to);
    parity_figure(c, format("%s, dB off", rates), ripple, config_number(required, "passband_db", 0.01, 0, 1));
    parity_figure(c, format("%s, images dB", rates), rest, config_number(required, "images_db", -100, -200, 0));
    parity_figure(c, format("%s, delay", rates), late, 1e-3);
    if (isfinite(through))
        parity_figure(c, format("%s, aliases dB", rates), through,
                      config_number(required, "stopband_db", -100, -200, 0));
    const int64_t length = audio_resample(audio_new(12345, 1, from), to)->frames;
    parity_figure(c, format("%s, length", rates), fabs((double) length - 12345.0 * to / from), 1);
}

static void run_quality(parity_case *c) {
    const tensor *x = parity_in_f32(c, "x");
    const double one = 1;
    const int64_t shown = parity_expected(c, "y")->shape[0];
    const audio *y = audio_resample(repeated(tensor_wrap(F32, SHAPE(1, count(x)), x->data), &one, 1, 44100), 16000);
    parity_out(c, "y", tensor_wrap(F32, SHAPE(shown), y->samples));
    const config measured = config_get(parity_info(c), "measured");
    for (size_t i = 0; i < config_count(measured); i++) {
        const config m = config_at(measured, i);
        check_rates(c, (int) config_need_int(m, "from", 1000, 768000), (int) config_need_int(m, "to", 1000, 768000),
                    config_get(parity_info(c), "required"));
    }
}

const parity_row PARITY_LEVELS[] = {{"signal", "loudness and peaks", run_loudness},
                                    {"signal", "levels", run_levels},
                                    {"signal", "resampling by formula", run_resamplers},
                                    {"signal", "resampling quality", run_quality},
                                    {0}};
