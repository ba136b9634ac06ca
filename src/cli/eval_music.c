/* hiss eval --music: whether sounds have the tempo and the key that their captions or names ask for. */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/scope.h"
#include "cli/eval.h"
#include "cli/output.h"
#include "eval/music.h"
#include "train/recordings.h"

static const double WITHIN = 0.05;

typedef struct {
    int64_t tempos, tempo_right, tempo_octave, keys, key_right, tonic_right;
} tally;

typedef struct {
    const char *path;
    music_request asked;
    tally *to;
    json_t *list; /* one object a sound */
} hearing;

static void hear(void *argument) {
    hearing *h = argument;
    const audio *sound = audio_read(h->path);
    json_t *o = json_object();
    json_array_append_new(h->list, o);
    json_object_set_new(o, "path", json_string(h->path));
    if (h->asked.bpm > 0) {
        double bpm = music_tempo(sound);
        h->to->tempos++;
        h->to->tempo_right += tempo_agrees(bpm, h->asked.bpm, WITHIN, false);
        h->to->tempo_octave += tempo_agrees(bpm, h->asked.bpm, WITHIN, true);
        json_object_set_new(o, "bpm_asked", json_real(h->asked.bpm));
        json_object_set_new(o, "bpm", json_real(bpm));
    }
    if (h->asked.key.tonic >= 0) {
        music_key key = music_key_of(sound);
        h->to->keys++;
        h->to->tonic_right += key.tonic == h->asked.key.tonic;
        h->to->key_right += key.tonic == h->asked.key.tonic && key.minor == h->asked.key.minor;
        json_object_set_new(o, "key_asked", json_string(key_name(h->asked.key)));
        json_object_set_new(o, "key", json_string(key_name(key)));
    }
}

static double part(int64_t n, int64_t of) { return of ? (double) n / (double) of : 0; }

static void tell(const arguments *a, const char *what, const tally *t, json_t *o) {
    say(a, "%s:", what);
    if (t->tempos) {
        say(a, "  tempo within 5 %%     %5.3f of %lld (%.3f with halves, doubles and triples)",
            part(t->tempo_right, t->tempos), (long long) t->tempos, part(t->tempo_octave, t->tempos));
        json_object_set_new(o, "tempo",
                            json_pack("{s:I, s:f, s:f}", "asked", (json_int_t) t->tempos, "right",
                                      part(t->tempo_right, t->tempos), "right_or_multiple",
                                      part(t->tempo_octave, t->tempos)));
    }
    if (t->keys) {
        say(a, "  key                  %5.3f of %lld (%.3f the tonic)", part(t->key_right, t->keys),
            (long long) t->keys, part(t->tonic_right, t->keys));
        json_object_set_new(o, "key",
                            json_pack("{s:I, s:f, s:f}", "asked", (json_int_t) t->keys, "right",
                                      part(t->key_right, t->keys), "tonic_right", part(t->tonic_right, t->keys)));
    }
}

static void measure(const arguments *a, const char *path, bool only_held_out, json_t *result, const char *key,
                    const char *what) {
    const recordings *list = recordings_find(path, 0);
    tally t = {0};
    json_t *o = json_object(), *sounds = json_array();
    json_object_set_new(result, key, o);
    json_object_set_new(o, "sounds", sounds);
    for (size_t i = 0; i < list->count; i++) {
        const sound_file *f = &list->items[i];
        if (only_held_out && !f->held_out) continue;
        hearing h = {f->path, music_asked(f->caption ? f->caption : path_name(f->path)), &t, sounds};
        hiss_error error;
        progress("hearing music", (int64_t) i, (int64_t) list->count);
        if (h.asked.bpm <= 0 && h.asked.key.tonic < 0) continue;
        if (try_run(hear, &h, &error)) continue;
        if (error.code == HISS_ERROR_MEMORY || error.code == HISS_ERROR_INTERRUPTED) fail_again(&error);
        warn("skipped: %s", error.message);
    }
    if (!t.tempos && !t.keys)
        fail(HISS_ERROR_ARGUMENT,
             "%s: neither captions nor names ask for a tempo (\"105 BPM\") or a key (\"B flat major\")", path);
    tell(a, format("%s (%s)", what, path), &t, o);
}

void eval_music(const arguments *a, json_t *result) {
    json_t *o = json_object();
    json_object_set_new(result, "music", o);
    if (text(a, OPT_DATA)) measure(a, text(a, OPT_DATA), true, o, "held_out", "held-out recordings");
    if (a->name_count) measure(a, a->names[0], false, o, "generated", "generated");
    if (!text(a, OPT_DATA) && !a->name_count)
        fail(HISS_ERROR_ARGUMENT, "hiss eval --music: give recordings (--data) or generated sounds");
}
