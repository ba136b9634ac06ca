/* What the shipped sound model does when it is asked: each handle changes the sound in the way it is meant to, measured on the sound's mel
 * spectrogram. Left out where models/sound, models/text or models/vocoder are not there. */
#include "shipped.h"

#include <math.h>

#include "base/parallel.h"
#include "base/random.h"
#include "eval/music.h"
#include "eval/steadiness.h"
#include "signal/mel.h"
#include "systems/generate.h"
#include "systems/shipped.h"
#include "tensor/tape.h"

enum { RATE = 44100, SOUNDS = 4, BANDS = 128 };

static const model *sound_model;

static void open_all(void *unused) {
    (void) unused;
    shipped_model("text");
    shipped_model("vocoder");
    sound_model = model_open(shipped_model("sound"));
    scope_end_merge();
    scope_begin();
}

/* --- measures --- */

typedef struct {
    tensor *mel[SOUNDS];
    audio *sound[SOUNDS];
    scope *home;
} heard;

static void take(void *context, int64_t i, const audio *sound) {
    heard *h = context;
    mel_front f = mel_front_named("hiss");
    scope *inner = scope_switch(h->home);
    h->sound[i] = audio_copy(sound);
    h->mel[i] = mel_compute(&f, sound->samples, sound->frames);
    scope_switch(inner);
}

static heard hear(sound_request r) {
    heard h = {.home = scope_current()};
    r.count = SOUNDS;
    generate_sounds(sound_model, &r, take, &h);
    return h;
}

static sound_request request(double seconds) {
    sound_request r = sound_request_for(sound_model);
    r.seconds = seconds;
    r.seed = 5;
    r.guidance = 4;
    return r;
}

/* Mean of bands from .. to of frames first .. last (parts of the whole), over the sounds. */
static double level(const heard *h, double first, double last, int from, int to) {
    double sum = 0, n = 0;
    for (int s = 0; s < SOUNDS; s++) {
        int64_t F = h->mel[s]->shape[0];
        for (int64_t f = (int64_t) (first * (double) F); f < (int64_t) (last * (double) F); f++)
            for (int m = from; m < to; m++) sum += f32(h->mel[s])[f * BANDS + m], n++;
    }
    return sum / n;
}

/* The band that the magnitudes of one sound lie around. */
static double middle_band(const tensor *mel) {
    double sum = 0, weights = 0;
    for (int64_t i = 0, n = count(mel); i < n; i++) {
        double magnitude = exp(f32(mel)[i]);
        sum += magnitude * (double) (i % BANDS);
        weights += magnitude;
    }
    return sum / weights;
}

/* Of the sounds: the mean of the two in the middle, so that one odd sound does not decide. */
static double brightness(const heard *h) {
    double band[SOUNDS], low = INFINITY, high = -INFINITY, sum = 0;
    for (int s = 0; s < SOUNDS; s++) {
        band[s] = middle_band(h->mel[s]);
        sum += band[s];
        low = fmin(low, band[s]);
        high = fmax(high, band[s]);
    }
    return (sum - low - high) / (SOUNDS - 2);
}

static double distance(const float *a, const float *b) {
    double sum = 0;
    for (int m = 0; m < BANDS; m++) sum += pow((double) a[m] - b[m], 2);
    return sqrt(sum / BANDS);
}

static double distance_to(const heard *h, const tensor *mel) {
    double sum = 0;
    for (int s = 0; s < SOUNDS; s++)
        for (int64_t f = 0; f < 60; f++) sum += distance(f32(h->mel[s]) + f * BANDS, f32(mel) + f * BANDS);
    return sum / (60 * SOUNDS);
}

/* --- the handles --- */

static void test_text(void **state) {
    (void) state;
    scope_begin();
    sound_request r = request(1.4);
    r.prompt = "rolling thunder";
    heard low = hear(r);
    r.prompt = "birds chirping";
    heard high = hear(r);
    print_message("mean band: thunder %.2f, birds %.2f\n", brightness(&low), brightness(&high));
    assert_true(brightness(&high) > brightness(&low));
    scope_end();
}

/* The way between two prompts begins at the one and ends at the other, and its middle is neither. */
static void test_blend(void **state) {
    (void) state;
    scope_begin();
    sound_request r = request(0.7);
    r.prompt = "rolling thunder";
    heard first = hear(r);
    r.blend = "birds chirping";
    heard way[3];
    for (int k = 0; k < 3; k++) {
        r.blend_part = 0.5 * k;
        way[k] = hear(r);
    }
    r.blend = NULL;
    r.prompt = "birds chirping";
    heard last = hear(r);
    for (int s = 0; s < SOUNDS; s++)
        for (int64_t i = 0, n = count(first.mel[s]); i < n; i++) {
            assert_true(fabsf(f32(way[0].mel[s])[i] - f32(first.mel[s])[i]) < 0.05f);
            assert_true(fabsf(f32(way[2].mel[s])[i] - f32(last.mel[s])[i]) < 0.05f);
        }
    double from = distance_to(&way[1], first.mel[0]), to = distance_to(&way[1], last.mel[0]);
    print_message("distance of the middle from both ends: %.2f, %.2f\n", from, to);
    assert_true(from > 0.05 && to > 0.05);
    scope_end();
}

static void test_class(void **state) {
    (void) state;
    scope_begin();
    sound_request r = request(1.4);
    r.class = model_class(sound_model, "thunder");
    heard low = hear(r);
    r.class = model_class(sound_model, "birds");
    heard high = hear(r);
    print_message("mean band: class thunder %.2f, class birds %.2f\n", brightness(&low), brightness(&high));
    assert_true(brightness(&high) > brightness(&low));
    scope_end();
}

static int on_time(sound_request r) {
    const heard h = hear(r);
    int right = 0;
    for (int i = 0; i < SOUNDS; i++) right += tempo_agrees(music_tempo(h.sound[i]), r.bpm, 0.05, true);
    return right;
}

/* Loops have the tempo asked for (or its half, double, third), and by that handle alone. */
static void test_tempo(void **state) {
    (void) state;
    scope_begin();
    sound_request r = request(5.9);
    r.prompt = "a rock drum loop";
    r.guidance = 2;
    int with = 0, without = 0;
    for (r.bpm = 84; r.bpm < 130; r.bpm += 21) {
        r.handle_guidance[REQUEST_TEMPO] = NAN;
        with += on_time(r);
        r.handle_guidance[REQUEST_TEMPO] = 0;
        without += on_time(r);
    }
    print_message("%d of 12 loops on time, %d without the handle\n", with, without);
    assert_true(with >= 9 && without < with);
    scope_end();
}

/* Part of a sound's pitch classes that belongs to a key's scale. */
static double in_key(sound_request r, int key) {
    static const int SCALES[2][7] = {{0, 2, 4, 5, 7, 9, 11}, {0, 2, 3, 5, 7, 8, 10}};
    const heard h = hear(r);
    const music_key k = key_of_number(key);
    double inside = 0, all = 0, chroma[12];
    for (int i = 0; i < SOUNDS; i++) {
        music_chroma(h.sound[i], chroma);
        for (int c = 0; c < 12; c++) all += chroma[c];
        for (int d = 0; d < 7; d++) inside += chroma[(k.tonic + SCALES[k.minor][d]) % 12];
    }
    return inside / all;
}

/* Melodies keep to the key asked for, more than those of no key do. */
static void test_melody(void **state) {
    (void) state;
    scope_begin();
    static const int KEYS[] = {0, 6, 15}; /* C major, F sharp major, E flat minor */
    sound_request r = request(5.9);
    r.prompt = "a flute melody";
    r.guidance = 2;
    double with = 0, without = 0;
    for (int i = 0; i < 3; i++) {
        r.key = KEYS[i];
        with += in_key(r, r.key) / 3;
        r.key = -1;
        without += in_key(r, KEYS[i]) / 3;
    }
    print_message("in key %.2f, without the handle %.2f (of all pitches 0.58 are)\n", with, without);
    assert_true(with > 0.7 && with > without + 0.1);
    scope_end();
}

static double level_of(const tensor *mel) {
    double sum = 0;
    for (int64_t i = 0, n = count(mel); i < n; i++) sum += f32(mel)[i] / (double) n;
    return sum;
}

/* A class can be told from its sounds: two of one class are nearer to each other than two of different ones, by the mean and the spread
 * over time of their bands. */
static void test_classes_apart(void **state) {
    (void) state;
    static const char *const NAMES[] = {"thunder", "birds", "kick", "organ"};
    enum { CLASSES = sizeof NAMES / sizeof *NAMES };
    static float features[CLASSES][SOUNDS][2 * BANDS];
    scope_begin();
    for (int c = 0; c < CLASSES; c++) {
        sound_request r = request(0.75);
        r.steps = 8;
        r.class = model_class(sound_model, NAMES[c]);
        const heard h = hear(r);
        for (int s = 0; s < SOUNDS; s++) {
            const int64_t F = h.mel[s]->shape[0];
            const double all = level_of(h.mel[s]);
            for (int m = 0; m < BANDS; m++) {
                double sum = 0, square = 0;
                for (int64_t f = 0; f < F; f++) {
                    const double x = f32(h.mel[s])[f * BANDS + m] - all;
                    sum += x / (double) F, square += x * x / (double) F;
                }
                features[c][s][m] = (float) sum;
                features[c][s][BANDS + m] = (float) sqrt(fmax(square - sum * sum, 0));
            }
        }
    }
    double apart[2] = {0}, pairs[2] = {0}; /* of different classes, of one */
    for (int i = 0; i < CLASSES * SOUNDS; i++)
        for (int k = 0; k < i; k++) {
            const float *a = features[i / SOUNDS][i % SOUNDS], *b = features[k / SOUNDS][k % SOUNDS];
            const bool same = i / SOUNDS == k / SOUNDS;
            apart[same] += distance(a, b) + distance(a + BANDS, b + BANDS);
            pairs[same]++;
        }
    const double within = apart[true] / pairs[true], between = apart[false] / pairs[false];
    print_message("sounds of one class are %.2f apart, of different ones %.2f\n", within, between);
    assert_true(within < 0.9 * between);
    scope_end();
}

/* A negative prompt leads away from what it says: of three prompts that leave much open. */
static void test_negative(void **state) {
    (void) state;
    scope_begin();
    static const char *const PROMPTS[] = {"a recording outdoors", "nature", "the sound of the weather"};
    sound_request r = request(1);
    r.steps = 8;
    double high = 0, low = 0;
    for (int i = 0; i < 3; i++) {
        r.prompt = PROMPTS[i];
        r.negative = "rolling thunder";
        const heard away_from_low = hear(r);
        high += brightness(&away_from_low) / 3;
        r.negative = "birds chirping";
        const heard away_from_high = hear(r);
        low += brightness(&away_from_high) / 3;
    }
    print_message("mean band: away from thunder %.2f, away from birds %.2f\n", high, low);
    assert_true(high > low + 2);
    scope_end();
}

/* Correlation of the sounds' mels with a course [frames, BANDS], both as means over blocks of 8 frames by 8 bands. */
static double likeness(const heard *h, const float *course, int64_t frames) {
    enum { BLOCK = 8 };
    double mean = 0;
    for (int s = 0; s < SOUNDS; s++) {
        double x = 0, y = 0, xx = 0, yy = 0, xy = 0, n = 0;
        const float *mel = f32(h->mel[s]);
        for (int64_t f = 0; f + BLOCK <= frames; f += BLOCK)
            for (int m = 0; m < BANDS; m += BLOCK) {
                double a = 0, b = 0;
                for (int64_t k = 0; k < BLOCK * BLOCK; k++) {
                    int64_t at = (f + k / BLOCK) * BANDS + m + k % BLOCK;
                    a += mel[at];
                    b += course[at];
                }
                x += a, y += b, xx += a * a, yy += b * b, xy += a * b, n++;
            }
        mean += (xy - x * y / n) / sqrt((xx - x * x / n) * (yy - y * y / n)) / SOUNDS;
    }
    return mean;
}

/* A rough course: low in the first half, high in the second. */
static void test_mel(void **state) {
    (void) state;
    enum { FRAMES = 120 };
    scope_begin();
    sound_request r = request(1.4);
    heard without = hear(r);
    tensor *mel = tensor_new(F32, SHAPE(FRAMES, BANDS));
    for (int64_t f = 0; f < FRAMES; f++)
        for (int m = 0; m < BANDS; m++) f32(mel)[f * BANDS + m] = (f < FRAMES / 2) == (m < 48) ? -2 : -9;
    r.mel = mel;
    heard with = hear(r);
    double apart = likeness(&without, f32(mel), FRAMES), near = likeness(&with, f32(mel), FRAMES);
    print_message("correlation with the rough course: %.2f without, %.2f with\n", apart, near);
    assert_true(near > 0.5 && near > apart + 0.3);
    scope_end();
}

/* White, or with its highs taken away. */
static audio *noise_sound(double low_pass) {
    audio *a = audio_new(RATE, 1, RATE);
    float last = 0;
    for (int64_t i = 0; i < RATE; i++) {
        float x = (float) (random_uniform((random_key){9, 0}, (uint64_t) i) - 0.5);
        last += (float) low_pass * (x - last);
        a->samples[i] = low_pass < 1 ? 8 * last : x;
    }
    return a;
}

/* How far the mean spectrum of the sounds is from that of another, both without their levels. */
static double style_distance(const heard *h, const audio *other) {
    const mel_front f = mel_front_named("hiss");
    const tensor *mel = mel_compute(&f, other->samples, other->frames);
    double sum = 0;
    for (int s = 0; s < SOUNDS; s++) {
        double bands[2][BANDS] = {{0}}, level[2] = {0};
        const tensor *of[] = {h->mel[s], mel};
        for (int k = 0; k < 2; k++)
            for (int64_t i = 0, n = count(of[k]); i < n; i++)
                bands[k][i % BANDS] += f32(of[k])[i] / ((double) n / BANDS), level[k] += f32(of[k])[i] / (double) n;
        for (int m = 0; m < BANDS; m++) sum += pow(bands[0][m] - level[0] - bands[1][m] + level[1], 2) / BANDS;
    }
    return sqrt(sum / SOUNDS);
}

/* The spectrum is nearer to that of the reference than to that of another, and than without it. */
static void test_reference(void **state) {
    (void) state;
    scope_begin();
    sound_request r = request(1.4);
    const audio *references[] = {noise_sound(0.01), noise_sound(1)};
    const heard without = hear(r);
    r.reference = references[0];
    heard dull = hear(r);
    r.reference = references[1];
    heard bright = hear(r);
    const double own[] = {style_distance(&dull, references[0]), style_distance(&bright, references[1])},
                 other[] = {style_distance(&bright, references[0]), style_distance(&dull, references[1])},
                 none[] = {style_distance(&without, references[0]), style_distance(&without, references[1])};
    print_message(
        "spectrum from the dull reference: %.2f, with the other %.2f, without %.2f; from the bright one: %.2f, %.2f, "
        "%.2f\n",
        own[0], other[0], none[0], own[1], other[1], none[1]);
    for (int k = 0; k < 2; k++) assert_true(own[k] < 0.8 * other[k] && own[k] < none[k]);
    print_message("mean band: after dull noise %.2f, after white noise %.2f\n", brightness(&dull), brightness(&bright));
    assert_true(brightness(&bright) > brightness(&dull));
    scope_end();
}

/* The more strength, the further from the sound started from. */
static void test_init(void **state) {
    (void) state;
    scope_begin();
    sound_request r = request(0.7);
    audio *start = noise_sound(0.05);
    for (int64_t i = 0; i < start->frames; i++) start->samples[i] *= (i / 8820) % 2 ? 0.05f : 1;
    mel_front f = mel_front_named("hiss");
    tensor *mel = mel_compute(&f, start->samples, start->frames);
    r.init = start;
    double far[3];
    for (int k = 0; k < 3; k++) {
        r.strength = (double[]){0.1, 0.5, 0.95}[k];
        heard h = hear(r);
        far[k] = distance_to(&h, mel);
    }
    print_message("distance from the start: %.2f, %.2f, %.2f at strength 0.1, 0.5, 0.95\n", far[0], far[1], far[2]);
    assert_true(far[0] < far[1] && far[1] < far[2]);
    scope_end();
}

/* Correlation of frames from .. to with those of another sound, over frames and bands. */
static double correlation(const tensor *a, const tensor *b, int64_t from, int64_t to) {
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0, n = 0;
    for (int64_t i = from * BANDS; i < to * BANDS; i++) {
        const double p = f32(a)[i], q = f32(b)[i];
        x += p, y += q, xx += p * p, yy += q * q, xy += p * q, n++;
    }
    return (xy - x * y / n) / sqrt((xx - x * x / n) * (yy - y * y / n));
}

/* Greatest change of the mean band from one fifth of a second to the next. */
static double level_step(const tensor *mel) {
    enum { BLOCK = 17 };
    double most = 0, last = NAN;
    for (int64_t f = 0; f + BLOCK <= mel->shape[0]; f += BLOCK) {
        double mean = 0;
        for (int64_t i = f * BANDS; i < (f + BLOCK) * BANDS; i++) mean += f32(mel)[i] / (BLOCK * BANDS);
        if (!isnan(last)) most = fmax(most, fabs(mean - last));
        last = mean;
    }
    return most;
}

/* Bursts of noise, dull and dense or bright and sparse. */
static audio *bursts(double low_pass, int64_t every, double seconds) {
    const audio *second = noise_sound(low_pass);
    audio *a = audio_new((int64_t) (seconds * RATE), 1, RATE);
    for (int64_t i = 0; i < a->frames; i++) a->samples[i] = second->samples[i % RATE] * (i / every % 2 ? 0.1f : 0.8f);
    return a;
}

/* From one sound to another: the beginning is the first's and the end the second's, of windows that overlap too, with no step of the level
 * between them that neither has. */
static void test_into(void **state) {
    (void) state;
    scope_begin();
    for (int k = 0; k < 2; k++) {
        const double seconds = k ? 8 : 3;
        sound_request r = request(seconds);
        const audio *first = bursts(0.02, 9000, seconds), *second = bursts(1, 15000, seconds);
        const mel_front f = mel_front_named("hiss");
        const tensor *mels[] = {mel_compute(&f, first->samples, first->frames),
                                mel_compute(&f, second->samples, second->frames)};
        r.init = r.reference = first;
        r.into = second;
        r.blend_until = 1;
        r.strength = 0.3;
        r.guidance = 2;
        const heard way = hear(r);
        const int64_t F = way.mel[0]->shape[0], fifth = F / 5;
        double begin[2] = {0}, end[2] = {0}, step = 0, own = 0;
        for (int s = 0; s < SOUNDS; s++) {
            for (int of = 0; of < 2; of++) {
                begin[of] += correlation(way.mel[s], mels[of], 0, fifth) / SOUNDS;
                end[of] += correlation(way.mel[s], mels[of], F - fifth, F) / SOUNDS;
                own = fmax(own, level_step(mels[of]));
            }
            step += level_step(way.mel[s]) / SOUNDS;
        }
        print_message("%g s from one sound to another: begins %.2f like the first, %.2f like the second; ends %.2f, "
                      "%.2f; greatest step of the level %.2f, of the two %.2f\n",
                      seconds, begin[0], begin[1], end[0], end[1], step, own);
        assert_true(begin[0] > 0.6 && begin[0] > begin[1] + 0.2);
        assert_true(end[1] > 0.6 && end[1] > end[0] + 0.2);
        assert_true(step < 1.5 * own);
    }
    scope_end();
}

/* Change from frame to frame around the middle of two turns, over that elsewhere; and the largest step between the samples there, over
 * the largest within. */
static void seam_of(const audio *a, double *frames, double *samples) {
    audio *twice = audio_new(2 * a->frames, 1, RATE);
    memcpy(twice->samples, a->samples, (size_t) a->frames * sizeof(float));
    memcpy(twice->samples + a->frames, a->samples, (size_t) a->frames * sizeof(float));
    mel_front front = mel_front_named("hiss");
    const float *mel = f32(mel_compute(&front, twice->samples, twice->frames));
    int64_t at = a->frames / front.stft.hop;
    double seam = 0, inside = 0, most = 0;
    for (int64_t f = at - 3; f < at + 3; f++) seam += distance(mel + f * BANDS, mel + (f + 1) * BANDS) / 6;
    for (int64_t f = 10; f < at - 10; f++)
        inside += distance(mel + f * BANDS, mel + (f + 1) * BANDS) / (double) (at - 20);
    for (int64_t i = 1; i < a->frames; i++) most = fmax(most, fabs((double) a->samples[i] - a->samples[i - 1]));
    *frames = seam / inside;
    *samples = fabs((double) a->samples[0] - a->samples[a->frames - 1]) / most;
}

/* A loop's end leads into its beginning as any frame leads to the next: of a sound that flows, for the first beat of a bar is a change. */
static void test_loop(void **state) {
    (void) state;
    scope_begin();
    sound_request r = request(1.5);
    r.prompt = "a synth pad chord";
    r.loop = true;
    heard loop = hear(r);
    double mean = 0;
    for (int s = 0; s < SOUNDS; s++) {
        double frames, samples;
        seam_of(loop.sound[s], &frames, &samples);
        mean += frames / SOUNDS;
        assert_true(samples < 1);
    }
    print_message("change over the seam of a loop: %.2f of that inside\n", mean);
    assert_true(mean < 1.5);
    scope_end();
}

/* Of a sound of which a part is made anew, all else stays bit for bit, but for 20 ms over which it is faded. */
static void test_inpaint(void **state) {
    (void) state;
    enum { FADE = RATE / 50 + 1, FROM = RATE * 2 / 5, TO = RATE * 4 / 5 };
    scope_begin();
    sound_request r = request(1);
    r.steps = 6;
    const audio *start = noise_sound(0.05);
    const time_span part = {0.4, 0.8};
    r.prompt = "birds chirping";
    r.init = start;
    r.remake = &part;
    r.remakes = 1;
    const heard h = hear(r);
    for (int s = 0; s < SOUNDS; s++) {
        const float *made = h.sound[s]->samples;
        double changed = 0, power = 0;
        assert_int_equal(h.sound[s]->frames, RATE);
        assert_memory_equal(made, start->samples, (FROM - FADE) * sizeof(float));
        assert_memory_equal(made + TO + FADE, start->samples + TO + FADE, (RATE - TO - FADE) * sizeof(float));
        for (int64_t i = FROM; i < TO; i++) {
            changed += pow((double) made[i] - start->samples[i], 2);
            power += pow((double) start->samples[i], 2);
        }
        assert_true(changed > 0.1 * power);
    }
    scope_end();
}

/* The part that was there stays sample by sample; equal seeds give equal sounds for any number of threads. */
static void test_continue_and_threads(void **state) {
    (void) state;
    scope_begin();
    sound_request r = request(1.4);
    audio *start = noise_sound(0.05);
    start->frames = RATE / 2;
    time_span rest = {0.5, 2};
    r.init = start;
    r.remake = &rest;
    r.remakes = 1;
    precision_set(PRECISION_F32);
    threads_set(1);
    heard one = hear(r);
    threads_set(2);
    heard two = hear(r);
    threads_set(0);
    precision_set(PRECISION_AUTO);
    assert_memory_equal(one.sound[0]->samples, start->samples, (RATE / 2 - RATE / 50) * sizeof(float));
    assert_true(level(&one, 0.5, 0.9, 0, BANDS) > -11); /* it goes on */
    assert_memory_equal(one.sound[1]->samples, two.sound[1]->samples, (size_t) one.sound[1]->frames * sizeof(float));
    scope_end();
}

/* The greater the amount, the further a variation goes, and seeds go different ways. */
static void test_vary(void **state) {
    (void) state;
    scope_begin();
    sound_request r = request(1.4);
    r.prompt = "rolling thunder";
    const heard from = hear(r);
    r.prompt = NULL;
    r.init = r.reference = from.sound[0];
    r.seed = 50;
    double far[3], apart[3];
    for (int k = 0; k < 3; k++) {
        r.strength = (double[]){0.1, 0.4, 0.9}[k];
        const heard h = hear(r);
        far[k] = distance_to(&h, from.mel[0]);
        apart[k] = distance(f32(h.mel[0]) + 20 * BANDS, f32(h.mel[1]) + 20 * BANDS);
    }
    print_message("variations: distance %.2f, %.2f, %.2f from the sound at amounts 0.1, 0.4, 0.9\n", far[0], far[1],
                  far[2]);
    assert_true(far[0] < far[1] && far[1] < far[2]);
    assert_true(apart[1] > 0.01 && apart[2] > apart[0]);
    scope_end();
}

typedef struct {
    audio *sound;
    int64_t done;
} written;

static void put(void *context, const float *samples, int64_t n) {
    written *w = context;
    memcpy(w->sound->samples + w->done, samples, (size_t) n * sizeof(float));
    w->done += n;
}

/* A long sound keeps its level and its spectrum and does not come round. */
static void test_long(void **state) {
    (void) state;
    scope_begin();
    sound_request r = sound_request_for(sound_model);
    r.prompt = "steady rain";
    r.seconds = 75;
    assert_true(has_pieces(sound_model, &r));
    written w = {audio_new(75 * RATE, 1, RATE), 0};
    generate_pieces(sound_model, &r, 0, put, &w);
    assert_int_equal(w.done, 75 * RATE);
    const steadiness s = steadiness_of(w.sound);
    print_message("75 s: level parts %+.1f to %+.1f dB, drift %+.1f dB; spectrum %.1f dB from first to last quarter; "
                  "most like itself "
                  "%.2f at %.1f s\n",
                  s.level_low_db, s.level_high_db, s.level_drift_db, s.spectrum_drift_db, s.likeness, s.lag_seconds);
    assert_true(fabs(s.level_drift_db) < 6 && s.level_low_db > -12 && s.level_high_db < 6);
    assert_true(s.spectrum_drift_db < 6 && s.likeness < 0.7);
    scope_end();
}

int main(void) {
    if (!opened(open_all)) return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),      cmocka_unit_test(test_blend),
        cmocka_unit_test(test_class),     cmocka_unit_test(test_tempo),
        cmocka_unit_test(test_melody),    cmocka_unit_test(test_mel),
        cmocka_unit_test(test_reference), cmocka_unit_test(test_init),
        cmocka_unit_test(test_loop),      cmocka_unit_test(test_continue_and_threads),
        cmocka_unit_test(test_vary),      cmocka_unit_test(test_long),
        cmocka_unit_test(test_into),      cmocka_unit_test(test_classes_apart),
        cmocka_unit_test(test_negative),  cmocka_unit_test(test_inpaint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
