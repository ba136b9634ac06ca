/* hiss_bench: how fast hiss is on this machine, beside what its cores can do: the peak is measured in the same run by
 * large matrix products. FLOP counts are those of the networks' definitions (2 per multiply and add), whatever is
 * computed. */
#include "bench.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/parallel.h"
#include "base/random.h"
#include "tensor/convert.h"
#include "tensor/cpu/dnn.h"

enum { MOST_REPEATS = 1000, PEAK_SIDE = 2048 };

static struct {
    int repeat;
    bool json;
    clockid_t clock;
    double peak[2]; /* GFLOP/s of F32 and BF16 products */
} settings = {.repeat = 3, .clock = CLOCK_MONOTONIC};

/* --- measuring --- */

static double now(void) {
    struct timespec t;
    clock_gettime(settings.clock, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* Linux forgets the process's peak when 5 is written here; where it does not, the peak is that since the start. */
static void forget_peak(void) {
    memory_trim();
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f) return;
    fputs("5", f);
    fclose(f);
}

/* Peak resident memory, MiB. */
static double peak_memory(void) {
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
    fclose(f);
    return (double) kib / 1024;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double run_once(void (*body)(void *), void *context) {
    scope_begin();
    double before = now();
    body(context);
    double seconds = now() - before;
    scope_end();
    return seconds;
}

/* Of n runs: the median is what a user waits, the best what the machine can do when others leave it alone. */
typedef struct {
    double median, best;
} timing;

static timing time_runs(int n, void (*body)(void *), void *context) {
    double seconds[MOST_REPEATS];
    for (int i = 0; i < n; i++) seconds[i] = run_once(body, context);
    qsort(seconds, (size_t) n, sizeof *seconds, ascending);
    return (timing){n % 2 ? seconds[n / 2] : 0.5 * (seconds[n / 2 - 1] + seconds[n / 2]), seconds[0]};
}

/* sound: seconds of it that were made, 0: none. memory: MiB. */
static void print_row(const char *work, timing t, double gflop, double sound, double memory) {
    dtype type = operands();
    double seconds = t.median, rate = gflop / seconds,
           peak = settings.peak[1] > settings.peak[0] ? settings.peak[1] : settings.peak[0];
    const char *precision = coarse_products() ? "int8" : type == BF16 ? "bf16" : "f32";
    if (settings.json)
        printf("{\"work\": \"%s\", \"precision\": \"%s\", \"threads\": %d, \"seconds\": %.6g, \"best_seconds\": %.6g, "
               "\"gflop\": %.6g, "
               "\"gflop_per_second\": %.6g, \"share_of_peak\": %.4f, \"share_of_own_peak\": %.4f, \"peak_mib\": %.1f, "
               "\"times_real_time\": %.2f}\n",
               work, precision, threads_get(), seconds, t.best, gflop, rate, rate / peak,
               rate / settings.peak[type == BF16], memory, sound / seconds);
    else
        printf("%-44s %-5s %10.5f %10.5f %9.2f %9.1f %7.1f%% %7.1f%% %8.0f %8s\n", work, precision, seconds, t.best,
               gflop, rate, 100 * rate / peak, 100 * rate / settings.peak[type == BF16], memory,
               sound > 0 ? format("%.1f", sound / seconds) : "");
    fflush(stdout);
}

void measure(const char *work, double gflop, void (*body)(void *), void *context) {
    measure_sound(work, gflop, 0, body, context);
}

void measure_once(const char *work, double gflop, void (*body)(void *), void *context) {
    measure_sound_once(work, gflop, 0, body, context);
}

void measure_sound(const char *work, double gflop, double sound_seconds, void (*body)(void *), void *context) {
    forget_peak();
    run_once(body, context);
    print_row(work, time_runs(settings.repeat, body, context), gflop, sound_seconds, peak_memory());
}

void measure_sound_once(const char *work, double gflop, double sound_seconds, void (*body)(void *), void *context) {
    forget_peak();
    print_row(work, time_runs(1, body, context), gflop, sound_seconds, peak_memory());
}

/* --- the program --- */

typedef struct {
    const char *const *words;
    double most; /* MiB */
} program;

static void run_program(void *context) {
    program *p = context;
    struct rusage used;
    int status;
    const pid_t child = fork();
    if (!child) {
        const int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        execv(p->words[0], (char *const *) p->words);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) < 0 || status)
        fail(HISS_ERROR_FILE, "%s: did not run", p->words[0]);
    if ((double) used.ru_maxrss / 1024 > p->most) p->most = (double) used.ru_maxrss / 1024;
}

void measure_program(const char *work, const char *const *words) {
    program p = {words, 0};
    run_program(&p);
    const timing t = time_runs(settings.repeat, run_program, &p);
    print_row(work, t, 0, 0, p.most);
}

/* --- numbers --- */

float *random_floats(int64_t count, float deviation) {
    float *x = alloc((size_t) count * sizeof(float));
    random_normal((random_key){1, 1}, 0, x, (size_t) count);
    for (int64_t i = 0; i < count; i++) x[i] *= deviation;
    return x;
}

void *random_operand(int64_t count, float deviation, dtype type) {
    float *x = random_floats(count, deviation);
    if (type == F32) return x;
    void *narrow = alloc((size_t) count * dtype_size(type));
    convert(narrow, type, x, F32, count);
    return narrow;
}

/* --- the peak --- */

typedef struct {
    dtype type;
    void *a;
    tensor *b;
    float *y;
} square;

static void multiply(void *context) {
    square *s = context;
    matmul_problem p = {.m = PEAK_SIDE, .n = PEAK_SIDE, .k = PEAK_SIDE, .in = s->type, .out = F32};
    matmul_weights(&p, s->a, s->b, NULL, s->y);
}

/* The best of a few products: what these cores can do when nothing else disturbs them. */
static void measure_peak(void) {
    scope *home = scope_begin();
    int64_t n = (int64_t) PEAK_SIDE * PEAK_SIDE;
    param p = {.name = "b", .value = tensor_new(F32, SHAPE(PEAK_SIDE, PEAK_SIDE)), .version = 1, .home = home};
    p.value->param = &p;
    memcpy(p.value->data, random_floats(n, 1), (size_t) n * sizeof(float));
    for (int bf = 0; bf < 2; bf++) {
        square s = {bf ? BF16 : F32, random_operand(n, 1, bf ? BF16 : F32), p.value, alloc((size_t) n * sizeof(float))};
        for (int i = 0; i < 8; i++) {
            double rate = 2e-9 * (double) n * PEAK_SIDE / run_once(multiply, &s);
            if (rate > settings.peak[bf]) settings.peak[bf] = rate;
        }
    }
    scope_end();
}

static void print_peak(void) {
    if (settings.json)
        printf("{\"cpu\": \"%s\", \"kernels\": \"%s\", \"library\": \"%s\", \"threads\": %d, "
               "\"peak_f32_gflop_per_second\": "
               "%.1f, \"peak_bf16_gflop_per_second\": %.1f}\n",
               cpu()->name, dnn_isa(), dnn_version(), threads_get(), settings.peak[0], settings.peak[1]);
    else
        printf(
            "%s, %s, %s, %d threads\nmatrix peak measured: f32 %.1f GFLOP/s, bf16 %.1f GFLOP/s\n\n%-44s %-5s %10s %10s "
            "%9s %9s "
            "%8s %8s %8s %8s\n",
            cpu()->name, dnn_isa(), dnn_version(), threads_get(), settings.peak[0], settings.peak[1], "work", "type",
            "seconds", "best", "GFLOP", "GFLOP/s", "of peak", "of type", "MiB", "x real");
    fflush(stdout);
}

/* --- the program --- */

static void only_the_peak(void) {}

static const struct {
    const char *name, *help;
    bool usual; /* run when no workload is named */
    void (*run)(void);
} workloads[] = {
    {"peak", "large matrix products alone", false, only_the_peak},
    {"conv", "the convolutions of DiffWave and WaveGrad, one by one", false, bench_conv},
    {"diffwave", "DiffWave BASE, 5 s in the 6 steps of the fast schedule", true, bench_diffwave},
    {"wavegrad", "WaveGrad base, 5 s in 6 iterations", true, bench_wavegrad},
    {"diffwave-train", "a training step of DiffWave BASE, 16 x 62 frames", true, bench_diffwave_train},
    {"wave-unet-train", "a training step of the drum recipe's network, 8 sounds", true, bench_wave_unet_train},
    {"memory", "one pass of each over 10 s and over 60 s: memory stays", true, bench_memory},
    {"stable-audio", "Stable Audio Open Small's transformer, Oobleck both ways", true, bench_stable_audio},
    {"stable-audio-large", "Stable Audio Open 1.0's transformer", true, bench_stable_audio_large},
    {"vocoder", "hiss's own vocoder, 20 s: network, phases, two re-gains", true, bench_vocoder},
    {"sound", "the sound model: the program's start, 10 s in 1, 4 and 16 steps, the same in few steps", true,
     bench_sound},
    {"sound-long", "the sound model over 61 s and over 610 s: memory stays", true, bench_sound_long},
};
enum { WORKLOADS = sizeof workloads / sizeof *workloads };

static int usage(FILE *to, int code) {
    fputs("usage: hiss_bench [WORKLOAD...] [--precision auto|f32|bf16|int8] [--threads N] [--repeat N] [--json]\n"
          "                  [--processor-time]\n\n"
          "Prints for each work: seconds (median of the repeats), GFLOP, GFLOP/s, share of the best matrix peak "
          "measured in\n"
          "this run, share of the peak of its own type, peak resident memory, times faster than the sound lasts. "
          "--json: one object a line.\n"
          "--processor-time: seconds of all cores together, not of the clock: on a busy machine, with --threads 1.\n\n",
          to);
    for (int i = 0; i < WORKLOADS; i++)
        fprintf(to, "  %-16s%s%s\n", workloads[i].name, workloads[i].help,
                workloads[i].usual ? "" : " (only if named)");
    return code;
}

static int find_workload(const char *name) {
    for (int i = 0; i < WORKLOADS; i++)
        if (!strcmp(name, workloads[i].name)) return i;
    return -1;
}

static bool set_precision(const char *name) {
    static const char *const names[] = {
        [PRECISION_AUTO] = "auto", [PRECISION_F32] = "f32", [PRECISION_BF16] = "bf16", [PRECISION_INT8] = "int8"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, names[i])) return precision_set((precision) i), true;
    return false;
}

static bool read_options(int argc, char **argv) {
    static const struct option options[] = {{"precision", required_argument, NULL, 'p'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"repeat", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"processor-time", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    for (int o; (o = getopt_long(argc, argv, "p:t:r:jch", options, NULL)) != -1;) {
        if (o == 'p' && set_precision(optarg)) continue;
        if (o == 't' && atoi(optarg) >= 0) threads_set(atoi(optarg));
        else if (o == 'r' && atoi(optarg) >= 1 && atoi(optarg) <= MOST_REPEATS) settings.repeat = atoi(optarg);
        else if (o == 'j') settings.json = true;
        else if (o == 'c') settings.clock = CLOCK_PROCESS_CPUTIME_ID;
        else return false;
    }
    for (int i = optind; i < argc; i++)
        if (find_workload(argv[i]) < 0) return false;
    return true;
}

typedef struct {
    int count;
    char **names;
} request;

static void run(void *context) {
    request *r = context;
    measure_peak();
    print_peak();
    for (int i = 0; i < WORKLOADS; i++) {
        bool wanted = !r->count && workloads[i].usual;
        for (int k = 0; k < r->count; k++) wanted |= !strcmp(r->names[k], workloads[i].name);
        if (wanted) workloads[i].run();
    }
}

int main(int argc, char **argv) {
    threads_spin_briefly(argv);
    threads_set(0);
    if (argc == 2 && !strcmp(argv[1], "--help")) return usage(stdout, 0);
    if (!read_options(argc, argv)) return usage(stderr, 2);
    hiss_error error = {0};
    request r = {argc - optind, argv + optind};
    scope_begin();
    bool fine = try_run(run, &r, &error);
    if (!fine) fprintf(stderr, "hiss_bench: %s\n", error.message);
    scope_end();
    return fine ? 0 : 1;
}
