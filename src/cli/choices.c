#include "cli/choices.h"

#include "signal/mel.h"
#include "systems/generate.h"
#include "systems/sample.h"

#define CHOICES(function, ...)                                                                                         \
    const char *const *function(void) {                                                                                \
        static const char *const names[] = {__VA_ARGS__, NULL};                                                        \
        return names;                                                                                                  \
    }

CHOICES(choices_precision, "auto", "f32", "bf16", "int8")
CHOICES(choices_type, "f32", "bf16", "f16", "int8", "int6", "int5", "int4")
CHOICES(choices_bits, "16", "24", "float")
CHOICES(choices_quality, "usual", "fast", "best")
CHOICES(choices_shell, "bash", "zsh", "fish")

const char *const *choices_seed_like(void) { return NOISE_NAMES; }
const char *const *choices_sampler(void) { return sampler_names(); }
const char *const *choices_schedule(void) { return schedule_names(); }
const char *const *choices_front(void) { return mel_front_names(); }
