/* Low-rank adapters added to a small network, from a safetensors file: its header, put before what follows the first 0. */
#include "fuzz_file.h"

#include <string.h>

#include "nn/lora.h"

static void apply(void *path) {
    binder *b = binder_new((random_key){1, 0});
    bind(b, "a.weight", SHAPE(6, 5), (init){INIT_NORMAL, 0, 0});
    bind(b, "b.proj.weight", SHAPE(4, 8, 1), (init){INIT_NORMAL, 0, 0});
    bind(b, "b.proj.bias", SHAPE(4), (init){INIT_ZERO, 0, 0});
    lora_apply(binder_finish(b, true), path, 0.5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    const uint8_t *end = memchr(data, 0, size);
    const uint64_t header = end ? (uint64_t) (end - data) : size;
    scope_begin();
    uint8_t *file = alloc(size + 8);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t) (header >> (8 * i));
    memcpy(file + 8, data, header);
    const size_t rest = size - header - (end ? 1 : 0);
    if (rest) memcpy(file + 8 + header, end + 1, rest);
    fuzz_try_file(apply, ".safetensors", file, 8 + header + rest);
    scope_end();
    return 0;
}
