/* The sound model as a user meets it: from the start of the program to sound, by steps and by length. The shipped model, or one of the
 * recipe's size with random weights where there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "bench.h"
#include "models/mel_dit.h"
#include "systems/generate.h"
#include "systems/shipped.h"

/* Of the network, a row of a pass; of the vocoder, a second. Rows: patches of each branch (two with guidance outside of the network),
 * overlaps counted twice. */
static const double ROW_GFLOP = 0.0102, VOCODER_GFLOP = 0.76;
enum { RATE = 44100, WINDOW = 64, STEP = 48, PATCH = 4096 };

typedef struct {
    const char *path;
    sound_request request;
    const model *m;
} asking;

static void no_piece(void *context, const float *samples, int64_t n) { (void) context, (void) samples, (void) n; }
static void no_sound(void *context, int64_t i, const audio *sound) { (void) context, (void) i, (void) sound; }

static void ask(void *context) {
    const asking *a = context;
    if (has_pieces(a->m, &a->request)) generate_pieces(a->m, &a->request, 0, no_piece, NULL);
    else generate_sounds(a->m, &a->request, no_sound, NULL);
}

/* All that stands between the command and the first step. */
static void start(void *context) {
    asking *a = context;
    a->m = model_open(a->path);
    ask(context);
}

static double gflop_of(double seconds, int64_t steps, int branches) {
    const int64_t patches = (int64_t) (seconds * RATE / PATCH) + 1;
    const int64_t windows = patches > WINDOW ? (patches - WINDOW + STEP - 1) / STEP + 1 : 1;
    return branches * ROW_GFLOP * (double) (windows * WINDOW * steps) + VOCODER_GFLOP * seconds;
}

static void remove_model(void *path) {
    unlink(path_join(path, "weights.safetensors"));
    unlink(path_join(path, "config.json"));
    rmdir(path);
}

/* Of the sizes of recipes/sound.json. */
static const char *random_model(void) {
    static const char CONFIG[] =
        "{\"system\": \"mel-dit\", \"sample_rate\": 44100, \"width\": 256, \"blocks\": 6, \"heads\": 4, "
        "\"components\": 256, \"patch\": 8, \"bands\": 128, \"text_width\": 384, \"classes\": 106}";
    char *folder = copy_string("/tmp/hiss-bench-XXXXXX");
    if (!mkdtemp(folder)) fail_errno(HISS_ERROR_FILE, "%s: cannot be made", folder);
    defer(remove_model, folder);
    scope_begin();
    const mel_dit_config c = mel_dit_config_read(config_parse(CONFIG, sizeof CONFIG - 1, "bench"));
    binder *b = binder_new((random_key){1, 5});
    mel_dit_bind(&c, b);
    params_save(binder_finish(b, true), path_join(folder, "weights.safetensors"), F32, NULL);
    file_write(path_join(folder, "config.json"), CONFIG, sizeof CONFIG - 1);
    scope_end();
    return folder;
}

static asking asking_of(double seconds, int64_t steps, const asking *from) {
    asking a = *from;
    a.request.seconds = seconds;
    a.request.steps = steps;
    return a;
}

static asking open_model(const char *name) {
    const char *shipped = shipped_find(name);
    asking a = {.path = shipped ? shipped : random_model()};
    a.m = model_open(a.path);
    a.request = sound_request_for(a.m);
    a.request.prompt = "heavy rain on a tin roof";
    return a;
}

/* What hiss generate takes: guidance is inside, so a step is one pass. */
static void few_steps(void) {
    const asking all = open_model("sound-few-step");
    for (int64_t steps = 1; steps <= 4; steps *= 4) {
        asking a = asking_of(10, steps, &all);
        measure_sound(format("few-step model: 10 s, %d step%s", (int) steps, steps > 1 ? "s" : ""),
                      gflop_of(10, steps, 1), 10, ask, &a);
    }
}

/* The whole of hiss generate with the shipped models: start-up, and what a user's first command takes. */
static void start_program(void) {
    char here[4096];
    const ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    if (n <= 0 || !shipped_find("sound-few-step")) return;
    here[n] = 0;
    const char *hiss = path_join(path_folder(here), "hiss"), *out = format("/tmp/hiss-bench-%ld.wav", (long) getpid());
    if (!file_exists(hiss)) return;
    for (int seconds = 0; seconds <= 10; seconds += 10) {
        const char *const words[] = {hiss, "generate", "rain", "-q", "-o", out, "--seconds", seconds ? "10" : "0.1",
                                     NULL};
        measure_program(format("program: start to %s s of sound in a file", words[7]), words);
    }
    unlink(out);
}

void bench_sound(void) {
    static const int64_t STEPS[] = {1, 4, 16};
    scope_begin();
    const asking all = open_model("sound");
    asking a = asking_of(0.1, 1, &all);
    measure("sound model: opened, 0.1 s in 1 step", gflop_of(0.1, 1, 2), start, &a);
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        a = asking_of(10, STEPS[i], &all);
        measure_sound(format("sound model: 10 s, %d step%s", (int) STEPS[i], STEPS[i] > 1 ? "s" : ""),
                      gflop_of(10, STEPS[i], 2), 10, ask, &a);
    }
    if (shipped_find("sound-few-step")) few_steps();
    start_program();
    scope_end();
}

/* Peak memory is that of one window, whatever the length. */
void bench_sound_long(void) {
    scope_begin();
    const asking all = open_model("sound");
    for (int seconds = 61; seconds <= 610; seconds *= 10) {
        asking a = asking_of(seconds, 1, &all);
        measure_sound_once(format("sound model: %d s, 1 step", seconds), gflop_of(seconds, 1, 2), seconds, ask, &a);
    }
    scope_end();
}
