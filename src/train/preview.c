/* Sounds made while training: see preview.h. They come from the checkpoint just written, as `generate` would make them.
 */
#include "train/preview.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/progress.h"
#include "signal/audio.h"
#include "signal/picture.h"
#include "systems/generate.h"

typedef struct {
    const recipe *recipe;
    const char *model, *folder;
    const tensor *mel;
    scope *home;
    const audio **sounds;
    const char **names;
    int count;
    const char *name; /* of the next sound */
} preview;

static void take(void *context, int64_t i, const audio *sound) {
    preview *p = context;
    (void) i;
    scope *inner = scope_switch(p->home); /* the sound lives only until this returns */
    p->sounds[p->count] = audio_copy(sound);
    scope_switch(inner);
    p->names[p->count++] = p->name;
}

static void make_free(preview *p, const model *m, sound_request *request) {
    int64_t wanted = p->recipe->sounds.count, classes = m->class_count;
    for (int64_t i = 0; i < wanted; i++) {
        request->seed = (uint64_t) (classes ? i / classes : i);
        request->class = classes ? (int32_t) (i % classes) : -1;
        p->name = classes && m->classes ? m->classes[i % classes] : format("%02lld", (long long) i);
        generate_sounds(m, request, take, p);
    }
}

static void make_vocoded(preview *p, const model *m, sound_request *request) {
    int64_t F = p->mel->shape[1], M = p->mel->shape[2], wanted = p->recipe->sounds.count;
    for (int64_t i = 0; i < wanted && i < p->mel->shape[0]; i++) {
        tensor *mel = tensor_wrap(F32, SHAPE(F, M), f32(p->mel) + i * F * M);
        request->seed = (uint64_t) i;
        p->name = format("%02lld", (long long) i);
        take(p, i, vocode_mel(m, request, mel));
    }
}

static void write_sounds(const preview *p) {
    folder_make(p->folder);
    for (int i = 0; i < p->count; i++)
        audio_write(path_join(p->folder, format("%02d-%s.wav", i, p->names[i])), p->sounds[i], AUDIO_PCM16);
    picture_column columns[PICTURE_MAX_COLUMNS] = {0};
    int drawn = p->count < 8 ? p->count : 8;
    for (int i = 0; i < drawn; i++) columns[i] = (picture_column){p->sounds[i], p->names[i], NULL};
    picture_columns(path_join(p->folder, "picture.png"), columns, drawn, path_name(p->folder));
}

static void make_preview(void *argument) {
    preview *p = argument;
    p->home = scope_current();
    const model *m = model_open(p->model);
    sound_request request = sound_request_for(m);
    request.steps = p->recipe->sounds.steps;
    request.sampler = p->recipe->sounds.sampler;
    request.schedule = p->recipe->sounds.schedule;
    if (!isnan(p->recipe->sounds.guidance)) request.guidance = p->recipe->sounds.guidance;
    p->sounds = NEW_ARRAY(const audio *, p->recipe->sounds.count);
    p->names = NEW_ARRAY(const char *, p->recipe->sounds.count);
    if (p->mel && m->mels) make_vocoded(p, m, &request);
    else make_free(p, m, &request);
    if (p->count) write_sounds(p);
}

bool preview_make(const recipe *r, const char *model, const char *folder, const tensor *mel) {
    preview p = {.recipe = r, .model = model, .folder = folder, .mel = mel};
    hiss_error error;
    if (r->data.mel && !r->data.features && !mel) return false; /* nothing was held out to take a mel from */
    progress_handler handler;
    void *context;
    progress_to(NULL, NULL, &handler, &context); /* the steps of training are what is shown */
    bool done = try_run(make_preview, &p, &error);
    progress_to(handler, context, NULL, NULL);
    if (done) return p.count > 0;
    if (error.code != HISS_ERROR_INTERRUPTED) warn("no sounds were made this time: %s", error.message);
    return false;
}
