/* PNG pictures: whatever the bytes are, levels of grey within bounds or a clear error. */
#include "fuzz_file.h"

#include "signal/image.h"

static void read_picture(void *path) {
    const tensor *grey = image_read_grey(path);
    require(grey->rank == 2 && grey->shape[0] >= 1 && grey->shape[1] >= 1);
    require(grey->shape[0] <= IMAGE_MOST_SIDE && grey->shape[1] <= IMAGE_MOST_SIDE);
    for (int64_t i = 0; i < count(grey); i++) require(f32(grey)[i] >= 0 && f32(grey)[i] <= 1);
    if (count(grey) < 100000) image_resize(grey, 7, 13);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_try_file(read_picture, ".png", data, size);
    return 0;
}
