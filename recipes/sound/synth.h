/* Synthesised sounds of the sound recipe. A generator draws its parameters from a seed, adds its parts to s->x, and says in
 * words what it drew: the caption follows from the parameters. All times are seconds, frequencies hertz. */
#ifndef RECIPES_SOUND_SYNTH_H
#define RECIPES_SOUND_SYNTH_H

#include <stddef.h>
#include <stdint.h>

enum { hz_rate = 44100 };

typedef struct {
    float *x; /* [n], added to */
    int n;
    uint64_t state;
    double size;        /* of the throats in it: their formants are multiplied by it */
    char caption[1600]; /* alternatives, with " | " between */
    void *scratch[256]; /* freed with the sound */
    int scratch_count;
} sound;

typedef struct {
    const char *class;
    void (*make)(sound *s);
    int texture; /* lasts 4 to 10 seconds, and needs fewer clips */
} generator;

extern const generator generators[];
extern const int generator_count;

/* Sound number `seed` of a generator: at most 12 s, peak 0.95, uncut. */
void synth_make(sound *s, const generator *g, uint64_t seed);
void synth_end(sound *s);
const generator *generator_named(void (*make)(sound *s));

/* --- chance --- */
double uni(sound *s, double low, double high);
double logu(sound *s, double low, double high); /* uniform in the logarithm */
int below(sound *s, int n);
int chance(sound *s, double p);
float gauss(sound *s);
#define ONE_OF(s, ...)                                                                                                 \
    (((const char *const[]){                                                                                           \
        __VA_ARGS__})[below(s, (int) (sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))])

/* --- length and words --- */
void begin(sound *s, double shortest, double longest);
void say(sound *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline int at_sample(double seconds) { return (int) (seconds * hz_rate); }
static inline double length_of(const sound *s) { return (double) s->n / hz_rate; }

/* --- signals of n samples, kept until the sound ends --- */
float *zeros(sound *s, int n);
/* White noise given the magnitude 1/sqrt(1+(low/f)^4) / sqrt(1+(f/high)^4) * (f/1000)^tilt, unit variance. */
float *noise(sound *s, int n, double low, double high, double tilt);
/* A random walk: points a second, each in [low, high], smooth between. */
float *curve(sound *s, int n, double points, double low, double high);
void mix(sound *s, const float *y, const float *envelope, double gain); /* envelope may be NULL */

/* --- short parts, added where they start --- */
/* Noise between two corners that decays with tau, after an attack. */
void burst(sound *s, double at, double seconds, double low, double high, double tau, double attack, double gain);
void ring(sound *s, double at, double hz, double tau, double gain); /* a decaying sine */
/* A sine that glides from one frequency to another under half a sine raised to `shape`. */
void chirp(sound *s, double at, double seconds, double from, double to, double shape, double gain);
/* Modes of a struck body: frequencies relative to hz, with weights and relative decays. */
typedef struct {
    double ratio, weight, decay;
} mode;
void strike(sound *s, double at, const mode *modes, int count, double hz, double tau, double gain);
/* A voice: pulses of rough pitch through three formants. pitch: hertz at the start, the middle, the end. */
typedef struct {
    double pitch[3], formant[3], rough, breath, attack, release,
        open; /* open: formants rise by this share in the middle */
} throat;
void voice(sound *s, double at, double seconds, const throat *t, double gain);

/* --- on the whole sound --- */
void low_pass(float *x, int n, double hz);                        /* one pole */
void high_pass(float *x, int n, double hz);                       /* one pole */
void resonate(float *x, int n, double hz, double q, double gain); /* adds a resonance */
void room(sound *s, double seconds, double wet);
void fade(sound *s, double in, double out);
void saturate(sound *s, double drive);
static inline double clampd(double v, double low, double high) { return v < low ? low : v > high ? high : v; }

/* State-variable filter with a moving corner. */
typedef struct {
    float low, band;
} svf;
float svf_band(svf *f, float in, double hz, double q);

#endif
