#include "cli/request.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/output.h"
#include "signal/picture.h"
#include "store/store.h"

const char *const SOUND_EXTENSIONS[] = {".wav", ".flac", ".ogg", ".aiff", NULL};

/* Betas of a file: .npy, a JSON list, or an object that holds one under "betas". */
static const double *read_betas(const char *path, size_t *count) {
    enum { MOST = 100000 };
    double *betas;
    if (!strcmp(path_extension(path), ".npy")) {
        const tensor *t = tensor_convert(npy_read(path), F64);
        if (t->rank != 1 || t->shape[0] < 1 || t->shape[0] > MOST)
            fail(HISS_ERROR_FORMAT, "%s: a schedule is a list of 1 to %d betas", path, MOST);
        *count = (size_t) t->shape[0];
        betas = t->data;
    } else {
        config c = config_load(path);
        if (json_is_array(c.value)) {
            json_t *named = json_make_object();
            json_object_set(named, "betas", c.value);
            c.value = named;
        }
        betas = config_numbers(c, "betas", MOST, count);
        if (!*count) fail(HISS_ERROR_FORMAT, "%s: holds no betas", path);
    }
    for (size_t i = 0; i < *count; i++)
        if (!(betas[i] > 0 && betas[i] < 1))
            fail(HISS_ERROR_FORMAT, "%s: beta %zu is %g, not between 0 and 1", path, i, betas[i]);
    return betas;
}

sound_request request_of(const arguments *a, const model *m) {
    sound_request r = sound_request_default();
    r.seconds = number(a, OPT_SECONDS, 0);
    r.seed = (uint64_t) integer(a, OPT_SEED, 0);
    r.torch_noise = text(a, OPT_SEED_LIKE) && !strcmp(text(a, OPT_SEED_LIKE), "torch");
    r.count = integer(a, OPT_COUNT, 1);
    r.steps = integer(a, OPT_STEPS, 0);
    r.sampler = text(a, OPT_SAMPLER);
    r.schedule = text(a, OPT_SCHEDULE);
    if (text(a, OPT_BETAS)) r.betas = read_betas(text(a, OPT_BETAS), &r.beta_count);
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
