/* PyTorch files, both forms. An input that is neither is taken as a pickle, followed by storage bytes behind the last
 * "PKSTORAGE", and wrapped in a zip archive, so that the fuzzer reaches the pickle without guessing offsets. */
#include "fuzz_store.h"

static const char SEPARATOR[] = "PKSTORAGE";

typedef struct {
    uint8_t *data;
    size_t size;
} buffer;

static void put(buffer *b, const void *data, size_t size) {
    if (size) memcpy(b->data + b->size, data, size);
    b->size += size;
}

/* Little endian; sizes above 8 are zeros after it. */
static void put_int(buffer *b, uint64_t value, int size) {
    for (int i = 0; i < size; i++, value >>= 8) b->data[b->size++] = (uint8_t) value;
}

static size_t put_entry(buffer *b, const char *name, const void *data, size_t size) {
    size_t at = b->size;
    put(b, "PK\3\4", 4);
    put_int(b, 0, 14);
    put_int(b, size, 4);
    put_int(b, size, 4);
    put_int(b, strlen(name), 2);
    put_int(b, 0, 2);
    put(b, name, strlen(name));
    put(b, data, size);
    return at;
}

static void put_directory(buffer *b, const char *name, size_t size, size_t at) {
    put(b, "PK\1\2", 4);
    put_int(b, 0, 16);
    put_int(b, size, 4);
    put_int(b, size, 4);
    put_int(b, strlen(name), 2);
    put_int(b, 0, 12);
    put_int(b, at, 4);
    put(b, name, strlen(name));
}

static void fuzz_pickle(const uint8_t *data, size_t size) {
    const uint8_t *split = memmem(data, size, SEPARATOR, sizeof SEPARATOR - 1);
    size_t pickle = split ? (size_t) (split - data) : size;
    const uint8_t *rest = split ? split + sizeof SEPARATOR - 1 : data + size;
    size_t storage = (size_t) (data + size - rest);
    buffer b = {alloc(size + 1024), 0};
    size_t first = put_entry(&b, "a/data.pkl", data, pickle);
    size_t second = put_entry(&b, "a/data/0", rest, storage);
    size_t directory = b.size;
    put_directory(&b, "a/data.pkl", pickle, first);
    put_directory(&b, "a/data/0", storage, second);
    size_t end = b.size;
    put(&b, "PK\5\6", 4);
    put_int(&b, 0, 4);
    put_int(&b, 2, 2);
    put_int(&b, 2, 2);
    put_int(&b, end - directory, 4);
    put_int(&b, directory, 4);
    put_int(&b, 0, 2);
    fuzz_store(b.data, b.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool whole = size >= 12 && (memcmp(data, "PK", 2) == 0 || (data[0] == 0x80 && data[2] == 0x8a));
    scope_begin();
    if (whole) fuzz_store(data, size);
    else fuzz_pickle(data, size);
    scope_end();
    return 0;
}
