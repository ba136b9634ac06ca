/* What hiss's sound model takes of words: as vectors, as a class, as the length of a sound. E numbers of a text. */
#ifndef HISS_SYSTEMS_MEL_DIT_WORDS_H
#define HISS_SYSTEMS_MEL_DIT_WORDS_H

#include "systems/generate.h"
#include "systems/latent.h"
#include "systems/text_embed.h"

/* Of the width that the network follows. In the current scope. */
text_encoder *mel_dit_encoder(const model *m);
/* Unit vectors [n, E] as the network takes them: times sqrt(E), [n, E + 1]. */
const tensor *mel_dit_text_rows(const tensor *unit);
/* The class whose words mean nearly the same; -1: none. The nearest ones first. */
int32_t mel_dit_class_like(const model *m, const char *text, int32_t nearest[NEAREST_CLASSES]);
/* The class that the network reads of a text [1, E + 1], where it is sure enough; -1: none. */
int32_t mel_dit_class_said(const model *m, const tensor *text);
/* How long a sound of the request's words, else of its class, lasts; 0: not known. */
double mel_dit_usual_seconds(const model *m, const sound_request *r);

#endif
