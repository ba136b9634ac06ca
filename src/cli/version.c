#include "cli/version.h"

#include <jansson.h>
#include <oneapi/dnnl/dnnl.h>
#include <png.h>
#include <sndfile.h>
#include <soxr.h>
#include <utf8proc.h>

#include "base/scope.h"
#include "tensor/tape.h"

const char *version_kernels(void) {
    const dnnl_version_t *v = dnnl_version();
    return format("oneDNN %d.%d.%d, matrix operands %s", v->major, v->minor, v->patch,
                  operands() == BF16 ? "bf16 (multiplied faster than f32 here)" : "f32 (bf16 would be no faster here)");
}

const char *version_library(size_t index) {
    switch (index) {
    case 0: return sf_version_string();
    case 1: return format("soxr %s", soxr_version());
    case 2: return format("jansson %s", JANSSON_VERSION);
    case 3: return format("libpng %s", png_get_libpng_ver(NULL));
    case 4: return "kissfft";
    case 5: return format("utf8proc %s", utf8proc_version());
    default: return NULL;
    }
}
