/* Lists of recordings, tab-separated or as JSON lines: the first byte chooses. */
#include "fuzz_file.h"

#include <string.h>

#include "train/recordings.h"

static void read_list(void *path) {
    recordings *r = recordings_find(path, 0.3);
    require(r->count > 0);
    for (size_t i = 0; i < r->count; i++) {
        const sound_file *f = &r->items[i];
        require(f->name && *f->name && f->path && f->class_index >= -1 && f->class_index < (int32_t) r->class_count);
        require(!f->label || f->class_index >= 0);
    }
    for (size_t i = 1; i < r->class_count; i++) require(strcmp(r->classes[i - 1], r->classes[i]) < 0);
    recordings_caption_by_name(r);
    recordings_keep_held_out(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size) fuzz_try_file(read_list, *data & 1 ? ".jsonl" : ".tsv", data + 1, size - 1);
    return 0;
}
