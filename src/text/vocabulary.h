/* Pieces of text and their ids: a hash table. Pieces are not copied: they must outlive it. */
#ifndef HISS_TEXT_VOCABULARY_H
#define HISS_TEXT_VOCABULARY_H

#include "text/unicode.h"

typedef struct vocabulary vocabulary;
enum { MOST_PIECES = 1 << 22 };

vocabulary *vocabulary_make(void);
/* The first id of a piece counts. */
void vocabulary_put(vocabulary *v, span piece, int32_t id);
int32_t vocabulary_find(const vocabulary *v, span piece); /* -1: not there */
/* The highest id + 1. */
int32_t vocabulary_size(const vocabulary *v);
/* The longest piece, in bytes. */
size_t vocabulary_longest(const vocabulary *v);

#endif
