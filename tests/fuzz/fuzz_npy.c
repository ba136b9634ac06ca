/* .npy arrays. */
#include "fuzz_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_store(data, size);
    return 0;
}
