/* Tokenizers: text into the ids that a text network knows, read from the files that are published with it: tokenizer.json
 * (WordPiece, unigram, byte-level BPE), vocab.txt, spiece.model, vocab.json with merges.txt. Files and texts are
 * untrusted. */
#ifndef HISS_TEXT_TOKENIZER_H
#define HISS_TEXT_TOKENIZER_H

#include "tensor/tensor.h"

typedef struct tokenizer tokenizer;

/* A file, or a folder that holds one (tokenizer.json before the others). In the current scope. */
tokenizer *tokenizer_open(const char *path);
/* The same from memory, which must outlive it; the end of the name tells the kind. */
tokenizer *tokenizer_parse(const void *data, size_t size, const char *name);

typedef struct {
    int32_t *ids;
    size_t count, room;
} token_list;

/* The text's ids with the special ones around them, cut to `most` in all (0: not cut). A text of more than 1 MiB is an
 * error. Bytes that are not UTF-8 read as U+FFFD. */
token_list tokenize(const tokenizer *t, const char *text, size_t most);
/* The same of a text that may hold zeros. */
token_list tokenize_bytes(const tokenizer *t, const char *text, size_t size, size_t most);

/* Many texts at once, padded on the right to the longest, or to `width` if that is not 0. */
typedef struct {
    int64_t count, width;
    int32_t *ids; /* [count, width] */
    tensor *mask; /* U8 [count, width]: 1 for tokens, 0 for padding */
} token_batch;
token_batch tokenize_all(const tokenizer *t, const char *const *texts, int64_t count, size_t most, int64_t width);

/* "WordPiece", "unigram", "byte-level BPE"; ids are less than this; what pads. */
const char *tokenizer_kind(const tokenizer *t);
int32_t tokenizer_size(const tokenizer *t);
int32_t tokenizer_pad(const tokenizer *t);

#endif
