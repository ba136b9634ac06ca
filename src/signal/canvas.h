/* A canvas of RGB pixels: rectangles, text in a small font of its own, a colour map, PNG files. */
#ifndef HISS_SIGNAL_CANVAS_H
#define HISS_SIGNAL_CANVAS_H

#include <stdint.h>

typedef struct {
    uint8_t r, g, b;
} colour;

typedef struct {
    int width, height;
    colour *pixels; /* [height, width], from the top left */
} canvas;

typedef struct {
    int x, y, width, height;
} box;

enum { CANVAS_MAX_SIDE = 16384 };

/* In the current scope, filled with one colour. */
canvas *canvas_new(int width, int height, colour background);
/* Parts outside the canvas are left out. cover: 0 leaves what is there, 1 replaces it. */
void canvas_fill(canvas *c, box where, colour with, float cover);
/* A vertical line one pixel wide between two heights with fractions, edges softened. */
void canvas_column(canvas *c, int x, float top, float bottom, colour with, float cover);
/* The outline lies around the box. */
void canvas_frame(canvas *c, box around, colour with);

typedef enum { TEXT_LEFT, TEXT_MIDDLE, TEXT_RIGHT } text_place;
/* One line of text; `height` pixels is that of capital letters, (x, y) the top of them at the left, the middle or the
 * right. ASCII; other characters appear as '?'. Returns its width. */
int canvas_text(canvas *c, int x, int y, int height, text_place place, colour with, const char *text);
int text_width(const char *text, int height);

/* 256 colours from near black over violet and orange to pale yellow. Lightness rises evenly (Oklab), so equal steps
 * look equal, in grey too. */
void colour_map(colour map[256]);

/* A PNG file, whole or not at all. */
void canvas_write(const canvas *c, const char *path);

#endif
