/* The edits of Stable Audio on a small stored model, as a user makes them: options of the program, pipes, seams of loops and joins of long
 * sounds measured over many seeds, precisions, and model folders that are hostile. */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "folder.h"
#include "signal/audio.h"
#include "store/store.h"
#include "systems/codec.h"
#include "systems/stable_audio.h"
#include "tiny_stable.h"

enum { RATE = TINY_STABLE_RATE, HOP = TINY_STABLE_HOP, CHANNELS = TINY_STABLE_CHANNELS, WINDOW = 21 };

/* --- the program --- */

/* Runs `hiss WORDS` in the folder; its exit code. What it says to standard error lies in err.txt. */
static int hiss(const char *words) {
    const int status = system(format("cd %s && \"%s\" %s 2>err.txt </dev/null >out.txt", folder, HISS_PROGRAM, words));
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const char *said(void) { return (const char *) file_read(in_folder("err.txt"), 1 << 20).data; }

static void runs(const char *words) {
    if (!hiss(words)) return;
    print_error("hiss %s\n%s\n", words, said());
    assert_true(false);
}

/* Ends with an error that has this in it. */
static void fails(const char *words, const char *part) {
    const int code = hiss(words);
    if (code && strstr(said(), part)) return;
    print_error("hiss %s: exit %d, without '%s'\n%s\n", words, code, part, said());
    assert_true(false);
}

#define GENERATE "generate --model small rain --steps 3 --seed 4 --bits float "

static audio *heard(const char *name) { return audio_read(in_folder(name)); }

static double difference(const audio *a, const audio *b, int64_t first, int64_t end) {
    double sum = 0, size = 0;
    for (int64_t i = first * CHANNELS; i < end * CHANNELS; i++) {
        sum += pow((double) a->samples[i] - b->samples[i], 2);
        size += pow((double) b->samples[i], 2);
    }
    return sqrt(sum / size);
}

static bool same(const char *one, const char *other) {
    const audio *a = heard(one), *b = heard(other);
    return a->frames == b->frames && !memcmp(a->samples, b->samples, (size_t) (a->frames * CHANNELS) * sizeof(float));
}

static int set_up(void **state) {
    if (make_folder(state)) return -1;
    scope_begin();
    tiny_stable_write(in_folder("small"));
    audio *a = audio_new(1600, CHANNELS, RATE);
    random_normal((random_key){9, 1}, 0, a->samples, 1600 * CHANNELS);
    for (int64_t i = 0; i < (int64_t) 1600 * CHANNELS; i++) a->samples[i] *= 0.1f;
    audio_write(in_folder("street.wav"), a, AUDIO_FLOAT);
    scope_end();
    return 0;
}

/* Each option of the prompt's sound is heard, and none makes two runs differ. */
static void test_options(void **state) {
    (void) state;
    static const char *const OTHERS[] = {"--negative drums --guidance 3",
                                         "--guidance 3",
                                         "--guidance 3 --guidance-rescale 0.8",
                                         "--sampler euler",
                                         "--steps 4",
                                         "--seed 5",
                                         "--set seconds_total=2"};
    scope_begin();
    runs(GENERATE "--seconds 0.02 -o a.wav");
    runs(GENERATE "--seconds 0.02 -o again.wav");
    assert_true(same("a.wav", "again.wav") && heard("a.wav")->frames == 160);
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        runs(format(GENERATE "--seconds 0.02 %s -o %zu.wav", OTHERS[i], i));
        assert_false(same("a.wav", format("%zu.wav", i)));
        if (i == 0 || i == 2) continue;
        for (size_t k = 0; k < i; k++) assert_false(same(format("%zu.wav", k), format("%zu.wav", i)));
    }
    assert_false(same("0.wav", "1.wav") || same("1.wav", "2.wav"));
    runs(GENERATE "--seconds 0.02 --count 3 -o three/");
    runs(GENERATE "--seconds 0.02 --seed 6 -o six.wav");
    char **names = folder_list(in_folder("three"));
    size_t n = 0, found = 0;
    for (; names[n]; n++) {
        if (strcmp(path_extension(names[n]), ".wav") != 0) continue;
        found += same(format("three/%s", names[n]), "six.wav");
    }
    assert_int_equal(found, 1); /* sounds of a batch are those of their seeds */
    scope_end();
}

/* Several spans are made anew and between them all is as before; what goes on begins as it was. */
static void test_spans(void **state) {
    (void) state;
    scope_begin();
    const audio *before = heard("street.wav");
    runs(GENERATE "--init street.wav --inpaint 0.05:0.06,0.15:0.165 -o spans.wav");
    const audio *a = heard("spans.wav");
    assert_int_equal(a->frames, 1600);
    static const struct {
        int64_t first, end;
        bool anew;
    } PARTS[] = {{0, 230, false}, {400, 480, true}, {650, 1030, false}, {1200, 1320, true}, {1490, 1600, false}};
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        const double d = difference(a, before, PARTS[i].first, PARTS[i].end);
        if (PARTS[i].anew ? d > 0.1 : d < 1e-6) continue;
        print_error("%lld to %lld: %g\n", (long long) PARTS[i].first, (long long) PARTS[i].end, d);
        assert_true(false);
    }
    runs(GENERATE "--continue street.wav --seconds 0.3 -o on.wav");
    const audio *on = heard("on.wav");
    assert_int_equal(on->frames, 2400);
    assert_true(difference(on, before, 0, 1430) < 1e-6); /* but for the fade */
    double rest = 0;
    for (int64_t i = 1700 * CHANNELS; i < 2400 * CHANNELS; i++) rest += fabs(on->samples[i]);
    assert_true(rest / (700 * CHANNELS) > 0.01);
    runs(GENERATE "--vary street.wav --amount 0.2 -o near.wav");
    runs(GENERATE "--vary street.wav --amount 0.9 -o far.wav");
    assert_false(same("near.wav", "far.wav"));
    scope_end();
}

/* What a pipe gets is a WAV file whose sound is the one of a file written by --stream. */
static void test_pipe(void **state) {
    (void) state;
    scope_begin();
    assert_int_equal(system(format("cd %s && \"%s\" " GENERATE "--seconds 0.3 -o - 2>err.txt | cat >piped.wav", folder,
                                   HISS_PROGRAM)),
                     0);
    runs(GENERATE "--seconds 0.3 --stream -o stream.wav");
    runs(GENERATE "--seconds 0.3 -o whole.wav");
    const audio *piped = heard("piped.wav"), *whole = heard("whole.wav");
    assert_int_equal(piped->frames, 2400);
    assert_true(same("piped.wav", "stream.wav"));
    assert_true(difference(piped, whole, 0, 2400) < 0.5); /* its limiter may work */
    scope_end();
}

/* The autoencoder alone by the program, there and back, into a file and through a pipe. */
static void test_codec(void **state) {
    (void) state;
    scope_begin();
    runs("encode --model small street.wav -o z.safetensors");
    runs("decode --model small z.safetensors --bits float -o back.wav");
    assert_int_equal(
        system(format("cd %s && \"%s\" decode --model small z.safetensors --bits float -o - 2>err.txt | cat >pipe.wav",
                      folder, HISS_PROGRAM)),
        0);
    assert_int_equal(heard("back.wav")->frames, 1600);
    assert_true(same("back.wav", "pipe.wav"));
    runs("encode --model small street.wav -o z.npy");
    runs("decode --model small z.npy --bits float -o npy.wav");
    assert_true(difference(heard("npy.wav"), heard("back.wav"), 0, 1600) < 1e-6);
    scope_end();
}

/* --- seams and joins, over many seeds --- */

/* Mean squares: of the step from the last sample to the first, of those inside from one latent's sound to the next's, and of the samples
 * of the outer latents and of the others; of the changes of the spectrum from a piece to the next, across the seam and inside. */
typedef struct {
    double seam, inside, outer, middle, seam_flux, inside_flux;
    int64_t sounds;
} seam;

enum { PIECE = 2 * HOP };

static double power(const float *x, int64_t n, int64_t begin, int bin) {
    double re = 0, im = 0;
    for (int i = 0; i < PIECE; i++) {
        const double hann = 0.5 - 0.5 * cos(2 * M_PI * (i + 0.5) / PIECE), v = hann * x[(begin + i) % n * CHANNELS];
        re += v * cos(2 * M_PI * bin * i / PIECE);
        im += v * sin(2 * M_PI * bin * i / PIECE);
    }
    return log(re * re + im * im + 1e-6);
}

/* Of the piece before `at` to the one after it, around the circle. */
static double flux(const float *x, int64_t n, int64_t at) {
    double sum = 0;
    for (int bin = 0; bin <= PIECE / 2; bin++) sum += pow(power(x, n, at, bin) - power(x, n, at + n - PIECE, bin), 2);
    return sum;
}

static void measure_seam(void *context, int64_t index, const audio *a) {
    (void) index;
    seam *s = context;
    const int64_t n = a->frames;
    const float *x = a->samples;
    for (int c = 0; c < CHANNELS; c++) {
        s->seam += pow(x[c] - x[(n - 1) * CHANNELS + c], 2) / CHANNELS;
        for (int64_t t = HOP; t < n; t += HOP)
            s->inside += pow(x[t * CHANNELS + c] - x[(t - 1) * CHANNELS + c], 2) / (double) (CHANNELS * (n / HOP - 1));
        for (int64_t t = 0; t < n; t++) {
            const bool outside = t < HOP || t >= n - HOP;
            *(outside ? &s->outer : &s->middle) +=
                pow(x[t * CHANNELS + c], 2) / (double) (CHANNELS * (outside ? 2 * HOP : n - 2 * HOP));
        }
    }
    s->seam_flux += flux(x, n, 0);
    for (int64_t t = PIECE; t + PIECE <= n; t += PIECE) s->inside_flux += flux(x, n, t) / (double) (n / PIECE - 1);
    s->sounds++;
}

static seam seams_of(const model *m, bool loop) {
    seam s = {0};
    sound_request r = sound_request_for(m);
    r.prompt = "rain";
    r.steps = 4;
    r.seconds = 0.02; /* 20 latents */
    r.count = 150;
    r.loop = loop;
    generate_sounds(m, &r, measure_seam, &s);
    print_message("%s: seam %.3f of the inside in steps, %.3f in level, %.3f in spectral change\n",
                  loop ? "loops" : "others", sqrt(s.seam / s.inside), sqrt(s.outer / s.middle),
                  sqrt(s.seam_flux / s.inside_flux));
    return s;
}

/* At the seam of a loop nothing is other than inside; the ends of other sounds are weaker, so this could fail. */
static void test_seam(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const model *m = model_open(in_folder("small"));
    const seam loops = seams_of(m, true), others = seams_of(m, false);
    assert_true(sqrt(loops.seam / loops.inside) < 1.15);
    assert_true(fabs(sqrt(loops.outer / loops.middle) - 1) < 0.08);
    assert_true(sqrt(loops.seam_flux / loops.inside_flux) < 1.1);
    assert_true(sqrt(others.outer / others.middle) < 0.85);
    scope_end();
}

enum { LONG = 100 /* latents: six windows */, EDGE = 4 };
typedef struct {
    double level[LONG], steps[LONG]; /* mean squares of each latent's samples and of the steps between them */
    int64_t sounds;
} course;

static void follow(void *context, int64_t index, const audio *a) {
    (void) index;
    course *k = context;
    for (int64_t i = 0; i < LONG * HOP; i++)
        for (int c = 0; c < CHANNELS; c++) {
            const float *x = a->samples + i * CHANNELS + c;
            k->level[i / HOP] += (double) *x * *x;
            if (i) k->steps[i / HOP] += pow((double) x[0] - x[-CHANNELS], 2);
        }
    k->sounds++;
}

/* How far the means of a run of latents are from that of all, at most, as a part of it: in amplitude. */
static double most_apart(const double *squares) {
    enum { RUN = 4 };
    double mean = 0, most = 0;
    for (int i = EDGE; i < LONG - EDGE; i++) mean += squares[i] / (LONG - 2 * EDGE);
    for (int i = EDGE; i + RUN <= LONG - EDGE; i++) {
        double run = 0;
        for (int k = 0; k < RUN; k++) run += squares[i + k] / RUN;
        most = fmax(most, fabs(sqrt(run / mean) - 1));
    }
    return most;
}

/* Sounds of several windows have one level and one spectrum all along. */
static void test_joins(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    const model *m = model_open(in_folder("small"));
    course *k = NEW(course);
    sound_request r = sound_request_for(m);
    r.prompt = "rain";
    r.steps = 4;
    r.seconds = (double) (LONG * HOP) / RATE;
    r.count = 100;
    generate_sounds(m, &r, follow, k);
    const double level = most_apart(k->level), spectrum = most_apart(k->steps);
    print_message("windows: level within %.3f, steps within %.3f of the mean\n", level, spectrum);
    assert_true(level < 0.07 && spectrum < 0.07);
    scope_end();
}

/* --- precisions --- */

static void collect(void *context, int64_t index, const audio *a) {
    (void) index;
    memcpy(context, a->samples, (size_t) (a->frames * CHANNELS) * sizeof(float));
}

static tensor *collected(const model *m, sound_request *r, precision p) {
    tensor *t = tensor_zero(F32, SHAPE(WINDOW * HOP * CHANNELS));
    precision_set(p);
    generate_sounds(m, r, collect, f32(t));
    precision_set(PRECISION_AUTO);
    return t;
}

static double apart(const tensor *a, const tensor *b) {
    double sum = 0, size = 0;
    for (int64_t i = 0; i < count(a); i++) {
        sum += pow((double) f32(a)[i] - f32(b)[i], 2);
        size += pow((double) f32(b)[i], 2);
    }
    return sqrt(sum / size);
}

/* Weights in files of half the size are those weights rounded; products in bf16 and int8 stay near those in f32. */
static void test_precisions(void **state) {
    (void) state;
    static const dtype KINDS[] = {BF16, F16};
    static const double ALLOWED[] = {0.1, 0.02};
    scope_begin();
    const model *m = model_open(in_folder("small"));
    sound_request r = sound_request_for(m);
    r.prompt = "rain";
    r.steps = 4;
    const tensor *exact = collected(m, &r, PRECISION_F32), *bf16 = collected(m, &r, PRECISION_BF16),
                 *int8 = collected(m, &r, PRECISION_INT8);
    print_message("from f32: bf16 %.4f, int8 %.4f\n", apart(bf16, exact), apart(int8, exact));
    assert_true(apart(bf16, exact) < 0.05 && apart(int8, exact) < 0.15);
    assert_true(apart(bf16, exact) > 0 && apart(int8, exact) > 0);
    const store *s = store_open(in_folder("small/model.ckpt"));
    for (int k = 0; k < 2; k++) {
        named_tensor *items = NEW_ARRAY(named_tensor, store_count(s));
        for (size_t i = 0; i < store_count(s); i++) {
            const char *name = store_at(s, i)->name;
            items[i] = (named_tensor){name, tensor_convert(tensor_to_f32(store_read(s, name)), KINDS[k])};
        }
        const char *to = in_folder(dtype_name(KINDS[k]));
        tiny_stable_write(to);
        unlink(path_join(to, "model.ckpt"));
        safetensors_write(path_join(to, "model.safetensors"), items, store_count(s), NULL);
        const double d = apart(collected(model_open(to), &r, PRECISION_F32), exact);
        print_message("%s weights: %.4f\n", dtype_name(KINDS[k]), d);
        assert_true((d > 0 || k) && d < ALLOWED[k]); /* the stored ones are halves already */
    }
    scope_end();
}

/* --- hostile folders --- */

static void bad_folder(const char *name) {
    tiny_stable_write(in_folder(name));
    unlink(in_folder(format("%s/model.ckpt", name)));
}

/* A pickle that would run a command is refused by name, and the command is not run. */
static void test_pickle(void **state) {
    (void) state;
    scope_begin();
    bad_folder("pickle");
    const char *ran = in_folder("ran");
    const char *text = format("cos\nsystem\n(S'touch %s'\ntR.", ran);
    file_write(in_folder("pickle/model.ckpt"), text, strlen(text));
    fails("generate --model pickle rain -o x.wav", "pickle/model.ckpt");
    fails("info pickle", "model.ckpt");
    assert_false(file_exists(ran));
    scope_end();
}

/* Memory is not taken for what a file only says it holds. */
static void test_sizes(void **state) {
    (void) state;
    static const char *const HEADERS[] = {
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[1099511627776,4],\"data_offsets\":[0,17592186044416]}}",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,4]}}"};
    scope_begin();
    bad_folder("sizes");
    for (size_t i = 0; i < sizeof HEADERS / sizeof *HEADERS; i++) {
        const size_t length = strlen(HEADERS[i]);
        uint8_t *file = alloc_zero(8 + length + 64, 1);
        file[0] = (uint8_t) length;
        memcpy(file + 8, HEADERS[i], length);
        file_write(in_folder("sizes/model.safetensors"), file, 8 + length + 64);
        fails("generate --model sizes rain -o x.wav", "model.safetensors");
    }
    scope_end();
}

/* All that is missing is told at once, with where it was looked for. */
static void test_missing(void **state) {
    (void) state;
    scope_begin();
    tiny_stable_write(in_folder("missing"));
    const store *s = store_open(in_folder("missing/model.ckpt"));
    named_tensor *items = NEW_ARRAY(named_tensor, store_count(s));
    size_t n = 0;
    for (size_t i = 0; i < store_count(s); i++) {
        const char *name = store_at(s, i)->name;
        if (strstr(name, "project_in") || strstr(name, "decoder.layers.0.")) continue;
        items[n++] = (named_tensor){name, store_read(s, name)};
    }
    safetensors_write(in_folder("missing/model.safetensors"), items, n, NULL);
    unlink(in_folder("missing/model.ckpt"));
    fails("generate --model missing rain -o x.wav", "project_in.weight");
    assert_non_null(strstr(said(), "decoder.layers.0.weight"));
    unlink(in_folder("missing/model.safetensors"));
    unlink(in_folder("missing/t5-base"));
    fails("generate --model missing rain -o x.wav", "model.ckpt");
    assert_non_null(strstr(said(), "missing/t5-base")); /* all in one */
    unlink(in_folder("small/t5-base"));
    fails("generate --model small rain -o x.wav", "small/t5-base");
    assert_non_null(strstr(said(), "--text-encoder"));
    tiny_stable_write(in_folder("small"));
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),    cmocka_unit_test(test_spans), cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_codec),      cmocka_unit_test(test_seam),  cmocka_unit_test(test_joins),
        cmocka_unit_test(test_pickle),     cmocka_unit_test(test_sizes), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_precisions),
    };
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
