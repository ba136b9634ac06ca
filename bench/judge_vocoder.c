/* judge_vocoder MODEL SOUND...: what a vocoder loses. Each sound's first seconds are sung back from their true mel
 * spectrogram and compared, beside 32 rounds of Griffin and Lim and beside the true magnitudes with integrated phases; then
 * sounds made on purpose: noises, hits, tones. MODEL "-": only what needs none. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/parallel.h"
#include "eval/closeness.h"
#include "signal/envelope.h"
#include "signal/griffin_lim.h"
#include "signal/resynthesis.h"
#include "systems/generate.h"

enum { RATE = 44100, HOP = 512, SECONDS = 3 };
static const int64_t MOST = (int64_t) SECONDS * RATE / HOP * HOP;

/* --- ways to a sound --- */

typedef struct {
    const char *name;
    /* out [n], n a multiple of HOP, from a real sound [n] (through its mel, or more of it). */
    void (*make)(const model *m, const float *real, int64_t n, float *out);
} way;

static void copy(const model *m, const float *real, int64_t n, float *out) {
    (void) m;
    memcpy(out, real, (size_t) n * sizeof(float));
}

/* From the envelope and random phases. */
static void by_griffin_lim(const model *m, const float *real, int64_t n, float *out) {
    (void) m;
    mel_front f = mel_front_named("hiss");
    const tensor *mel = mel_compute(&f, real, n);
    const int64_t F = mel->shape[0], K = f.stft.n_fft / 2 + 1;
    const mel_envelope *e = mel_envelope_new(&f);
    tensor *magnitude = tensor_new(F32, SHAPE(F, K)), *start = tensor_new(F32, SHAPE(F, K, 2));
    for (int64_t i = 0; i < F; i++) mel_envelope_of(e, f32(mel) + i * f.bands, f32(magnitude) + i * K);
    for (int64_t i = 0; i < F * K; i++) {
        const float phase = (float) (2 * M_PI * random_uniform((random_key){1, 2}, (uint64_t) i));
        f32(start)[2 * i] = cosf(phase);
        f32(start)[2 * i + 1] = sinf(phase);
    }
    memcpy(out, griffin_lim(&f.stft, magnitude, start, 32, 0.99f, n)->data, (size_t) n * sizeof(float));
}

static float *put_at;
static void put(void *context, const float *samples, int64_t n) {
    (void) context;
    memcpy(put_at, samples, (size_t) n * sizeof(float));
    put_at += n;
}

/* The true magnitudes, all steady, with integrated phases: what no better network can pass. */
static void true_magnitudes(const model *m, const float *real, int64_t n, float *out) {
    (void) m;
    resynthesis_settings s = {mel_front_named("hiss"), 0.85, 1, 0, {1, 0}};
    const tensor *spectrum = stft(&s.front.stft, real, n), *mel = mel_compute(&s.front, real, n);
    const int64_t F = spectrum->shape[0], K = spectrum->shape[1];
    float *steady = NEW_ARRAY(float, K), *noise = NEW_ARRAY(float, K);
    put_at = out;
    resynthesis *r = resynthesis_new(&s, put, NULL);
    for (int64_t i = 0; i < F; i++) {
        for (int64_t k = 0; k < K; k++)
            steady[k] = hypotf(f32(spectrum)[2 * (i * K + k)], f32(spectrum)[2 * (i * K + k) + 1]);
        resynthesis_push(r, f32(mel) + i * s.front.bands, steady, noise);
    }
    resynthesis_finish(r);
}

static void through_model(const model *m, const float *real, int64_t n, float *out) {
    mel_front f = mel_front_named("hiss");
    sound_request r = sound_request_default();
    r.seed = 1;
    const audio *sung = vocode_mel(m, &r, mel_compute(&f, real, n));
    memcpy(out, sung->samples, (size_t) n * sizeof(float));
}

static const way WAYS[] = {
    {"real", copy}, {"Griffin-Lim 32", by_griffin_lim}, {"true magnitudes", true_magnitudes}, {"model", through_model}};
enum { WAY_COUNT = sizeof WAYS / sizeof *WAYS };

/* --- sounds made on purpose --- */

static double noise_at(uint64_t stream, int64_t i) {
    float z;
    random_normal((random_key){5, stream}, (uint64_t) i, &z, 1);
    return z;
}

static void white(float *x, int64_t n) {
    random_normal((random_key){5, 0}, 0, x, (size_t) n);
    for (int64_t i = 0; i < n; i++) x[i] *= 0.1f;
}

/* Three one-pole filters a decade apart (Kellet's coefficients), within 0.1 dB of 3 dB an octave. */
static void pink(float *x, int64_t n) {
    double a = 0, b = 0, c = 0;
    white(x, n);
    for (int64_t i = 0; i < n; i++) {
        const double w = x[i];
        a = 0.99765 * a + w * 0.0990460;
        b = 0.96300 * b + w * 0.2965164;
        c = 0.57000 * c + w * 1.0526913;
        x[i] = (float) (0.3 * (a + b + c + w * 0.1848));
    }
}

/* Noise round 3 kHz. */
static void band(float *x, int64_t n) {
    const double w = 2 * M_PI * 3000 / RATE, r = 0.97;
    double y1 = 0, y2 = 0;
    white(x, n);
    for (int64_t i = 0; i < n; i++) {
        const double y = x[i] + 2 * r * cos(w) * y1 - r * r * y2;
        y2 = y1;
        y1 = y;
        x[i] = (float) (0.1 * y);
    }
}

enum { HIT_EVERY = RATE / 2, HIT_FIRST = RATE / 4 };

/* Bursts of noise over a falling tone, twice a second: silence before each. */
static void hits(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t t = (i + HIT_EVERY - HIT_FIRST) % HIT_EVERY;
        const double s = (double) t / RATE;
        x[i] = i < HIT_FIRST ? 0
                             : (float) (0.2 * noise_at(1, i) * exp(-s / 0.04) +
                                        0.4 * sin(2 * M_PI * (120 * s + 3 * (1 - exp(-s / 0.03)))) * exp(-s / 0.1));
    }
}

static void partials(float *x, int64_t n, double hz, int count, double stretch, double decay, double fall) {
    memset(x, 0, (size_t) n * sizeof(float));
    for (int k = 1; k <= count; k++) {
        const double f = hz * k * sqrt(1 + stretch * k * k), level = 0.3 * pow(k, -fall), phase = 2.4 * k * k;
        for (int64_t i = 0; i < n; i++) {
            const double s = (double) i / RATE;
            x[i] += (float) (level * sin(2 * M_PI * f * s + phase) * exp(-s * decay * (1 + 0.2 * k)));
        }
    }
}

static void piano(float *x, int64_t n) { partials(x, n, 220, 16, 1e-4, 0.6, 1.2); }
static void organ(float *x, int64_t n) { partials(x, n, 261.63, 16, 0, 0, 0.8); }
static void sine(float *x, int64_t n) { partials(x, n, 1000, 1, 0, 0, 1); }
static void chord(float *x, int64_t n) {
    static const double ratio[] = {1, 1.2599, 1.4983, 2.3784};
    float *part = NEW_ARRAY(float, n), *sum = NEW_ARRAY(float, n);
    for (int i = 0; i < 4; i++) {
        partials(part, n, 440 * ratio[i], 10, 0, 0, 0.7);
        for (int64_t t = 0; t < n; t++) sum[t] += part[t] / 2;
    }
    memcpy(x, sum, (size_t) n * sizeof(float));
}

/* --- what is measured on them --- */

/* High-pass of two equal one-pole stages at 2 kHz. */
static float *above_2_khz(const float *x, int64_t n) {
    float *y = NEW_ARRAY(float, n);
    const double a = exp(-2 * M_PI * 2000 / RATE);
    double in[2] = {0}, out[2] = {0};
    for (int64_t i = 0; i < n; i++) {
        double v = x[i];
        for (int s = 0; s < 2; s++) {
            const double w = a * (out[s] + v - in[s]);
            in[s] = v;
            out[s] = v = w;
        }
        y[i] = (float) v;
    }
    return y;
}

/* dB above 2 kHz in the 15 ms before a hit against the 15 ms after, mean over the hits. */
static double pre_echo(const float *x, int64_t n) {
    const int64_t reach = RATE * 15 / 1000;
    const float *y = above_2_khz(x, n);
    double sum = 0;
    int count = 0;
    for (int64_t at = HIT_FIRST; at + reach < n; at += HIT_EVERY, count++) {
        double before = 1e-12, after = 1e-12;
        for (int64_t i = 0; i < reach; i++) {
            before += (double) y[at - 1 - i] * y[at - 1 - i];
            after += (double) y[at + i] * y[at + i];
        }
        sum += 10 * log10(before / after);
    }
    return sum / count;
}

/* dB between partials against on them, up to 5 kHz, from a long spectrum of the middle. */
static double floor_of(const float *x, int64_t n, const double *hz, int count) {
    const stft_shape s = {16384, 16384, 8192, STFT_UNPADDED, false};
    const tensor *spectrum = stft(&s, x + n / 4, n / 2);
    const int64_t F = spectrum->shape[0], K = spectrum->shape[1];
    double on = 0, off = 0, ons = 0, offs = 0;
    for (int64_t k = 8; k < K && (double) k * RATE / s.n_fft < 5000; k++) {
        double nearest = 1e9, power = 0;
        for (int i = 0; i < count; i++) nearest = fmin(nearest, fabs((double) k - hz[i] * s.n_fft / RATE));
        for (int64_t f = 0; f < F; f++)
            power += pow(f32(spectrum)[2 * (f * K + k)], 2) + pow(f32(spectrum)[2 * (f * K + k) + 1], 2);
        if (nearest <= 3) on += power, ons++;
        else if (nearest >= 12) off += power, offs++;
    }
    return 10 * log10(off / fmax(offs, 1) / (on / fmax(ons, 1)) + 1e-15);
}

static double piano_floor(const float *x, int64_t n) {
    double hz[16];
    for (int k = 1; k <= 16; k++) hz[k - 1] = 220 * k * sqrt(1 + 1e-4 * k * k);
    return floor_of(x, n, hz, 16);
}
static double organ_floor(const float *x, int64_t n) {
    double hz[16];
    for (int k = 1; k <= 16; k++) hz[k - 1] = 261.63 * k;
    return floor_of(x, n, hz, 16);
}
static double sine_floor(const float *x, int64_t n) { return floor_of(x, n, (double[]){1000}, 1); }
static double chord_floor(const float *x, int64_t n) {
    static const double ratio[] = {1, 1.2599, 1.4983, 2.3784};
    double hz[40];
    for (int i = 0; i < 40; i++) hz[i] = 440 * ratio[i / 10] * (i % 10 + 1);
    return floor_of(x, n, hz, 40);
}

static const struct {
    const char *name;
    void (*make)(float *x, int64_t n);
    double (*measure)(const float *x, int64_t n);
} PROBES[] = {{"kurt w", white, magnitude_kurtosis},
              {"kurt p", pink, magnitude_kurtosis},
              {"kurt b", band, magnitude_kurtosis},
              {"pre dB", hits, pre_echo},
              {"piano", piano, piano_floor},
              {"organ", organ, organ_floor},
              {"sine", sine, sine_floor},
              {"chord", chord, chord_floor}};
enum { PROBE_COUNT = sizeof PROBES / sizeof *PROBES };

/* --- the table --- */

typedef struct {
    int count;
    char **words;
} arguments;

/* The loudest SECONDS of a file, mono at RATE, n a multiple of HOP (0: too short). */
static const float *read_clip(const char *path, int64_t *n) {
    const audio *a = audio_resample(audio_mix_down(audio_read(path)), RATE);
    *n = a->frames / HOP * HOP;
    if (*n > MOST) *n = MOST;
    return a->samples;
}

/* Of the processor, so that others on the machine do not count. */
static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static void judge_way(const model *m, const way *w, const arguments *a) {
    const mel_front f = mel_front_named("hiss");
    closeness sum = {0};
    double heard = 0, taken = 0;
    int clips = 0;
    for (int i = 2; i < a->count; i++) {
        scope_begin();
        int64_t n;
        const float *real = read_clip(a->words[i], &n);
        if (n > 8 * HOP) {
            float *made = NEW_ARRAY(float, n);
            const double start = seconds_now();
            w->make(m, real, n, made);
            taken += seconds_now() - start;
            heard += (double) n / RATE;
            const closeness c = closeness_of(&f, real, made, n);
            sum.multi_resolution += c.multi_resolution;
            sum.band_decibel += c.band_decibel;
            sum.log_mel += c.log_mel;
            clips++;
        }
        scope_end();
    }
    clips = clips ? clips : 1;
    printf("%-16s %6.3f %6.3f %6.3f", w->name, sum.multi_resolution / clips, sum.band_decibel / clips,
           sum.log_mel / clips);
    for (int p = 0; p < PROBE_COUNT; p++) {
        scope_begin();
        float *real = NEW_ARRAY(float, MOST), *made = NEW_ARRAY(float, MOST);
        PROBES[p].make(real, MOST);
        w->make(m, real, MOST, made);
        printf(" %7.2f", PROBES[p].measure(made, MOST));
        scope_end();
    }
    printf(" %7.1f\n", heard / fmax(taken, 1e-9));
    fflush(stdout);
}

static void judge(void *context) {
    const arguments *a = context;
    const model *m = strcmp(a->words[1], "-") ? model_open(a->words[1]) : NULL;
    printf("%-16s %6s %6s %6s", "", "mr", "lsd", "mel");
    for (int p = 0; p < PROBE_COUNT; p++) printf(" %7s", PROBES[p].name);
    printf(" %7s\n", "x real");
    for (int i = 0; i < WAY_COUNT; i++)
        if (m || WAYS[i].make != through_model) judge_way(m, &WAYS[i], a);
}

int main(int count, char **words) {
    if (count < 2) {
        fputs("usage: judge_vocoder MODEL|- SOUND...\n", stderr);
        return 2;
    }
    hiss_error error;
    if (getenv("OMP_NUM_THREADS")) threads_set(atoi(getenv("OMP_NUM_THREADS")));
    if (try_run(judge, &(arguments){count, words}, &error)) return 0;
    fprintf(stderr, "judge_vocoder: %s\n", error.message);
    return 1;
}
