/* Pictures of sounds. A panel is one sound drawn twice into two boxes under a common time axis. */
#include "signal/picture.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "signal/canvas.h"
#include "signal/edit.h"
#include "signal/mel.h"

static const colour paper = {252, 252, 253}, ink = {28, 30, 40}, dim = {112, 116, 130}, line = {206, 209, 217};
static const colour wave = {118, 92, 178}, wave_core = {78, 48, 138}, wave_back = {255, 255, 255};
enum { TITLE = 15, NAME = 12, LABEL = 10 }; /* heights of capitals, pixels */
static const double shown_db = 80;          /* from the loudest down to the darkest colour */

/* A mono sound with what its picture needs. */
typedef struct {
    const audio *mono;
    const tensor *levels; /* [frames, bands], ln of magnitude */
    float loudest;        /* of levels */
    float peak;           /* of the waveform */
} drawing;

/* Windows of about 46 ms (23 ms for one-shots), zero-padded so that narrow low bands find bins; frames about a pixel
 * apart. */
static drawing prepare(const audio *a, int width, int bands) {
    if (a->frames < 1) fail(HISS_ERROR_ARGUMENT, "a sound without samples cannot be drawn");
    drawing d = {.mono = audio_mix_down(a)};
    const double window_seconds = (double) a->frames / a->rate < 1.5 ? 0.023 : 0.046;
    int window = 64;
    while (window < window_seconds * a->rate * 0.75 && window < STFT_MAX_SIZE / 4) window *= 2;
    int64_t hop = a->frames / width;
    hop = hop < window / 16 ? window / 16 : hop > window / 2 ? window / 2 : hop;
    const stft_shape shape = {4 * window, window, (int) hop, STFT_CENTRED, true};
    const mel_front front = {.name = "picture",
                             .rate = a->rate,
                             .stft = shape,
                             .bands = bands,
                             .scale = MEL_HTK,
                             .area = true,
                             .unit_window = true,
                             .log = MEL_LN};
    d.peak = audio_peak(d.mono);
    audio *scaled = audio_copy(d.mono); /* lifts the sound above the front end's floor */
    for (int64_t i = 0; i < scaled->frames && d.peak > 0; i++) scaled->samples[i] *= 1e4f / d.peak;
    d.levels = mel_compute(&front, scaled->samples, scaled->frames);
    d.loudest = -INFINITY;
    const float back = d.peak > 0 ? logf(d.peak / 1e4f) : 0;
    for (int64_t i = 0; i < count(d.levels); i++) {
        f32(d.levels)[i] = d.peak > 0 ? f32(d.levels)[i] + back : -INFINITY;
        d.loudest = fmaxf(d.loudest, f32(d.levels)[i]);
    }
    return d;
}

/* The waveform between two times in samples: its extremes, lines between samples included. */
static void extremes(const audio *a, double from, double to, float *low, float *high, float *rms) {
    const int64_t last = a->frames - 1;
    *low = INFINITY;
    *high = -INFINITY;
    double square = 0;
    int64_t n = 0;
    const double ends[2] = {from, to};
    for (int i = 0; i < 2; i++) {
        const double t = ends[i] < 0 ? 0 : ends[i] > (double) last ? (double) last : ends[i];
        const int64_t k = (int64_t) t, next = k < last ? k + 1 : last;
        const float x = a->samples[k] + (a->samples[next] - a->samples[k]) * (float) (t - (double) k);
        *low = fminf(*low, x);
        *high = fmaxf(*high, x);
    }
    for (int64_t k = (int64_t) ceil(from); k <= last && (double) k < to; k++, n++) {
        *low = fminf(*low, a->samples[k]);
        *high = fmaxf(*high, a->samples[k]);
        square += (double) a->samples[k] * a->samples[k];
    }
    *rms = n > 1 ? (float) sqrt(square / (double) n) : 0;
}

/* seconds: the width of the box; the sound may be shorter. full: amplitude at its top. */
static void draw_waveform(canvas *c, box b, const drawing *d, double seconds, float full) {
    canvas_fill(c, b, wave_back, 1);
    const float middle = (float) b.y + (float) b.height / 2, half = (float) b.height / 2 - 2;
    canvas_fill(c, (box){b.x, b.y + b.height / 2, b.width, 1}, line, 1);
    const double step = seconds * d->mono->rate / b.width; /* samples a pixel */
    for (int x = 0; x < b.width && x * step < (double) d->mono->frames; x++) {
        float low, high, rms;
        extremes(d->mono, x * step, (x + 1) * step, &low, &high, &rms);
        const float top = middle - fminf(high / full, 1) * half, bottom = middle - fmaxf(low / full, -1) * half;
        canvas_column(c, b.x + x, top - 0.6f, bottom + 0.6f, wave, 1);
        const float core = fminf(rms / full, 1) * half;
        if (core > 0.5f && high > 0 && low < 0)
            canvas_column(c, b.x + x, fmaxf(middle - core, top), fminf(middle + core, bottom), wave_core, 0.85f);
    }
}

/* Level at a fractional band, the largest of the frames that the pixel covers. */
static float level_at(const drawing *d, double from_frame, double to_frame, double band) {
    const int64_t frames = d->levels->shape[0], bands = d->levels->shape[1];
    int64_t first = llround(from_frame), end = llround(to_frame);
    first = first < frames ? first : frames - 1;
    end = end <= first ? first + 1 : end < frames ? end : frames;
    const double within = band < 0 ? 0 : band > (double) (bands - 1) ? (double) (bands - 1) : band;
    const int64_t below = (int64_t) within, above = below + 1 < bands ? below + 1 : below;
    const float part = (float) (within - (double) below);
    float loudest = -INFINITY;
    for (int64_t f = first; f < end; f++) {
        const float *row = f32(d->levels) + f * bands;
        loudest = fmaxf(loudest, row[below] + (row[above] - row[below]) * part);
    }
    return loudest;
}

static void draw_spectrogram(canvas *c, box b, const drawing *d, double seconds, float loudest, const colour map[256]) {
    canvas_fill(c, b, map[0], 1);
    const double sound = (double) d->mono->frames / d->mono->rate;
    const double frames_a_second = (double) (d->levels->shape[0] - 1) / (sound > 0 ? sound : 1);
    const double step = seconds / b.width;
    for (int x = 0; x < b.width && x * step < sound; x++)
        for (int y = 0; y < b.height; y++) {
            const double band = (b.height - 0.5 - y) / b.height * (double) d->levels->shape[1] - 0.5;
            const float ln = level_at(d, x * step * frames_a_second, (x + 1) * step * frames_a_second, band);
            const double db = 20 / M_LN10 * (ln - loudest);
            const int shade = isfinite(db) ? (int) lrint(255 * fmin(fmax(1 + db / shown_db, 0), 1)) : 0;
            canvas_fill(c, (box){b.x + x, b.y + y, 1, 1}, map[shade], 1);
        }
}

/* 1, 2 or 5 times a power of ten, so that at most `most` steps fit into the range. */
static double nice_step(double range, int most) {
    const double rough = range / (most > 0 ? most : 1), power = pow(10, floor(log10(rough)));
    static const double steps[] = {1, 2, 5};
    for (size_t i = 0; i < 3; i++)
        if (steps[i] * power >= rough * 0.999) return steps[i] * power;
    return 10 * power;
}

static void time_axis(canvas *c, box b, double seconds) {
    const double step = nice_step(seconds, b.width / 64 > 1 ? b.width / 64 : 1);
    const int digits = step < 1 ? (int) ceil(-log10(step) - 1e-9) : 0, below = b.y + b.height;
    for (int i = 0; i * step <= seconds * 1.0001; i++) {
        const int x = b.x + (int) lrint(i * step / seconds * (b.width - 1));
        canvas_fill(c, (box){x, below + 1, 1, 5}, dim, 1);
        canvas_text(c, x, below + 10, LABEL, TEXT_MIDDLE, dim, format("%.*f", digits, i * step));
    }
    canvas_text(c, b.x + b.width, below + 27, LABEL, TEXT_RIGHT, dim, "time in s");
}

static void frequency_axis(canvas *c, box b, int rate) {
    static const int ticks[] = {100, 200, 500, 1000, 2000, 3000, 5000, 8000, 10000, 15000, 20000, 30000, 50000, 80000};
    const double top = mel_from_hz(MEL_HTK, rate / 2.0);
    int last = b.y + b.height + 100;
    for (size_t i = 0; i < sizeof ticks / sizeof *ticks && ticks[i] <= rate / 2; i++) {
        const int y = b.y + b.height - 1 - (int) lrint(mel_from_hz(MEL_HTK, ticks[i]) / top * (b.height - 1));
        if (last - y < 2 * LABEL || y < b.y + 2) continue;
        canvas_fill(c, (box){b.x - 6, y, 5, 1}, dim, 1);
        canvas_text(c, b.x - 9, y - LABEL / 2, LABEL, TEXT_RIGHT, dim, format("%d", ticks[i]));
        last = y;
    }
    canvas_text(c, b.x - 9, b.y - LABEL / 2 - 16, LABEL, TEXT_RIGHT, dim, "Hz");
}

static void amplitude_axis(canvas *c, box b, float full) {
    for (int i = -1; i <= 1; i++) {
        const int y = b.y + b.height / 2 - i * (b.height / 2 - 2);
        canvas_fill(c, (box){b.x - 6, y, 5, 1}, dim, 1);
        canvas_text(c, b.x - 9, y - LABEL / 2, LABEL, TEXT_RIGHT, dim, format("%g", (double) full * i));
    }
}

static void level_bar(canvas *c, box b, const colour map[256]) {
    for (int y = 0; y < b.height; y++)
        canvas_fill(c, (box){b.x, b.y + y, b.width, 1}, map[255 - 255 * y / (b.height - 1)], 1);
    canvas_frame(c, b, line);
    for (int db = 0; db <= shown_db; db += 20) {
        const int y = b.y + (int) lrint(db / shown_db * (b.height - 1));
        canvas_fill(c, (box){b.x + b.width + 1, y, 5, 1}, dim, 1);
        canvas_text(c, b.x + b.width + 10, y - LABEL / 2, LABEL, TEXT_LEFT, dim, format("%d", -db));
    }
    canvas_text(c, b.x + b.width + 10, b.y - LABEL / 2 - 16, LABEL, TEXT_LEFT, dim, "dB");
}

/* 1, 2 or 5 times a power of ten above the peak. */
static float nice_full(float peak) { return peak > 0 ? (float) nice_step(peak, 1) : 1; }

enum {
    LEFT = 74,
    RIGHT = 84,
    TOP = 52,
    BOTTOM = 56,
    WAVE_HEIGHT = 130,
    SPECTRUM_HEIGHT = 320,
    BETWEEN = 34,
    APART = 28
};

static void draw_columns(const char *path, const picture_column *columns, int n, int width, const char *title) {
    scope_begin();
    bool notes = false, names = false;
    drawing *d = NEW_ARRAY(drawing, n);
    double seconds = 0;
    float loudest = -INFINITY, peak = 0;
    int rate = 0;
    for (int i = 0; i < n; i++) {
        const audio *a = columns[i].sound;
        d[i] = prepare(a, width, SPECTRUM_HEIGHT / 2);
        seconds = fmax(seconds, (double) a->frames / a->rate);
        loudest = fmaxf(loudest, d[i].loudest);
        peak = fmaxf(peak, d[i].peak);
        names |= columns[i].title != NULL;
        notes |= columns[i].note != NULL;
        if (rate && rate != a->rate) fail(HISS_ERROR_ARGUMENT, "%s: the sounds differ in sample rate", path);
        rate = a->rate;
    }
    const int top = TOP + (names ? NAME + 10 : 0) + (notes ? NAME + 8 : 0) - (title ? 0 : 28);
    const int spectrum_top = top + WAVE_HEIGHT + BETWEEN;
    canvas *c = canvas_new(LEFT + n * width + (n - 1) * APART + RIGHT, spectrum_top + SPECTRUM_HEIGHT + BOTTOM, paper);
    colour map[256];
    colour_map(map);
    if (title) canvas_text(c, LEFT, 18, TITLE, TEXT_LEFT, ink, title);
    const float full = nice_full(peak);
    for (int i = 0; i < n; i++) {
        const int x = LEFT + i * (width + APART), text = title ? TOP - 4 : TOP - 32;
        const box above = {x, top, width, WAVE_HEIGHT}, below = {x, spectrum_top, width, SPECTRUM_HEIGHT};
        if (columns[i].title) canvas_text(c, x, text, NAME, TEXT_LEFT, ink, columns[i].title);
        if (columns[i].note) canvas_text(c, x, text + NAME + 8, NAME, TEXT_LEFT, dim, columns[i].note);
        draw_waveform(c, above, &d[i], seconds, full);
        canvas_frame(c, above, line);
        draw_spectrogram(c, below, &d[i], seconds, loudest, map);
        canvas_frame(c, below, line);
        time_axis(c, below, seconds);
        if (i == 0) {
            amplitude_axis(c, above, full);
            frequency_axis(c, below, rate);
        }
    }
    level_bar(c, (box){c->width - RIGHT + 18, spectrum_top, 14, SPECTRUM_HEIGHT}, map);
    canvas_write(c, path);
    scope_end();
}

void picture_sound(const char *path, const audio *a, const char *title) {
    const picture_column column = {.sound = a};
    draw_columns(path, &column, 1, 900, title);
}

void picture_columns(const char *path, const picture_column *columns, int count, const char *title) {
    if (count < 1 || count > PICTURE_MAX_COLUMNS)
        fail(HISS_ERROR_ARGUMENT, "%s: %d columns: 1 to %d can be drawn", path, count, PICTURE_MAX_COLUMNS);
    draw_columns(path, columns, count, count == 1 ? 900 : count == 2 ? 460 : count <= 4 ? 300 : 220, title);
}

enum { CELL_WIDTH = 168, CELL_WAVE = 34, CELL_SPECTRUM = 84, CELL_APART = 12 };

void picture_grid(const char *path, const audio *const *sounds, int rows, int columns, const char *const *row_names,
                  const char *const *column_names, const char *title) {
    if (rows < 1 || rows > PICTURE_MAX_ROWS || columns < 1 || columns > PICTURE_MAX_COLUMNS)
        fail(HISS_ERROR_ARGUMENT, "%s: %d rows of %d sounds: at most %d of %d can be drawn", path, rows, columns,
             PICTURE_MAX_ROWS, PICTURE_MAX_COLUMNS);
    scope_begin();
    int left = 20;
    for (int r = 0; row_names && r < rows; r++) {
        const int wide = row_names[r] ? text_width(row_names[r], NAME) + 36 : 0;
        left = wide > left ? wide : left;
    }
    double seconds = 0;
    for (int i = 0; i < rows * columns; i++)
        if (sounds[i]) seconds = fmax(seconds, (double) sounds[i]->frames / sounds[i]->rate);
    const int top = (title ? 50 : 18) + (column_names ? NAME + 12 : 0), cell = CELL_WAVE + CELL_SPECTRUM + 2;
    canvas *c =
        canvas_new(left + columns * (CELL_WIDTH + CELL_APART) + 12, top + rows * (cell + CELL_APART) + 40, paper);
    colour map[256];
    colour_map(map);
    if (title) canvas_text(c, 20, 18, TITLE, TEXT_LEFT, ink, title);
    for (int i = 0; i < rows * columns; i++) {
        const int row = i / columns, column = i % columns;
        const int x = left + column * (CELL_WIDTH + CELL_APART), y = top + row * (cell + CELL_APART);
        const box above = {x, y, CELL_WIDTH, CELL_WAVE}, below = {x, y + CELL_WAVE + 2, CELL_WIDTH, CELL_SPECTRUM};
        if (row == 0 && column_names && column_names[column])
            canvas_text(c, x, top - NAME - 10, NAME, TEXT_LEFT, dim, column_names[column]);
        if (column == 0 && row_names && row_names[row])
            canvas_text(c, left - 16, y + (cell - NAME) / 2, NAME, TEXT_RIGHT, ink, row_names[row]);
        if (sounds[i] && sounds[i]->frames > 0) {
            scope_begin();
            const drawing d = prepare(sounds[i], CELL_WIDTH, CELL_SPECTRUM);
            draw_waveform(c, above, &d, seconds, d.peak > 0 ? d.peak : 1);
            draw_spectrogram(c, below, &d, seconds, d.loudest, map);
            scope_end();
        }
        canvas_frame(c, above, line);
        canvas_frame(c, below, line);
        if (row == rows - 1 && seconds > 0) {
            canvas_text(c, x, y + cell + 8, LABEL, TEXT_LEFT, dim, "0");
            canvas_text(c, x + CELL_WIDTH, y + cell + 8, LABEL, TEXT_RIGHT, dim, format("%.3g s", seconds));
        }
    }
    canvas_write(c, path);
    scope_end();
}
