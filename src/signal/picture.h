/* Pictures of sounds as PNG: waveform over mel spectrogram, axes in seconds and Hz, levels in dB. */
#ifndef HISS_SIGNAL_PICTURE_H
#define HISS_SIGNAL_PICTURE_H

#include "signal/audio.h"

/* One sound; title may be NULL. Several channels are drawn as their mean. */
void picture_sound(const char *path, const audio *a, const char *title);

typedef struct {
    const audio *sound;
    const char *title; /* "step 12" */
    const char *note;  /* under it, e.g. "SNR 3.1 dB"; NULL: none */
} picture_column;

/* Sounds side by side on the same scales of amplitude and level: a forward process, takes of one prompt. At most
 * PICTURE_MAX_COLUMNS. */
enum { PICTURE_MAX_COLUMNS = 64, PICTURE_MAX_ROWS = 128 };
void picture_columns(const char *path, const picture_column *columns, int count, const char *title);

/* Small spectrograms under small waveforms, rows by columns, each on its own level scale but all on one time scale:
 * real beside generated sounds of each class. sounds[row * columns + column] may be NULL (left empty); names or their
 * arrays may be NULL. */
void picture_grid(const char *path, const audio *const *sounds, int rows, int columns, const char *const *row_names,
                  const char *const *column_names, const char *title);

#endif
