#include "cli/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/scope.h"
#include "base/text.h"
#include "tensor/device.h"
#include "tensor/tape.h"

static const double PLAIN_LINE_SECONDS = 5;

void say(const arguments *a, const char *pattern, ...) {
    if (flag(a, OPT_JSON)) return;
    va_list values;
    va_start(values, pattern);
    vprintf(pattern, values);
    va_end(values);
    putchar('\n');
}

void say_json(const arguments *a, const json_t *result) {
    if (flag(a, OPT_JSON)) printf("%s\n", json_text(result));
}

/* --- progress --- */

typedef struct {
    bool terminal, drawn;
    double begin, last; /* seconds; last: when a plain line was printed */
    int64_t done;
} meter;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static int draw(void *context, const char *what, int64_t done, int64_t total) {
    meter *m = context;
    if (done < m->done) m->begin = now(); /* other work, or the same once more */
    m->done = done;
    double seconds = now() - m->begin, left = done > 0 ? seconds * (double) (total - done) / (double) done : 0;
    if (m->terminal) {
        fprintf(stderr, "\r%s %lld/%lld  %.1f s, %.0f s left \033[K", what, (long long) done, (long long) total,
                seconds, left);
        m->drawn = true;
    } else if (done > 0 && now() - m->last >= PLAIN_LINE_SECONDS) {
        fprintf(stderr, "%s %lld/%lld, %.0f s left\n", what, (long long) done, (long long) total, left);
        m->last = now();
    }
    fflush(stderr);
    return 0;
}

static void end_progress(void *context) {
    meter *m = context;
    if (m->drawn) fprintf(stderr, "\r\033[K");
    progress_to(NULL, NULL, NULL, NULL);
}

static double begun; /* when the command was ready to work */

void tell_seeds(const arguments *a, uint64_t first, int64_t count, double seconds) {
    if (flag(a, OPT_QUIET) || flag(a, OPT_JSON)) return;
    const uint64_t last = first + (uint64_t) count - 1;
    const char *which = count > 1
                            ? format("seeds %llu to %llu, each", (unsigned long long) first, (unsigned long long) last)
                            : format("seed %llu,", (unsigned long long) first);
    if (isatty(STDERR_FILENO) == 1) fprintf(stderr, "\r\033[K"); /* over the line of progress */
    fprintf(stderr, "%s %.4g s of sound, made in %.1f s\n", which, seconds, now() - begun);
}

void show_progress(const arguments *a) {
    if (flag(a, OPT_QUIET)) return;
    meter *m = NEW(meter);
    m->terminal = isatty(STDERR_FILENO) == 1;
    m->begin = m->last = now();
    progress_to(draw, m, NULL, NULL);
    defer(end_progress, m);
}

void prepare(const arguments *a) {
    begun = now();
    static const struct {
        const char *name;
        precision value;
    } PRECISIONS[] = {
        {"auto", PRECISION_AUTO}, {"f32", PRECISION_F32}, {"bf16", PRECISION_BF16}, {"int8", PRECISION_INT8}};
    threads_set((int) integer(a, OPT_THREADS, 0));
    for (size_t i = 0; text(a, OPT_PRECISION) && i < sizeof PRECISIONS / sizeof *PRECISIONS; i++)
        if (!strcmp(text(a, OPT_PRECISION), PRECISIONS[i].name)) precision_set(PRECISIONS[i].value);
    if (text(a, OPT_DEVICE)) {
        device_open(text(a, OPT_DEVICE));
        device_begin();
    }
    show_progress(a);
}

/* --- where results go --- */

bool is_standard(const char *out) { return !strcmp(out, "-"); }

bool means_folder(const char *out) {
    if (is_standard(out)) return false;
    return folder_exists(out) || ends_with(out, "/") || !strcmp(path_name(out), ".") || !*path_extension(out);
}

void check_result_path(const char *out, const char *const *extensions) {
    if (is_standard(out)) fail(HISS_ERROR_ARGUMENT, "--out -: this goes to files, not to standard output: name one");
    if (means_folder(out)) {
        folder_make(out);
        folder_check_writable(out);
        return;
    }
    size_t count = 0;
    for (; extensions[count]; count++)
        if (!strcmp(path_extension(out), extensions[count])) {
            folder_make(path_folder(out));
            folder_check_writable(path_folder(out));
            return;
        }
    fail(HISS_ERROR_ARGUMENT, "--out %s: this cannot be written as %s: %s", out, path_extension(out),
         suggest(path_extension(out), extensions, count));
}

const char *result_path(const char *out, const char *stem, int64_t i, int64_t count, const char *extension) {
    if (means_folder(out)) {
        const char *name =
            count > 1 ? format("%s-%03lld%s", stem, (long long) i, extension) : format("%s%s", stem, extension);
        return path_join(out, name);
    }
    if (count == 1 || is_standard(out)) return out;
    return path_join(path_folder(out), format("%s-%03lld%s", path_stem(out), (long long) i, path_extension(out)));
}

const char *path_beside(const char *path, const char *extension) {
    const char *name = format("%s%s", path_stem(path), extension);
    return strchr(path, '/') ? path_join(path_folder(path), name) : name;
}
