/* A scene told: for machines as a cue sheet, for people as a transcript, for players as subtitles. */
#ifndef HISS_SCENE_TELL_H
#define HISS_SCENE_TELL_H

#include "base/json.h"
#include "scene/render.h"

/* Every cue, and what was measured; freed with the current scope. */
json_t *cue_sheet(const scene *s, const rendering *r);
/* Lines such as "0:07 thunder, far left": beds when they begin and end, events each, but those that follow one another
 * closely as one line. Written whole or not at all. */
void transcript_write(const char *path, const scene *s, const rendering *r);
/* The same as WebVTT. */
void subtitles_write(const char *path, const scene *s, const rendering *r);
/* "far left, distant"; "" for a sound in the middle that is neither near nor far. */
const char *place_words(double pan, double distance);

#endif
