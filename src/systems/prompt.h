/* Prompts: what is refused, what they mean as vectors, and whether they seem to be understood. */
#ifndef HISS_SYSTEMS_PROMPT_H
#define HISS_SYSTEMS_PROMPT_H

#include "systems/system.h"
#include "systems/text_embed.h"

/* Fails on an empty text and on one of more than 8,192 bytes. what: "prompt", for the message. */
void prompt_check(const char *what, const char *text);

/* The shipped text model, whose vectors must be of the width that the model m follows. In the current scope. */
text_encoder *prompt_encoder(const model *m, int64_t width);
/* [1, E], of unit length: the text, or what lies at `part` of the arc between two (NULL: no second one). */
const tensor *prompt_between(const text_encoder *e, const char *text, const char *second, double part);

/* The class of m whose name is nearest to the text, and the cosine between them. m has names. */
int32_t prompt_class(const model *m, const text_encoder *e, const char *text, float *cosine);
/* Cosine between a text's vector [1, E] and the nearest of class c's name and the words for it. */
float prompt_class_cosine(const model *m, const text_encoder *e, int32_t c, const tensor *wanted);
/* Warns where a text looks like no English: its words fall into pieces, or hold letters that English has not, and it is near to no
 * class. */
void prompt_note_language(const model *m, const text_encoder *e, const char *text);

/* The prompt with tempo (0: none) and key (of musical.h, -1: none) as the captions of training say them, unless it says its own. In the
 * current scope; NULL stays NULL. */
const char *prompt_with_music(const char *prompt, double bpm, int key);

#endif
