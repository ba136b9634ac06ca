#include "train/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

/* --- the file --- */

static void close_file(void *file) { fclose(file); }

/* The log's lines up to the step that the run goes on from; later ones are of steps that will be done again. */
static char *log_until(const char *path, int64_t step) {
    if (!file_exists(path)) return copy_string("");
    bytes old = file_read(path, (size_t) 1 << 30);
    char *kept = alloc(old.size + 1), *end = kept;
    for (const char *line = (const char *) old.data; line && *line;) {
        const char *next = strchr(line, '\n');
        if (!next) break; /* cut off when the run was killed */
        const char *at = strstr(line, "\"step\":");
        if (at && at < next && strtoll(at + 7, NULL, 10) <= step) {
            memcpy(end, line, (size_t) (next + 1 - line));
            end += next + 1 - line;
        }
        line = next + 1;
    }
    *end = 0;
    return kept;
}

train_log train_log_open(const char *folder, int64_t step) {
    const char *path = path_join(folder, "log.jsonl"), *kept = step >= 0 ? log_until(path, step) : "";
    file_write(path, kept, strlen(kept));
    train_log l = {folder, fopen(path, "a")};
    if (!l.file) fail_errno(HISS_ERROR_FILE, "%s: cannot be written", path);
    defer(close_file, l.file);
    return l;
}

/* --- its lines --- */

static const char *const EVENT_NAMES[] = {"note", "step", "held_out", "checkpoint", "sounds"};

static void log_number(json_t *o, const char *key, double value) {
    if (isfinite(value)) json_object_set_new(o, key, json_real(value));
}

/* A line of log.jsonl; losses with all their digits, so that runs can be compared. */
void log_report(const train_log *l, const train_report *report) {
    scope_begin();
    json_t *o = json_make_object();
    json_object_set_new(o, "event", json_string(EVENT_NAMES[report->event]));
    json_object_set_new(o, "step", json_integer(report->step));
    if (report->event == TRAIN_STEP) {
        log_number(o, "loss", report->loss);
        if (report->rival_name) log_number(o, report->rival_name, report->rival);
        log_number(o, "learning_rate", report->learning_rate);
        log_number(o, "gradient_norm", report->gradient_norm);
        log_number(o, "clips_per_second", report->clips_per_second);
    }
    if (report->event == TRAIN_HELD_OUT) log_number(o, "held_out", report->held_out);
    log_number(o, "seconds", report->seconds);
    if (report->message) json_object_set_new(o, "message", json_string(report->message));
    char *line = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (line) fprintf(l->file, "%s\n", line);
    free(line);
    if (fflush(l->file)) fail_errno(HISS_ERROR_FILE, "%s/log.jsonl: cannot be written", l->folder);
    scope_end();
}

/* --- the same for people --- */

static char *duration(double seconds) {
    int64_t minutes = (int64_t) (seconds / 60);
    if (seconds < 120) return format("%.0f s", seconds);
    if (minutes < 120) return format("%" PRId64 " min", minutes);
    return format("%" PRId64 " h %02" PRId64 " min", minutes / 60, minutes % 60);
}

char *train_report_text(const train_report *t) {
    if (t->event == TRAIN_NOTE) return copy_string(t->message ? t->message : "");
    if (t->event == TRAIN_CHECKPOINT || t->event == TRAIN_SOUNDS) return format("wrote %s", t->message);
    char *held = isnan(t->held_out) ? copy_string("") : format("  held-out %.4f", t->held_out);
    char *rival = t->rival_name && isfinite(t->rival) ? format("  %s %.4f", t->rival_name, t->rival) : copy_string("");
    return format("step %" PRId64 "/%" PRId64 "  loss %.4f%s%s  %.1f clips/s  %s left", t->step, t->steps, t->loss,
                  rival, held, t->clips_per_second, duration(t->seconds_left));
}
