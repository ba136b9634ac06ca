/* The options that say what sound to make, as a request. */
#ifndef HISS_CLI_REQUEST_H
#define HISS_CLI_REQUEST_H

#include "cli/options.h"
#include "systems/generate.h"

sound_request request_of(const arguments *a, const model *m);

/* What every sound-making command takes, to be listed among its options. */
#define SAMPLING_OPTIONS                                                                                               \
    OPT_CLASS, OPT_GUIDANCE, OPT_STEPS, OPT_SAMPLER, OPT_SCHEDULE, OPT_BETAS, OPT_ETA, OPT_SEED, OPT_SEED_LIKE
#define GUIDE_OPTIONS                                                                                                  \
    OPT_NEGATIVE, OPT_ROUGH, OPT_ROUGH_BLUR, OPT_REFERENCE, OPT_BLEND, OPT_BLEND_PART, OPT_BPM, OPT_KEY, OPT_CHORDS,   \
        OPT_MELODY, OPT_BARS, OPT_LOOP, OPT_INIT, OPT_STRENGTH, OPT_VARY, OPT_AMOUNT, OPT_INPAINT, OPT_CONTINUE,       \
        OPT_INTO, OPT_VOCODER, OPT_STREAM, OPT_RESCALE, OPT_START, OPT_SET, OPT_TEXT_ENCODER
#define COMMON_OPTIONS OPT_DEVICE, OPT_THREADS, OPT_JSON, OPT_QUIET, OPT_HELP

/* File names that sounds can be written under. */
extern const char *const SOUND_EXTENSIONS[];
/* Where --out goes can take a sound; standard output ("-") one sound and nothing else. */
void check_sound_path(const arguments *a);
/* Says that a sound was written and adds it to the JSON list. */
void say_sound(const arguments *a, const char *path, uint64_t seed, int64_t frames, int rate, json_t *list);
/* Writes the sound (to standard output it alone) and, if --picture, its picture; says so and adds it to the JSON list. */
void write_sound(const arguments *a, const audio *sound, const char *path, uint64_t seed, json_t *list);

#endif
