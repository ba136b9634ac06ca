#include "cli/request.h"

#include <string.h>

#include "base/file.h"
#include "cli/output.h"
#include "signal/picture.h"

const char *const SOUND_EXTENSIONS[] = {".wav", ".flac", ".ogg", ".aiff", NULL};

sound_request request_of(const arguments *a, const model *m) {
    sound_request r = sound_request_default();
    r.seconds = number(a, OPT_SECONDS, 0);
    r.seed = (uint64_t) integer(a, OPT_SEED, 0);
    r.torch_noise = text(a, OPT_SEED_LIKE) && !strcmp(text(a, OPT_SEED_LIKE), "torch");
    r.count = integer(a, OPT_COUNT, 1);
    r.steps = integer(a, OPT_STEPS, 0);
    r.sampler = text(a, OPT_SAMPLER);
    r.schedule = text(a, OPT_SCHEDULE);
    r.eta = number(a, OPT_ETA, -1);
    r.class = model_class(m, text(a, OPT_CLASS));
    r.guidance = number(a, OPT_GUIDANCE, 1);
    return r;
}

void write_sound(const arguments *a, const audio *sound, const char *path, uint64_t seed, json_t *list) {
    audio_write(path, sound, audio_encoding_named(text(a, OPT_BITS)));
    say(a, "%s", path);
    const char *picture = NULL;
    if (flag(a, OPT_PICTURE)) {
        picture = path_beside(path, ".png");
        picture_sound(picture, sound, path_stem(path));
        say(a, "%s", picture);
    }
    json_t *row = json_pack("{s:s, s:I, s:f, s:i}", "path", path, "seed", (json_int_t) seed, "seconds",
                            (double) sound->frames / sound->rate, "sample_rate", sound->rate);
    if (picture) json_object_set_new(row, "picture", json_string(picture));
    json_array_append_new(list, row);
}
