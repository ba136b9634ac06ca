#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "base/scope.h"

uint32_t read_character(span text, size_t *at) {
    utf8proc_int32_t c;
    utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *) text.data + *at, (utf8proc_ssize_t) (text.size - *at), &c);
    *at += n > 0 ? (size_t) n : 1;
    return n > 0 ? (uint32_t) c : 0xFFFD;
}

void put_bytes(builder *b, const char *data, size_t size) {
    if (b->room - b->size < size) {
        size_t room = 2 * (b->room + size) + 64;
        char *grown = alloc(room);
        if (b->size) memcpy(grown, b->data, b->size);
        b->data = grown;
        b->room = room;
    }
    if (size) memcpy(b->data + b->size, data, size);
    b->size += size;
}

void put_character(builder *b, uint32_t c) {
    utf8proc_uint8_t encoded[4];
    put_bytes(b, (const char *) encoded, (size_t) utf8proc_encode_char((utf8proc_int32_t) c, encoded));
}

span built(const builder *b) { return (span){b->data, b->size}; }

static utf8proc_category_t category(uint32_t c) { return utf8proc_category((utf8proc_int32_t) c); }

bool is_white(uint32_t c) {
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_punctuation(uint32_t c) {
    if (c < 128) return (c > 32 && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 127);
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

bool is_control(uint32_t c) { return category(c) >= UTF8PROC_CATEGORY_CC; }

bool is_mark(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_MN; }

bool is_letter(uint32_t c) {
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool is_number(uint32_t c) {
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

bool is_ideograph(uint32_t c) {
    static const uint32_t ranges[][2] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                                         {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF},
                                         {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1]) return true;
    return false;
}

uint32_t to_lower(uint32_t c) { return (uint32_t) utf8proc_tolower((utf8proc_int32_t) c); }

int decompose(uint32_t c, uint32_t to[8]) {
    int unused = 0;
    utf8proc_int32_t parts[8];
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t) c, parts, 8,
                                                 (utf8proc_option_t) (UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &unused);
    if (n < 1 || n > 8) { /* none needs more */
        *to = c;
        return 1;
    }
    for (int i = 0; i < n; i++) to[i] = (uint32_t) parts[i];
    return (int) n;
}

size_t cluster_size(span text) {
    size_t at = 0;
    if (!text.size) return 0;
    uint32_t before = read_character(text, &at);
    utf8proc_int32_t state = 0;
    while (at < text.size) {
        size_t next = at;
        uint32_t c = read_character(text, &next);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t) before, (utf8proc_int32_t) c, &state)) break;
        before = c;
        at = next;
    }
    return at;
}
