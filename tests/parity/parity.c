/* parity [--precision f32|bf16|int8] [--device NAME] [--only SYSTEM] CASE_DIR...: runs parity cases. A folder without a case.json is searched for
 * them. Prints a line an output and one a case, closes with "N passed, N failed"; exit status 1 if a case failed. */
#include "parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/parallel.h"
#include "tensor/device.h"
#include "tensor/tape.h"
#include "weights_tsv.h"

static const double BF16_TOLERANCE = 2e-2;

struct parity_case {
    const char *folder;
    config info;
    store *io;
    bool *compared; /* by index in io */
    bool failed;
};

static const parity_row *const TABLES[] = {PARITY_WAVES,  PARITY_TRAINING,  PARITY_TORCHRNG,    PARITY_DIFFUSION,
                                           PARITY_SIGNAL, PARITY_MEL,       PARITY_LEVELS,      PARITY_TEXT,
                                           PARITY_EVAL,   PARITY_GENERATOR, PARITY_STABLE_AUDIO};

config parity_info(const parity_case *c) { return c->info; }
config parity_config(const parity_case *c) { return config_get(c->info, "config"); }
char *parity_path(const parity_case *c, const char *name) { return path_join(c->folder, name); }

store *parity_checkpoint(const parity_case *c) {
    const char *name = config_need_string(c->info, "checkpoint");
    if (!strcmp(name, "weights.tsv")) return weights_tsv_open(c->folder);
    return store_open(parity_path(c, name));
}

tensor *parity_in(const parity_case *c, const char *name) { return store_read(c->io, format("in.%s", name)); }
tensor *parity_in_f32(const parity_case *c, const char *name) { return tensor_to_f32(parity_in(c, name)); }
bool parity_has_in(const parity_case *c, const char *name) { return store_find(c->io, format("in.%s", name)); }
tensor *parity_expected(const parity_case *c, const char *name) { return store_read(c->io, format("out.%s", name)); }
bool parity_has_out(const parity_case *c, const char *name) { return store_find(c->io, format("out.%s", name)); }

tensor *swap_last_two(const tensor *t) {
    require(t->rank == 3 && t->type == F32);
    int64_t B = t->shape[0], M = t->shape[1], N = t->shape[2];
    tensor *s = tensor_new(F32, SHAPE(B, N, M));
    for (int64_t b = 0; b < B; b++)
        for (int64_t m = 0; m < M; m++)
            for (int64_t n = 0; n < N; n++) f32(s)[(b * N + n) * M + m] = f32(t)[(b * M + m) * N + n];
    return s;
}

/* A tolerance in words ("0.1 LU", "absolute 1e-5") is of the largest difference, a number of the relative error. */
static double unit_tolerance(const parity_case *c, const char *name) {
    const json_t *t = json_object_get(config_get(c->info, "tolerance").value, name);
    if (!json_is_string(t)) return 0;
    const char *word = json_string_value(t), *number = strpbrk(word, "0123456789");
    return number ? strtod(number, NULL) : 0;
}

static double largest_difference(const tensor *got, const tensor *expected) {
    const double *x = tensor_convert(got, F64)->data, *y = tensor_convert(expected, F64)->data;
    double largest = 0;
    for (int64_t i = 0; i < count(expected); i++) largest = fmax(largest, isnan(x[i]) ? INFINITY : fabs(x[i] - y[i]));
    return largest;
}

/* The tolerance of one output: a number for all, or an object by name. */
static double tolerance_of(const parity_case *c, const char *name) {
    config t = config_get(c->info, "tolerance");
    if (json_is_number(t.value)) return json_number_value(t.value);
    if (config_has(t, name)) return config_number(t, name, 0, 0, 1e9);
    return config_number(t, "default", 1e-5, 0, 1e9);
}

static bool is_integer(dtype t) { return t == I64 || t == I32 || t == I16 || t == I8 || t == U8 || t == BOOL8; }

double relative_error(const tensor *got, const tensor *expected) {
    int64_t n = count(expected);
    tensor *a = tensor_convert(got, F64), *b = tensor_convert(expected, F64);
    const double *x = a->data, *y = b->data;
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) && !(x[i] == y[i]) && !(isnan(x[i]) && isnan(y[i]))) return INFINITY;
        if (!isfinite(y[i])) {
            if (x[i] == y[i] || (isnan(x[i]) && isnan(y[i]))) continue;
            return INFINITY;
        }
        error += (x[i] - y[i]) * (x[i] - y[i]);
        size += y[i] * y[i];
    }
    return size > 0 ? sqrt(error / size) : sqrt(error);
}

void parity_figure(parity_case *c, const char *name, double error, double allowed) {
    bool good = error <= allowed;
    if (!good) c->failed = true;
    printf("  %-24s error %.2e, allowed %.0e%s\n", name, error, allowed, good ? "" : "  FAILED");
}

static double cosine_distance(const tensor *got, const tensor *expected) {
    const double *x = tensor_convert(got, F64)->data, *y = tensor_convert(expected, F64)->data;
    double dot = 0, xx = 0, yy = 0;
    for (int64_t i = 0; i < count(expected); i++) {
        dot += x[i] * y[i];
        xx += x[i] * x[i];
        yy += y[i] * y[i];
    }
    const double cosine = dot / sqrt(xx * yy);
    return isfinite(cosine) ? 1 - cosine : INFINITY;
}

/* walked: the end of a walk through the network, which in bf16 need only go the same way. */
static void compare(parity_case *c, const char *name, const tensor *got, bool walked) {
    static const double BF16_DISTANCE = 1e-3; /* a cosine of 0.999 */
    scope_begin();
    char *full = format("out.%s", name);
    const store_entry *e = store_find(c->io, full);
    if (!e) fail(HISS_ERROR_FORMAT, "%s: no output %s", c->folder, name);
    for (size_t i = 0; i < store_count(c->io); i++)
        if (!strcmp(store_at(c->io, i)->name, full)) c->compared[i] = true;
    tensor *expected = store_read(c->io, full);
    if (count(expected) != count(got)) {
        printf("  %-24s %s, expected %s\n", name, shape_text(shape_of(got)), shape_text(shape_of(expected)));
        c->failed = true;
    } else if (unit_tolerance(c, name) > 0) {
        parity_figure(c, name, largest_difference(got, expected), unit_tolerance(c, name));
    } else if (walked && operands() == BF16) {
        parity_figure(c, format("%s, direction", name), cosine_distance(got, expected), BF16_DISTANCE);
    } else {
        double error = relative_error(got, expected), allowed = is_integer(expected->type) ? 0 : tolerance_of(c, name);
        if (operands() == BF16 && allowed > 0 && allowed < BF16_TOLERANCE) allowed = BF16_TOLERANCE;
        parity_figure(c, name, error, allowed);
    }
    scope_end();
}

void parity_out(parity_case *c, const char *name, const tensor *got) { compare(c, name, got, false); }
void parity_walked(parity_case *c, const char *name, const tensor *got) { compare(c, name, got, true); }

/* --- running --- */

static int passed, failed;

static const parity_row *find_row(const char *system, const char *part) {
    for (size_t t = 0; t < sizeof TABLES / sizeof *TABLES; t++)
        for (const parity_row *r = TABLES[t]; r->system; r++)
            if (!strcmp(r->system, system) && (!r->part || !strcmp(r->part, part))) return r;
    return NULL;
}

static void release_json(void *value) { json_decref(value); }

/* case.json: one case has texts with zeros in them, which configurations may not have. */
static config load_case(const char *path) {
    bytes file = file_read(path, 16 << 20);
    json_error_t error;
    json_t *value = json_loadb((const char *) file.data, file.size, JSON_ALLOW_NUL, &error);
    if (!value) fail(HISS_ERROR_FORMAT, "%s: %s", path, error.text);
    defer(release_json, value);
    return (config){.value = value, .where = copy_string(path)};
}

static void run_case(void *folder) {
    parity_case c = {.folder = folder};
    c.info = load_case(path_join(folder, "case.json"));
    const char *system = config_need_string(c.info, "system"), *part = config_string(c.info, "part", "");
    const parity_row *row = find_row(system, part);
    if (!row) fail(HISS_ERROR_ARGUMENT, "%s: nothing computes %s, part %s", c.folder, system, part);
    c.io = store_open(path_join(folder, "io.safetensors"));
    c.compared = NEW_ARRAY(bool, store_count(c.io) + 1);
    row->run(&c);
    for (size_t i = 0; i < store_count(c.io); i++) {
        const char *name = store_at(c.io, i)->name;
        if (strncmp(name, "out.", 4) != 0 || c.compared[i]) continue;
        printf("  %-24s not computed  FAILED\n", name + 4);
        c.failed = true;
    }
    if (c.failed) fail(HISS_ERROR_FORMAT, "outputs differ");
}

static void walk(const char *folder) {
    if (file_exists(path_join(folder, "case.json"))) {
        printf("%s\n", folder);
        hiss_error error;
        if (try_run(run_case, (void *) folder, &error)) {
            printf("  passed\n");
            passed++;
        } else {
            printf("  FAILED: %s\n", error.message);
            failed++;
        }
        fflush(stdout);
        return;
    }
    for (char **name = folder_list(folder); *name; name++)
        if (folder_exists(path_join(folder, *name))) walk(path_join(folder, *name));
}

static void set_precision(const char *name) {
    if (!strcmp(name, "f32")) precision_set(PRECISION_F32);
    else if (!strcmp(name, "bf16")) precision_set(PRECISION_BF16);
    else if (!strcmp(name, "int8")) precision_set(PRECISION_INT8);
    else fail(HISS_ERROR_ARGUMENT, "--precision %s: f32, bf16 or int8", name);
}

typedef struct {
    int count;
    char **words;
} arguments;

static void run_all(void *context) {
    const arguments *a = context;
    precision_set(PRECISION_F32);
    for (int i = 1; i < a->count; i++) {
        if (!strcmp(a->words[i], "--precision") && i + 1 < a->count) set_precision(a->words[++i]);
        else if (!strcmp(a->words[i], "--device") && i + 1 < a->count) {
            device_open(a->words[++i]);
            device_begin();
        } else if (!folder_exists(a->words[i])) fail(HISS_ERROR_FILE, "%s: no such folder", a->words[i]);
        else walk(a->words[i]);
    }
}

int main(int count, char **words) {
    threads_spin_briefly(words);
    hiss_error error;
    arguments a = {count, words};
    if (!try_run(run_all, &a, &error)) {
        fprintf(stderr, "parity: %s\n", error.message);
        return 2;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
