/* hiss eval --steady: whether a long sound drifts or comes round. */
#include "base/json.h"
#include "base/scope.h"
#include "cli/eval.h"
#include "cli/output.h"
#include "eval/steadiness.h"

void eval_steadiness(const arguments *a, json_t *result) {
    if (!a->name_count) fail(HISS_ERROR_ARGUMENT, "hiss eval --steady: give a long sound");
    scope_begin();
    const steadiness s = steadiness_of(audio_read(a->names[0]));
    say(a, "%s, %lld parts of 10 s:", a->names[0], (long long) s.parts);
    say(a, "  level %.1f dB; parts from %+.1f to %+.1f dB of it, drift %+.2f dB", s.level_db, s.level_low_db,
        s.level_high_db, s.level_drift_db);
    say(a, "  spectrum: the furthest part is %.2f dB from the mean, the last quarter %.2f dB from the first",
        s.spectrum_far_db, s.spectrum_drift_db);
    say(a, "  most like itself %.1f s later: correlation %.3f", s.lag_seconds, s.likeness);
    json_object_set_new(result, "steadiness",
                        json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "parts", (json_int_t) s.parts,
                                  "level_db", s.level_db, "level_low_db", s.level_low_db, "level_high_db",
                                  s.level_high_db, "level_drift_db", s.level_drift_db, "spectrum_far_db",
                                  s.spectrum_far_db, "spectrum_drift_db", s.spectrum_drift_db, "likeness", s.likeness,
                                  "lag_seconds", s.lag_seconds));
    scope_end();
}
