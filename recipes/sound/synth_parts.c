/* What generators are made of: see synth.h. */
#include "synth.h"

#include <complex.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double tau_circle = 6.283185307179586;

/* --- chance: splitmix64 --- */

static uint64_t roll(sound *s) {
    uint64_t z = s->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}
double uni(sound *s, double low, double high) {
    return low + (high - low) * (double) (roll(s) >> 11) / 9007199254740992.0;
}
double logu(sound *s, double low, double high) { return low * pow(high / low, uni(s, 0, 1)); }
int below(sound *s, int n) { return (int) (roll(s) % (uint64_t) n); }
int chance(sound *s, double p) { return uni(s, 0, 1) < p; }

/* Nearly normal, and quick: the sum of eight bytes has variance 8 * (256^2 - 1) / 12. */
float gauss(sound *s) {
    uint64_t bits = roll(s);
    int sum = 0;
    for (int i = 0; i < 8; i++) sum += (int) (bits >> 8 * i & 255);
    return ((float) sum - 1020) * 0.0047841f;
}

/* --- memory, length, words --- */

float *zeros(sound *s, int n) {
    if (s->scratch_count == 256) {
        fprintf(stderr, "sound: a generator needs too many signals\n");
        exit(1);
    }
    float *x = calloc((size_t) n + 1, sizeof *x);
    if (!x) {
        fprintf(stderr, "sound: not enough memory\n");
        exit(1);
    }
    return s->scratch[s->scratch_count++] = x;
}

void begin(sound *s, double shortest, double longest) {
    s->n = at_sample(uni(s, shortest, longest));
    s->x = zeros(s, s->n);
}

void say(sound *s, const char *format, ...) {
    size_t used = strlen(s->caption);
    if (used) used += (size_t) snprintf(s->caption + used, sizeof s->caption - used, " | ");
    va_list list;
    va_start(list, format);
    if (used < sizeof s->caption) vsnprintf(s->caption + used, sizeof s->caption - used, format, list);
    va_end(list);
}

/* --- noise --- */

static void fft(float complex *x, int n) {
    static float complex *turns;
    static int turns_of;
    if (turns_of != n) {
        free(turns);
        if (!(turns = malloc((size_t) n / 2 * sizeof *turns))) exit(1);
        turns_of = n;
        for (int i = 0; i < n / 2; i++) turns[i] = (float complex) cexp(I * tau_circle * i / n);
    }
    for (int i = 1, j = 0; i < n; i++) {
        int bit = n >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i < j) {
            float complex swap = x[i];
            x[i] = x[j];
            x[j] = swap;
        }
    }
    for (int half = 1; half < n; half *= 2)
        for (int start = 0; start < n; start += 2 * half)
            for (int k = 0; k < half; k++) {
                float complex a = x[start + k], b = x[start + k + half] * turns[k * (n / 2 / half)];
                x[start + k] = a + b;
                x[start + k + half] = a - b;
            }
}

/* Blocks under sine windows that overlap by half: their powers add up to a constant. One transform of random numbers of
 * the wanted magnitude gives two blocks, its real and its imaginary part. */
float *noise(sound *s, int n, double low, double high, double tilt) {
    const int block = n > 8192 ? 16384 : 4096, hop = block / 2;
    float *out = zeros(s, n + 2 * block), *magnitude = zeros(s, block / 2), *window = zeros(s, block);
    float complex *x = (float complex *) zeros(s, 2 * block);
    double power = 0;
    for (int k = 1; k < block / 2; k++) {
        double f = (double) k * hz_rate / block, l = low / f, h = f / high;
        magnitude[k] = (float) (pow(f / 1000, tilt) / sqrt((1 + l * l * l * l) * (1 + h * h * h * h)));
        power += (double) magnitude[k] * magnitude[k];
    }
    for (int i = 0; i < block; i++) window[i] = (float) (sin(tau_circle / 2 * (i + .5) / block) / sqrt(2 * power));
    for (int start = -hop; start < n; start += 2 * hop) {
        x[0] = x[block / 2] = 0;
        for (int k = 1; k < block / 2; k++) {
            x[k] = magnitude[k] * (gauss(s) + I * gauss(s));
            x[block - k] = magnitude[k] * (gauss(s) + I * gauss(s));
        }
        fft(x, block);
        for (int part = 0; part < 2; part++)
            for (int i = 0; i < block; i++) {
                int to = start + part * hop + i;
                if (to >= 0 && to < n) out[to] += window[i] * (part ? cimagf(x[i]) : crealf(x[i]));
            }
    }
    return out;
}

float *curve(sound *s, int n, double points, double low, double high) {
    float *out = zeros(s, n);
    double step = hz_rate / points, from = uni(s, low, high), to = uni(s, low, high), at = uni(s, 0, 1) * step;
    for (int i = 0; i < n; i++, at++) {
        if (at >= step) {
            at -= step;
            from = to;
            to = uni(s, low, high);
        }
        double u = at / step;
        out[i] = (float) (from + (to - from) * u * u * (3 - 2 * u));
    }
    return out;
}

void mix(sound *s, const float *y, const float *envelope, double gain) {
    for (int i = 0; i < s->n; i++) s->x[i] += (float) gain * y[i] * (envelope ? envelope[i] : 1);
}

/* --- short parts --- */

/* First and last sample of a part that lies within the sound. */
static int clip_part(const sound *s, double at, double seconds, int *count) {
    int first = at_sample(at), n = at_sample(seconds);
    if (first < 0) first = 0;
    if (n > s->n - first) n = s->n - first;
    *count = n < 0 ? 0 : n;
    return first;
}

void burst(sound *s, double at, double seconds, double low, double high, double tau, double attack, double gain) {
    int n, first = clip_part(s, at, seconds, &n);
    float a = (float) (1 - exp(-tau_circle * high / hz_rate)), b = (float) (1 - exp(-tau_circle * low / hz_rate));
    float l1 = 0, l2 = 0, h1 = 0, h2 = 0, fall = (float) exp(-1 / (tau * hz_rate)),
          level = (float) (gain / sqrt(a / (2 - a)) * .9);
    int rise = at_sample(attack) + 1, drop = n < 200 ? n / 2 : 100;
    for (int i = 0; i < n; i++) {
        l1 += a * (gauss(s) - l1), l2 += a * (l1 - l2);
        h1 += b * (l2 - h1), h2 += b * (l2 - h1 - h2);
        float envelope = level * (i < rise ? (float) i / rise : 1) * (n - i < drop ? (float) (n - i) / drop : 1);
        s->x[first + i] += envelope * (l2 - h1 - h2);
        if (i >= rise) level *= fall;
    }
}

void ring(sound *s, double at, double hz, double tau, double gain) {
    int n, first = clip_part(s, at, tau * 7, &n);
    if (hz > hz_rate * .47) return;
    double complex turn = cexp((I * tau_circle * hz - 1 / tau) / hz_rate), now = gain;
    for (int i = 0; i < n; i++, now *= turn) s->x[first + i] += (float) cimag(now);
}

void chirp(sound *s, double at, double seconds, double from, double to, double shape, double gain) {
    int n, first = clip_part(s, at, seconds, &n);
    double phase = 0;
    for (int i = 0; i < n; i++) {
        double u = (double) i / (seconds * hz_rate);
        phase += tau_circle * (from + (to - from) * u) / hz_rate;
        s->x[first + i] += (float) (gain * sin(phase) * pow(sin(tau_circle / 2 * u), shape));
    }
}

void strike(sound *s, double at, const mode *modes, int count, double hz, double tau, double gain) {
    for (int m = 0; m < count; m++)
        ring(s, at, hz * modes[m].ratio * uni(s, .995, 1.005), tau * modes[m].decay,
             gain * modes[m].weight * uni(s, .7, 1.3));
}

float svf_band(svf *f, float in, double hz, double q) {
    float g = (float) (2 * sin(3.14159265 * clampd(hz, 10, hz_rate / 6.5) / hz_rate));
    f->low += g * f->band;
    f->band += g * (in - f->low - f->band / (float) q);
    return f->band;
}

void voice(sound *s, double at, double seconds, const throat *t, double gain) {
    const int mark = s->scratch_count;
    int n, first = clip_part(s, at, seconds, &n);
    svf formants[3] = {{0}};
    double phase = 0, wobble = 1, sub = uni(s, 0, 1), formant[3] = {0};
    float *drift = curve(s, n, 7, 1 - .35 * t->rough, 1 + .35 * t->rough),
          *mouth = curve(s, n, 4, .93 - .12 * t->rough, 1.07 + .12 * t->rough);
    if (s->size <= 0) s->size = exp(uni(s, -.22, .22));
    for (int i = 0; i < n; i++) {
        double u = (double) i / (seconds * hz_rate), now = i / (double) hz_rate, left = seconds - now;
        double pitch = u < .5 ? t->pitch[0] + (t->pitch[1] - t->pitch[0]) * 2 * u
                              : t->pitch[1] + (t->pitch[2] - t->pitch[1]) * (2 * u - 1);
        phase += pitch * wobble * drift[i] / hz_rate;
        if (i % 32 == 0)
            for (int k = 0; k < 3; k++)
                formant[k] = t->formant[k] * s->size * mouth[i] * (1 + t->open * sin(tau_circle / 2 * u));
        if (phase >= 1) { /* each period a little longer or shorter, and every other one weaker */
            phase -= 1;
            wobble = 1 + t->rough * .25 * gauss(s);
            sub = 1 - t->rough * (sub > .9 ? .7 : uni(s, 0, .3));
        }
        double pulse = phase < .6 ? sin(tau_circle / 2 * phase / .6) : 0;
        float in = (float) (sub * (pulse * pulse - .3) + t->breath * gauss(s) * (.3 + pulse)), out = 0;
        for (int k = 0; k < 3; k++)
            out += svf_band(&formants[k], in, formant[k], 6 + 2 * k - 3 * t->rough) / (float) (1 + .8 * k);
        double envelope = fmin(1, now / t->attack) * fmin(1, left / t->release);
        s->x[first + i] += (float) (gain * envelope) * out;
    }
    while (s->scratch_count > mark) free(s->scratch[--s->scratch_count]);
}

/* --- the whole sound --- */

void low_pass(float *x, int n, double hz) {
    float a = (float) (1 - exp(-tau_circle * hz / hz_rate)), y = 0;
    for (int i = 0; i < n; i++) x[i] = y += a * (x[i] - y);
}

void high_pass(float *x, int n, double hz) {
    float a = (float) (1 - exp(-tau_circle * hz / hz_rate)), y = 0;
    for (int i = 0; i < n; i++) {
        y += a * (x[i] - y);
        x[i] -= y;
    }
}

void resonate(float *x, int n, double hz, double q, double gain) {
    svf f = {0, 0};
    for (int i = 0; i < n; i++) x[i] += (float) (gain / q) * svf_band(&f, x[i], hz, q);
}

/* Eight delays that feed each other through a Hadamard matrix (Jot and Chaigne 1991), darker with every turn. */
void room(sound *s, double seconds, double wet) {
    static const int lengths[8] = {1031, 1327, 1523, 1801, 2053, 2399, 2741, 3109};
    float *line[8], damp[8] = {0}, back[8];
    int at[8] = {0};
    for (int k = 0; k < 8; k++) {
        line[k] = zeros(s, lengths[k]);
        back[k] = (float) pow(10, -3.0 * lengths[k] / (seconds * hz_rate)) * .35355339f;
    }
    for (int i = 0; i < s->n; i++) {
        float out[8], sum = 0, in = s->x[i];
        for (int k = 0; k < 8; k++) {
            out[k] = line[k][at[k]];
            sum += k & 1 ? -out[k] : out[k];
        }
        for (int half = 1; half < 8; half *= 2)
            for (int k = 0; k < 8; k++)
                if (!(k & half)) {
                    float a = out[k], b = out[k + half];
                    out[k] = a + b, out[k + half] = a - b;
                }
        for (int k = 0; k < 8; k++) {
            damp[k] += .6f * (out[k] - damp[k]);
            line[k][at[k]] = in + back[k] * damp[k];
            if (++at[k] == lengths[k]) at[k] = 0;
        }
        s->x[i] += (float) wet * sum * .35f;
    }
}

void fade(sound *s, double in, double out) {
    int a = at_sample(in), b = at_sample(out);
    for (int i = 0; i < a && i < s->n; i++) s->x[i] *= (float) i / a;
    for (int i = 0; i < b && i < s->n; i++) s->x[s->n - 1 - i] *= (float) i / b;
}

void saturate(sound *s, double drive) {
    for (int i = 0; i < s->n; i++) s->x[i] = tanhf((float) drive * s->x[i]);
}
