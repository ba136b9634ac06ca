#include "text/charsmap.h"

#include <string.h>

#include "base/scope.h"

struct charsmap {
    const uint8_t *units; /* little endian, any alignment */
    size_t count;
    span replacements; /* ended by 0 */
};

enum { BASE64_MOST = 32 << 20 };

static uint32_t little(const uint8_t *at) {
    return at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
}

const charsmap *charsmap_open(span data, const char *where) {
    if (!data.size) return NULL;
    charsmap *m = NEW(charsmap);
    const uint8_t *bytes = (const uint8_t *) data.data;
    uint32_t size = data.size >= 4 ? little(bytes) : 0;
    if (data.size < 4 || size > data.size - 4 || size % 4 != 0 || size == 0)
        fail(HISS_ERROR_FORMAT, "%s: the character map is damaged", where);
    *m = (charsmap){bytes + 4, size / 4, {data.data + 4 + size, data.size - 4 - size}};
    if (m->replacements.size && m->replacements.data[m->replacements.size - 1] != 0)
        fail(HISS_ERROR_FORMAT, "%s: the character map is cut short", where);
    return m;
}

const charsmap *charsmap_decode(const char *base64, const char *where) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = strlen(base64), made = 0;
    if (size > BASE64_MOST) fail(HISS_ERROR_FORMAT, "%s: the character map is impossibly large", where);
    char *data = alloc(size / 4 * 3 + 4);
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < size && base64[i] != '='; i++) {
        const char *digit = strchr(DIGITS, base64[i]);
        if (!digit) fail(HISS_ERROR_FORMAT, "%s: the character map is no base64", where);
        bits = (bits << 6 | (uint32_t) (digit - DIGITS)) & 0xFFFFFF;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        data[made++] = (char) (bits >> have & 255);
    }
    return charsmap_open((span){data, made}, where);
}

/* --- looking up --- */

static size_t offset(uint32_t unit) { return (size_t) (unit >> 10) << ((unit & 512) >> 6); }

static size_t look(const charsmap *m, span text, bool longest, span *replacement) {
    size_t found = 0, at = m ? offset(little(m->units)) : 0;
    for (size_t i = 0; m && i < text.size; i++) {
        uint8_t byte = (uint8_t) text.data[i];
        at ^= byte;
        if (byte == 0 || at >= m->count) break;
        uint32_t unit = little(m->units + 4 * at);
        if ((unit & 0x800000FF) != byte) break;
        at ^= offset(unit);
        if (!(unit & 256)) continue;
        size_t value = at < m->count ? little(m->units + 4 * at) & 0x7FFFFFFF : SIZE_MAX;
        if (value >= m->replacements.size) break; /* damaged: as if it ended here */
        const char *start = m->replacements.data + value;
        *replacement = (span){start, strlen(start)};
        found = i + 1;
        if (!longest) break;
    }
    return found;
}

size_t charsmap_longest(const charsmap *m, span text, span *replacement) { return look(m, text, true, replacement); }
size_t charsmap_shortest(const charsmap *m, span text, span *replacement) { return look(m, text, false, replacement); }

span charsmap_by_graphemes(const charsmap *m, span text) {
    enum { SHORT = 6 };
    builder b = {0};
    for (size_t at = 0; at < text.size;) {
        span cluster = {text.data + at, 0}, replacement;
        cluster.size = cluster_size((span){text.data + at, text.size - at});
        at += cluster.size;
        if (cluster.size < SHORT && charsmap_shortest(m, cluster, &replacement)) {
            put_bytes(&b, replacement.data, replacement.size);
            continue;
        }
        for (size_t i = 0; i < cluster.size;) {
            size_t start = i;
            uint32_t c = read_character(cluster, &i);
            if (charsmap_shortest(m, (span){cluster.data + start, i - start}, &replacement))
                put_bytes(&b, replacement.data, replacement.size);
            else put_character(&b, c);
        }
    }
    return built(&b);
}
