/* PNG pictures: whatever the bytes are, levels of grey within bounds or a clear error. */
#include "fuzz_file.h"

#include <string.h>

#include "signal/image.h"

/* PNG's CRC of n bytes. */
static uint32_t check_sum(const uint8_t *data, size_t n) {
    uint32_t c = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        c ^= data[i];
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
    }
    return ~c;
}

/* The check sums of all chunks made right, so that what is in them is read. */
static void mend(uint8_t *file, size_t size) {
    enum { SIGNATURE = 8, LENGTH = 4, NAME = 4, SUM = 4 };
    for (size_t at = SIGNATURE; at + LENGTH + NAME + SUM <= size;) {
        uint8_t *name = file + at + LENGTH;
        const size_t n =
            (size_t) file[at] << 24 | (size_t) file[at + 1] << 16 | (size_t) file[at + 2] << 8 | file[at + 3];
        if (n > size - at - LENGTH - NAME - SUM) return;
        const uint32_t sum = check_sum(name, NAME + n);
        for (int i = 0; i < SUM; i++) name[NAME + n + (size_t) i] = (uint8_t) (sum >> (24 - 8 * i));
        at += LENGTH + NAME + n + SUM;
    }
}

static void read_picture(void *path) {
    const tensor *grey = image_read_grey(path);
    require(grey->rank == 2 && grey->shape[0] >= 1 && grey->shape[1] >= 1);
    require(grey->shape[0] <= IMAGE_MOST_SIDE && grey->shape[1] <= IMAGE_MOST_SIDE);
    for (int64_t i = 0; i < count(grey); i++) require(f32(grey)[i] >= 0 && f32(grey)[i] <= 1);
    if (count(grey) < 100000) image_resize(grey, 7, 13);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scope_begin();
    uint8_t *file = alloc(size + 1);
    if (size) memcpy(file, data, size);
    mend(file, size);
    fuzz_try_file(read_picture, ".png", file, size);
    scope_end();
    return 0;
}
