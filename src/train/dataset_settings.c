/* The recipe's object "data": see dataset.h. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "train/dataset.h"

static const char *const NORMALISE_NAMES[] = {"none", "peak", "loudness"};

static normalise_kind read_normalise(config c) {
    const char *word = config_string(c, "normalise", "none");
    for (int i = 0; i < 3; i++)
        if (!strcmp(word, NORMALISE_NAMES[i])) return (normalise_kind) i;
    fail(HISS_ERROR_ARGUMENT, "%s: normalise: '%s' is not known; %s", c.where, word, suggest(word, NORMALISE_NAMES, 3));
}

static bool read_either(config c, const char *key, const char *no, const char *yes) {
    const char *word = config_string(c, key, no);
    if (strcmp(word, no) && strcmp(word, yes))
        fail(HISS_ERROR_ARGUMENT, "%s: %s: '%s' is neither '%s' nor '%s'", c.where, key, word, no, yes);
    return !strcmp(word, yes);
}

dataset_settings dataset_settings_read(config c, int64_t hop) {
    static const char *const keys[] = {"path",           "sample_rate", "seconds",  "frames",    "channel",
                                       "trim_db",        "normalise",   "level_db", "fade",      "crop",
                                       "shortest",       "held_out",    "balance",  "cache_mib", "class",
                                       "held_out_clips", "by_length",   "augment",  "latents",   NULL};
    config_only(c, keys);
    dataset_settings s = {.rate = (int) config_need_int(c, "sample_rate", 1000, 192000)};
    s.samples = config_int(c, "frames", 0, 1, 1 << 20) * hop;
    if (!s.samples) s.samples = (int64_t) ceil(config_number(c, "seconds", 1, 0.01, 600) * s.rate / (double) hop) * hop;
    if (s.samples > (int64_t) 600 * s.rate) fail(HISS_ERROR_ARGUMENT, "%s: clips longer than 600 s", c.where);
    s.first_channel = read_either(c, "channel", "mix", "first");
    s.trim_db = config_number(c, "trim_db", 0, 0, 200);
    s.normalise = read_normalise(c);
    s.level_db = config_number(c, "level_db", s.normalise == NORMALISE_LOUDNESS ? -20 : -1, -70, 0);
    s.fade_seconds = config_number(c, "fade", 0, 0, 1);
    s.crop_start = read_either(c, "crop", "random", "start");
    s.shortest = config_number(c, "shortest", 0, 0, 600);
    s.held_out = config_number(c, "held_out", 0.05, 0, 0.9);
    s.held_out_clips = config_int(c, "held_out_clips", 64, 1, 1 << 20);
    s.balance = config_bool(c, "balance", false);
    s.by_length = config_bool(c, "by_length", false);
    s.augment = augmentation_read(c);
    s.cache_bytes = config_int(c, "cache_mib", 512, 1, 1 << 20) << 20;
    return s;
}
