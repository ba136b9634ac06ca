/* safetensors, opened from memory. Inputs start with the header's JSON: its size is put before it, so that the fuzzer
 * need not guess it; the first byte chooses. */
#include "fuzz_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    if (data[0] != '{') {
        fuzz_store(data, size);
        return 0;
    }
    scope_begin();
    const uint8_t *nul = memchr(data, 0, size);
    size_t header = nul ? (size_t) (nul - data) : size;
    uint8_t *file = alloc(8 + size);
    memset(file, 0, 8);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t) ((uint64_t) header >> (8 * i));
    memcpy(file + 8, data, size);
    fuzz_store(file, 8 + size);
    scope_end();
    return 0;
}
