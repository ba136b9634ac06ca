/* Tokenizers' files and texts. The first byte chooses the kind of file, the next two say how many bytes at the end are the
 * text. */
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "text/tokenizer.h"

typedef struct {
    const char *name;
    const uint8_t *file;
    size_t size;
    const char *text;
} input;

static void run(void *argument) {
    const input *in = argument;
    tokenizer *t = tokenizer_parse(in->file, in->size, in->name);
    token_list list = tokenize(t, in->text, 0), cut = tokenize(t, in->text, 7);
    for (size_t i = 0; i < list.count; i++) require(list.ids[i] >= 0 && list.ids[i] < tokenizer_size(t));
    require(cut.count <= list.count || cut.count <= 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const NAMES[] = {"fuzz.json", "fuzz.txt", "fuzz.model"};
    if (size < 3) return 0;
    size_t length = data[1] | (size_t) data[2] << 8;
    if (length > size - 3) length = size - 3;
    scope_begin();
    char *text = alloc(length + 1);
    memcpy(text, data + size - length, length);
    text[length] = 0;
    input in = {NAMES[data[0] % 3], data + 3, size - 3 - length, text};
    hiss_error error;
    if (!try_run(run, &in, &error) && (error.code == HISS_ERROR_INTERNAL || !error.message[0])) __builtin_trap();
    scope_end();
    return 0;
}
