/* UTF-8 and what tokenizers ask of characters (utf8proc knows Unicode's tables). */
#ifndef HISS_TEXT_UNICODE_H
#define HISS_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of text: not terminated, may hold any byte. */
typedef struct {
    const char *data;
    size_t size;
} span;

/* The character at *at, which moves past it; a byte that is not UTF-8 reads as U+FFFD. *at must be less than text.size. */
uint32_t read_character(span text, size_t *at);

/* Text being made, growing in the scope that was current when it began. */
typedef struct {
    char *data;
    size_t size, room;
} builder;
void put_bytes(builder *b, const char *data, size_t size);
void put_character(builder *b, uint32_t c);
span built(const builder *b);

/* The property White_Space. */
bool is_white(uint32_t c);
/* Categories P*, and all of ASCII that is neither letter, digit, space nor control. */
bool is_punctuation(uint32_t c);
/* Categories Cc, Cf, Cs, Co. */
bool is_control(uint32_t c);
/* Mn: marks that take no room of their own. */
bool is_mark(uint32_t c);
bool is_letter(uint32_t c);
bool is_number(uint32_t c);
/* CJK ideographs, which words do not hold together. */
bool is_ideograph(uint32_t c);
uint32_t to_lower(uint32_t c);
/* Canonical decomposition of one character, not reordered: its length, at most 8. */
int decompose(uint32_t c, uint32_t to[8]);
/* The size of the extended grapheme cluster at the start of text, in bytes; 0 for no text. */
size_t cluster_size(span text);

#endif
