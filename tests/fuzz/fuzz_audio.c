/* Sound files: whatever the bytes are, a sound or a clear error. */
#include <stdint.h>

#include "base/error.h"
#include "base/scope.h"
#include "signal/audio.h"
#include "signal/edit.h"

/* Leaks of the decoders themselves on damaged headers are not ours to find. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libsndfile\nleak:libvorbis\nleak:libFLAC\nleak:libmpg123\nleak:libogg\nleak:libopus\n";
}

typedef struct {
    const uint8_t *data;
    size_t size;
} input;

static void read_sound(void *argument) {
    const input *in = argument;
    const audio *a = audio_read_memory(in->data, in->size, "fuzz");
    require(a->frames > 0 && a->channels > 0 && a->frames <= AUDIO_MAX_VALUES / a->channels);
    require(audio_peak(a) <= AUDIO_MAX_VALUE);
    if (a->frames < 10000) trim_silence(audio_mix_down(a), 60, 0.1, 0.1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    hiss_error error;
    scope_begin();
    if (!try_run(read_sound, &in, &error) && error.code == HISS_ERROR_INTERNAL) __builtin_trap();
    scope_end();
    return 0;
}
