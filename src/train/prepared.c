/* See prepared.h. */
#include "train/prepared.h"

#include <math.h>
#include <string.h>

#include "base/progress.h"
#include "signal/edit.h"

/* Brings the level to what the recipe says; values beyond full scale are scaled down in any case. */
static void normalise(audio *a, const dataset_settings *s) {
    if (s->normalise == NORMALISE_PEAK) normalise_peak(a, s->level_db);
    else if (s->normalise == NORMALISE_LOUDNESS) normalise_loudness(a, s->level_db, 0);
    else if (audio_peak(a) > 1) normalise_peak(a, 0);
}

static void quantise(prepared *to, const audio *a) {
    float peak = audio_peak(a);
    to->unit = peak / 32767;
    to->samples = a->frames;
    to->pcm = tensor_new(I16, SHAPE(a->frames));
    for (int64_t i = 0; i < a->frames; i++)
        ((int16_t *) to->pcm->data)[i] = (int16_t) lrintf(a->samples[i] / peak * 32767);
}

/* Of the sound as it will be heard, continued with zeros to a clip's length. */
static tensor *mel_of_sound(const prepared *s, const dataset_settings *settings) {
    int64_t n = s->samples, length = n > settings->samples ? n : settings->samples;
    float *x = NEW_ARRAY(float, length);
    for (int64_t i = 0; i < n; i++) x[i] = prepared_sample(s, i);
    return mel_compute(settings->mel, x, length);
}

/* Of the whole sound and the silence after it, as far as windows reach into it. */
static tensor *features_of_sound(const audio *a, const mel_front *front) {
    int64_t hop = front->stft.hop, length = (a->frames + front->stft.window / 2 + hop - 1) / hop * hop;
    float *x = NEW_ARRAY(float, length);
    memcpy(x, a->samples, (size_t) a->frames * sizeof(float));
    tensor *mel = mel_compute(front, x, length), *kept = tensor_new(I16, shape_of(mel));
    for (int64_t i = 0, n = count(mel); i < n; i++) {
        float value = fminf(fmaxf(f32(mel)[i] * FEATURE_UNIT, INT16_MIN), INT16_MAX);
        ((int16_t *) kept->data)[i] = (int16_t) lrintf(value);
    }
    return kept;
}

typedef struct {
    const dataset_settings *settings;
    const char *path;
    prepared result;
} preparation;

/* The result stays in the scope around the border's own. */
static void prepare(void *argument) {
    preparation *p = argument;
    const dataset_settings *s = p->settings;
    scope_begin();
    audio *a = audio_read(p->path);
    if (a->channels > 1) a = s->first_channel ? audio_channel(a, 0) : audio_mix_down(a);
    if (a->rate != s->rate) a = audio_resample(a, s->rate);
    if (!(audio_peak(a) > 1e-5f)) fail(HISS_ERROR_FORMAT, "%s: silent", p->path);
    if (s->trim_db > 0) a = trim_silence(a, s->trim_db, 0.001, 0.01);
    if ((double) a->frames < s->shortest * s->rate)
        fail(HISS_ERROR_FORMAT, "%s: %.3f s is shorter than %g s", p->path, (double) a->frames / s->rate, s->shortest);
    normalise(a, s);
    if (s->features) {
        p->result = (prepared){.samples = a->frames, .mel = features_of_sound(a, s->mel)};
        p->result.mel = scope_end_keep(p->result.mel);
        scope_end_merge();
        scope_begin();
        return;
    }
    quantise(&p->result, a);
    if (s->mel) {
        p->result.mel = mel_of_sound(&p->result, s);
        SCOPE_END_KEEP(&p->result.pcm, &p->result.mel);
    } else {
        p->result.pcm = scope_end_keep(p->result.pcm);
    }
    scope_end_merge();
    scope_begin();
}

bool prepare_recording(const char *path, const dataset_settings *s, scope *home, prepared *to) {
    preparation p = {.settings = s, .path = path};
    hiss_error error;
    scope *before = scope_switch(home);
    const bool usable = try_run(prepare, &p, &error);
    scope_switch(before);
    if (!usable) {
        if (error.code == HISS_ERROR_MEMORY || error.code == HISS_ERROR_INTERRUPTED) fail_again(&error);
        warn("skipped: %s", error.message);
        return false;
    }
    *to = p.result;
    return true;
}

int64_t prepared_bytes(const prepared *p) {
    return (p->pcm ? (int64_t) tensor_bytes(p->pcm) : 0) + (p->mel ? (int64_t) tensor_bytes(p->mel) : 0);
}
