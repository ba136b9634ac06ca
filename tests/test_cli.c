/* The program as a user meets it: help, errors, exit codes, what goes to standard output, seeds. Runs the built `hiss` on the
 * tiny models of tests/data/models. */
#include "test.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char program[] = HISS_PROGRAM, data[] = TEST_DATA;
static char work[64];

typedef struct {
    int code;
    char out[131072], err[8000];
} outcome;

static void slurp(const char *name, char *text, size_t size) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", work, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, size - 1, f)] = 0;
    fclose(f);
}

/* Runs hiss in the work folder; $M stands for the models' folder. */
static outcome hiss(const char *words) {
    static char line[10000];
    static outcome o;
    snprintf(line, sizeof line, "cd %s && M=%s/models && \"%s\" %s >out.txt 2>err.txt </dev/null", work, data, program,
             words);
    int status = system(line);
    assert_true(WIFEXITED(status));
    o.code = WEXITSTATUS(status);
    slurp("out.txt", o.out, sizeof o.out);
    slurp("err.txt", o.err, sizeof o.err);
    return o;
}

static void expect(const char *words, int code, const char *said) {
    outcome o = hiss(words);
    if (o.code != code || (said && !strstr(code ? o.err : o.out, said))) {
        print_error("hiss %s: exit %d, expected %d and '%s'\nstdout: %s\nstderr: %s\n", words, o.code, code,
                    said ? said : "", o.out, o.err);
        assert_true(0);
    }
    if (code && *o.out) fail_msg("hiss %s failed and still printed to stdout: %s", words, o.out);
}

static void same_files(const char *a, const char *b, bool same) {
    char line[600];
    snprintf(line, sizeof line, "cd %s && cmp -s %s %s", work, a, b);
    if ((system(line) == 0) != same) fail_msg("%s and %s should %sbe the same", a, b, same ? "" : "not ");
}

static bool is_there(const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", work, name);
    return access(path, F_OK) == 0;
}

/* A 16-bit mono WAV of a decaying tone. */
static void write_text(const char *name, const char *words) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", work, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(words, f);
    fclose(f);
}

static void write_wav(const char *name, int rate, int channels, int frames) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", work, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    uint32_t bytes = (uint32_t) (frames * channels * 2),
             head[11] = {0x46464952, 36 + bytes, 0x45564157, 0x20746d66, 16};
    head[5] = 1 | (uint32_t) channels << 16;
    head[6] = (uint32_t) rate;
    head[7] = (uint32_t) (rate * channels * 2);
    head[8] = (uint32_t) (channels * 2) | 16u << 16;
    head[9] = 0x61746164;
    head[10] = bytes;
    fwrite(head, 4, 11, f);
    for (int i = 0; i < frames; i++)
        for (int c = 0; c < channels; c++) {
            int16_t value = (int16_t) ((i * 37 % 200 - 100) * 100 * (frames - i) / frames);
            fwrite(&value, 2, 1, f);
        }
    fclose(f);
}

static int set_up(void **state) {
    (void) state;
    strcpy(work, "/tmp/hiss-test-XXXXXX");
    if (!mkdtemp(work)) return -1;
    write_wav("tone.wav", 22050, 1, 6000);
    write_wav("eight.wav", 44100, 8, 3000);
    write_wav("three.wav", 22050, 1, 3);
    write_wav("empty.wav", 22050, 1, 0);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    char line[200];
    snprintf(line, sizeof line, "chmod -R u+w %s; rm -rf %s", work, work);
    return system(line);
}

/* --- tests --- */

static const char *const COMMANDS[] = {"generate", "scene",   "vocode", "mel",  "noise",    "info",
                                       "convert",  "classes", "train",  "help", "schedule", "distil"};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS };

static void test_help(void **state) {
    (void) state;
    char words[100];
    for (int i = 0; i < COMMAND_COUNT; i++) {
        snprintf(words, sizeof words, "%s --help", COMMANDS[i]);
        expect(words, 0, "usage: hiss");
        expect(words, 0, "examples:\n  # ");
        expect("--help", 0, COMMANDS[i]);
        expect("help --man", 0, COMMANDS[i]);
        expect("help --completion bash", 0, COMMANDS[i]);
        expect("help --completion zsh", 0, COMMANDS[i]);
        expect("help --completion fish", 0, COMMANDS[i]);
    }
    expect("--version", 0, "oneDNN");
}

/* How often a word stands in a text. */
static int times(const char *text, const char *word) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) n++;
    return n;
}

/* Options stand under headings, each once, in help and manual; an example for each kind of use. */
static void test_help_groups(void **state) {
    (void) state;
    static const char *const IN_TURN[] = {"\nwhat to make:\n",
                                          "--seconds ",
                                          "--mel-blur ",
                                          "\nedits of a sound:\n",
                                          "--init ",
                                          "--inpaint ",
                                          "\nmodel:\n",
                                          "--quality ",
                                          "\nfrom noise to sound:\n",
                                          "--sampler ",
                                          "\noutput:\n",
                                          "--picture ",
                                          "\nrunning:\n",
                                          "--threads ",
                                          "\nexamples:\n"};
    outcome o = hiss("generate --help");
    const char *at = o.out;
    for (size_t i = 0; i < sizeof IN_TURN / sizeof *IN_TURN; i++) {
        const char *next = strstr(at, IN_TURN[i]);
        if (!next) fail_msg("generate --help: no '%s' after:\n%.200s", IN_TURN[i], at);
        at = next;
    }
    assert_true(times(at, "\n  hiss generate ") >= 8);
    assert_int_equal(times(o.out, "\n      --negative "), 1);
    assert_int_equal(times(o.out, "edits of a sound:"), 1);
    expect("train --help", 0, "\ntraining:\n");
    assert_true(times(hiss("train --help").out, "\n  hiss train ") >= 4);
    expect("help --man", 0, "edits of a sound:");
}

static void test_usage_errors(void **state) {
    (void) state;
    expect("", 2, "--help");
    expect("genrate", 2, "'generate'");
    expect("generate --sede 3", 2, "--seed");
    expect("generate", 2, "--out");
    expect("generate --model $M/classes -o x/ --class snaer", 2, "'snare'");
    expect("generate --model $M/classes -o x/ --sampler dimm", 2, "'ddim'");
    expect("generate --model $M/classes -o x/ --schedule karas", 2, "'karras'");
    expect("generate --model $M/classes -o x/ --precision f23", 2, "'f32'");
    expect("generate --model $M/classes -o x/ --steps 0", 2, "from 1");
    expect("generate --model $M/classes -o x/ --steps six", 2, "whole number");
    expect("generate --model $M/classes -o x/ --seconds nan", 2, "a number");
    expect("generate --model $M/classes -o x/ --seconds -3", 2, "a number");
    expect("generate --model $M/classes -o sound.mp4", 2, ".wav");
    expect("generate --model $M/classes -o x/ --seed", 2, "needs a value");
    expect("generate --model $M/classes -o x/ rain extra", 2, "one argument too many");
    expect("generate --model $M/classes -o x/ rain", 2, "cannot be asked for a prompt");
    expect("generate --model $M/classes -o x/ --loop", 2, "cannot be asked for a loop");
    expect("generate --model $M/classes -o x/ --guidance tekst=2", 2, "'text'");
    expect("generate --model $M/classes -o x/ --guidance 2,mel=much", 2, "'much' is not a number");
    expect("generate --model $M/classes -o x/ --inpaint 1-2", 2, "--init");
    expect("generate --model $M/classes -o x/ --init tone.wav --inpaint 2-1", 2, "FROM:TO");
    expect("generate --model $M/classes -o x/ --bars 2", 2, "--bpm");
    expect("generate --model $M/classes -o x/ --amount 0.3", 2, "--vary");
    expect("generate --model $M/classes -o x/ --vary tone.wav --init tone.wav", 2, "one of them");
    expect("generate --model $M/classes -o x/ --vary tone.wav", 2, "cannot be asked for a");
    expect("generate --model $M/classes -o x/ --vocoder $M/vocoder", 2, "cannot be asked for another vocoder");
    expect("generate --model $M/classes -o x/ --quality best", 2, "--steps");
    expect("generate --model $M/classes -o x/ --quality good", 2, "usual, fast, best");
    expect("generate --model $M/classes -o x/ --bars 2 --bpm 90 -s 1", 2, "one of them");
    expect("generate --tensors", 2, "takes no --tensors");
    expect("generate --model $M/diffwave -o x/ --class snare", 2, "knows no classes");
    expect("generate --model $M/vocoder -o x/", 2, "hiss vocode");
    expect("vocode --model $M/diffwave tone.wav -o y.wav", 2, "no mel");
    expect("noise tone.wav -o steps --levels 0,2", 2, "0 to 1");
    expect("help generat", 2, "'generate'");
}

static void test_bad_files(void **state) {
    (void) state;
    expect("info nowhere.pt", 1, "nowhere.pt");
    expect("info tone.wav", 1, "tone.wav");
    expect("generate --model nowhere -o x/", 1, "nowhere");
    expect("generate --model /etc/hostname -o x/", 1, "hostname");
    expect("vocode --model $M/vocoder nothing.wav -o y.wav", 1, "nothing.wav");
    expect("vocode --model $M/vocoder empty.wav -o y.wav", 1, "empty.wav");
    expect("vocode --model $M/vocoder out.txt -o y.wav", 1, "out.txt");
    expect("vocode --model $M/vocoder wrong.npy -o y.wav", 1, "wrong.npy");
    expect("generate --model $M/diffwave -o /proc/nowhere/x.wav", 1, "/proc");
    assert_false(is_there("y.wav"));
    char line[9000];
    snprintf(line, sizeof line, "cd %s && \"%s\" --help >/dev/full 2>err.txt", work, program);
    assert_int_equal(WEXITSTATUS(system(line)), 1);
}

static const char *const SAMPLER_NAMES[] = {
    "paper",           "ddpm",       "ddim",      "euler",    "euler-ancestral", "heun",         "dpm-2", "lms",
    "dpm-2-ancestral", "dpmpp-2s-a", "dpmpp-sde", "dpmpp-2m", "dpmpp-2m-sde",    "dpmpp-3m-sde", "unipc", NULL};

static void test_seeds(void **state) {
    (void) state;
    expect("generate -q --model $M/classes --class snare -n 3 --seed 5 --seconds 0.1 -o many/", 0,
           "many/snare-seed-006.wav");
    expect("generate -q --model $M/classes --class SNARE --seed 6 --seconds 0.1 -o one.wav", 0, "one.wav");
    same_files("many/snare-seed-006.wav", "one.wav", true);
    expect("generate -q --model $M/classes --class 1 --seed 6 --seconds 0.1 --threads 1 -o thread.wav", 0, NULL);
    same_files("thread.wav", "one.wav", true);
    same_files("many/snare-seed-005.wav", "one.wav", false);
    expect("generate -q --model $M/classes --class kick --seed 6 --seconds 0.1 -o kick.wav", 0, NULL);
    same_files("kick.wav", "one.wav", false);
    expect("generate -q --model $M/classes --class 1 --seed 6 --seconds 0.1 --guidance 3 -o guided.wav", 0, NULL);
    same_files("guided.wav", "one.wav", false);
    expect("generate -q --model $M/classes --class 1 --seed 6 --seed-like torch --seconds 0.1 -o torch.wav", 0, NULL);
    same_files("torch.wav", "one.wav", false);
    expect("generate -q --model $M/classes --class 1 -n 2 --seed 5 --seed-like torch --seconds 0.1 -o torch/", 0, NULL);
    same_files("torch/snare-seed-006.wav", "torch.wav", true);
    expect("generate -q --model $M/classes --class 1 --seed 6 --seed-like torch-cuda --seconds 0.1 -o cuda.wav", 0,
           NULL);
    same_files("cuda.wav", "torch.wav", false);
    for (const char *const *name = SAMPLER_NAMES; *name; name++) {
        char words[200];
        snprintf(words, sizeof words, "generate -q --model $M/diffwave --seconds 0.02 --steps 5 --sampler %s -o s.wav",
                 *name);
        expect(words, 0, NULL);
    }
    expect("generate -q --model $M/diffwave --seed 1 --seconds 0.3 --sampler ddim --steps 4 -p -o d.flac", 0, "d.png");
    expect("generate -q --model $M/diffwave --seconds 0.1 --steps 20 --sampler ddim --steps-picture -o s.wav", 0,
           "s-steps.png");
    expect("generate -q --model $M/diffwave --seconds 0.1 -n 2 --seed 9 -o t.wav", 0, "t-seed-010.wav");
    assert_true(is_there("d.flac") && is_there("d.png"));
}

/* A schedule is found, written, and changes what vocode sings; one outside the model's training is refused. */
static void test_schedule(void **state) {
    (void) state;
    expect("schedule -q --model $M/vocoder tone.wav --steps 4 --tries 3 --seed 5 -o four.json", 0, "4 steps");
    expect("schedule -q --model $M/vocoder tone.wav --steps 4 --tries 3 --seed 5 -o again.json", 0, NULL);
    same_files("four.json", "again.json", true);
    expect("vocode -q --model $M/vocoder tone.wav --betas four.json -o by-four.wav", 0, NULL);
    expect("vocode -q --model $M/vocoder tone.wav -o by-own.wav", 0, NULL);
    same_files("by-four.wav", "by-own.wav", false);
    write_text("bad.json", "[0.1, 2]");
    expect("vocode --model $M/vocoder tone.wav --betas bad.json -o y.wav", 1, "beta 1 is 2");
    write_text("far.json", "[0.9, 0.9]");
    expect("vocode --model $M/vocoder tone.wav --betas far.json -o y.wav", 2, "outside that of");
    expect("schedule --model $M/diffwave tone.wav -o y.json", 2, "no mel");
}

static void test_vocode(void **state) {
    (void) state;
    expect("mel tone.wav --model $M/vocoder -o tone.npy", 0, "[10, 24]");
    expect("vocode -q --model $M/vocoder tone.wav -o sung.wav", 0, "sung.wav");
    expect("vocode -q --model $M/vocoder tone.npy -o sung-npy.wav", 0, NULL);
    expect("mel tone.wav --model $M/vocoder -o tone.safetensors", 0, NULL);
    expect("vocode -q --model $M/vocoder tone.safetensors -o sung-st.wav", 0, NULL);
    same_files("sung-npy.wav", "sung-st.wav", true);
    expect("vocode -q --model $M/vocoder eight.wav -o eight-sung.wav", 0, NULL);
    expect("vocode -q --model $M/vocoder three.wav -o three-sung.wav", 0, NULL);
    expect("mel tone.wav --front diffwave -o wide.npy", 0, "[80, 24]");
    expect("mel tone.wav -o ours.npy", 0, ": hiss at 44100 Hz, 512 samples a frame");
    expect("vocode -q --mel tone.npy --vocoder $M/vocoder -o sung-mel.wav", 0, "sung-mel.wav");
    same_files("sung-npy.wav", "sung-mel.wav", true);
    expect("vocode tone.wav --mel tone.npy -o y.wav", 2, "one of them");
    expect("vocode --model $M/vocoder --vocoder $M/vocoder tone.wav -o y.wav", 2, "one of them");
    expect("vocode --model $M/vocoder -o y.wav", 2, "--mel FILE");
    expect("mel tone.wav -o tone.png", 0, "tone.png");
    expect("mel tone.wav --front hifigan -o y.png", 2, "--front hiss");
    expect("vocode --model $M/vocoder wide.npy -o y.wav", 1, "10 bands");
    assert_false(is_there("y.wav"));
    expect("vocode -q --model $M/wavegrad tone.wav --seed 3 -o wavegrad.wav", 0, NULL);
}

static void shell(const char *words) {
    static char line[3000];
    snprintf(line, sizeof line, "cd %s && M=%s/models && H=\"%s\" && { %s; } 2>err.txt", work, data, program, words);
    const int status = system(line);
    if (status) fail_msg("%s: %d", words, status);
}

/* "-" reads from standard input and writes to standard output, a sound alone. Never a folder of that name. */
static void test_pipes(void **state) {
    (void) state;
    expect("vocode -q --model $M/vocoder tone.wav -o sung.wav", 0, NULL);
    shell("\"$H\" vocode --model $M/vocoder - -o - <tone.wav >piped.wav");
    same_files("sung.wav", "piped.wav", true);
    shell("cat tone.wav | \"$H\" mel -q - --front diffwave -o piped.npy >out.txt");
    expect("mel -q tone.wav --front diffwave -o tone.npy", 0, NULL);
    same_files("tone.npy", "piped.npy", true);
    write_text("p.json", "{\"seconds\": 1, \"layers\": [{\"file\": \"tone.wav\", \"cross_fade\": 0.05}]}");
    expect("scene -q p.json -o p.wav", 0, NULL);
    shell("\"$H\" scene - -o - <p.json >piped-scene.wav");
    same_files("p.wav", "piped-scene.wav", true);
    expect("mel tone.wav -o -", 2, "goes to files");
    expect("noise tone.wav -o -", 2, "name a folder");
    expect("scene p.json -o - --picture", 2, "nothing else goes to standard output");
    expect("vocode --model $M/vocoder - -o y.wav", 1, "-: ");
    assert_false(is_there("-"));
}

/* Which seeds made a sound is said where its name does not, and not with -q. */
static void test_seeds_told(void **state) {
    (void) state;
    outcome o = hiss("generate --model $M/classes --seconds 0.1 --seed 7 -o told.wav");
    if (!strstr(o.err, "seed 7, 0.1 s of sound, made in ")) fail_msg("%s", o.err);
    o = hiss("generate --model $M/classes --seconds 0.1 --seed 7 --count 3 -o told.wav");
    if (!strstr(o.err, "seeds 7 to 9, each 0.1 s")) fail_msg("%s", o.err);
    assert_string_equal(hiss("generate -q --model $M/classes --seconds 0.1 -o told.wav").err, "");
}

/* The result is one JSON value and nothing else. */
static json_t *result_of(const char *words) {
    outcome o = hiss(words);
    json_error_t error;
    json_t *value = json_loads(o.out, 0, &error);
    if (o.code || !value) fail_msg("hiss %s: exit %d, not JSON (%s): %s%s", words, o.code, error.text, o.out, o.err);
    return value;
}

static void test_json(void **state) {
    (void) state;
    json_t *r = result_of("generate --model $M/classes --count 2 --seconds 0.05 -o json/ --json -p");
    assert_int_equal(json_array_size(json_object_get(r, "sounds")), 2);
    json_decref(r);
    r = result_of("info $M/classes --json --tensors");
    assert_string_equal(json_string_value(json_object_get(r, "system")), "diffwave");
    assert_true(json_is_true(json_object_get(r, "fits")));
    assert_true(json_array_size(json_object_get(r, "tensors")) > 10);
    json_decref(r);
    r = result_of("classes $M/classes --json");
    assert_int_equal(json_array_size(json_object_get(r, "classes")), 3);
    json_decref(r);
    json_decref(result_of("mel tone.wav -o a.npy --json"));
    r = result_of("noise tone.wav -o steps/ --json");
    assert_int_equal(json_array_size(json_object_get(r, "sounds")), 6);
    assert_true(is_there("steps/tone.png") && is_there("steps/tone-05.wav"));
    json_decref(r);
    json_decref(result_of("convert $M/classes c.safetensors --json"));
}

static void test_scene(void **state) {
    (void) state;
    write_text("s.json", "{\"seconds\": 2, \"rate\": 22050, \"layers\": [\n"
                         "{\"file\": \"tone.wav\", \"name\": \"hum\", \"cross_fade\": 0.05},\n"
                         "{\"file\": \"tone.wav\", \"name\": \"bell\", \"per_minute\": 90, \"pan\": [-1, 1]}]}");
    write_text("bad.json", "{\"layers\": [\n{\"file\": \"tone.wav\",\n \"distnace\": 3}]}");
    expect("scene -q s.json -o scenes/a.wav -p", 0, "scenes/a.vtt");
    assert_true(is_there("scenes/a.wav") && is_there("scenes/a.cues.json") && is_there("scenes/a.txt"));
    assert_true(is_there("scenes/a.png"));
    expect("scene -q s.json -o scenes/b.wav --threads 1", 0, NULL);
    same_files("scenes/a.wav", "scenes/b.wav", true);
    expect("scene -q s.json -o scenes/c.wav --seed 2", 0, NULL);
    same_files("scenes/a.wav", "scenes/c.wav", false);
    expect("scene -q s.json -o scenes/d.flac --seconds 3", 0, "scenes/d.flac");
    json_t *r = result_of("scene s.json -o scenes/e.wav --json");
    assert_true(json_number_value(json_object_get(r, "loudness_lufs")) < -19.9);
    json_decref(r);
    expect("scene -q 'a shop: kick, far left snare' --model $M/classes --seconds 1 -o scenes/w.wav", 0, "w.txt");
    expect("scene bad.json -o x.wav", 1, "bad.json: layers[0].distnace (line 3): is not a known setting; did you mean");
    expect("scene nowhere.json -o x.wav", 1, "nowhere.json");
    write_text("gone.json", "{\"layers\": [\n{\"file\": \"gone.wav\"}]}");
    expect("scene gone.json -o x.wav", 1,
           "gone.json: layers[0] (line 2): layer 'gone': ./gone.wav: there is no such file");
    expect("scene 'gong' --model $M/classes -o x.wav", 2, "knows no such sound");
    expect("scene 'distant' -o x.wav", 2, "names no sound");
    expect("scene s.json -o s.mp4", 2, ".wav");
    write_text("x.cues.json", "{\"seconds\": 1, \"layers\": [{\"file\": \"tone.wav\"}]}");
    expect("scene x.cues.json -o ./x.wav", 2, "over the scene");
    assert_false(is_there("x.wav"));
}

static void test_convert(void **state) {
    (void) state;
    expect("convert $M/classes one/c.safetensors", 0, "c.safetensors");
    expect("info one/c.safetensors", 0, "diffwave");
    expect("generate -q --model $M/classes --class kick --seconds 0.1 -o a.wav", 0, NULL);
    expect("generate -q --model one/c.safetensors --class kick --seconds 0.1 -o b.wav", 0, NULL);
    same_files("a.wav", "b.wav", true);
    expect("convert $M/classes half.safetensors --type bf16", 0, NULL);
    expect("info half.safetensors --tensors", 0, "BF16");
    expect("convert $M/classes half.pt", 2, ".safetensors");
}

/* A step at which held-out clips are measured, too, has one line. */
static void test_training_lines(void **state) {
    (void) state;
    write_text("lines.json", "{\"system\": \"diffwave\", \"data\": {\"sample_rate\": 22050, \"seconds\": 0.05},"
                             " \"training\": {\"batch\": 2}, \"every\": {\"log\": 1, \"held_out\": 2, \"sounds\": 0}}");
    write_text("lines.tsv", "path\tsplit\ntone.wav\ttrain\ntone.wav\theld-out\n");
    const outcome o = hiss("train --recipe lines.json --from $M/classes --data lines.tsv --steps 3 -o lines/");
    if (o.code) fail_msg("hiss train: exit %d: %s", o.code, o.err);
    int lines = 0;
    for (const char *at = o.err; (at = strstr(at, "step ")); at++) lines += !strncmp(at + 6, "/3  loss", 8);
    if (lines != 3 || !strstr(o.err, "held-out")) fail_msg("%d lines of 3 steps: %s", lines, o.err);
}

/* Adapters learned for a model change its sounds, by their weight; what cannot be is said. */
static void test_adapters(void **state) {
    (void) state;
    write_text("own.json", "{\"system\": \"diffwave\", \"data\": {\"sample_rate\": 22050, \"seconds\": 0.05},"
                           " \"training\": {\"batch\": 2}, \"optimizer\": {\"learning_rate\": 0.01},"
                           " \"every\": {\"held_out\": 0, \"sounds\": 0}}");
    write_text("own.tsv", "tone.wav\n");
    expect("train -q --recipe own.json --from $M/classes --lora 2 --data own.tsv --steps 3 -o own/", 0, "own");
    expect("train -q --recipe own.json --from $M/classes --lora 2 --data own.tsv --steps 4 --resume -o own/", 0, "own");
    expect("generate -q --model $M/classes --class kick --seconds 0.1 -o plain.wav", 0, NULL);
    expect("generate -q --model $M/classes --class kick --seconds 0.1 --lora own/adapter.safetensors -o own.wav", 0,
           NULL);
    expect("generate -q --model $M/classes --class kick --seconds 0.1 --lora own/adapter.safetensors:0 -o off.wav", 0,
           NULL);
    expect("generate -q --model $M/classes --class kick --seconds 0.1 --lora own/adapter.safetensors:0.5 "
           "--lora-strength 2 -o twice.wav",
           0, NULL);
    same_files("plain.wav", "own.wav", false);
    same_files("plain.wav", "off.wav", true);
    same_files("own.wav", "twice.wav", true);
    expect("generate --model $M/classes --lora-strength 2 -o x/", 2, "--lora FILE");
    expect("generate --model $M/classes -o x/ --lora nowhere.safetensors:2", 1, "nowhere.safetensors");
    expect("generate --model $M/vocoder -o x/ --lora own/adapter.safetensors", 2, "is it for another model?");
    expect("train --recipe own.json --lora 2 --data own.tsv -o no/", 2, "--from");
    expect("distil --recipe own.json --from $M/classes --data own.tsv -o no/", 2, "cannot be distilled");
    expect("train --recipe own.json --from $M/wavegrad --data own.tsv -o no/", 2, "is of wavegrad");
    assert_false(is_there("no"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),       cmocka_unit_test(test_help_groups),  cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_seeds_told), cmocka_unit_test(test_usage_errors), cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_seeds),      cmocka_unit_test(test_vocode),       cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_json),       cmocka_unit_test(test_convert),      cmocka_unit_test(test_training_lines),
        cmocka_unit_test(test_adapters),   cmocka_unit_test(test_scene),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
