/* SentencePiece's precompiled character map: a double-array trie (darts-clone) of sequences, each with its replacement. */
#ifndef HISS_TEXT_CHARSMAP_H
#define HISS_TEXT_CHARSMAP_H

#include "text/unicode.h"

typedef struct charsmap charsmap;

/* data: u32 size of the trie, the trie's units (u32), replacements ended by 0. It must outlive the map; `where` is for
 * messages. No data: NULL, a map that changes nothing. */
const charsmap *charsmap_open(span data, const char *where);
/* The same from base64. */
const charsmap *charsmap_decode(const char *base64, const char *where);

/* How far the longest (shortest) key that starts the text reaches, in bytes, and what replaces it; 0: none starts it. */
size_t charsmap_longest(const charsmap *m, span text, span *replacement);
size_t charsmap_shortest(const charsmap *m, span text, span *replacement);

/* The text as Hugging Face's tokenizers map it: grapheme by grapheme. One shorter than six bytes is replaced whole by what
 * the shortest key that starts it gives; of others, and where there is none, each character is looked up alone. */
span charsmap_by_graphemes(const charsmap *m, span text);

#endif
