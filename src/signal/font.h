/* A pixel font: glyphs of 5 x 9 pixels, the lower two rows below the baseline. */
#ifndef HISS_SIGNAL_FONT_H
#define HISS_SIGNAL_FONT_H

#include <stdint.h>

enum { GLYPH_WIDTH = 5, GLYPH_HEIGHT = 9, GLYPH_CAPITAL = 7, GLYPH_FIRST = 32, GLYPHS = 95 };
/* Rows from the top, the leftmost pixel in bit 4. */
extern const uint8_t glyphs[GLYPHS][GLYPH_HEIGHT];

#endif
