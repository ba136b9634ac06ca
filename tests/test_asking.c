/* What can be asked of a sound model beside its handles (test_handles.c), on a tiny one: scenes, variations, the reverse process, other
 * vocoders, long sounds, and what is refused. */
#include "test.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "base/text.h"
#include "eval/music.h"
#include "models/generator.h"
#include "scene/render.h"
#include "scene/source.h"
#include "signal/audio.h"
#include "signal/edit.h"
#include "signal/mel.h"
#include "systems/compose.h"
#include "systems/generate.h"
#include "systems/latent.h"
#include "systems/shipped.h"
#include "tiny_sound.h"

enum { RATE = 44100 };
static char root[] = "/tmp/hiss-asking-XXXXXX";
static const char *tiny;

/* --- scenes --- */

static audio *layer_sound(const char *layer, size_t which) {
    const char *text = format("{\"seconds\": 4, \"steps\": 2, \"model\": \"tiny\", \"layers\": [%s]}", layer);
    const scene *s = scene_parse(text, strlen(text), "s.json", root);
    return source_sound(sources_open(s), 0, (int64_t) which);
}

/* Over the largest step between its samples, the step over the seam. */
static double seam_of(const audio *a) {
    double most = 0;
    for (int64_t i = 1; i < a->frames; i++) most = fmax(most, fabs((double) a->samples[i] - a->samples[i - 1]));
    return fabs((double) a->samples[0] - a->samples[a->frames - 1]) / most;
}

static bool equal(const audio *a, const audio *b) {
    return a->frames == b->frames && !memcmp(a->samples, b->samples, (size_t) a->frames * sizeof(float));
}

static void test_scene(void **state) {
    (void) state;
    scope_begin();
    const audio *bed = layer_sound("{\"prompt\": \"steady rain\", \"kind\": \"bed\"}", 0);
    assert_int_equal(bed->frames, 12 * RATE);
    assert_true(seam_of(bed) < 1);
    const char *event = "{\"prompt\": \"a bell\", \"at\": [1], \"seconds\": 1}";
    const audio *first = layer_sound(event, 0), *second = layer_sound(event, 1), *again = layer_sound(event, 0);
    assert_true(first->frames <= RATE);
    assert_true(equal(first, again) && !equal(first, second));
    const audio *other = layer_sound("{\"name\": \"a bell\", \"prompt\": \"a dog\", \"at\": [1], \"seconds\": 1}", 0);
    assert_false(equal(first, other));
    layer_sound("{\"class\": \"rain\", \"at\": [1], \"seconds\": 0.5}", 0);
    scope_end();
}

static void ask_unknown_class(void *unused) {
    (void) unused;
    layer_sound("{\"class\": \"xylophone\", \"at\": [1]}", 0);
}

static void test_scene_errors(void **state) {
    (void) state;
    expect_failure(ask_unknown_class, NULL, HISS_ERROR_ARGUMENT, "xylophone");
}

/* --- sounds asked for directly --- */

static const model *tiny_model(void) { return model_open(tiny); }

typedef struct {
    audio *sound;
    scope *home;
    int64_t told;
    double noise; /* at the last moment told of */
} heard;

static void take(void *context, int64_t i, const audio *sound) {
    heard *h = context;
    (void) i;
    scope *inner = scope_switch(h->home);
    h->sound = audio_copy(sound);
    scope_switch(inner);
}

static audio *hear(const model *m, const sound_request *r) {
    heard h = {.home = scope_current()};
    generate_sounds(m, r, take, &h);
    return h.sound;
}

static void watch(void *context, int64_t step, double noise, const audio *state) {
    heard *h = context;
    (void) step;
    assert_true(!h->told || noise < h->noise);
    assert_int_equal(state->frames, RATE / 2);
    h->noise = noise;
    h->told++;
}

/* The state is told of as often as asked, evenly, and telling changes nothing. */
static void test_watch(void **state) {
    (void) state;
    scope_begin();
    const model *m = tiny_model();
    sound_request r = sound_request_for(m);
    r.seconds = 0.5;
    r.steps = 10;
    const audio *alone = hear(m, &r);
    for (int64_t most = 3; most < 20; most += 8) {
        heard h = {.home = scope_current()};
        r.watch = watch;
        r.watcher = &h;
        r.most_watched = most;
        const audio *watched = hear(m, &r);
        assert_int_equal(h.told, most < 10 ? most : 10);
        assert_true(equal(alone, watched));
    }
    scope_end();
}

/* Tempo and key of a prompt are handles of their own, as are those named beside it; each acts alone, and the beats alone move with the
 * tempo. */
static void test_music(void **state) {
    (void) state;
    scope_begin();
    const model *m = tiny_model();
    sound_request r = sound_request_for(m);
    r.seconds = 0.5;
    r.steps = 2;
    const audio *plain = hear(m, &r);
    r.bpm = 120;
    const audio *beaten = hear(m, &r);
    assert_false(equal(plain, beaten));
    r.bpm = 121;
    assert_false(equal(hear(m, &r), beaten));
    r.bpm = 0;
    r.key = 2;
    const audio *keyed = hear(m, &r);
    assert_false(equal(plain, keyed));
    r.handle_guidance[REQUEST_MELODY] = 0;
    assert_true(equal(hear(m, &r), plain));
    r.handle_guidance[REQUEST_MELODY] = NAN;
    r.prompt = "a drum loop in D major, 121 BPM";
    const audio *said = hear(m, &r);
    r.bpm = 121;
    r.key = 2;
    assert_true(equal(hear(m, &r), said));
    r.bpm = 90; /* what is asked for beside the prompt is stronger */
    assert_false(equal(hear(m, &r), said));
    scope_end();
}

/* What is believed of noise at a level, of a request for a key. */
static const tensor *believed(const model *m, double melody_guidance, double sigma) {
    enum { N = 8, P = 24 };
    sound_request r = sound_request_for(m);
    r.key = 2;
    r.handle_guidance[REQUEST_MELODY] = melody_guidance;
    tensor *x = tensor_new(F32, SHAPE(1, N, P));
    random_normal((random_key){3, 1}, 0, f32(x), N * P);
    int64_t at[N];
    for (int64_t i = 0; i < N; i++) at[i] = i;
    void *asked = m->latent->prepare(m, &r, 22050);
    m->latent->vary(asked, 1);
    return m->latent->denoise(m, asked, x, sigma, sigma, at, N).clean;
}

/* Pitches pull as all that is asked for at first, at t = 1/4, and three times as strongly later, at t = 2/3. */
static void test_melody_pull(void **state) {
    (void) state;
    scope_begin();
    const model *m = tiny_model();
    for (int late = 0; late < 2; late++) {
        const double sigma = late ? 0.5 : 3;
        for (int strong = 0; strong < 2; strong++) {
            const tensor *usual = believed(m, NAN, sigma), *said = believed(m, strong ? 6 : 2, sigma);
            const bool same = !memcmp(f32(usual), f32(said), tensor_bytes(usual));
            assert_int_equal(same, late == strong);
        }
    }
    scope_end();
}

static void ask_other_vocoder(void *path) {
    const model *m = tiny_model();
    sound_request r = sound_request_for(m);
    r.seconds = 0.5;
    r.vocoder = path;
    hear(m, &r);
}

/* A generator of the published form, small and with random weights: BigVGAN v2 of 44 kHz, 128 bands, hop 512; `bands` may differ. */
static const char *write_generator(const char *name, int bands) {
    const char *folder = path_join(root, name);
    scope_begin();
    const generator_config c = {.mels = bands,
                                .channels = 16,
                                .stages = 3,
                                .kernels = 1,
                                .dilations = 1,
                                .rates = {8, 8, 8},
                                .widths = {16, 16, 16},
                                .block_kernels = {3},
                                .block_dilations = {{1}},
                                .activation = GENERATOR_SNAKEBETA,
                                .snake_logs = true,
                                .up = "ups.%d.0",
                                .prefix = ""};
    binder *b = binder_new((random_key){23, 0});
    generator_bind(&c, b);
    const char *config =
        format("{\"num_mels\": %d, \"upsample_rates\": [8, 8, 8], \"upsample_kernel_sizes\": [16, 16, 16], "
               "\"upsample_initial_channel\": 16, \"resblock\": \"1\", \"resblock_kernel_sizes\": [3], "
               "\"resblock_dilation_sizes\": [[1]], \"activation\": \"snakebeta\", \"snake_logscale\": true, "
               "\"use_tanh_at_final\": false, \"use_bias_at_final\": false, \"sampling_rate\": 44100, \"n_fft\": 2048, "
               "\"hop_size\": 512, \"win_size\": 2048, \"fmin\": 0, \"fmax\": null}",
               bands);
    folder_make(folder);
    params_save(binder_finish(b, true), path_join(folder, "weights.safetensors"), F32, NULL);
    file_write(path_join(folder, "config.json"), config, strlen(config));
    scope_end();
    return folder;
}

/* A vocoder of one's own sings if it takes this spectrogram; those of other forms are refused. */
static void test_vocoder(void **state) {
    (void) state;
    scope_begin();
    const model *m = tiny_model();
    sound_request r = sound_request_for(m);
    r.seconds = 0.5;
    const audio *usual = hear(m, &r);
    r.vocoder = shipped_model("vocoder");
    assert_true(equal(usual, hear(m, &r)));
    r.vocoder = write_generator("generator", 128);
    const audio *other = hear(m, &r);
    assert_int_equal(other->frames, usual->frames);
    assert_true(audio_peak(other) > 0 && !equal(usual, other));
    expect_failure(ask_other_vocoder, (void *) write_generator("eighty", 80), HISS_ERROR_ARGUMENT, "128 bands");
    expect_failure(ask_other_vocoder, TEST_DATA "/models/vocoder", HISS_ERROR_ARGUMENT, "128 bands");
    expect_failure(ask_other_vocoder, TEST_DATA "/models/classes", HISS_ERROR_ARGUMENT, "128 bands");
    expect_failure(ask_other_vocoder, "/nowhere", HISS_ERROR_FILE, "/nowhere");
    scope_end();
}

/* --- the program --- */

static const char *said; /* what it said of an error */

static int hiss(const char *words) {
    int status = system(format("cd %s && \"%s\" %s >out.txt 2>err.txt </dev/null", root, HISS_PROGRAM, words));
    bytes b = file_read(path_join(root, "err.txt"), 1 << 20);
    said = format("%.*s", (int) b.size, (const char *) b.data);
    return WEXITSTATUS(status);
}

static void expect(const char *words, int code, const char *part) {
    int got = hiss(words);
    if (got != code || (part && !strstr(said, part)))
        fail_msg("hiss %s: exit %d, expected %d and '%s': %s", words, got, code, part ? part : "", said);
}

static double apart(const char *a, const char *b) {
    const audio *x = audio_read(path_join(root, a)), *y = audio_read(path_join(root, b));
    mel_front f = mel_front_named("hiss");
    const tensor *p = mel_compute(&f, x->samples, x->frames), *q = mel_compute(&f, y->samples, y->frames);
    double sum = 0;
    assert_int_equal(count(p), count(q));
    for (int64_t i = 0; i < count(p); i++) sum += fabs((double) f32(p)[i] - f32(q)[i]);
    return sum / (double) count(p);
}

/* A variation starts from the sound and follows its style, too (that the amount is one is measured by test_handles.c); seeds make
 * different ones. */
static void test_vary(void **state) {
    (void) state;
    scope_begin();
    expect("generate -q --model tiny rain --seconds 0.7 --steps 4 -o from.wav", 0, NULL);
    expect("generate -q --model tiny --vary from.wav --amount 0.8 --count 2 --seed 3 -o much.wav", 0, NULL);
    expect("generate -q --model tiny --init from.wav --strength 0.8 --reference from.wav --seed 4 -o same.wav", 0,
           NULL);
    expect("generate -q --model tiny --init from.wav --strength 0.8 --seed 4 -o bare.wav", 0, NULL);
    assert_true(apart("much-seed-004.wav", "same.wav") == 0);
    assert_true(apart("much-seed-004.wav", "bare.wav") > 0.01);
    assert_true(apart("much-seed-003.wav", "much-seed-004.wav") > 0.01);
    scope_end();
}

/* From one prompt to another over time: the beginning is the first prompt's, the end the second's. */
static void test_way(void **state) {
    (void) state;
    scope_begin();
    const model *m = tiny_model();
    sound_request r = sound_request_for(m);
    r.seconds = 40;
    r.steps = 1;
    r.prompt = "heavy rain";
    const audio *first = hear(m, &r);
    r.blend = "a big bell";
    r.blend_part = 1;
    const audio *second = hear(m, &r);
    r.blend_part = 0;
    r.blend_until = 1;
    const audio *way = hear(m, &r);
    mel_front f = mel_front_named("hiss");
    const tensor *of[3] = {mel_compute(&f, first->samples, first->frames),
                           mel_compute(&f, second->samples, second->frames),
                           mel_compute(&f, way->samples, way->frames)};
    const int64_t part = count(of[0]) / 12;
    double begin[2] = {0}, end[2] = {0};
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0, last = count(of[k]) - 1; i < part; i++) {
            begin[k] += fabs((double) f32(of[k])[i] - f32(of[2])[i]);
            end[k] += fabs((double) f32(of[k])[last - i] - f32(of[2])[last - i]);
        }
    assert_true(begin[0] < 0.5 * begin[1] && end[1] < 0.5 * end[0]);
    expect("generate --model tiny rain --blend bell --blend-part 0-1 --seconds 3 -o x.wav", 2, "more than 5.9 s");
    expect("generate --model tiny rain --blend bell --blend-part 0-2 --seconds 9 -o x.wav", 2, "FROM-TO");
    expect("generate --model tiny rain --blend bell --blend-part half -o x.wav", 2, "from 0 to 1");
    expect("generate -q --model tiny rain --blend bell --blend-part 0-1 --steps 1 --seconds 9 -o x.wav", 0, NULL);
    scope_end();
}

static void write_silence(const char *name) {
    audio *a = audio_new(RATE / 2, 1, RATE);
    memset(a->samples, 0, (size_t) a->frames * sizeof(float));
    audio_write(path_join(root, name), a, AUDIO_PCM16);
}

/* Frames that the two sounds have in common, as mel spectrograms: mean distance over frames from .. to. */
static double apart_within(const char *a, const char *b, double from, double to) {
    const audio *x = audio_read(path_join(root, a)), *y = audio_read(path_join(root, b));
    const mel_front f = mel_front_named("hiss");
    const tensor *p = mel_compute(&f, x->samples, x->frames), *q = mel_compute(&f, y->samples, y->frames);
    double sum = 0, n = 0;
    assert_int_equal(count(p), count(q));
    for (int64_t i = (int64_t) (from * (double) count(p)); i < (int64_t) (to * (double) count(p)); i++, n++)
        sum += fabs((double) f32(p)[i] - f32(q)[i]);
    return sum / n;
}

/* Where only one of the sounds is, the result is what becomes of it alone; what lies between them is remade more. */
static void test_into(void **state) {
    (void) state;
    scope_begin();
    expect("generate -q --model tiny rain --seconds 2 --steps 4 -o one.wav", 0, NULL);
    expect("generate -q --model tiny bell --seconds 3 --steps 4 --seed 9 -o two.wav", 0, NULL);
    expect("generate -q --model tiny --init one.wav --into two.wav --strength 0.01 -o into.wav", 0, NULL);
    assert_int_equal(audio_read(path_join(root, "into.wav"))->frames, 3 * RATE); /* the longer one's */
    expect("generate -q --model tiny --init two.wav --strength 0.01 --seconds 3 -o alone.wav", 0, NULL);
    assert_true(apart_within("into.wav", "alone.wav", 0.75, 1) < 0.2 * apart_within("into.wav", "alone.wav", 0, 0.25));
    expect("generate -q --model tiny --init one.wav --into two.wav --strength 0.01 --seconds 8 --steps 4 -o gap.wav", 0,
           NULL);
    expect("generate -q --model tiny --init one.wav --into two.wav --strength 0.01 --seconds 8 --steps 6 -o other.wav",
           0, NULL);
    const double between = apart_within("gap.wav", "other.wav", 0.3, 0.6); /* the sounds end at 0.25, begin at 0.625 */
    assert_true(apart_within("gap.wav", "other.wav", 0, 0.2) < 0.5 * between);
    assert_true(apart_within("gap.wav", "other.wav", 0.7, 1) < 0.5 * between);
    expect("generate -q --model tiny --reference one.wav --into two.wav --blend-part 0 --seconds 1 -o s.wav", 0, NULL);
    expect("generate -q --model tiny --reference one.wav --seconds 1 -o t.wav", 0, NULL);
    assert_true(apart("s.wav", "t.wav") == 0);
    expect("generate -q --model tiny --reference one.wav --into two.wav --seconds 1 -o s.wav", 0, NULL);
    assert_true(apart("s.wav", "t.wav") > 0);
    scope_end();
}

static void test_into_errors(void **state) {
    (void) state;
    scope_begin();
    write_silence("silence.wav");
    expect("generate --model tiny rain --into one.wav -o x.wav", 2, "needs one to come from");
    expect("generate --model tiny --init one.wav --into silence.wav -o x.wav", 2,
           "the sound to go over into is silent");
    expect("generate --model tiny --reference one.wav --into silence.wav -o x.wav", 2, "is silent");
    expect("generate --model tiny --init one.wav --into two.wav --loop -o x.wav", 2, "a loop ends where it begins");
    expect("generate --model tiny --init one.wav --into two.wav --inpaint 0:1 -o x.wav", 2, "give one of them");
    expect("generate --model tiny --continue one.wav --into two.wav --seconds 4 -o x.wav", 2, "give one of them");
    expect("generate --model tiny --init one.wav --into nowhere.wav -o x.wav", 1, "nowhere.wav");
    scope_end();
}

typedef struct {
    audio *sound;
    int64_t done, most;
} collected;

static void collect(void *context, const float *samples, int64_t n) {
    collected *c = context;
    assert_true(c->done + n <= c->sound->frames);
    memcpy(c->sound->samples + c->done, samples, (size_t) n * sizeof(float));
    c->done += n;
    c->most = n > c->most ? n : c->most;
}

static collected in_pieces(const model *m, const sound_request *r) {
    assert_true(has_pieces(m, r));
    collected c = {audio_new(request_samples(m, r), 1, RATE), 0, 0};
    generate_pieces(m, r, 0, collect, &c);
    assert_int_equal(c.done, c.sound->frames);
    assert_true(c.most < 5 * RATE);
    return c;
}

/* Long sounds whose walk is whole are sung as they are written: those that start from another one are the same; a loop of any length turns
 * without a step. */
static void test_long_walks(void **state) {
    (void) state;
    scope_begin();
    const model *m = tiny_model();
    sound_request r = sound_request_for(m);
    r.seconds = 61;
    r.steps = 1;
    audio *quiet = audio_new(61 * RATE, 1, RATE);
    random_normal((random_key){8, 1}, 0, quiet->samples, (size_t) quiet->frames);
    for (int64_t i = 0; i < quiet->frames; i++) quiet->samples[i] *= i / RATE % 2 ? 0.01f : 0.02f;
    r.init = quiet; /* so that the limiter rests */
    r.strength = 0.2;
    const audio *streamed = in_pieces(m, &r).sound,
                *whole = latent_sound(m, &r, m->latent->prepare(m, &r, quiet->frames), 0);
    for (int64_t i = 0; i < whole->frames; i++) assert_true(fabsf(streamed->samples[i] - whole->samples[i]) < 1e-5f);
    r.init = NULL;
    r.loop = true;
    r.seconds = 60.513;
    const audio *loop = in_pieces(m, &r).sound;
    double most = 0, seam = fabs((double) loop->samples[0] - loop->samples[loop->frames - 1]);
    for (int64_t i = 1; i < loop->frames; i++)
        most = fmax(most, fabs((double) loop->samples[i] - loop->samples[i - 1]));
    print_message("step of a long loop over its seam %.4f, greatest within %.4f\n", seam, most);
    assert_true(seam < 0.5 * most);
    scope_end();
}

static void test_quality(void **state) {
    (void) state;
    scope_begin();
    tiny_sound_write(path_join(root, "tiny-few-step"));
    expect("generate --model tiny rain --seconds 0.5 --quality best -o best.wav", 0, NULL);
    expect("generate -q --model tiny rain --seconds 0.5 --steps 48 -o forty-eight.wav", 0, NULL);
    expect("generate -q --model tiny rain --seconds 0.5 -o usual.wav", 0, NULL);
    expect("generate -q --model tiny/ rain --seconds 0.5 --quality fast -o fast.wav", 0, NULL);
    assert_true(apart("best.wav", "forty-eight.wav") == 0 && apart("best.wav", "usual.wav") > 0);
    assert_true(apart("fast.wav", "usual.wav") == 0); /* the same weights, the model's own steps */
    unlink(path_join(root, "tiny-few-step/weights.safetensors"));
    unlink(path_join(root, "tiny-few-step/config.json"));
    rmdir(path_join(root, "tiny-few-step"));
    expect("generate -q --model tiny rain --seconds 0.5 --quality fast -o fast.wav", 0, NULL);
    assert_true(apart("fast.wav", "usual.wav") > 0);
    expect("generate -q --model tiny rain --quality fast --steps 3 -o fast.wav", 2, "one of them");
    scope_end();
}

/* --- lists --- */

static size_t lines_of(const char *name) {
    const bytes b = file_read(path_join(root, name), 1 << 20);
    size_t n = 0;
    for (size_t i = 0; i < b.size; i++) n += b.data[i] == '\n';
    return n;
}

static void test_prompts(void **state) {
    (void) state;
    scope_begin();
    static const char LIST[] = "class\tcaption\tsplit\tseconds\nrain\ta drizzle | rain\theld-out\t0.5\n"
                               "rain\tnot this one\ttrain\t1\nbell\ta bell\theld-out\t0.25\n";
    file_write(path_join(root, "list.tsv"), LIST, strlen(LIST));
    expect("generate -q --model tiny --prompts list.tsv --seed 4 --steps 2 -o made/", 0, NULL);
    assert_int_equal(lines_of("made/manifest.tsv"), 3);
    assert_int_equal(audio_read(path_join(root, "made/001-a-drizzle.wav"))->frames, RATE / 2);
    expect("generate -q --model tiny \"a bell\" --seed 5 --steps 2 --seconds 0.25 -o bell.wav", 0, NULL);
    assert_true(apart("bell.wav", "made/002-a-bell.wav") == 0);
    expect(format("vocode -q --model %s made/manifest.tsv -o sung/", shipped_model("vocoder")), 0, NULL);
    const int64_t sung = audio_read(path_join(root, "sung/001-a-drizzle.wav"))->frames;
    assert_true(sung > RATE / 2 - 512 && sung <= RATE / 2); /* whole frames */
    assert_int_equal(lines_of("sung/manifest.tsv"), 3);
    static const char AWAY[] = "path\tclass\n../../made/001-a-drizzle.wav\train\n";
    file_write(path_join(root, "away.tsv"), AWAY, strlen(AWAY));
    expect(format("vocode --model %s away.tsv -o sung/", shipped_model("vocoder")), 2, "outside");
    expect("generate --model tiny --prompts list.tsv rain -o made/", 2, "one of them");
    expect("generate --model tiny --prompts list.tsv -o made.wav", 2, "name a folder");
    expect("generate --model tiny --prompts wrong.tsv -o made/", 1, "wrong.tsv");
    static const char NAMELESS[] = "a\tb\nc\td\n", WRONG[] = "prompt\tseconds\nrain\tlong\n", EMPTY[] = "prompt\n";
    file_write(path_join(root, "a.tsv"), NAMELESS, strlen(NAMELESS));
    file_write(path_join(root, "b.tsv"), WRONG, strlen(WRONG));
    file_write(path_join(root, "c.tsv"), EMPTY, strlen(EMPTY));
    expect("generate --model tiny --prompts a.tsv -o made/", 1, "no column");
    expect("generate --model tiny --prompts b.tsv -o made/", 1, "line 2: 'long'");
    expect("generate --model tiny --prompts c.tsv -o made/", 1, "no prompts");
    scope_end();
}

static sound_request musical(const char *prompt, int key, const char *chords, double bpm, bool loop) {
    sound_request r = sound_request_default();
    r.prompt = prompt, r.key = key, r.chords = chords, r.bpm = bpm, r.loop = loop;
    return r;
}

/* Pitch classes that sound in a tune of 16 s, as bits, and whether it is the same bar after bar. */
static unsigned sounding(const composition *c, uint64_t seed, double turn) {
    unsigned all = 0;
    float now[12], later[12];
    for (double t = 0.03; t < 16; t += 0.0929) {
        composed_at(c, seed, t, now);
        composed_at(c, seed, t + turn, later);
        for (int k = 0; k < 12; k++) {
            assert_true(now[k] >= 0 && now[k] <= 1);
            if (now[k] >= 0.4f) all |= 1u << k;
            if (turn > 0) assert_true(now[k] == later[k]);
        }
    }
    return all;
}

static void ask_wrong_chord(void *name) {
    const sound_request r = musical("a piano", -1, name, 0, false);
    compose(&r, 4);
}

/* Tunes keep to their key, follow chords bar by bar, go around in loops, and are of their seed. */
static void test_compose(void **state) {
    (void) state;
    scope_begin();
    enum { D = 2, D_MINOR = 14, C_MAJOR = 0x0AB5 /* C D E F G A B */, D_MINOR_SCALE = 0x06B5 /* D E F G A Bb C */ };
    sound_request r = musical("a cello melody", D_MINOR, NULL, 90, false);
    const composition *melody = compose(&r, 16);
    for (uint64_t seed = 0; seed < 20; seed++) assert_int_equal(sounding(melody, seed, 0) & ~D_MINOR_SCALE, 0);
    unsigned differ = 0;
    float strength[12], other[12];
    for (uint64_t seed = 1; seed < 20; seed++)
        for (double t = 3; t < 16; t += 1) {
            composed_at(melody, 0, t, other);
            composed_at(melody, seed, t, strength);
            differ += memcmp(strength, other, sizeof other) != 0;
        }
    assert_true(differ > 19 * 4); /* of 13 times of each */
    composed_at(melody, 5, 0.1, strength);
    assert_true(strength[D] == 1); /* begins at home */
    r = musical("a rising C major scale", 0, NULL, 0, false);
    assert_int_equal(sounding(compose(&r, 16), 1, 0), C_MAJOR);
    composed_at(compose(&r, 16), 1, 4, strength);
    assert_true(strength[4] == 1); /* the third of eight notes, the last three times as long: E */
    r = musical("an organ chord", D_MINOR, NULL, 0, false);
    assert_int_equal(sounding(compose(&r, 16), 1, 0), 1 << 2 | 1 << 5 | 1 << 9);
    r = musical("a band playing music", -1, "Dm  Bb", 120, false); /* two seconds each */
    composed_at(compose(&r, 16), 1, 1, strength);
    assert_true(strength[2] >= 0.4f && strength[5] >= 0.4f && strength[9] >= 0.4f);
    composed_at(compose(&r, 16), 1, 3, strength);
    assert_true(strength[10] >= 0.4f && strength[2] >= 0.4f && strength[5] >= 0.4f);
    r = musical("a piano loop", D_MINOR, NULL, 118, true);
    sounding(compose(&r, 8), 3, 8);
    r.key = -1;
    assert_null(compose(&r, 8));
    expect_failure(ask_wrong_chord, "Dm H", HISS_ERROR_ARGUMENT, "'H'");
    expect_failure(ask_wrong_chord, "Cfoo", HISS_ERROR_ARGUMENT, "'Cfoo'");
    expect_failure(ask_wrong_chord, "  ", HISS_ERROR_ARGUMENT, "chords");
    scope_end();
}

/* Of the command: words and options come to the same; a loop's beats meet over its seam. */
static void test_music_options(void **state) {
    (void) state;
    scope_begin();
    expect("generate --model tiny \"a drum loop in D minor at 100 BPM\" --seconds 0.5 -o words.wav", 0, "");
    expect("generate --model tiny \"a drum loop\" --key \"d minor\" --bpm 100 --seconds 0.5 -o options.wav", 0, "");
    expect("generate --model tiny \"a drum loop\" --key Fmajor --bpm 100 --seconds 0.5 -o other.wav", 0, "");
    const audio *words = audio_read(path_join(root, "words.wav")),
                *options = audio_read(path_join(root, "options.wav"));
    assert_true(equal(words, options));
    assert_false(equal(words, audio_read(path_join(root, "other.wav"))));
    expect("generate --model tiny bell --key H -o a.wav", 2, "--key H");
    expect("generate --model tiny --class violoncellos -o a.wav", 2, "the nearest are '");
    expect("generate --model tiny bell --chords \"Dm X\" --seconds 0.5 -o a.wav", 2, "'X'");
    expect("generate --model tiny bell --chords C --melody words.wav --seconds 0.5 -o a.wav", 2, "--melody");
    expect("generate --model drums --chords C -o a.wav", 2, "cannot be asked for chords");
    expect("generate --model tiny bell --melody words.wav --seconds 0.5 -o sung.wav", 0, "");
    expect("generate --model tiny bell --seconds 0.5 -o unsung.wav", 0, "");
    expect("generate --model tiny bell --chords \"C G\" --seconds 0.5 -o accompanied.wav", 0, "");
    const audio *unsung = audio_read(path_join(root, "unsung.wav"));
    assert_false(equal(unsung, audio_read(path_join(root, "sung.wav"))));
    assert_false(equal(unsung, audio_read(path_join(root, "accompanied.wav"))));
    expect("generate --model tiny bell --guidance tempo=3,melody=0 --bpm 100 --key Gmajor --seconds 0.5 -o a.wav", 0,
           "");
    scope_end();
}

/* The list of the model card: 100, of classes that the recipe knows, whose words ask for the tempo and key of their columns. */
static void test_card_prompts(void **state) {
    (void) state;
    scope_begin();
    const config known = config_get(config_load(SOURCE_FOLDER "/recipes/sound.json"), "classes");
    const bytes b = file_read(SOURCE_FOLDER "/recipes/prompts.tsv", 1 << 20);
    size_t n, musical = 0, cells;
    char **lines = split(format("%.*s", (int) b.size, (const char *) b.data), '\n', &n);
    assert_int_equal(n, 102); /* the heading, and what follows the last line's end */
    for (size_t i = 1; i < 101; i++) {
        char **cell = split(lines[i], '\t', &cells);
        assert_int_equal(cells, 5);
        const music_request asked = music_asked(cell[0]);
        if (!config_has(known, cell[1])) fail_msg("'%s': no class %s", cell[0], cell[1]);
        if (asked.bpm != (*cell[2] ? strtod(cell[2], NULL) : 0)) fail_msg("'%s': tempo %s", cell[0], cell[2]);
        const music_request key = music_asked(cell[3]);
        if (asked.key.tonic != key.key.tonic || asked.key.minor != key.key.minor)
            fail_msg("'%s': key %s", cell[0], cell[3]);
        musical += asked.bpm > 0 || asked.key.tonic >= 0;
    }
    assert_int_equal(musical, 35);
    scope_end();
}

/* --- what is refused, and what is said about it --- */

static const char *repeated(const char *part, int times) {
    char *all = NEW_ARRAY(char, strlen(part) * (size_t) times + 1);
    for (int i = 0; i < times; i++) memcpy(all + strlen(part) * (size_t) i, part, strlen(part));
    return all;
}

static void test_bad_prompts(void **state) {
    (void) state;
    scope_begin();
    expect("generate --model tiny \"\" -o x.wav", 2, "the prompt is empty");
    expect("generate --model tiny \" \t \" -o x.wav", 2, "the prompt is empty");
    expect("generate --model tiny rain --negative \" \" -o x.wav", 2, "the negative prompt is empty");
    expect("generate --model tiny rain --blend \" \" -o x.wav", 2, "the second prompt is empty");
    expect(format("generate --model tiny \"%s\" -o x.wav", repeated("rain and ", 1112)), 2, "has 10008 characters");
    expect(format("generate --model tiny \"%s\" -s 0.3 -o x.wav", repeated("rain and ", 900)), 0, NULL);
    assert_null(strstr(said, "warning")); /* 8,100 characters are taken */
    expect("generate --model tiny $(printf 'r\\377in') -s 0.3 -o x.wav", 0, NULL);
    expect(format("scene \"%s\" --model tiny -o x.wav", repeated("rain and ", 1112)), 2, "at most");
    expect("scene \" : , ,\" --model tiny -o x.wav", 2, "no sounds");
    scope_end();
}

/* The note names the words and what the model knows; English gives none, rare words neither. */
static void test_languages(void **state) {
    (void) state;
    static const char *const FOREIGN[] = {"starker Regen auf einem Blechdach", "forte pluie sur un toit en t\303\264le",
                                          "perro ladrando", "\345\244\247\351\233\250",
                                          "\321\201\320\270\320\273\321\214\320\275\321\213\320\271 "
                                          "\320\264\320\276\320\266\320\264\321\214"};
    static const char *const ENGLISH[] = {"heavy rain on a tin roof", "a glockenspiel arpeggio", "didgeridoo drone",
                                          "crickets chirping", "a djembe at 105 BPM"};
    scope_begin();
    enum { KINDS = sizeof FOREIGN / sizeof *FOREIGN };
    for (int i = 0; i < KINDS; i++) {
        expect(format("generate --model tiny \"%s\" -s 0.3 --steps 1 -o x.wav", FOREIGN[i]), 0,
               "the model knows English");
        assert_non_null(strstr(said, FOREIGN[i]));
        expect(format("generate --model tiny \"%s\" -s 0.3 --steps 1 -o x.wav", ENGLISH[i]), 0, NULL);
        if (strstr(said, "warning")) fail_msg("of '%s' it says: %s", ENGLISH[i], said);
    }
    scope_end();
}

/* What says how much of another there is to be, or is not this model's, is not passed over. */
static void test_idle_options(void **state) {
    (void) state;
    scope_begin();
    file_write(path_join(root, "two.json"), "[0.1, 0.2]", 10);
    expect("generate --model tiny rain --strength 0.3 -o x.wav", 2, "--strength needs --init");
    expect("generate --model tiny rain --amount 0.3 -o x.wav", 2, "--amount needs --vary");
    expect("generate --model tiny rain --mel-blur 2 -o x.wav", 2, "--mel-blur needs --mel");
    expect("generate --model tiny rain --blend-part 0.2 -o x.wav", 2, "--blend-part needs --blend or --into");
    expect("generate --model tiny rain --betas two.json -o x.wav", 2, "not trained on a table of noise");
    expect("generate --model tiny rain --set a=1 -o x.wav", 2, "cannot be asked for other conditions");
    expect("generate --model tiny rain --start 3 -o x.wav", 2, "cannot be asked for a start");
    expect("generate --model tiny rain --guidance-rescale 0.5 -o x.wav", 2, "cannot be asked for a rescaling");
    expect("generate --model tiny rain --text-encoder . -o x.wav", 2, "cannot be asked for another text encoder");
    expect("generate --model tiny --init one.wav --inpaint 70:80 -o x.wav", 2, "the sound ends at 2 s");
    expect("generate --model tiny rain --class zzzzzzzz -o x.wav", 2, "hiss classes lists them");
    scope_end();
}

/* Models without a table of noise have no schedule to be given or found. */
static void test_no_schedules(void **state) {
    (void) state;
    scope_begin();
    expect("generate -q --model tiny rain --seconds 0.3 --steps 1 -o rain.wav", 0, NULL);
    file_write(path_join(root, "two.json"), "[0.1, 0.2]", 10);
    const char *vocoder = shipped_model("vocoder");
    expect(format("vocode --model %s rain.wav --betas two.json -o x.wav", vocoder), 2,
           "not trained on a table of noise");
    expect(format("schedule --model %s rain.wav -o x.json", vocoder), 2, "it needs no schedule");
    expect(format("noise --model %s rain.wav -o x/", vocoder), 2, "not trained on a table of noise");
    scope_end();
}

/* A shipped model's name is enough; what lies there under that name comes first. */
static void test_shipped_names(void **state) {
    (void) state;
    scope_begin();
    if (shipped_find("drums")) {
        expect("generate -q --model drums --class snare -o snare.wav", 0, NULL);
        expect("generate -q --model models/drums --class snare -o same.wav", 0, NULL);
        expect("generate -q --model drums --class snare --sampler rk4 --steps 1 -o x.wav", 0,
               NULL); /* asks it for no noise */
        assert_true(apart("snare.wav", "same.wav") == 0);
        folder_make(path_join(root, "drums"));
        expect("generate --model drums --class snare -o x.wav", 1, "drums: holds no weights");
        rmdir(path_join(root, "drums"));
    }
    expect("generate --model nosuch -o x.wav", 1, "nosuch: no such model file or folder");
    scope_end();
}

/* Bars are cut to the sample: 4 of 4 beats at 90 a minute are 10 2/3 s, of odd tempos the nearest sample; the tempo is said to the model. */
static void test_bars(void **state) {
    (void) state;
    static const struct {
        const char *words;
        int64_t frames;
    } CASES[] = {{"--bpm 90 --bars 4 --loop", 470400},
                 {"--bpm 120 --bars 2", 176400},
                 {"--bpm 133.7 --bars 1 --loop", 79162},     /* 79162.3 */
                 {"--bpm 97 --bars 3 --loop -n 2", 327340}}; /* 327340.2 */
    scope_begin();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        expect(format("generate -q --model tiny bell --steps 1 %s -o bars.wav", CASES[i].words), 0, NULL);
        const char *made = strstr(CASES[i].words, "-n 2") ? "bars-seed-001.wav" : "bars.wav";
        assert_int_equal(audio_read(path_join(root, made))->frames, CASES[i].frames);
    }
    scope_end();
}

static void test_bad_lengths(void **state) {
    (void) state;
    scope_begin();
    expect("generate --model tiny rain --seconds 0 -o x.wav", 2, "--seconds 0: give a number from 0.001");
    expect("generate --model tiny rain --seconds -1 -o x.wav", 2, "give a number from 0.001");
    expect("generate --model tiny rain --seconds 1e9 -o x.wav", 2, "to 36000");
    expect("generate --model tiny rain --seconds 30000 -o x.wav", 2, "at most 12173 s");
    expect("generate --model tiny rain --bars 1000 --bpm 20 -o x.flac --steps 1 --class tuba", 2, "tuba");
    expect("scene \"rain\" --model tiny --seconds 0 -o x.wav", 2, "give a number from 0.001");
    scope_end();
}

static void test_bad_files(void **state) {
    (void) state;
    scope_begin();
    write_silence("silence.wav");
    file_write(path_join(root, "words.png"), "no picture", 10);
    file_write(path_join(root, "words.wav"), "no sound at all", 15);
    expect("generate --model tiny --reference silence.wav -o x.wav", 2, "the reference is silent");
    expect("generate --model tiny --init silence.wav -o x.wav", 2, "the sound to start from is silent");
    expect("generate --model tiny --vary silence.wav -o x.wav", 2, "silent");
    expect("generate --model tiny --mel silence.wav -o x.wav", 2, "the rough mel is silent");
    expect("generate --model tiny --mel words.png -o x.wav", 1, "words.png");
    expect("generate --model tiny --mel nowhere.png -o x.wav", 1, "nowhere.png");
    expect("generate --model tiny --mel words.wav -o x.wav", 1, "words.wav");
    expect("generate --model tiny --reference words.wav -o x.wav", 1, "words.wav");
    expect("generate --model tiny rain --vocoder words.wav -o x.wav", 1, "words.wav");
    const char *scene = "{\"seconds\": 2,\n \"layers\": [{\"prompt\": \"rain\",\n  \"gian\": 2}]}";
    file_write(path_join(root, "wrong.json"), scene, strlen(scene));
    expect("scene wrong.json --model tiny -o x.wav", 1, "layers[0].gian (line 3)");
    scene = "{\"layers\": [{\"class\": \"rian\"}]}";
    file_write(path_join(root, "class.json"), scene, strlen(scene));
    expect("scene class.json --model tiny -o x.wav", 2, "layers[0] (line 1): layer 'rian': class rian: no such class");
    scene = "{\"layers\": [{\"prompt\": \"rain\", \"model\": \"gone\"}]}";
    file_write(path_join(root, "model.json"), scene, strlen(scene));
    expect("scene model.json -o x.wav", 1, "layers[0] (line 1): layer 'rain': model");
    expect("mel silence.wav --model tiny -o x.npy", 2, "leave --model out");
    expect("eval --music silence.wav", 2, "silence.wav: neither captions nor names"); /* one sound is a list of one */
    assert_false(file_exists(path_join(root, "x.flac")));
    scope_end();
}

/* What is treated in a way of its own is said, and said once. */
static void test_told(void **state) {
    (void) state;
    scope_begin();
    audio *stereo = audio_new(2 * 48000, 2, 48000);
    for (int64_t i = 0; i < 4 * 48000; i++) stereo->samples[i] = 0.3f * sinf(0.02f * (float) i);
    audio_write(path_join(root, "stereo.wav"), stereo, AUDIO_PCM16);
    expect("generate --model tiny bell --steps 1 --init stereo.wav --inpaint 0.5:1 -o x.wav", 0,
           "stereo.wav: its 2 channels are mixed to 1");
    expect("generate --model tiny bell --steps 1 --continue stereo.wav --seconds 3 -o x.wav", 0,
           "stereo.wav: resampled from 48000 Hz");
    const char *scene = "{\"seconds\": 2, \"steps\": 1, \"layers\": [{\"class\": \"bells\", \"at\": [0, 1]}]}";
    file_write(path_join(root, "bells.json"), scene, strlen(scene));
    expect("scene bells.json --model tiny -o x.wav", 0, "class bells: taken as bell");
    const char *first = strstr(said, "taken as bell");
    assert_null(strstr(first + 1, "taken as bell"));
    scope_end();
}

/* In a scene, too, a shipped model's name is enough. The classes' other words are there for scripts. */
static void test_shipped_in_scenes(void **state) {
    (void) state;
    if (!shipped_find("drums") || !shipped_find("sound")) return;
    scope_begin();
    const char *scene =
        "{\"seconds\": 0.5, \"steps\": 2, \"model\": \"drums\", \"layers\": [{\"class\": \"kick\", \"at\": 0}]}";
    file_write(path_join(root, "kick.json"), scene, strlen(scene));
    expect("scene -q kick.json -o kick.wav", 0, NULL);
    expect("classes sound --json", 0, NULL);
    const char *listed = (const char *) file_read(path_join(root, "out.txt"), 1 << 20).data;
    json_t *all = json_loads(listed, 0, NULL), *words = json_object_get(json_object_get(all, "words"), "accordion");
    assert_true(json_array_size(json_object_get(all, "classes")) > 60);
    assert_true(json_array_size(words) > 0 && json_is_string(json_array_get(words, 0)));
    json_decref(all);
    scope_end();
}

/* Weights are read when they are needed: here after the sound, which a pipe holds back until their file has been cut. */
static void test_cut_weights(void **state) {
    (void) state;
    const char *vocoder = shipped_find("vocoder");
    if (!vocoder) return;
    scope_begin();
    audio *tone = audio_new(RATE, 1, RATE);
    for (int64_t i = 0; i < RATE; i++) tone->samples[i] = 0.3f * sinf(0.05f * (float) i);
    audio_write(path_join(root, "tone.wav"), tone, AUDIO_PCM16);
    const int status =
        system(format("cd %s && mkdir cut && cp %s/* cut && chmod u+w cut/* && mkfifo late.wav && "
                      "{ \"%s\" vocode --model cut late.wav -o cut.wav >out.txt 2>err.txt & exec 3>late.wav; "
                      "truncate -s 9000 cut/weights.safetensors; cat tone.wav >&3; exec 3>&-; wait $!; }",
                      root, vocoder, HISS_PROGRAM));
    const bytes words = file_read(path_join(root, "err.txt"), 1 << 20);
    if (!strstr((const char *) words.data, "cut/weights.safetensors: was cut short")) fail_msg("%s", words.data);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_false(file_exists(path_join(root, "cut.wav")));
    scope_end();
}

static int tear_down(void **state) {
    (void) state;
    return system(format("rm -rf %s", root));
}

int main(void) {
    if (!mkdtemp(root)) return 1;
    scope_begin();
    tiny = path_join(root, "tiny");
    tiny_sound_write(tiny);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scene),
        cmocka_unit_test(test_scene_errors),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_vocoder),
        cmocka_unit_test(test_music),
        cmocka_unit_test(test_melody_pull),
        cmocka_unit_test(test_compose),
        cmocka_unit_test(test_music_options),
        cmocka_unit_test(test_vary),
        cmocka_unit_test(test_quality),
        cmocka_unit_test(test_way),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_card_prompts),
        cmocka_unit_test(test_bad_prompts),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_into),
        cmocka_unit_test(test_into_errors),
        cmocka_unit_test(test_idle_options),
        cmocka_unit_test(test_shipped_names),
        cmocka_unit_test(test_no_schedules),
        cmocka_unit_test(test_long_walks),
        cmocka_unit_test(test_cut_weights),
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_bars),
        cmocka_unit_test(test_shipped_in_scenes),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
