/* Scenes: what is read and refused, when and where sounds come, how they are mixed, measured and told. */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/scope.h"
#include "folder.h"
#include "scene/mix.h"
#include "scene/render.h"
#include "scene/source.h"
#include "scene/tell.h"
#include "scene/words.h"
#include "signal/edit.h"
#include "signal/limiter.h"

enum { RATE = 16000 };

static scene *parse(const char *text) { return scene_parse(text, strlen(text), "s.json", folder); }

/* A scene of these layers. */
static scene *with_layers(double seconds, uint64_t seed, const char *layers) {
    return parse(format("{\"seconds\": %g, \"seed\": %llu, \"rate\": %d, \"layers\": [%s]}", seconds,
                        (unsigned long long) seed, (int) RATE, layers));
}

static int set_up(void **state) {
    if (make_folder(state)) return 1;
    scope_begin();
    audio *noise = audio_new(3 * RATE, 1, RATE), *click = audio_new(RATE / 2, 1, RATE);
    random_normal((random_key){7, 0}, 0, noise->samples, (size_t) noise->frames);
    for (int64_t t = 0; t < noise->frames; t++) noise->samples[t] *= 0.1f;
    for (int64_t t = 0; t < click->frames; t++)
        click->samples[t] = (float) (0.7 * exp(-(double) t / 800) * cos(0.3 * (double) t));
    audio_write(in_folder("noise.wav"), noise, AUDIO_FLOAT);
    audio_write(in_folder("click.wav"), click, AUDIO_FLOAT);
    scope_end();
    return 0;
}

/* --- reading --- */

static void test_read(void **state) {
    (void) state;
    scope_begin();
    const scene *s =
        parse("{\"title\": \"Wood\", \"model\": \"../m\", \"layers\": [{\"prompt\": \"rain\", \"distance\": 5},\n"
              "{\"file\": \"a/owl.wav\", \"per_minute\": 3, \"pan\": [-1, 0.5]},\n"
              "{\"class\": \"kick\", \"every\": 2, \"takes\": 2}]}");
    assert_string_equal(s->title, "Wood");
    assert_string_equal(s->model, in_folder("../m"));
    assert_true(s->seconds == 30 && s->rate == 44100 && s->loudness == -20 && s->peak == -1);
    const layer *rain = &s->layers[0], *owl = &s->layers[1], *kick = &s->layers[2];
    assert_true(rain->kind == LAYER_BED && rain->width == 1 && rain->fade_in == 2 && rain->distance.high == 5);
    assert_true(owl->kind == LAYER_EVENTS && owl->pan.low == -1 && owl->pan.high == 0.5 && owl->takes == 1);
    assert_string_equal(owl->name, "owl");
    assert_string_equal(owl->file, in_folder("a/owl.wav"));
    assert_true(kick->at_count == 1 && kick->at[0] == 0 && kick->every == 2 && kick->takes == 2);
    assert_string_equal(kick->name, "kick");
    scope_end();
}

static void parse_it(void *text) { parse(text); }

static void test_bad_scenes(void **state) {
    (void) state;
    static const struct {
        const char *text, *said;
    } BAD[] = {
        {"{\n\"layers\": [\n{\"prompt\": \"a\",\n\"gian\": 3}]}",
         "s.json: layers[0].gian (line 4): is not a known setting; did you mean 'gain'"},
        {"{\n\"layer\": []}", "s.json: layer (line 2): is not a known setting; did you mean 'layers'"},
        {"{\"seconds\": 3}", "s.json: layers: is missing"},
        {"{\"layers\": []}", "s.json: layers (line 1): should be a list of 1 to 64 layers"},
        {"{\"layers\": {\"prompt\": \"rain\"}}", "should be a list"},
        {"[1]", "should be an object"},
        {"{\"layers\": [{\"prompt\": \"a\",\n\"pan\": 2}]}", "layers[0].pan (line 2): is 2, should be from -1 to 1"},
        {"{\"layers\": [{\"prompt\": \"a\",\n\"pan\": [0.5, 0.2]}]}",
         "layers[0].pan (line 2): give a number, or [low, high]"},
        {"{\"layers\": [{\"prompt\": \"a\",\n\"pan\": [0.5]}]}", "give a number, or [low, high]"},
        {"{\"layers\": [{\"prompt\": \"a\"},\n{\"gain\": 2}]}",
         "layers[1] (line 2): give one of \"prompt\", \"class\" and \"file\""},
        {"{\"layers\": [{\"prompt\": \"a\", \"class\": \"b\"}]}", "give one of"},
        {"{\"layers\": [{\"prompt\": \" \"}]}", "give 1 to 200 bytes"},
        {"{\"layers\": [{\"prompt\": \"a\\nb\"}]}", "on one line"},
        {"{\"layers\": [{\"prompt\": \"a\", \"kind\": \"beds\"}]}", "did you mean 'bed'"},
        {"{\"layers\": [{\"prompt\": \"a\", \"kind\": \"events\"}]}", "say when its events are"},
        {"{\"layers\": [{\"prompt\": \"a\", \"at\": []}]}", "say when its events are"},
        {"{\"layers\": [{\"prompt\": \"a\", \"at\": [1, -1]}]}", "layers[0].at[1] (line 1): give seconds"},
        {"{\"layers\": [{\"prompt\": \"a\", \"at\": [1], \"width\": 1}]}", "width (line 1): only beds have it"},
        {"{\"layers\": [{\"prompt\": \"a\", \"takes\": 2}]}", "takes (line 1): only events have it"},
        {"{\"layers\": [{\"prompt\": \"a\", \"per_minute\": 2, \"every\": 3}]}",
         "every (line 1): events at a random rate"},
        {"{\"layers\": [{\"prompt\": \"a\", \"start\": 5,\n\"end\": 4}]}",
         "layers[0].end (line 2): should be after its start"},
        {"{\"layers\": [{\"file\": \"a.wav\", \"model\": \"m\"}]}", "a file needs no model"},
        {"{\"seconds\": 1e9, \"layers\": []}", "seconds (line 1): is 1e+09, should be from 0.1 to 36000"},
        {"{\"layers\": [{\"prompt\": \"a\"}", "s.json: line 1"},
        {"{\"layers\": [3]}", "should be an object"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        expect_failure(parse_it, (void *) BAD[i].text, HISS_ERROR_FORMAT, BAD[i].said);
}

static void test_words(void **state) {
    (void) state;
    scope_begin();
    const scene *s =
        scene_from_words("a calm harbour at night: waves, a distant bell, gulls, loud rain on a tin roof on the "
                         "far left, occasional dog barking, constant bell, near drip slightly right");
    assert_string_equal(s->title, "a calm harbour at night");
    assert_int_equal(s->layer_count, 7);
    const layer *l = s->layers;
    assert_true(l[0].kind == LAYER_BED && l[0].pan.low == 0 && l[0].width == 1);
    assert_string_equal(l[0].prompt, "waves");
    assert_true(l[1].kind == LAYER_EVENTS && l[1].distance.low == 120 && l[1].pan.low == -0.8 && l[1].pan.high == 0.8);
    assert_string_equal(l[1].name, "bell");
    assert_true(l[2].kind == LAYER_EVENTS && l[2].per_minute == 5);
    assert_true(l[3].kind == LAYER_BED && l[3].gain.low == 6 && l[3].pan.high == -1);
    assert_string_equal(l[3].prompt, "rain on a tin roof");
    assert_true(l[4].kind == LAYER_EVENTS && l[4].per_minute == 2);
    assert_string_equal(l[4].prompt, "dog barking");
    assert_true(l[5].kind == LAYER_BED);
    assert_true(l[6].distance.high == 2 && l[6].pan.low == 0.3 && l[6].pan.high == 0.3);
    assert_string_equal(l[6].prompt, "drip");
    assert_int_equal(scene_from_words("unheard-of thing")->layers[0].kind, LAYER_EVENTS);
    assert_string_equal(scene_from_words("far away thunder,,")->layers[0].prompt, "thunder");
    assert_true(is_plural("waves") && is_plural("footsteps on gravel") && !is_plural("grass") &&
                !is_plural("bus of tourists"));
    scope_end();
}

static void read_words(void *words) { scene_from_words(words); }

static void test_bad_words(void **state) {
    (void) state;
    expect_failure(read_words, "harbour:", HISS_ERROR_ARGUMENT, "no sounds");
    expect_failure(read_words, " , ,", HISS_ERROR_ARGUMENT, "no sounds");
    expect_failure(read_words, "waves, distant", HISS_ERROR_ARGUMENT, "'distant' names no sound");
    expect_failure(read_words, "waves\nrain", HISS_ERROR_ARGUMENT, "one line");
    expect_failure(read_words, "waves \xff", HISS_ERROR_ARGUMENT, "UTF-8");
    char many[400] = "";
    for (int i = 0; i < 70; i++) strcat(many, "rain,");
    expect_failure(read_words, many, HISS_ERROR_ARGUMENT, "at most 64 layers");
    memset(many, 'a', 300);
    many[300] = 0;
    expect_failure(read_words, many, HISS_ERROR_ARGUMENT, "200 bytes");
}

/* --- arranging --- */

static size_t cues_of(const score *r, size_t layer, cue *out) {
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->cues[i].layer == layer) out[n++] = r->cues[i];
    return n;
}

static void test_moments(void **state) {
    (void) state;
    scope_begin();
    cue c[100] = {0};
    const score r = arrange(
        with_layers(10, 1,
                    "{\"file\": \"click.wav\", \"at\": [7, 2.5]},"
                    "{\"file\": \"noise.wav\", \"start\": 2, \"end\": 99},"
                    "{\"file\": \"click.wav\", \"every\": 2, \"at\": [0.5, 1], \"start\": 2, \"end\": 7, \"pan\": 0.5},"
                    "{\"file\": \"click.wav\", \"every\": 1, \"jitter\": 0.25, \"gain\": [-6, 3]}"));
    assert_int_equal(cues_of(&r, 0, c), 2);
    assert_true(c[0].seconds == 2.5 && c[1].seconds == 7 && c[1].pan == 0);
    assert_int_equal(cues_of(&r, 1, c), 1);
    assert_true(c[0].seconds == 2 && c[0].length == 8);
    static const double TIMES[] = {2.5, 3, 4.5, 5, 6.5};
    assert_int_equal(cues_of(&r, 2, c), 5);
    for (int i = 0; i < 5; i++) assert_true(fabs(c[i].seconds - TIMES[i]) < 1e-12 && c[i].pan == 0.5);
    assert_int_equal(cues_of(&r, 3, c), 10);
    double least = 9, most = -9;
    for (int i = 0; i < 10; i++) {
        assert_true(fabs(c[i].seconds - i) <= 0.25 && c[i].seconds >= 0 && c[i].gain >= -6 && c[i].gain <= 3);
        least = fmin(least, c[i].seconds - i);
        most = fmax(most, c[i].seconds - i);
    }
    assert_true(most - least > 0.1);
    for (size_t i = 1; i < r.count; i++) assert_true(r.cues[i - 1].seconds <= r.cues[i].seconds);
    scope_end();
}

/* A Poisson process: as many as asked for, and waits whose deviation is their mean. */
static void test_random_events(void **state) {
    (void) state;
    scope_begin();
    const score r = arrange(with_layers(36000, 3, "{\"prompt\": \"bird\", \"per_minute\": 6}"));
    assert_true(fabs((double) r.count - 3600) < 4 * 60); /* four deviations */
    double sum = 0, square = 0;
    size_t repeated = 0;
    for (size_t i = 1; i < r.count; i++) {
        const double wait = r.cues[i].seconds - r.cues[i - 1].seconds;
        sum += wait;
        square += wait * wait;
        repeated += r.cues[i].take == r.cues[i - 1].take;
        assert_in_range(r.cues[i].take, 0, 3);
    }
    const double mean = sum / (double) (r.count - 1), variance = square / (double) (r.count - 1) - mean * mean;
    assert_true(fabs(mean - 10) < 0.7 && fabs(sqrt(variance) / mean - 1) < 0.08);
    assert_int_equal(repeated, 0);
    /* Too rare for the scene, and still heard. */
    assert_int_equal(arrange(with_layers(5, 3, "{\"prompt\": \"bird\", \"per_minute\": 0.001}")).count, 1);
    scope_end();
}

static void arrange_many(void *unused) {
    (void) unused;
    arrange(with_layers(36000, 0, "{\"prompt\": \"tick\", \"every\": 0.02}"));
}

static void test_too_many(void **state) {
    (void) state;
    expect_failure(arrange_many, NULL, HISS_ERROR_ARGUMENT, "at most 20000 events");
}

/* A layer keeps its events and its sounds when others are added before it; another seed gives others; a longer scene begins
 * like a shorter one. */
static void test_independence(void **state) {
    (void) state;
    scope_begin();
    static const char *const OWL = "{\"prompt\": \"owl\", \"per_minute\": 20, \"pan\": [-1, 1]}";
    const scene *alone = with_layers(60, 5, OWL);
    const scene *among =
        with_layers(60, 5, format("{\"prompt\": \"wolf\", \"per_minute\": 30}, {\"prompt\": \"rain\"}, %s", OWL));
    const scene *other = with_layers(60, 6, OWL), *longer = with_layers(90, 5, OWL);
    cue a[100], b[100], c[100], d[100];
    score r = arrange(alone);
    const size_t n = cues_of(&r, 0, a);
    r = arrange(among);
    assert_int_equal(cues_of(&r, 2, b), n);
    r = arrange(longer);
    assert_true(n > 8 && cues_of(&r, 0, d) > n);
    r = arrange(other);
    assert_true(cues_of(&r, 0, c) > 0 && c[0].seconds != a[0].seconds);
    for (size_t i = 0; i < n; i++) {
        assert_true(a[i].seconds == b[i].seconds && a[i].pan == b[i].pan && a[i].take == b[i].take);
        assert_true(a[i].seconds == d[i].seconds && a[i].pan == d[i].pan);
    }
    assert_true(take_seed(alone, 0, 1) == take_seed(among, 2, 1) && take_seed(alone, 0, 1) != take_seed(alone, 0, 2));
    const scene *twins = with_layers(60, 5, format("%s, %s", OWL, OWL));
    assert_true(take_seed(twins, 0, 0) == take_seed(alone, 0, 0) && take_seed(twins, 1, 0) != take_seed(twins, 0, 0));
    scope_end();
}

/* --- mixing --- */

static void test_places(void **state) {
    (void) state;
    for (double pan = -1; pan <= 1; pan += 0.125) {
        float left, right;
        pan_gains(pan, &left, &right);
        assert_float_equal(left * left + right * right, 1, 1e-6);
        assert_true(pan < 0 ? left > right : pan > 0 ? right > left : fabsf(left - right) < 1e-6f);
    }
    float left, right;
    pan_gains(-1, &left, &right);
    assert_true(left == 1 && fabsf(right) < 1e-6f);
    assert_float_equal(distance_gain(0), 1, 0);
    assert_float_equal(distance_gain(10), 0.5, 1e-12);
    assert_float_equal(distance_gain(990), 0.01, 1e-12);
    assert_float_equal(distance_cutoff_hz(100), 4629, 1);
}

static audio *constant_sound(int64_t frames, float value) {
    audio *a = audio_new(frames, 1, RATE);
    for (int64_t t = 0; t < frames; t++) a->samples[t] = value;
    return a;
}

static float *pulled(const scene *s, audio *const *const *sounds, int64_t block) {
    const score r = arrange(s);
    mixer *m = mixer_new(s, &r, sounds);
    float *out = NEW_ARRAY(float, 2 * scene_frames(s));
    for (int64_t first = 0; first < scene_frames(s); first += block)
        mixer_pull(m, out + 2 * first, fmin(block, scene_frames(s) - first));
    return out;
}

/* An event is where and as loud as it should be, to the sample; blocks of any size give the same. */
static void test_mix(void **state) {
    (void) state;
    scope_begin();
    const scene *s =
        with_layers(2, 1,
                    "{\"file\": \"a\", \"at\": [0.5], \"fade_out\": 0, \"pan\": -1, \"gain\": -6.0206},"
                    "{\"file\": \"b\", \"start\": 1, \"width\": 0, \"fade_in\": 0, \"fade_out\": 0, \"distance\": 30}");
    audio *a[] = {constant_sound(100, 1)}, *b[] = {constant_sound(777, 1)};
    audio *const *const sounds[] = {a, b};
    const float *out = pulled(s, sounds, 4096), *again = pulled(s, sounds, 100);
    assert_memory_equal(out, again, sizeof(float) * 4 * RATE);
    for (int64_t t = 0; t < RATE; t++) {
        const bool on = t >= RATE / 2 && t < RATE / 2 + 100;
        assert_float_equal(out[2 * t], on ? 0.5 : 0, 1e-5);
        assert_float_equal(out[2 * t + 1], 0, 1e-6);
    }
    /* The bed, after its low-pass of unit gain at 0 Hz has settled: (1 / (1 + 3)) at -3 dB to each side. */
    for (int64_t t = RATE + 300; t < 2 * RATE; t++) assert_float_equal(out[2 * t], 0.25 * M_SQRT1_2, 1e-4);
    scope_end();
}

/* Far sounds lose their high frequencies: 3 dB at the cutoff. */
static void test_air(void **state) {
    (void) state;
    scope_begin();
    const scene *s =
        with_layers(1, 1, "{\"file\": \"a\", \"at\": [0], \"fade_out\": 0, \"pan\": -1, \"distance\": 400}");
    const double hz = distance_cutoff_hz(400);
    audio *a[] = {constant_sound(RATE, 0)};
    for (int64_t t = 0; t < RATE; t++) a[0]->samples[t] = (float) sin(2 * M_PI * hz * (double) t / RATE);
    audio *const *const sounds[] = {a};
    const float *out = pulled(s, sounds, 512);
    double power = 0;
    for (int64_t t = RATE / 2; t < RATE; t++) power += (double) out[2 * t] * out[2 * t] / (RATE / 2);
    assert_float_equal(10 * log10(2 * power), 20 * log10(distance_gain(400)) - 3.01, 0.05);
    scope_end();
}

/* The sides of a wide bed differ and add up to the loop alone; a narrow one is the same on both. */
static void test_width(void **state) {
    (void) state;
    scope_begin();
    audio *a[] = {constant_sound(RATE, 0)};
    random_normal((random_key){1, 2}, 0, a[0]->samples, RATE);
    audio *const *const sounds[] = {a};
    static const double WIDTHS[] = {0, 0.5, 1};
    for (int i = 0; i < 3; i++) {
        const scene *s =
            with_layers(2, 1, format("{\"file\": \"a\", \"fade_in\": 0, \"fade_out\": 0, \"width\": %g}", WIDTHS[i]));
        const float *out = pulled(s, sounds, 4096);
        double both = 0, power = 0;
        for (int64_t t = 0; t < 2 * RATE; t++) {
            const double left = out[2 * t], right = out[2 * t + 1];
            both += left * right;
            power += (left * left + right * right) / 2;
            assert_float_equal(left + right, sqrt(2 - WIDTHS[i]) * a[0]->samples[t % RATE], 1e-5);
        }
        assert_float_equal(both / power, 1 - WIDTHS[i], 0.03);
        assert_float_equal(power / (2 * RATE), 0.5, 0.03);
    }
    scope_end();
}

/* The limiter leaves quiet sounds as they are, and true peaks under the ceiling. */
static void test_limiter(void **state) {
    (void) state;
    scope_begin();
    for (int loud = 0; loud < 2; loud++) {
        audio *a = audio_new(2 * RATE, 2, RATE), *b;
        for (int64_t t = 0; t < a->frames; t++) {
            const double swell = 0.3 * (1 - cos(2 * M_PI * (double) t / 9000));
            a->samples[2 * t] = (float) ((loud ? 3 : 0.5) * swell * sin(M_PI * 0.5 * (double) t + 0.7));
            a->samples[2 * t + 1] = (float) ((loud ? 2 : 0.5) * swell * sin(M_PI * 0.8 * (double) t));
        }
        if (loud) a->samples[20001] = 5;
        limiter *l = limiter_begin(2, RATE, 0.8);
        const int64_t delay = limiter_delay(l);
        b = pad_silence(a, 0, delay);
        for (int64_t at = 0; at < b->frames; at += 1000)
            limiter_run(l, b->samples + 2 * at, b->frames - at < 1000 ? b->frames - at : 1000);
        b = audio_cut(b, delay, a->frames);
        if (!loud) assert_memory_equal(a->samples, b->samples, sizeof(float) * 2 * (size_t) a->frames);
        assert_true(true_peak(b) <= 0.8);
        if (loud) assert_true(true_peak(b) > 0.7 && limiter_lowest(l) < 0.2);
        else assert_true(limiter_lowest(l) == 1);
    }
    scope_end();
}

/* --- the whole --- */

static audio *whole;
static int64_t whole_done;

static void begin_whole(void *s) {
    whole = audio_new(scene_frames(s), 2, ((const scene *) s)->rate);
    whole_done = 0;
}

static void take_whole(void *s, const float *samples, int64_t frames) {
    (void) s;
    memcpy(whole->samples + 2 * whole_done, samples, sizeof(float) * 2 * (size_t) frames);
    whole_done += frames;
}

static const char LAYERS[] =
    "{\"file\": \"noise.wav\", \"name\": \"rain\", \"gain\": -6, \"end\": 9},"
    "{\"file\": \"click.wav\", \"name\": \"thunder\", \"at\": [7], \"pan\": -0.9, \"gain\": 6},"
    "{\"file\": \"click.wav\", \"name\": \"steps\", \"every\": 0.5, \"start\": 2, \"end\": 5, \"distance\": 2}";

/* Loudness as asked for, true peaks under their bound, also where the peaks need the limiter. */
static void test_loudness(void **state) {
    (void) state;
    static const double TARGETS[] = {-30, -20, -14};
    for (int i = 0; i < 3; i++) {
        scope_begin();
        scene *s = with_layers(12, 4, LAYERS);
        s->loudness = TARGETS[i];
        const rendering r = render(s, begin_whole, take_whole, s);
        assert_int_equal(whole_done, 12 * RATE);
        assert_float_equal(loudness(whole), TARGETS[i], 0.1);
        assert_float_equal(r.loudness, loudness(whole), 1e-6);
        assert_true(decibel(true_peak(whole)) <= -1);
        assert_float_equal(r.true_peak, decibel(true_peak(whole)), 1e-4);
        assert_true(i < 2 || r.limited > 1);
        assert_int_equal(r.sounds, 3);
        scope_end();
    }
}

static void test_deterministic(void **state) {
    (void) state;
    scope_begin();
    scene *s = with_layers(6, 4, "{\"file\": \"click.wav\", \"per_minute\": 40, \"pan\": [-1, 1], \"gain\": [-9, 0]}");
    render(s, begin_whole, take_whole, s);
    const audio *first = whole;
    render(s, begin_whole, take_whole, s);
    assert_memory_equal(first->samples, whole->samples, sizeof(float) * 12 * RATE);
    s->seed = 5;
    render(s, begin_whole, take_whole, s);
    assert_true(memcmp(first->samples, whole->samples, sizeof(float) * 12 * RATE) != 0);
    scope_end();
}

/* A bed's loop goes round without a step: the seam moves no more than neighbours elsewhere do. */
static void test_loop(void **state) {
    (void) state;
    scope_begin();
    audio *ramp = audio_new(RATE, 1, RATE);
    for (int64_t t = 0; t < RATE; t++) ramp->samples[t] = (float) sin(2 * M_PI * 3.3 * (double) t / RATE);
    audio_write(in_folder("ramp.wav"), ramp, AUDIO_FLOAT);
    const scene *s = with_layers(6, 4, "{\"file\": \"ramp.wav\", \"cross_fade\": 0.25}");
    const audio *loop = source_sound(sources_open(s), 0, 0);
    assert_int_equal(loop->frames, RATE * 3 / 4);
    assert_float_equal(loudness(loop), SOURCE_LUFS, 0.01);
    double most = 0;
    for (int64_t t = 1; t < loop->frames; t++)
        most = fmax(most, fabs((double) loop->samples[t] - loop->samples[t - 1]));
    assert_true(fabs((double) loop->samples[0] - loop->samples[loop->frames - 1]) <= 1.5 * most);
    scope_end();
}

/* A model's classes, by class and by a prompt that names one; a class that is not there. */
static void render_unknown(void *unused) {
    (void) unused;
    scene *s = with_layers(1, 1, "{\"prompt\": \"a large gong\", \"at\": [0], \"seconds\": 0.05}");
    s->model = TEST_DATA "/models/classes";
    render(s, begin_whole, take_whole, s);
}

static void test_model(void **state) {
    (void) state;
    scope_begin();
    scene *s =
        with_layers(1, 1,
                    "{\"class\": \"kick\", \"at\": [0, 0.5], \"seconds\": 0.05, \"takes\": 2, \"name\": \"drum\"},"
                    "{\"prompt\": \"one Kick\", \"at\": [0.2], \"seconds\": 0.05, \"takes\": 1, \"name\": \"drum\"}");
    s->model = TEST_DATA "/models/classes";
    s->steps = 2;
    s->sampler = "ddim";
    const rendering r = render(s, begin_whole, take_whole, s);
    assert_int_equal(r.sounds, 3);
    assert_float_equal(r.score.cues[0].length, 0.05, 0.001);
    assert_true(isfinite(r.loudness));
    expect_failure(render_unknown, NULL, HISS_ERROR_ARGUMENT, "layer 'a large gong'");
    scope_end();
}

static void render_without_model(void *unused) {
    (void) unused;
    scene *s = with_layers(1, 1, "{\"prompt\": \"rain\"}");
    render(s, begin_whole, take_whole, s);
}

static void render_missing(void *unused) {
    (void) unused;
    scene *s = with_layers(1, 1, "{\"file\": \"nowhere.wav\"}");
    render(s, begin_whole, take_whole, s);
}

static void render_nothing(void *unused) {
    (void) unused;
    scene *s = with_layers(1, 1, "{\"file\": \"click.wav\", \"at\": [3]}");
    render(s, begin_whole, take_whole, s);
}

static void test_bad_sources(void **state) {
    (void) state;
    expect_failure(render_without_model, NULL, HISS_ERROR_ARGUMENT, "layer 'rain' needs a model");
    expect_failure(render_missing, NULL, HISS_ERROR_FILE, "nowhere.wav");
    expect_failure(render_nothing, NULL, HISS_ERROR_ARGUMENT, "nothing is heard");
}

static const char *written(void (*write)(const char *, const scene *, const rendering *), const scene *s,
                           const rendering *r) {
    write(in_folder("told"), s, r);
    return (const char *) file_read(in_folder("told"), 1 << 20).data;
}

static void test_told(void **state) {
    (void) state;
    scope_begin();
    scene *s = with_layers(12, 4, LAYERS);
    s->title = "Rain & <more>";
    const rendering r = render(s, begin_whole, take_whole, s);
    assert_string_equal(written(transcript_write, s, &r), "Rain & <more>\n\n"
                                                          "0:00 rain begins\n"
                                                          "0:02 steps, near, 6 times until 0:04\n"
                                                          "0:07 thunder, far left\n"
                                                          "0:09 rain ends\n"
                                                          "0:12 the scene ends\n");
    assert_string_equal(written(subtitles_write, s, &r),
                        "WEBVTT - Rain &amp; &lt;more&gt;\n\n"
                        "00:00:00.000 --> 00:00:04.000\n[rain begins]\n\n"
                        "00:00:02.000 --> 00:00:06.000\n[steps, near, 6 times until 0:04]\n\n"
                        "00:00:07.000 --> 00:00:08.500\n[thunder, far left]\n\n"
                        "00:00:09.000 --> 00:00:12.000\n[rain ends]\n");
    json_t *sheet = cue_sheet(s, &r), *cues = json_object_get(sheet, "cues"), *thunder = json_array_get(cues, 7);
    assert_int_equal(json_array_size(cues), 8);
    assert_string_equal(json_string_value(json_object_get(thunder, "words")), "thunder, far left");
    assert_float_equal(json_number_value(json_object_get(thunder, "seconds")), 7, 0);
    assert_float_equal(json_number_value(json_object_get(thunder, "end")), 7.5, 0);
    assert_float_equal(json_number_value(json_object_get(sheet, "loudness_lufs")), -20, 0.1);
    scope_end();
}

static void test_place_words(void **state) {
    (void) state;
    scope_begin();
    assert_string_equal(place_words(-1, 500), "far left, far away");
    assert_string_equal(place_words(-0.7, 100), "far left, distant");
    assert_string_equal(place_words(-0.2, 30), "left");
    assert_string_equal(place_words(-0.19, 2), "near");
    assert_string_equal(place_words(0.19, 0), "");
    assert_string_equal(place_words(0.2, 20), "right");
    assert_string_equal(place_words(0.7, 60), "far right, distant");
    scope_end();
}

/* The scenes that come with hiss can be read, and something is heard in them. */
static void test_examples(void **state) {
    (void) state;
    size_t scenes = 0;
    scope_begin();
    for (char **name = folder_list(SOURCE_FOLDER "/examples"); *name; name++) {
        if (strcmp(path_extension(*name), ".json") != 0) continue;
        assert_true(arrange(scene_read(path_join(SOURCE_FOLDER "/examples", *name))).count > 0);
        scenes++;
    }
    assert_true(scenes >= 2);
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),      cmocka_unit_test(test_bad_scenes),   cmocka_unit_test(test_words),
        cmocka_unit_test(test_bad_words), cmocka_unit_test(test_moments),      cmocka_unit_test(test_random_events),
        cmocka_unit_test(test_too_many),  cmocka_unit_test(test_independence), cmocka_unit_test(test_places),
        cmocka_unit_test(test_mix),       cmocka_unit_test(test_air),          cmocka_unit_test(test_width),
        cmocka_unit_test(test_limiter),   cmocka_unit_test(test_loudness),     cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_loop),      cmocka_unit_test(test_model),        cmocka_unit_test(test_bad_sources),
        cmocka_unit_test(test_told),      cmocka_unit_test(test_place_words),  cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
