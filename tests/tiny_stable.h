/* The stored small model of Stable Audio's kind (a parity case), at a rate that recordings can have. */
#ifndef HISS_TESTS_TINY_STABLE_H
#define HISS_TESTS_TINY_STABLE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { TINY_STABLE_RATE = 8000, TINY_STABLE_CHANNELS = 2, TINY_STABLE_HOP = 8, TINY_STABLE_LATENT = 4 };

static inline void tiny_stable_write(const char *folder) {
    const char *from = TEST_DATA "/parity/stable_audio_open/e2e_small";
    scope_begin();
    folder_make(folder);
    const bytes settings = file_read(path_join(from, "model_config.json"), 1 << 20),
                weights = file_map(path_join(from, "model.ckpt"));
    char *words = copy_string((const char *) settings.data), *rate = strstr(words, "\"sample_rate\": 16,");
    words = format("%.*s\"sample_rate\": 8000,%s", (int) (rate - words), words, strchr(rate, ',') + 1);
    file_write(path_join(folder, "model_config.json"), words, strlen(words));
    file_write(path_join(folder, "model.ckpt"), weights.data, weights.size);
    if (symlink(path_join(from, "t5-base"), path_join(folder, "t5-base"))) perror("symlink");
    scope_end();
}

#endif
