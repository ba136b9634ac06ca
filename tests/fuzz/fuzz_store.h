/* What the fuzz targets of stores share: whatever the bytes are, a clear error, or tensors that can all be read. */
#ifndef HISS_TESTS_FUZZ_STORE_H
#define HISS_TESTS_FUZZ_STORE_H

#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "store/store.h"

typedef struct {
    const uint8_t *data;
    size_t size;
    bool all;
} fuzz_input;

static void fuzz_read(void *argument) {
    const fuzz_input *in = argument;
    const store *s = store_open_memory(in->data, in->size, "fuzz", in->all);
    require(store_metadata(s).value);
    size_t left = 16 << 20; /* of values looked at: many names may share one storage */
    for (size_t i = 0; i < store_count(s); i++) {
        const store_entry *e = store_at(s, i);
        require(store_find(s, e->name) == e);
        scope_begin();
        const tensor *t = store_read(s, e->name);
        size_t size = tensor_bytes(t);
        require(size <= in->size);
        uint8_t sum = 0;
        for (size_t k = 0; k < size && size <= left; k++) sum ^= ((const uint8_t *) t->data)[k];
        *(volatile uint8_t *) &sum = sum;
        left -= size <= left ? size : 0;
        scope_end();
    }
}

static void fuzz_store(const uint8_t *data, size_t size) {
    for (int all = 0; all < 2; all++) {
        fuzz_input in = {data, size, all};
        hiss_error error;
        scope_begin();
        if (!try_run(fuzz_read, &in, &error) && (error.code == HISS_ERROR_INTERNAL || error.message[0] == 0))
            __builtin_trap();
        scope_end();
    }
}

#endif
