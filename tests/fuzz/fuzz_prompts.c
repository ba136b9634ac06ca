/* Lists of prompts. */
#include "fuzz_file.h"

#include <math.h>

#include "cli/prompts.h"

static void read_prompts(void *path) {
    const prompt_list l = prompts_read(path);
    require(l.count > 0);
    for (size_t i = 0; i < l.count; i++) {
        const prompt_row *r = &l.rows[i];
        require(r->prompt && *r->prompt && isfinite(r->seconds) && r->seconds >= 0 && r->seconds <= 36000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_try_file(read_prompts, ".tsv", data, size);
    return 0;
}
