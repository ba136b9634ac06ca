/* Pictures: that every kind is written whole, with the right size, for usual and unusual sounds; that bad requests
 * fail; that the colour map rises evenly. */
#include "folder.h"
#include "test.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "signal/canvas.h"
#include "signal/picture.h"

static audio *tone(int64_t frames, int channels, int rate, double amplitude) {
    audio *a = audio_new(frames, channels, rate);
    for (int64_t i = 0; i < frames * channels; i++)
        a->samples[i] = (float) (amplitude * cos(2 * M_PI * 440 * (double) (i / channels) / rate));
    return a;
}

/* Reads a PNG back as [height, width, 3]. */
static uint8_t *read_png(const char *path, int *width, int *height) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_RGB;
    uint8_t *pixels = alloc(PNG_IMAGE_SIZE(image));
    assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
    *width = (int) image.width;
    *height = (int) image.height;
    return pixels;
}

static void test_canvas(void **state) {
    (void) state;
    scope_begin();
    canvas *c = canvas_new(40, 20, (colour){255, 255, 255});
    canvas_fill(c, (box){30, 10, 100, 100}, (colour){10, 20, 30}, 1); /* reaches over the edge */
    canvas_fill(c, (box){-5, -5, 6, 6}, (colour){0, 0, 0}, 0.5f);
    canvas_text(c, -3, 2, 9, TEXT_LEFT, (colour){0, 0, 0}, "\xc3\xa4~\x01 overlong text that leaves the canvas");
    canvas_write(c, in_folder("canvas.png"));
    int width, height;
    const uint8_t *pixels = read_png(in_folder("canvas.png"), &width, &height);
    assert_int_equal(width, 40);
    assert_int_equal(height, 20);
    assert_int_equal(pixels[(19 * 40 + 39) * 3 + 2], 30);
    assert_int_equal(pixels[0], 128);
    assert_int_equal(text_width("", 10), 0);
    assert_true(text_width("iiii", 10) < text_width("mmmm", 10));
    scope_end();
}

static void test_colours(void **state) {
    (void) state;
    colour map[256];
    colour_map(map);
    double before = -1;
    for (int i = 0; i < 256; i++) {
        const double luma = 0.2126 * map[i].r + 0.7152 * map[i].g + 0.0722 * map[i].b;
        assert_true(luma >= before - 0.75); /* 8-bit steps */
        before = luma > before ? luma : before;
    }
    assert_true(before > 230 && map[0].r + map[0].g + map[0].b < 20);
}

static void test_sounds(void **state) {
    (void) state;
    static const struct {
        int64_t frames;
        int channels, rate;
        double amplitude;
    } sounds[] = {
        {44100, 2, 44100, 0.5}, {3, 1, 22050, 0.5}, {1, 8, 1000, 1}, {2000, 1, 8000, 0}, {5000, 1, 192000, 1e5}};
    for (size_t i = 0; i < sizeof sounds / sizeof *sounds; i++) {
        scope_begin();
        const audio *a = tone(sounds[i].frames, sounds[i].channels, sounds[i].rate, sounds[i].amplitude);
        picture_sound(in_folder("sound.png"), a, i % 2 ? NULL : "title");
        int width, height;
        const uint8_t *pixels = read_png(in_folder("sound.png"), &width, &height);
        assert_true(width > 900 && height > 400);
        int bright = 0; /* in the spectrogram: the tone is there, silence is dark */
        for (int y = height - 300; y < height - 60; y++)
            for (int x = 200; x < 800; x += 50) bright += pixels[(y * width + x) * 3] > 200;
        assert_true(sounds[i].amplitude > 0 ? bright > 0 : bright == 0);
        scope_end();
    }
}

static void test_columns_and_grids(void **state) {
    (void) state;
    scope_begin();
    const audio *a = tone(8000, 1, 16000, 0.3);
    const picture_column columns[3] = {
        {a, "step 0", "SNR 40 dB"}, {tone(4000, 1, 16000, 1), NULL, NULL}, {a, "x", NULL}};
    picture_columns(in_folder("columns.png"), columns, 3, "title");
    const audio *cells[4] = {a, NULL, NULL, a};
    const char *rows[2] = {"kick", NULL}, *names[2] = {"real", "generated"};
    picture_grid(in_folder("grid.png"), cells, 2, 2, rows, names, NULL);
    picture_grid(in_folder("grid.png"), cells, 4, 1, NULL, NULL, "title");
    assert_true(file_exists(in_folder("columns.png")) && file_exists(in_folder("grid.png")));
    const audio *nothing[1] = {NULL};
    picture_grid(in_folder("empty.png"), nothing, 1, 1, NULL, NULL, NULL);
    scope_end();
}

static void no_columns(void *argument) {
    (void) argument;
    picture_columns(in_folder("no.png"), NULL, 0, NULL);
}

static void two_rates(void *argument) {
    (void) argument;
    const picture_column columns[2] = {{tone(100, 1, 8000, 1), NULL, NULL}, {tone(100, 1, 16000, 1), NULL, NULL}};
    picture_columns(in_folder("no.png"), columns, 2, NULL);
}

static void no_folder(void *argument) {
    (void) argument;
    picture_sound(in_folder("none/no.png"), tone(100, 1, 8000, 1), NULL);
}

static void no_samples(void *argument) {
    (void) argument;
    picture_sound(in_folder("no.png"), tone(0, 1, 8000, 1), NULL);
}

static void test_bad_requests(void **state) {
    (void) state;
    scope_begin();
    expect_failure(no_columns, NULL, HISS_ERROR_ARGUMENT, "columns");
    expect_failure(two_rates, NULL, HISS_ERROR_ARGUMENT, "rate");
    expect_failure(no_folder, NULL, HISS_ERROR_FILE, "no.png");
    expect_failure(no_samples, NULL, HISS_ERROR_ARGUMENT, "without samples");
    assert_false(file_exists(in_folder("no.png")));
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canvas),       cmocka_unit_test(test_colours),
        cmocka_unit_test(test_sounds),       cmocka_unit_test(test_columns_and_grids),
        cmocka_unit_test(test_bad_requests),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
