/* Canvas, text and PNG. Glyphs are doubled twice with corners followed (the rule of Scale2x), then averaged down to the
 * wanted height, so that small text is smooth. */
#include "signal/canvas.h"

#include <math.h>
#include <png.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"
#include "signal/font.h"

canvas *canvas_new(int width, int height, colour background) {
    if (width < 1 || height < 1 || width > CANVAS_MAX_SIDE || height > CANVAS_MAX_SIDE)
        fail(HISS_ERROR_ARGUMENT, "a picture of %d x %d pixels: sides of 1 to %d are possible; draw fewer sounds",
             width, height, CANVAS_MAX_SIDE);
    canvas *c = NEW(canvas);
    *c = (canvas){width, height, alloc(sizeof(colour) * (size_t) width * (size_t) height)};
    for (int64_t i = 0; i < (int64_t) width * height; i++) c->pixels[i] = background;
    return c;
}

static uint8_t blend(uint8_t under, uint8_t over, float cover) {
    return (uint8_t) lrintf((float) under + ((float) over - (float) under) * cover);
}

static void paint(canvas *c, int x, int y, colour with, float cover) {
    if (x < 0 || y < 0 || x >= c->width || y >= c->height || cover <= 0) return;
    colour *p = &c->pixels[(int64_t) y * c->width + x];
    cover = cover < 1 ? cover : 1;
    *p = (colour){blend(p->r, with.r, cover), blend(p->g, with.g, cover), blend(p->b, with.b, cover)};
}

void canvas_fill(canvas *c, box where, colour with, float cover) {
    for (int y = where.y; y < where.y + where.height; y++)
        for (int x = where.x; x < where.x + where.width; x++) paint(c, x, y, with, cover);
}

void canvas_column(canvas *c, int x, float top, float bottom, colour with, float cover) {
    for (int y = (int) floorf(top); (float) y < bottom; y++) {
        const float inside = fminf(bottom, (float) y + 1) - fmaxf(top, (float) y);
        paint(c, x, y, with, inside * cover);
    }
}

void canvas_frame(canvas *c, box b, colour with) {
    canvas_fill(c, (box){b.x - 1, b.y - 1, b.width + 2, 1}, with, 1);
    canvas_fill(c, (box){b.x - 1, b.y + b.height, b.width + 2, 1}, with, 1);
    canvas_fill(c, (box){b.x - 1, b.y, 1, b.height}, with, 1);
    canvas_fill(c, (box){b.x + b.width, b.y, 1, b.height}, with, 1);
}

enum { FINE = 4, FINE_WIDTH = FINE * GLYPH_WIDTH, FINE_HEIGHT = FINE * GLYPH_HEIGHT };

static bool pixel(const uint8_t *from, int width, int height, int x, int y) {
    return x >= 0 && y >= 0 && x < width && y < height && from[y * width + x];
}

/* Each pixel becomes four; a corner takes the colour of its two neighbours where these agree and the others do not. */
static void double_pixels(const uint8_t *from, int width, int height, uint8_t *to) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const bool here = from[y * width + x], up = pixel(from, width, height, x, y - 1);
            const bool down = pixel(from, width, height, x, y + 1), left = pixel(from, width, height, x - 1, y);
            const bool right = pixel(from, width, height, x + 1, y);
            uint8_t *out = to + 4 * y * width + 2 * x;
            out[0] = left == up && left != down && up != right ? up : here;
            out[1] = up == right && up != left && right != down ? right : here;
            out[2 * width] = left == down && left != up && down != right ? left : here;
            out[2 * width + 1] = down == right && down != left && right != up ? right : here;
        }
}

/* A glyph's outline on a grid FINE times as fine. Returns its first and last used columns in coarse pixels. */
static void fine_glyph(int code, uint8_t fine[FINE_WIDTH * FINE_HEIGHT], int *left, int *right) {
    uint8_t coarse[GLYPH_WIDTH * GLYPH_HEIGHT], middle[4 * GLYPH_WIDTH * GLYPH_HEIGHT];
    *left = GLYPH_WIDTH;
    *right = -1;
    for (int y = 0; y < GLYPH_HEIGHT; y++)
        for (int x = 0; x < GLYPH_WIDTH; x++) {
            const bool on = glyphs[code][y] >> (GLYPH_WIDTH - 1 - x) & 1;
            coarse[y * GLYPH_WIDTH + x] = on;
            if (on && x < *left) *left = x;
            if (on && x > *right) *right = x;
        }
    double_pixels(coarse, GLYPH_WIDTH, GLYPH_HEIGHT, middle);
    double_pixels(middle, 2 * GLYPH_WIDTH, 2 * GLYPH_HEIGHT, fine);
    if (*right < 0) { /* the space */
        *left = 0;
        *right = 1;
    }
}

/* Share of a pixel that the glyph covers: `scale` pixels to a coarse one. */
static float glyph_cover(const uint8_t *fine, float x, float y, float scale) {
    enum { SAMPLES = 6 };
    int hits = 0;
    for (int j = 0; j < SAMPLES; j++)
        for (int i = 0; i < SAMPLES; i++) {
            const float fx = (x + ((float) i + 0.5f) / SAMPLES) / scale * FINE;
            const float fy = (y + ((float) j + 0.5f) / SAMPLES) / scale * FINE;
            hits += pixel(fine, FINE_WIDTH, FINE_HEIGHT, (int) floorf(fx), (int) floorf(fy));
        }
    return (float) hits / (SAMPLES * SAMPLES);
}

/* The next character's glyph; skips the following bytes of a UTF-8 character. */
static int next_glyph(const char **text) {
    const unsigned char first = (unsigned char) *(*text)++;
    while (first >= 0xc0 && ((unsigned char) **text & 0xc0) == 0x80) ++*text;
    const bool known = first >= GLYPH_FIRST && first < GLYPH_FIRST + GLYPHS;
    return (known ? first : '?') - GLYPH_FIRST;
}

/* Draws, or with c NULL only measures. */
static float put_text(canvas *c, float x, int y, int height, colour with, const char *text) {
    const float scale = (float) height / GLYPH_CAPITAL, start = x;
    uint8_t fine[FINE_WIDTH * FINE_HEIGHT];
    while (*text) {
        int left, right;
        fine_glyph(next_glyph(&text), fine, &left, &right);
        const float origin = x - (float) left * scale;
        const int first = (int) floorf(x), last = (int) ceilf(origin + (float) (right + 1) * scale);
        for (int row = 0; c && row < (int) ceilf(GLYPH_HEIGHT * scale); row++)
            for (int column = first; column <= last; column++)
                paint(c, column, y + row, with, glyph_cover(fine, (float) column - origin, (float) row, scale));
        x += ((float) (right - left + 1) + 1.15f) * scale;
    }
    return x > start ? x - start - 1.15f * scale : 0;
}

int text_width(const char *text, int height) { return (int) ceilf(put_text(NULL, 0, 0, height, (colour){0}, text)); }

int canvas_text(canvas *c, int x, int y, int height, text_place place, colour with, const char *text) {
    const int width = text_width(text, height);
    const int left = place == TEXT_LEFT ? x : place == TEXT_MIDDLE ? x - width / 2 : x - width;
    put_text(c, (float) left, y, height, with, text);
    return width;
}

static uint8_t encode_srgb(double linear) {
    const double x = linear < 0 ? 0 : linear > 1 ? 1 : linear;
    return (uint8_t) lrint(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055));
}

/* Oklab (Ottosson 2020) to sRGB. */
static colour from_oklab(double lightness, double a, double b) {
    const double l = pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
    const double m = pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
    const double s = pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
    return (colour){encode_srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
                    encode_srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
                    encode_srgb(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

void colour_map(colour map[256]) {
    for (int i = 0; i < 256; i++) {
        const double t = i / 255.0, hue = (285 + 175 * pow(t, 1.15)) * M_PI / 180; /* violet, red, orange, yellow */
        const double chroma = 0.02 + 0.165 * pow(sin(M_PI * pow(t, 0.9)), 0.8) + 0.03 * t;
        map[i] = from_oklab(0.10 + 0.87 * t, chroma * cos(hue), chroma * sin(hue));
    }
}

typedef struct {
    png_structp png;
    png_infop info;
} png_writer;

static void destroy_png(void *handle) {
    png_writer *w = handle;
    png_destroy_write_struct(&w->png, &w->info);
}

static void on_png_error(png_structp png, png_const_charp message) {
    fail(HISS_ERROR_FILE, "%s: cannot be drawn (%s)", (const char *) png_get_error_ptr(png), message);
}

static void on_png_warning(png_structp png, png_const_charp message) {
    (void) png;
    (void) message;
}

static void put_png(png_structp png, png_bytep data, size_t size) { writer_put(png_get_io_ptr(png), data, size); }

static void flush_png(png_structp png) { (void) png; }

void canvas_write(const canvas *c, const char *path) {
    scope_begin();
    writer *out = writer_open(path);
    png_writer *w = NEW(png_writer);
    w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, (void *) (uintptr_t) path, on_png_error, on_png_warning);
    if (!w->png) fail(HISS_ERROR_MEMORY, "%s: no memory for the PNG encoder", path);
    defer(destroy_png, w);
    w->info = png_create_info_struct(w->png);
    if (!w->info) fail(HISS_ERROR_MEMORY, "%s: no memory for the PNG encoder", path);
    png_set_write_fn(w->png, out, put_png, flush_png);
    png_set_IHDR(w->png, w->info, (png_uint_32) c->width, (png_uint_32) c->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_sRGB_gAMA_and_cHRM(w->png, w->info, PNG_sRGB_INTENT_PERCEPTUAL);
    png_write_info(w->png, w->info);
    for (int y = 0; y < c->height; y++) png_write_row(w->png, (png_const_bytep) (c->pixels + (int64_t) y * c->width));
    png_write_end(w->png, w->info);
    writer_commit(out);
    scope_end();
}
