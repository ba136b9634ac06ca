#include "text/sentencepiece.h"

#include <string.h>

#include "base/scope.h"
#include "text/vocabulary.h"

/* --- protobuf: fields of key = number << 3 | wire type --- */

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

typedef struct {
    const uint8_t *at, *end;
    const char *where;
} wire;

typedef struct {
    uint64_t number, value; /* value: of a varint, or the bits of a fixed number */
    span bytes;
} field;

_Noreturn static void damaged(const wire *w) {
    fail(HISS_ERROR_FORMAT, "%s: the SentencePiece model is damaged", w->where);
}

static uint64_t read_varint(wire *w) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (w->at == w->end) damaged(w);
        uint8_t byte = *w->at++;
        value |= (uint64_t) (byte & 127) << shift;
        if (!(byte & 128)) return value;
    }
    damaged(w);
}

static const uint8_t *take(wire *w, uint64_t size) {
    if (size > (uint64_t) (w->end - w->at)) damaged(w);
    const uint8_t *start = w->at;
    w->at += size;
    return start;
}

static bool read_field(wire *w, field *f) {
    if (w->at == w->end) return false;
    uint64_t key = read_varint(w), size;
    const uint8_t *start;
    *f = (field){.number = key >> 3};
    switch (key & 7) {
    case WIRE_VARINT: f->value = read_varint(w); return true;
    case WIRE_BYTES:
        size = read_varint(w);
        f->bytes = (span){(const char *) take(w, size), (size_t) size};
        return true;
    case WIRE_32:
    case WIRE_64:
        size = (key & 7) == WIRE_32 ? 4 : 8;
        start = take(w, size);
        for (int i = (int) size - 1; i >= 0; i--) f->value = f->value << 8 | start[i];
        return true;
    default: damaged(w);
    }
}

static wire open_wire(span bytes, const char *where) {
    const uint8_t *start = (const uint8_t *) bytes.data;
    return (wire){start, bytes.size ? start + bytes.size : start, where};
}

/* --- the model --- */

static sentencepiece read_piece(span bytes, const char *where) {
    sentencepiece p = {.type = PIECE_NORMAL};
    wire w = open_wire(bytes, where);
    for (field f; read_field(&w, &f);) {
        uint32_t bits = (uint32_t) f.value;
        if (f.number == 1) p.text = f.bytes;
        if (f.number == 2) memcpy(&p.score, &bits, sizeof bits);
        if (f.number == 3 && f.value >= PIECE_NORMAL && f.value <= PIECE_BYTE) p.type = (piece_type) f.value;
    }
    return p;
}

static void add_piece(sentencepiece_model *m, sentencepiece p, const char *where) {
    if (m->count == MOST_PIECES) fail(HISS_ERROR_FORMAT, "%s: more than %d pieces", where, MOST_PIECES);
    if (m->count == m->room) {
        sentencepiece *grown = NEW_ARRAY(sentencepiece, 2 * m->room + 1024);
        if (m->count) memcpy(grown, m->pieces, m->count * sizeof *grown);
        m->pieces = grown;
        m->room = 2 * m->room + 1024;
    }
    m->pieces[m->count++] = p;
}

static void read_normalizer(sentencepiece_model *m, span bytes, const char *where) {
    wire w = open_wire(bytes, where);
    for (field f; read_field(&w, &f);) {
        if (f.number == 2) m->charsmap = f.bytes;
        if (f.number == 3) m->dummy_prefix = f.value != 0;
        if (f.number == 4) m->remove_extra_spaces = f.value != 0;
        if (f.number == 5) m->escape_spaces = f.value != 0;
    }
}

static void read_trainer(sentencepiece_model *m, span bytes, const char *where) {
    wire w = open_wire(bytes, where);
    for (field f; read_field(&w, &f);)
        if (f.number == 3) m->model_type = (int64_t) f.value;
}

sentencepiece_model sentencepiece_read(span file, const char *where) {
    sentencepiece_model m = {.model_type = 1, .dummy_prefix = true, .remove_extra_spaces = true, .escape_spaces = true};
    wire w = open_wire(file, where);
    for (field f; read_field(&w, &f);) {
        if (f.number == 1 && f.bytes.data) add_piece(&m, read_piece(f.bytes, where), where);
        if (f.number == 2) read_trainer(&m, f.bytes, where);
        if (f.number == 3) read_normalizer(&m, f.bytes, where);
    }
    if (!m.count) fail(HISS_ERROR_FORMAT, "%s: a SentencePiece model without pieces", where);
    return m;
}
