/* What the kinds of tokenizers share: the frame around a text's ids, and tokens cut out before anything else. */
#ifndef HISS_TEXT_PARTS_H
#define HISS_TEXT_PARTS_H

#include "base/json.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

void put_id(token_list *list, int32_t id);

/* A token recognised by its exact text, wherever it stands. */
typedef struct {
    span text;
    int32_t id;
    bool eats_left, eats_right; /* white space beside it */
} added_token;

enum { MOST_AROUND = 4 };

struct tokenizer {
    const char *kind, *path;
    /* Ids of a stretch of text between added tokens. */
    void (*encode)(const tokenizer *t, span text, token_list *to);
    const void *model;
    added_token *added;
    size_t added_count;
    int32_t before[MOST_AROUND], after[MOST_AROUND]; /* special ids around the text */
    int before_count, after_count;
    bool end_once; /* a text that ends in after[0] gets no second one */
    int32_t pad, size;
};

void add_token(tokenizer *t, added_token a);

/* The kinds: each fills kind, encode, model, size, from a tokenizer.json (model: its "model") ... */
void wordpiece_from_json(tokenizer *t, config document, config model);
void unigram_from_json(tokenizer *t, config document, config model);
void bpe_from_json(tokenizer *t, config document, config model);
/* ... or from the files before that, with added tokens and the frame too. settings: tokenizer_config.json or {}. */
void wordpiece_from_list(tokenizer *t, span lines, config settings);
void unigram_from_sentencepiece(tokenizer *t, span file, config settings);
void bpe_from_files(tokenizer *t, config pieces, span merges, config settings);

/* A JSON object of pieces and ids, checked. */
vocabulary *vocabulary_from_json(config pieces);
/* The id of a piece that must be there. */
int32_t need_piece(const tokenizer *t, const vocabulary *v, const char *piece);

#endif
