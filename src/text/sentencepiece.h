/* spiece.model: SentencePiece's model file, a protobuf (github.com/google/sentencepiece, sentencepiece_model.proto). */
#ifndef HISS_TEXT_SENTENCEPIECE_H
#define HISS_TEXT_SENTENCEPIECE_H

#include "text/unicode.h"

typedef enum { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL, PIECE_USER, PIECE_UNUSED, PIECE_BYTE } piece_type;

typedef struct {
    span text;
    float score;
    piece_type type;
} sentencepiece;

typedef struct {
    sentencepiece *pieces;
    size_t count, room;
    int64_t model_type; /* 1: unigram */
    span charsmap;
    bool dummy_prefix, remove_extra_spaces, escape_spaces;
} sentencepiece_model;

/* Views into the file, which must outlive them. */
sentencepiece_model sentencepiece_read(span file, const char *where);

#endif
