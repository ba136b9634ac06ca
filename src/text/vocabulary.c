#include "text/vocabulary.h"

#include <string.h>

#include "base/scope.h"

typedef struct {
    span piece;
    int32_t id;
} slot;

struct vocabulary {
    slot *slots;
    size_t count, room; /* room: a power of two, at least twice the count */
    size_t longest;
    int32_t size;
};

static size_t hash(span piece) { /* FNV-1a */
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < piece.size; i++) h = (h ^ (uint8_t) piece.data[i]) * 0x100000001B3u;
    return (size_t) (h ^ h >> 32);
}

vocabulary *vocabulary_make(void) {
    vocabulary *v = NEW(vocabulary);
    v->room = 1024;
    v->slots = NEW_ARRAY(slot, v->room);
    return v;
}

/* The piece's slot, or the empty one where it belongs. */
static slot *look(const vocabulary *v, span piece) {
    size_t at = hash(piece) & (v->room - 1);
    for (;; at = (at + 1) & (v->room - 1)) {
        slot *s = &v->slots[at];
        if (!s->piece.data || (s->piece.size == piece.size && !memcmp(s->piece.data, piece.data, piece.size))) return s;
    }
}

void vocabulary_put(vocabulary *v, span piece, int32_t id) {
    if (2 * (v->count + 1) > v->room) {
        slot *old = v->slots;
        size_t room = v->room;
        v->room *= 2;
        v->slots = NEW_ARRAY(slot, v->room);
        for (size_t i = 0; i < room; i++)
            if (old[i].piece.data) *look(v, old[i].piece) = old[i];
    }
    slot *s = look(v, piece);
    if (id >= v->size) v->size = id + 1;
    if (s->piece.data) return;
    *s = (slot){piece, id};
    v->count++;
    if (piece.size > v->longest) v->longest = piece.size;
}

int32_t vocabulary_find(const vocabulary *v, span piece) {
    if (piece.size > v->longest) return -1;
    const slot *s = look(v, piece);
    return s->piece.data ? s->id : -1;
}

int32_t vocabulary_size(const vocabulary *v) { return v->size; }
size_t vocabulary_longest(const vocabulary *v) { return v->longest; }
